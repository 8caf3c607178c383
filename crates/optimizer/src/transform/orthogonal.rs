//! Muon's direction: orthogonal matrices.

use onestep_engine::{DType, Graph, GraphError, Value};

use super::trust::norm;
use crate::chain::{Flow, Transform};
use crate::hyper::Hyper;
use crate::leaves::GroupLeaves;
use crate::rule::StateKind;

const BUFFER: &str = "momentum_buffer";

/// `b = momentum * b + (1 - momentum) * update`. The update becomes `b`, or with Nesterov's momentum
/// `momentum * b + (1 - momentum) * update`. State: `momentum_buffer`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AverageGradient {
    /// How much of the average is kept.
    pub momentum: f64,
    /// Whether to look ahead.
    pub nesterov: bool,
}

impl Transform for AverageGradient {
    fn states(&self) -> Vec<StateKind> {
        vec![StateKind::zeros(BUFFER)]
    }

    fn apply(
        &self,
        g: &mut Graph,
        leaves: &GroupLeaves<'_>,
        flow: &mut Flow,
    ) -> Result<(), GraphError> {
        let momentum = leaves.hyper("momentum", self.momentum);
        let update = flow.update(g)?;
        let buffer = momentum.average(g, leaves.state(BUFFER)?, update)?;
        flow.keep(BUFFER, buffer);
        flow.set(if self.nesterov { momentum.average(g, buffer, update)? } else { buffer });
        Ok(())
    }
}

/// Each matrix of the update as the nearest matrix with orthogonal rows or columns, roughly: some
/// steps of a quintic Newton-Schulz iteration on it, scaled to a norm of 1. With `X` as the matrix, or
/// its transpose where that has fewer rows, a step is
///
/// ```text
/// A = X X^T
/// X = a X + (b A + c A A) X
/// ```
///
/// Its singular values end between 0.7 and 1.2 and not at 1, as the coefficients are chosen for speed
/// at small ones. Then each is scaled by `scale` of its shape.
#[derive(Clone, Copy, Debug)]
pub struct Orthogonalise {
    /// `a`, `b` and `c`.
    pub coefficients: [f64; 3],
    /// The steps.
    pub steps: u32,
    /// The least norm to divide by.
    pub eps: f64,
    /// Whether all is rounded to bf16, as the authors' code and PyTorch's do.
    pub bf16: bool,
    /// The factor for a matrix of so many rows and columns.
    pub scale: fn(usize, usize) -> f64,
}

impl Transform for Orthogonalise {
    fn by_tensor(&self) -> bool {
        true
    }

    fn apply(
        &self,
        g: &mut Graph,
        leaves: &GroupLeaves<'_>,
        flow: &mut Flow,
    ) -> Result<(), GraphError> {
        let all = flow.update(g)?;
        let mut parts = Vec::with_capacity(leaves.tensors.len());
        for (index, tensor) in leaves.tensors.iter().enumerate() {
            let &[rows, columns] = tensor.shape.dims() else {
                return Err(GraphError::shape("muon", "a matrix", &tensor.shape));
            };
            let x = leaves.view(g, all, index)?;
            let x = if rows > columns { g.permute(x, &[1, 0])? } else { x };
            let x = self.iterate(g, x, leaves.hyper("eps", self.eps))?;
            let x = if rows > columns { g.permute(x, &[1, 0])? } else { x };
            parts.push(g.scale(x, (self.scale)(rows, columns) as f32)?);
        }
        flow.set(leaves.join(g, &parts)?);
        Ok(())
    }
}

impl Orthogonalise {
    fn iterate(&self, g: &mut Graph, x: Value, eps: Hyper) -> Result<Value, GraphError> {
        let [a, b, c] = self.coefficients.map(|number| number as f32);
        let x = self.round(g, x)?;
        let size = norm(g, x)?;
        let size = self.round(g, size)?;
        let least = eps.value(g)?;
        let size = g.max(size, least)?;
        let x = g.div(x, size)?;
        let mut x = self.round(g, x)?;
        for _ in 0..self.steps {
            let gram = g.matmul_with(x, x, false, true)?;
            let gram = self.round(g, gram)?;
            let square = g.matmul(gram, gram)?;
            let square = g.scale(square, c)?;
            let kept = g.scale(gram, b)?;
            let mixed = g.add(kept, square)?;
            let mixed = self.round(g, mixed)?;
            let product = g.matmul(mixed, x)?;
            let kept = g.scale(x, a)?;
            let next = g.add(kept, product)?;
            x = self.round(g, next)?;
        }
        Ok(x)
    }

    fn round(&self, g: &mut Graph, x: Value) -> Result<Value, GraphError> {
        if !self.bf16 {
            return Ok(x);
        }
        let rounded = g.cast(x, DType::BF16)?;
        g.cast(rounded, DType::F32)
    }
}
