//! The dimensions of an attention, and where its numbers lie.

use onestep_memory::DType;

use super::Attention;
use crate::graph::{GraphError, Type};
use crate::ops::{expect_dtype, expect_inputs, expect_rank};

/// The dimensions of an attention.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttentionSizes {
    /// Samples.
    pub batch: usize,
    /// Heads of the queries.
    pub heads: usize,
    /// Heads of the keys and values.
    pub groups: usize,
    /// Queries of a sample.
    pub queries: usize,
    /// Keys of a sample.
    pub keys: usize,
    /// Numbers of a query and a key.
    pub depth: usize,
    /// Numbers of a value.
    pub value: usize,
}

impl AttentionSizes {
    /// From the dimensions of queries, keys and values, which fit; all 0 where they are not of rank 4.
    pub fn of<'a>(mut operands: impl Iterator<Item = &'a [usize]>) -> AttentionSizes {
        match (operands.next(), operands.next(), operands.next()) {
            (
                Some(&[batch, heads, queries, depth]),
                Some(&[_, groups, keys, _]),
                Some(&[.., value]),
            ) => AttentionSizes { batch, heads, groups, queries, keys, depth, value },
            _ => AttentionSizes::default(),
        }
    }

    /// From operands, or why they do not fit.
    pub(super) fn check(op: &Attention, inputs: &[Type]) -> Result<AttentionSizes, GraphError> {
        const NAME: &str = "attention";
        expect_inputs(NAME, inputs, op.operands())?;
        for operand in &inputs[..3] {
            expect_dtype(NAME, operand, DType::F32)?;
            expect_rank(NAME, operand, 4)?;
        }
        let sizes = AttentionSizes::of(inputs.iter().map(|ty| ty.shape.dims()));
        let fits = |ty: &Type, wanted: [usize; 4]| match ty.shape.dims() == wanted {
            true => Ok(()),
            false => Err(GraphError::shape(NAME, format!("{wanted:?}"), ty)),
        };
        let AttentionSizes { batch, heads, groups, queries, keys, depth, value } = sizes;
        fits(&inputs[1], [batch, groups, keys, depth])?;
        fits(&inputs[2], [batch, groups, keys, value])?;
        if groups == 0 || !heads.is_multiple_of(groups) {
            let wanted = format!("heads in multiples of the {groups} heads of the keys");
            return Err(GraphError::shape(NAME, wanted, &inputs[0]));
        }
        if !op.scale.is_finite() {
            return Err(GraphError::attribute(NAME, "scale", "a finite number", op.scale));
        }
        if let Some(drop) = op.dropout.filter(|drop| !(0.0..1.0).contains(&drop.p)) {
            return Err(GraphError::attribute(NAME, "dropout", "in [0, 1)", drop.p));
        }
        let [bias, mask, lengths] = op.extras();
        for at in [bias, mask].into_iter().flatten() {
            expect_dtype(NAME, &inputs[at], DType::F32)?;
            let dims = inputs[at].shape.dims();
            let whole = [batch, heads, queries, keys];
            if dims.len() != 4 || dims.iter().zip(whole).any(|(&dim, all)| dim != all && dim != 1) {
                let wanted = format!("each dimension 1 or that of {whole:?}");
                return Err(GraphError::shape(NAME, wanted, &inputs[at]));
            }
        }
        if let Some(at) = lengths {
            expect_dtype(NAME, &inputs[at], DType::I32)?;
            if inputs[at].shape.dims() != [batch] {
                return Err(GraphError::shape(NAME, format!("lengths of [{batch}]"), &inputs[at]));
            }
        }
        Ok(sizes)
    }

    /// Rows of weights: one for each query of each head.
    pub fn rows(self) -> usize {
        self.batch * self.heads * self.queries
    }

    /// Numbers of all results.
    pub fn values(self) -> usize {
        self.rows() * self.value
    }

    /// The key head that a query head reads.
    pub fn group(self, head: usize) -> usize {
        head / (self.heads / self.groups)
    }

    /// Where a number of a result lies.
    pub fn value_at(self, b: usize, h: usize, i: usize, e: usize) -> usize {
        ((b * self.queries + i) * self.heads + h) * self.value + e
    }

    /// The number of a row.
    pub fn row_at(self, b: usize, h: usize, i: usize) -> usize {
        (b * self.heads + h) * self.queries + i
    }

    /// Calls `f` with sample, head and query of each row.
    pub(super) fn for_each_row(self, mut f: impl FnMut(usize, usize, usize)) {
        for b in 0..self.batch {
            for h in 0..self.heads {
                (0..self.queries).for_each(|i| f(b, h, i));
            }
        }
    }
}
