//! The losses. Each has one file with its options, its equation and its ops; it becomes part of the
//! spec format by one line in the list below.

mod averaging;
mod bce_with_logits;
mod cross_entropy;
mod custom;
mod elementwise;
mod huber;
mod mae;
mod mse;
mod smooth_l1;

pub use averaging::Averaging;
pub use bce_with_logits::BceWithLogits;
pub use cross_entropy::CrossEntropy;
pub use custom::{CustomLoss, LossFunction};
pub use huber::Huber;
pub use mae::Mae;
pub use mse::Mse;
pub use smooth_l1::SmoothL1;

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
    /// The leaf called `target`, fed at each step.
    pub target: Value,
    /// The f32 scalar to minimise.
    pub loss: Value,
    /// What the output says in the target's terms: the class (i32) for cross-entropy, the
    /// probability for binary cross-entropy, the output itself otherwise.
    pub prediction: Value,
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

    fn apply(self, g: &mut Graph, x: Value) -> Result<Value, GraphError> {
        match self {
            Reduction::Mean => g.mean_all(x),
            Reduction::Sum => g.sum_all(x),
        }
    }
}

/// A composition of graph ops that ends in the scalar to minimise. The built-in losses implement
/// it, and so does every closure `Fn(&mut Graph, Value) -> Result<LossValues, LayerError>`.
///
/// A loss of one's own, the mean of `log cosh(output - target)`:
///
/// ```
/// use onestep_engine::{DType, Graph, Value};
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
///     Ok(LossValues { target, loss: g.mean_all(each)?, prediction: output })
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
    /// Appends the loss of `output [batch, ...]` to the graph.
    ///
    /// # Errors
    /// Options out of range, or an output that the loss is not defined for.
    fn build(&self, g: &mut Graph, output: Value) -> Result<LossValues, LayerError>;
}

impl<F> Loss for F
where
    F: Fn(&mut Graph, Value) -> Result<LossValues, LayerError> + Send + Sync,
{
    fn build(&self, g: &mut Graph, output: Value) -> Result<LossValues, LayerError> {
        self(g, output)
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
        /// A loss of one's own.
        CustomLoss(CustomLoss) = "custom",
    }
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
        let first = g.nodes().len();
        let name = self.type_name();
        if g.type_of(output).dtype != DType::F32 && !matches!(self, LossSpec::CustomLoss(_)) {
            return Err(LayerError::input(name, "f32 outputs of the model", g.type_of(output)));
        }
        let values = self.inner().build(g, output).map_err(|error| error.within(name))?;
        let fresh: Vec<Value> = g.values().skip(first).collect();
        for value in fresh {
            if g.node(value).label.is_none() {
                g.label(value, "loss");
            }
        }
        Ok(values)
    }
}

impl Loss for LossSpec {
    fn build(&self, g: &mut Graph, output: Value) -> Result<LossValues, LayerError> {
        LossSpec::build(self, g, output)
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
