//! How the losses of batches become that of a data set.

use onestep_engine::ops::Op;
use onestep_engine::{Graph, Value};

use super::{KlReduction, LossSpec, LossValues, Reduction};
use crate::error::LayerError;

/// What the loss of a batch counts for in that of a data set, so that the whole does not depend on
/// how it is cut into batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Averaging {
    /// It is a mean in which each sample counts the same.
    Samples,
    /// It is a sum that was divided by this f32 scalar, the weights of the batch.
    Weight(Value),
    /// It is a sum, to which those of other batches are added.
    Sum,
}

impl LossSpec {
    /// What the loss of a batch, built as `values`, counts for. Of a loss of one's own it is taken
    /// to be a mean over the samples.
    ///
    /// ```
    /// use onestep_engine::Graph;
    /// use onestep_layers::{Averaging, LossSpec};
    ///
    /// let loss: LossSpec = r#"{"type": "mae", "reduction": "sum"}"#.parse()?;
    /// let mut g = Graph::new();
    /// let output = g.input("input", &[8, 2], onestep_engine::DType::F32)?;
    /// let values = loss.build(&mut g, output)?;
    /// assert_eq!(loss.averaging(&mut g, &values)?, Averaging::Sum);
    /// # Ok::<(), onestep_layers::LayerError>(())
    /// ```
    ///
    /// # Errors
    /// None in practice, where the loss could be built.
    pub fn averaging(&self, g: &mut Graph, values: &LossValues) -> Result<Averaging, LayerError> {
        if self.reduction() == Reduction::Sum {
            return Ok(Averaging::Sum);
        }
        Ok(match g.op(values.weight) {
            Op::Constant(_) => Averaging::Samples,
            _ => Averaging::Weight(values.weight),
        })
    }

    /// Whether it is a mean or a sum. A loss of one's own is taken to be a mean.
    pub fn reduction(&self) -> Reduction {
        match self {
            LossSpec::CrossEntropy(loss) => loss.reduction,
            LossSpec::BceWithLogits(loss) => loss.reduction,
            LossSpec::Mse(loss) => loss.reduction,
            LossSpec::Mae(loss) => loss.reduction,
            LossSpec::Huber(loss) => loss.reduction,
            LossSpec::SmoothL1(loss) => loss.reduction,
            LossSpec::Nll(loss) => loss.reduction,
            LossSpec::MultiMargin(loss) => loss.reduction,
            LossSpec::MultilabelMargin(loss) => loss.reduction,
            LossSpec::MultilabelSoftMargin(loss) => loss.reduction,
            LossSpec::Bce(loss) => loss.reduction,
            LossSpec::Focal(loss) => loss.reduction,
            LossSpec::SoftMargin(loss) => loss.reduction,
            LossSpec::HingeEmbedding(loss) => loss.reduction,
            LossSpec::Dice(loss) => loss.reduction,
            LossSpec::Tversky(loss) => loss.reduction,
            LossSpec::PoissonNll(loss) => loss.reduction,
            LossSpec::LogCosh(loss) => loss.reduction,
            LossSpec::KlDiv(loss) if loss.reduction == KlReduction::Sum => Reduction::Sum,
            LossSpec::KlDiv(_) => Reduction::Mean,
            LossSpec::FormulaLoss(loss) => loss.reduction,
            LossSpec::CustomLoss(_) => Reduction::Mean,
        }
    }
}
