//! How the losses of batches become that of a data set.

use onestep_engine::ops::Op;
use onestep_engine::{Graph, Value};

use super::{LossSpec, LossValues, Reduction};
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
}
