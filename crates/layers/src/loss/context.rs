//! What a loss sees while it is turned into graph ops.

use onestep_engine::{DType, Graph, GraphError, Value};

use super::{LossValues, Reduction, TARGET};
use crate::error::LayerError;

/// The name of the leaf with a weight for each sample.
pub const WEIGHT: &str = "weight";

/// The graph that a loss is added to, the outputs it is of, and what is fed for it: the target, and
/// where samples have them their weights.
#[derive(Debug)]
pub struct LossContext<'a> {
    /// The graph.
    pub graph: &'a mut Graph,
    output: Value,
    others: Vec<Value>,
    target: String,
    weights: Option<Value>,
}

impl<'a> LossContext<'a> {
    /// For an output `[batch, ...]`, against a leaf called `target`.
    pub fn new(graph: &'a mut Graph, output: Value) -> Self {
        LossContext { graph, output, others: Vec::new(), target: TARGET.to_owned(), weights: None }
    }

    /// With more outputs behind the first, for a loss of several.
    #[must_use]
    pub fn with_outputs(mut self, others: &[Value]) -> Self {
        self.others = others.to_vec();
        self
    }

    /// Against a leaf of another name.
    #[must_use]
    pub fn against(mut self, target: &str) -> Self {
        target.clone_into(&mut self.target);
        self
    }

    /// With an f32 weight for each sample, `[batch]`.
    #[must_use]
    pub fn weighted(mut self, weights: Option<Value>) -> Self {
        self.weights = weights;
        self
    }

    /// The output that the loss is of, or the first of several.
    pub fn output(&self) -> Value {
        self.output
    }

    /// All outputs that the loss is of, in its order.
    pub fn outputs(&self) -> Vec<Value> {
        [&[self.output], &self.others[..]].concat()
    }

    /// As many outputs as `names`, which say in an error what the loss takes.
    ///
    /// # Errors
    /// More or fewer outputs.
    pub fn outputs_of<const N: usize>(
        &self,
        loss: &'static str,
        names: [&str; N],
    ) -> Result<[Value; N], LayerError> {
        let all = self.outputs();
        <[Value; N]>::try_from(all).map_err(|all| {
            let wanted = format!("{N} `outputs` ({})", names.join(", "));
            LayerError::input(loss, wanted, format!("{} of them", all.len()))
        })
    }

    /// The dimensions of the output, the batch first.
    pub fn dims(&self) -> Vec<usize> {
        self.graph.shape(self.output).dims().to_vec()
    }

    /// The name of the leaf that the output is compared with.
    pub fn target_name(&self) -> &str {
        &self.target
    }

    /// The weights of the samples, `[batch]`, where there are any.
    pub fn weights(&self) -> Option<Value> {
        self.weights
    }

    /// The leaf that the output is compared with.
    ///
    /// # Errors
    /// The graph has a leaf of that name and another type.
    pub fn target(&mut self, dims: &[usize], dtype: DType) -> Result<Value, LayerError> {
        // Two losses may have one target.
        let known = self.graph.find_leaf(&self.target).filter(|&leaf| {
            let ty = self.graph.type_of(leaf);
            ty.dtype == dtype && ty.shape.dims() == dims
        });
        match known {
            Some(leaf) => Ok(leaf),
            None => Ok(self.graph.input(&self.target, dims, dtype)?),
        }
    }

    /// One number of the losses of single elements `[batch, ...]`, in the order of the samples, and
    /// what a mean was divided by. With weights of samples a mean is `sum(w l) / sum(w)`.
    ///
    /// # Errors
    /// None in practice.
    pub fn reduce(&mut self, losses: Value, reduction: Reduction) -> Result<Reduced, LayerError> {
        let dims = self.graph.shape(losses).dims().to_vec();
        let weights = self.weights_like(&dims)?;
        self.reduce_by(losses, weights, reduction)
    }

    /// The weights of the samples as a value that broadcasts over `dims`, which begin with the batch.
    pub(super) fn weights_like(&mut self, dims: &[usize]) -> Result<Option<Value>, GraphError> {
        let Some(weights) = self.weights else { return Ok(None) };
        let mut wide = vec![1; dims.len().max(1)];
        wide[0] = dims.first().copied().unwrap_or(1);
        let wide = self.graph.reshape(weights, &wide)?;
        self.graph.broadcast(wide, dims).map(Some)
    }

    /// The weights of the samples, one for each of the `rows` that they were cut into.
    pub(super) fn row_weights(&mut self, rows: usize) -> Result<Option<Value>, GraphError> {
        let Some(weights) = self.weights else { return Ok(None) };
        let samples = self.graph.shape(weights).elements();
        let wide = self.graph.reshape(weights, &[samples, 1])?;
        let wide = self.graph.broadcast(wide, &[samples, rows / samples.max(1)])?;
        self.graph.reshape(wide, &[rows]).map(Some)
    }

    /// As [`Self::reduce`] with a weight for each of the losses.
    pub(super) fn reduce_by(
        &mut self,
        losses: Value,
        weights: Option<Value>,
        reduction: Reduction,
    ) -> Result<Reduced, LayerError> {
        let Some(weights) = weights else {
            let count = self.graph.shape(losses).elements();
            let loss = match reduction {
                Reduction::Mean => self.graph.mean_all(losses)?,
                Reduction::Sum => self.graph.sum_all(losses)?,
            };
            let divisor = if reduction == Reduction::Mean { count as f32 } else { 1.0 };
            return Ok(Reduced { loss, weight: self.graph.constant(divisor)? });
        };
        let weighted = self.graph.mul(losses, weights)?;
        self.divide(weighted, weights, reduction)
    }

    /// The sum of `losses`, for a mean divided by that of `weights`.
    pub(super) fn divide(
        &mut self,
        losses: Value,
        weights: Value,
        reduction: Reduction,
    ) -> Result<Reduced, LayerError> {
        let g = &mut *self.graph;
        let sum = g.sum_all(losses)?;
        if reduction == Reduction::Sum {
            return Ok(Reduced { loss: sum, weight: g.constant(1.0)? });
        }
        let weight = g.sum_all(weights)?;
        Ok(Reduced { loss: ratio(g, sum, weight)?, weight })
    }

    /// A loss of which the losses were reduced, and the leaf was made where there is a target.
    pub fn finish(
        &self,
        target: impl Into<Option<Value>>,
        reduced: Reduced,
        prediction: Value,
    ) -> LossValues {
        let target = target.into();
        LossValues { target, loss: reduced.loss, prediction, weight: reduced.weight }
    }
}

/// The losses of single elements as one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reduced {
    /// The number.
    pub loss: Value,
    /// The f32 scalar that a mean was divided by; 1 for a sum.
    pub weight: Value,
}

/// `sum / weight`, and 0 with gradients of 0 where nothing has weight: a batch that says nothing
/// changes nothing.
fn ratio(g: &mut Graph, sum: Value, weight: Value) -> Result<Value, GraphError> {
    let zero = g.constant(0.0)?;
    let nothing = g.eq(weight, zero)?;
    let divisor = g.add(weight, nothing)?;
    g.div(sum, divisor)
}
