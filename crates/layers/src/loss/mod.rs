//! The losses. Each has one file with its options, its equation and its ops; it becomes part of the
//! spec format by one line in the list below.
//!
//! A loss takes the context, which makes the values that a loss gives, and a term is a loss of the list: so this
//! file, `context.rs` and `term.rs` name one another.

mod averaging;
mod bce;
mod bce_with_logits;
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

use std::fmt;

use onestep_base::registry;
use onestep_engine::{DType, Graph, GraphError, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::LayerError;
use crate::registry::Registry;

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

registry! {
    kind = "loss", plural = "losses", form = name_or_object(LayerError);
    /// A loss by name with its options. In JSON, and on a command line, the name (`"mse"`) or an
    /// object (`{"type": "huber", "delta": 0.5}`).
    ///
    /// ```
    /// use onestep_layers::{Huber, LossSpec};
    /// let loss: LossSpec = r#"{"type": "huber", "delta": 0.5}"#.parse()?;
    /// assert_eq!(loss, Huber::new(0.5).into());
    /// assert_eq!("huber".parse::<LossSpec>()?, Huber::new(1.0).into());
    /// # Ok::<(), onestep_layers::LayerError>(())
    /// ```
    #[schemars(rename = "Loss", description = "A loss: its name, or an object with its options.")]
    pub enum LossSpec: Loss {
        /// Cross-entropy of logits against integer labels.
        CrossEntropy(CrossEntropy) = "cross_entropy",
        /// Binary cross-entropy of logits.
        BceWithLogits(BceWithLogits) = "bce_with_logits",
        /// The mean squared error.
        Mse(Mse) = "mse",
        /// The mean absolute error.
        Mae(Mae) = "mae",
        /// Squared near 0, absolute beyond.
        Huber(Huber) = "huber",
        /// As Huber's, with another scale.
        SmoothL1(SmoothL1) = "smooth_l1",
        /// The negative log-likelihood of labels.
        Nll(Nll) = "nll",
        /// A hinge between classes.
        MultiMargin(MultiMargin) = "multi_margin",
        /// A hinge between several labels and the rest.
        MultilabelMargin(MultilabelMargin) = "multilabel_margin",
        /// The mean logistic loss of several labels.
        MultilabelSoftMargin(MultilabelSoftMargin) = "multilabel_soft_margin",
        /// Binary cross-entropy of probabilities.
        Bce(Bce) = "bce",
        /// Cross-entropy that minds what is hard.
        Focal(Focal) = "focal",
        /// The logistic loss of labels 1 and -1.
        SoftMargin(SoftMargin) = "soft_margin",
        /// A hinge for distances.
        HingeEmbedding(HingeEmbedding) = "hinge_embedding",
        /// The overlap of two regions.
        Dice(Dice) = "dice",
        /// The same, with a price for each kind of error.
        Tversky(Tversky) = "tversky",
        /// The Kullback-Leibler divergence.
        KlDiv(KlDiv) = "kl_div",
        /// The negative log-likelihood of counts.
        PoissonNll(PoissonNll) = "poisson_nll",
        /// The logarithm of the hyperbolic cosine.
        LogCosh(LogCosh) = "log_cosh",
        /// A hinge between two scores.
        MarginRanking(MarginRanking) = "margin_ranking",
        /// A hinge between two distances.
        TripletMargin(TripletMargin) = "triplet_margin",
        /// A hinge on the cosine of two vectors.
        CosineEmbedding(CosineEmbedding) = "cosine_embedding",
        /// The negative log-likelihood of numbers with a variance each.
        GaussianNll(GaussianNll) = "gaussian_nll",
        /// The divergence of a code from the standard normal distribution.
        VaeKl(VaeKl) = "vae_kl",
        /// The contrastive loss of two views.
        NtXent(NtXent) = "nt_xent",
        /// Strings whose places are not known.
        Ctc(Ctc) = "ctc",
        /// A loss of one's own, written in the specification.
        FormulaLoss(FormulaLoss) = "formula",
        /// A loss of one's own.
        CustomLoss(CustomLoss) = "custom",
    }
}

/// The weights of classes, once it is clear that there is one for each.
fn class_weights<'a>(
    loss: &'static str,
    weight: Option<&'a [f32]>,
    classes: usize,
) -> Result<Option<&'a [f32]>, LayerError> {
    let Some(weight) = weight else { return Ok(None) };
    if weight.len() != classes {
        let wanted = format!("one number for each of {classes} classes");
        return Err(LayerError::option(loss, "weight", wanted, weight.len()));
    }
    match weight.iter().find(|w| !(w.is_finite() && **w >= 0.0)) {
        Some(bad) => Err(LayerError::option(loss, "weight", "finite and at least 0", bad)),
        None => Ok(Some(weight)),
    }
}

/// 1 where a label, of which the classes' axis has one, is the class along that axis, else 0.
fn is_class(
    g: &mut Graph,
    labels: Value,
    axis: usize,
    classes: usize,
) -> Result<Value, GraphError> {
    let mut dims = vec![1; g.shape(labels).rank()];
    dims[axis] = classes;
    let numbers = g.cast(labels, DType::F32)?;
    let names: Vec<f32> = (0..classes).map(|class| class as f32).collect();
    let names = g.constant_tensor(&dims, &names)?;
    g.eq(numbers, names)
}

/// What `x` has where `own` is 1, of which there is one along the axis; NaN where there is none. In
/// elementwise ops, which every device has, and which become one pass.
fn pick(g: &mut Graph, x: Value, own: Value, axis: usize) -> Result<Value, GraphError> {
    // Chosen rather than multiplied: the rest may be infinite.
    let zero = g.constant(0.0)?;
    let chosen = g.select(own, x, zero)?;
    let sum = g.sum(chosen, &[axis], true)?;
    let count = g.sum(own, &[axis], true)?;
    g.div(sum, count)
}

impl LossSpec {
    /// The same loss with the code of a custom one looked up by name.
    ///
    /// # Errors
    /// [`LayerError::NotRegistered`], or what the constructor says of its options.
    pub fn resolve(mut self, registry: &Registry) -> Result<Self, LayerError> {
        if let LossSpec::CustomLoss(custom) = &mut self {
            custom.resolve(registry)?;
        }
        Ok(self)
    }

    /// Appends the loss of `output [batch, ...]` to the graph, with a leaf called `target`.
    ///
    /// # Errors
    /// Options out of range, or an output that the loss is not defined for; the message begins with
    /// the loss's name.
    pub fn build(&self, g: &mut Graph, output: Value) -> Result<LossValues, LayerError> {
        self.build_in(&mut LossContext::new(g, output))
    }

    /// As [`Self::build`] with the target and the weights that the context says.
    ///
    /// # Errors
    /// As for [`Self::build`].
    pub fn build_in(&self, cx: &mut LossContext<'_>) -> Result<LossValues, LayerError> {
        let first = cx.graph.nodes().len();
        let name = self.type_name();
        let ty = cx.graph.type_of(cx.output());
        if ty.dtype != DType::F32 && !matches!(self, LossSpec::CustomLoss(_)) {
            return Err(LayerError::input(name, "f32 outputs of the model", ty));
        }
        let (most, given) = (self.most_outputs(), cx.outputs().len());
        if given > most {
            let wanted = format!("at most {most} in `outputs`");
            return Err(LayerError::input(name, wanted, format!("{given} outputs")));
        }
        let values = self.inner().build(cx).map_err(|error| error.within(name))?;
        cx.graph.label_fresh(first, "loss");
        Ok(values)
    }

    /// What the loss is for.
    pub fn task(&self) -> Task {
        self.inner().task()
    }

    /// How many outputs it takes at most.
    pub fn most_outputs(&self) -> usize {
        self.inner().most_outputs()
    }

    /// The axis of its output along which classes lie, the batch being 0.
    pub fn class_axis(&self) -> usize {
        match self {
            LossSpec::Ctc(_) => 2,
            _ => 1,
        }
    }

    /// Whether it is a mean or a sum. A loss of one's own is a mean unless its type says otherwise.
    pub fn reduction(&self) -> Reduction {
        self.inner().reduction()
    }
}

impl Loss for LossSpec {
    fn build(&self, cx: &mut LossContext<'_>) -> Result<LossValues, LayerError> {
        self.build_in(cx)
    }

    fn task(&self) -> Task {
        LossSpec::task(self)
    }

    fn most_outputs(&self) -> usize {
        LossSpec::most_outputs(self)
    }

    fn reduction(&self) -> Reduction {
        LossSpec::reduction(self)
    }
}

impl Default for LossSpec {
    /// Plain cross-entropy.
    fn default() -> Self {
        CrossEntropy::default().into()
    }
}

impl fmt::Display for LossSpec {
    /// The name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.type_name())
    }
}
