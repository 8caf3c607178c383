//! What a kernel has to do at least: arithmetic and traffic, for profiles.

use super::code::{Fused, Instruction};
use super::kernel::{Kernel, Work};
use super::place::Place;
use crate::ops::{Attention, Op};

/// Arithmetic and traffic of a kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Floating-point operations as the op defines them: a multiplication and an addition are two.
    pub flops: u64,
    /// Bytes of operands and results, each counted once.
    pub bytes: u64,
}

impl Kernel {
    /// What the kernel has to do at least, however it is computed.
    pub fn cost(&self) -> Cost {
        let mut places: Vec<&Place> = self.reads();
        places.extend(self.writes());
        let bytes = match &self.work {
            Work::Op { op, inputs, output } => table_bytes(op, inputs, output),
            _ => None,
        };
        let all = || places.into_iter().map(distinct_bytes).sum();
        Cost { flops: flops(&self.work), bytes: bytes.unwrap_or_else(all) }
    }

    /// What kind of kernel it is: the op, or `elementwise` or `reduction` for a fused program.
    pub fn kind(&self) -> &'static str {
        match &self.work {
            Work::Op { op, .. } => op.name(),
            Work::Composite(composite) => composite.name(),
            Work::Fused(fused) if fused.outputs.iter().any(|o| o.reduce.is_some()) => "reduction",
            Work::Fused(_) => "elementwise",
        }
    }
}

/// Of an op that reads or writes some rows of a table, the bytes of those rows: at most those of the table.
fn table_bytes(op: &Op, inputs: &[Place], output: &Place) -> Option<u64> {
    match (op, inputs) {
        (Op::Gather(_), [table, indices]) => {
            let rows = distinct_bytes(output);
            Some(rows.min(distinct_bytes(table)) + distinct_bytes(indices) + rows)
        }
        // Where the result does not lie on the table, it is copied.
        (Op::SetRows(_), [table, indices, updates]) => {
            let rows = distinct_bytes(updates);
            let copied = if output == table { rows } else { 2 * distinct_bytes(table) + rows };
            Some(distinct_bytes(indices) + rows + copied)
        }
        _ => None,
    }
}

/// Bytes of a place, of which a repeated element is one.
fn distinct_bytes(place: &Place) -> u64 {
    let axes = place.shape.dims().iter().zip(place.strides());
    let elements: usize = axes.filter(|(_, stride)| **stride != 0).map(|(dim, _)| dim).product();
    (elements * place.dtype.size()) as u64
}

fn flops(work: &Work) -> u64 {
    match work {
        Work::Fused(fused) => fused_flops(fused),
        Work::Op { op, inputs, output } => op_flops(op, inputs, output),
        Work::Composite(composite) => composite.parts().iter().map(flops).sum(),
    }
}

fn fused_flops(fused: &Fused) -> u64 {
    let computes = |i: &&Instruction| !matches!(i, Instruction::Load(_) | Instruction::Splat(_));
    let reductions = fused.outputs.iter().filter(|o| o.reduce.is_some()).count();
    let each = fused.code.iter().filter(computes).count() + reductions;
    (fused.domain.elements() * each) as u64
}

fn op_flops(op: &Op, inputs: &[Place], output: &Place) -> u64 {
    let elements = |place: &Place| place.shape.elements() as u64;
    let input = |i: usize| inputs.get(i).map_or(0, elements);
    // The sums of a convolution: for each output and each weight of its channel one product.
    let products = |outputs: u64, weight: Option<&Place>| {
        let weight = weight.map_or(0, |w| elements(w) / w.shape.dims()[0].max(1) as u64);
        2 * outputs * weight
    };
    match op {
        Op::MatMul(product) => {
            let axis = if product.transpose_a { 2 } else { 1 };
            let dims = inputs.first().map_or(&[][..], |a| a.shape.dims());
            let inner = dims.len().checked_sub(axis).map_or(0, |axis| dims[axis]);
            2 * elements(output) * inner as u64
        }
        Op::Conv(_) => products(elements(output), inputs.get(1)),
        Op::ConvInputGrad(_) => products(input(0), inputs.get(1)),
        Op::ConvWeightGrad(_) => products(input(1), Some(output)),
        // A comparison for each halving of a row.
        Op::ArgSort(_) => {
            let width = output.shape.last().copied().unwrap_or(1).max(2);
            elements(output) * u64::from(width.ilog2())
        }
        Op::SetRows(_) => input(2),
        Op::Variance(_) => 3 * input(0),
        Op::Attention(op) => attention(op, inputs, 1),
        // For each state the logarithm of a sum of three exponentials, as one operation each; both ways for the
        // gradient.
        Op::Ctc(_) => 8 * elements(output),
        Op::CtcGrad(op) => 16 * input(op.of.operands()) + elements(output),
        // The products of queries and keys again, and four of the gradient's own.
        Op::AttentionGrad(op) => attention(&op.of, inputs, 2) + attention(&op.of, inputs, 1) / 2,
        // A product of the state and the recurrent weights at each step, there and back.
        Op::Recurrence(_) | Op::RecurrenceGrad(_) => {
            let weights = inputs.get(1).map_or(0, elements);
            let dims = inputs.first().map_or(&[][..], |x| x.shape.dims());
            2 * dims.iter().take(2).product::<usize>() as u64 * weights
        }
        // One operation an element or so; what counts there is the traffic. Exhaustive on purpose: a new op
        // must say what it costs.
        Op::Leaf(_)
        | Op::Constant(_)
        | Op::Unary(_)
        | Op::Binary(_)
        | Op::Compare(_)
        | Op::Select(_)
        | Op::Cast(_)
        | Op::RandomUniform(_)
        | Op::Reduce(_)
        | Op::ArgMax(_)
        | Op::Reshape(_)
        | Op::Detach(_)
        | Op::Permute(_)
        | Op::Broadcast(_)
        | Op::Slice(_)
        | Op::Concat(_)
        | Op::Pad(_)
        | Op::Gather(_)
        | Op::GatherAlong(_)
        | Op::ScatterAlong(_)
        | Op::CumSum(_)
        | Op::ScatterAdd(_)
        | Op::DistinctRows(_)
        | Op::MaxPool(_)
        | Op::MaxPoolGrad(_)
        | Op::SumPool(_)
        | Op::SumPoolGrad(_)
        | Op::Softmax(_)
        | Op::LogSoftmax(_)
        | Op::CrossEntropy(_)
        | Op::CrossEntropyGrad(_) => input(0).max(elements(output)),
    }
}

/// So many times the two products of an attention; half of the pairs where it is causal.
fn attention(op: &Attention, inputs: &[Place], times: u64) -> u64 {
    let [q, _, v, ..] = inputs else { return 0 };
    let (q, v) = (q.shape.dims(), v.shape.dims());
    let (&[b, h, t, d], &[_, _, s, e]) = (q, v) else { return 0 };
    let all = times * 2 * (b * h * t) as u64 * (s * (d + e)) as u64;
    if op.causal { all / 2 } else { all }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Type;
    use crate::ops::{Conv, ConvWindow, MatMul};
    use crate::plan::{Region, Work};
    use onestep_memory::{DType, Shape};

    fn place(dims: &[usize]) -> Place {
        let shape = Shape::new(dims).expect("a small shape");
        Place::contiguous(Region::Arena, 0, &Type { shape, dtype: DType::F32 })
    }

    fn cost(op: Op, inputs: &[&[usize]], output: &[usize]) -> Cost {
        let inputs = inputs.iter().map(|dims| place(dims)).collect();
        let work = Work::Op { op, inputs, output: place(output) };
        Kernel { work, label: String::new(), phase: Default::default() }.cost()
    }

    #[test]
    fn a_matrix_product_takes_two_operations_for_each_inner_index() {
        let op = Op::MatMul(MatMul { transpose_a: true, transpose_b: false });
        let cost = cost(op, &[&[4, 3], &[4, 5]], &[3, 5]);
        assert_eq!(cost, Cost { flops: 2 * 3 * 5 * 4, bytes: 4 * (12 + 20 + 15) });
    }

    #[test]
    fn a_convolution_takes_two_operations_for_each_weight_of_an_output() {
        let op = Op::Conv(Conv { window: ConvWindow::default() });
        let cost = cost(op, &[&[2, 3, 5, 5], &[8, 3, 3, 3]], &[2, 8, 3, 3]);
        assert_eq!(cost.flops, 2 * (2 * 8 * 9) * 27);
    }

    #[test]
    fn a_repeated_operand_is_read_once() {
        let mut row = place(&[6, 7]);
        row.strides[0] = 0;
        assert_eq!(distinct_bytes(&row), 4 * 7);
    }
}
