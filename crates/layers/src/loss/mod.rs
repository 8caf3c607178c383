//! The losses. Each has one file with its options, its equation and its ops; it becomes part of the
//! spec format by one line in the list of `list.rs`.
//!
//! A loss takes the context, which makes the values that a loss gives, and a term is a loss of the list: so this
//! file, `list.rs`, `context.rs` and `term.rs` name one another.

mod averaging;
mod bce;
mod bce_with_logits;
mod classes;
mod context;
mod cosine_embedding;
mod cross_entropy;
mod ctc;
mod custom;
mod dice;
mod elementwise;
mod focal;
mod formula;
mod gaussian_nll;
mod hinge_embedding;
mod huber;
mod kl_div;
mod list;
mod log_cosh;
mod mae;
mod margin_ranking;
mod mse;
mod multi_margin;
mod multilabel_margin;
mod multilabel_soft_margin;
mod nll;
mod nt_xent;
mod overlap;
mod pairs;
mod poisson_nll;
mod smooth_l1;
mod soft_margin;
mod term;
mod triplet_margin;
mod tversky;
mod vae_kl;

pub use averaging::Averaging;
pub use bce::Bce;
pub use bce_with_logits::BceWithLogits;
pub use context::{LossContext, Reduced, WEIGHT};
pub use cosine_embedding::CosineEmbedding;
pub use cross_entropy::{ClassTargets, CrossEntropy};
pub use ctc::Ctc;
pub use custom::{CustomLoss, LossFunction};
pub use dice::Dice;
pub use focal::Focal;
pub use formula::FormulaLoss;
pub use gaussian_nll::GaussianNll;
pub use hinge_embedding::HingeEmbedding;
pub use huber::Huber;
pub use kl_div::{KlDiv, KlReduction};
pub use list::LossSpec;
pub use log_cosh::LogCosh;
pub use mae::Mae;
pub use margin_ranking::MarginRanking;
pub use mse::Mse;
pub use multi_margin::MultiMargin;
pub use multilabel_margin::MultilabelMargin;
pub use multilabel_soft_margin::MultilabelSoftMargin;
pub use nll::Nll;
pub use nt_xent::NtXent;
pub use poisson_nll::PoissonNll;
pub use smooth_l1::SmoothL1;
pub use soft_margin::SoftMargin;
pub use term::{JointLoss, LossTerm, TARGET};
pub use triplet_margin::TripletMargin;
pub use tversky::Tversky;
pub use vae_kl::VaeKl;

use classes::{class_weights, is_class, pick};

use onestep_engine::{Graph, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::LayerError;

/// What a loss adds to a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LossValues {
    /// The leaf called `target`, fed at each step; `None` for a loss that compares with nothing.
    pub target: Option<Value>,
    /// The f32 scalar to minimise.
    pub loss: Value,
    /// What the output says in the target's terms: the class (i32) for cross-entropy, the
    /// probability for binary cross-entropy, the output itself otherwise.
    pub prediction: Value,
    /// The f32 scalar that a mean was divided by: the number of elements, or the sum of their weights.
    /// A sum has 1. The mean over several batches is `sum(loss * weight) / sum(weight)`.
    pub weight: Value,
}

impl LossValues {
    /// Of a loss that is a mean in which each sample of the target's batch counts the same.
    ///
    /// # Errors
    /// None in practice.
    pub fn of_mean(
        g: &mut Graph,
        target: Value,
        loss: Value,
        prediction: Value,
    ) -> Result<Self, LayerError> {
        let samples = g.shape(target).first().copied().unwrap_or(1);
        let weight = g.constant(samples as f32)?;
        Ok(LossValues { target: Some(target), loss, prediction, weight })
    }
}

/// What a loss is for: which metrics make sense beside it, and what an answer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Task {
    /// One of several classes, whose logits lie along this axis of the output.
    Classify {
        /// The axis, the batch being 0.
        axis: usize,
    },
    /// Yes or no for each element of the output, a logit.
    Binary,
    /// Numbers of the output's shape.
    Regress,
    /// What no metric of the library measures: outputs that are compared with one another, strings.
    Unmeasured,
    /// Something else.
    #[default]
    Other,
}

/// How the losses of single elements become one number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reduction {
    /// The mean; for weighted cross-entropy the weighted mean.
    #[default]
    Mean,
    /// The sum.
    Sum,
}

impl Reduction {
    fn is_mean(&self) -> bool {
        *self == Reduction::Mean
    }
}

/// A composition of graph ops that ends in the scalar to minimise. The built-in losses implement
/// it, and so does every closure `Fn(&mut Graph, Value) -> Result<LossValues, LayerError>` that makes a
/// leaf called `target`. A type sees more in its [`LossContext`]: the target under whatever name, and
/// the weights of samples.
///
/// A loss of one's own, the mean of `log cosh(output - target)`:
///
/// ```
/// use onestep_engine::{DType, Graph, GraphError, Value};
/// use onestep_layers::{CustomLoss, LayerError, LossSpec, LossValues};
///
/// fn log_cosh(g: &mut Graph, output: Value) -> Result<LossValues, LayerError> {
///     let dims = g.shape(output).clone();
///     let target = g.input("target", dims.dims(), DType::F32)?;
///     let error = g.sub(output, target)?;
///     // log cosh x = |x| + log(1 + e^(-2|x|)) - log 2, which does not overflow.
///     let size = g.abs(error)?;
///     let decay = g.scale(size, -2.0)?;
///     let decay = g.exp(decay)?;
///     let rest = g.log1p(decay)?;
///     let sum = g.add(size, rest)?;
///     let each = g.offset(sum, -std::f32::consts::LN_2)?;
///     let loss = g.mean_all(each)?;
///     LossValues::of_mean(g, target, loss, output)
/// }
///
/// let loss = LossSpec::from(CustomLoss::new(log_cosh));
/// let mut g = Graph::new();
/// let output = g.input("input", &[8, 2], DType::F32)?;
/// let values = loss.build(&mut g, output)?;
/// assert_eq!(g.shape(values.loss).rank(), 0);
/// # Ok::<(), LayerError>(())
/// ```
pub trait Loss: Send + Sync {
    /// Appends the loss of the output `[batch, ...]` to the graph.
    ///
    /// # Errors
    /// Options out of range, or an output that the loss is not defined for.
    fn build(&self, cx: &mut LossContext<'_>) -> Result<LossValues, LayerError>;

    /// What the loss is for.
    fn task(&self) -> Task {
        Task::Other
    }

    /// How many outputs it takes at most.
    fn most_outputs(&self) -> usize {
        1
    }

    /// Whether it is a mean or a sum over what is in a batch.
    fn reduction(&self) -> Reduction {
        Reduction::Mean
    }
}

impl<F> Loss for F
where
    F: Fn(&mut Graph, Value) -> Result<LossValues, LayerError> + Send + Sync,
{
    fn build(&self, cx: &mut LossContext<'_>) -> Result<LossValues, LayerError> {
        let wanted = "a type that implements `Loss` (a closure knows neither)";
        if cx.weights().is_some() {
            return Err(LayerError::input("loss", wanted, "weights of samples"));
        }
        if cx.target_name() != TARGET {
            let got = format!("a target called `{}`", cx.target_name());
            return Err(LayerError::input("loss", wanted, got));
        }
        self(cx.graph, cx.output())
    }
}
