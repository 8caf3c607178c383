//! One op as the shim takes it: its code and attributes, as `ONESTEP_OPS` in `shim/include/onestep.h` lists them.

use onestep_engine::ops::{
    Binary, Compare, Constant, ConstantData, ConvWindow, Op, PoolWindow, ReduceKind, Unary,
};
use onestep_engine::{EngineError, Node, Type};
use onestep_memory::{DType, MAX_RANK};
use onestep_metal_sys::{self as metal, NodeDescription, OpCode};

use crate::error::unsupported;

/// The node of an op whose operands have these numbers. Leaves are not for here: what they stand
/// for depends on the graph.
pub(super) fn node(node: &Node, inputs: &[u32]) -> Result<NodeDescription, EngineError> {
    let with = |code: OpCode| of_type(code, &node.ty, inputs);
    Ok(match &node.op {
        Op::Leaf(leaf) => {
            return Err(unsupported(leaf.name.as_str(), "a leaf of this kind is not known here"));
        }
        Op::Constant(constant) => with(OpCode::Constant).with_data(bytes(constant)),
        Op::Unary(op) => with(unary(*op)),
        Op::Binary(op) => with(binary(*op)),
        Op::Compare(op) => with(compare(*op)),
        Op::Select(_) => with(OpCode::Select),
        Op::Cast(_) => with(OpCode::Cast),
        Op::RandomUniform(op) => with(OpCode::RandomUniform).with_ints(0, &[i64::from(op.stream)]),
        // A reduction over no axes changes nothing.
        Op::Reduce(op) if op.axes.is_empty() => with(OpCode::Reshape),
        Op::Reduce(op) => {
            with(reduce(op.kind)).with_ints(0, &[int(op.axes.len())]).with_ints(1, &ints(&op.axes))
        }
        Op::Variance(_)
        | Op::Attention(_)
        | Op::AttentionGrad(_)
        | Op::Recurrence(_)
        | Op::RecurrenceGrad(_)
        | Op::Ctc(_)
        | Op::CtcGrad(_) => {
            return Err(unsupported(
                node.op.name(),
                "composites are written out before they come here",
            ));
        }
        Op::ArgMax(op) => with(OpCode::Argmax).with_ints(0, &[int(op.axis)]),
        Op::Reshape(_) => with(OpCode::Reshape),
        Op::Permute(op) => with(OpCode::Permute).with_ints(0, &ints(&op.axes)),
        Op::Broadcast(_) => with(OpCode::Broadcast),
        Op::Slice(op) => {
            with(OpCode::Slice).with_ints(0, &ints(&op.start)).with_ints(MAX_RANK, &ints(&op.end))
        }
        Op::Concat(op) => with(OpCode::Concat).with_ints(0, &[int(op.axis)]),
        Op::Pad(op) => with(OpCode::Pad)
            .with_ints(0, &ints(&op.low))
            .with_ints(MAX_RANK, &ints(&op.high))
            .with_float(f64::from(op.value)),
        Op::Gather(_) => with(OpCode::Gather),
        Op::ScatterAdd(_) => with(OpCode::ScatterAdd),
        // The engine has differentiated by now, and has stopped here.
        Op::Detach(_) => with(OpCode::Reshape),
        Op::GatherAlong(_)
        | Op::ScatterAlong(_)
        | Op::CumSum(_)
        | Op::ArgSort(_)
        | Op::DistinctRows(_)
        | Op::SetRows(_) => {
            return Err(unsupported(node.op.name(), "the shim has no such op yet; use the cpu"));
        }
        Op::MatMul(op) => with(OpCode::Matmul)
            .with_ints(0, &[i64::from(op.transpose_a), i64::from(op.transpose_b)]),
        Op::Conv(op) => conv(with(OpCode::Conv), &op.window),
        Op::ConvInputGrad(op) => conv(with(OpCode::ConvInputGrad), &op.window),
        Op::ConvWeightGrad(op) => conv(with(OpCode::ConvWeightGrad), &op.window),
        Op::MaxPool(op) => pool(with(OpCode::MaxPool), &op.window),
        Op::MaxPoolGrad(op) => pool(with(OpCode::MaxPoolGrad), &op.window),
        Op::SumPool(op) => pool(with(OpCode::SumPool), &op.window),
        Op::SumPoolGrad(op) => pool(with(OpCode::SumPoolGrad), &op.window),
        Op::Softmax(_) => with(OpCode::Softmax),
        Op::LogSoftmax(_) => with(OpCode::LogSoftmax),
        Op::CrossEntropy(op) => {
            with(OpCode::CrossEntropy).with_float(f64::from(op.label_smoothing))
        }
        Op::CrossEntropyGrad(op) => {
            with(OpCode::CrossEntropyGrad).with_float(f64::from(op.label_smoothing))
        }
    })
}

/// A node without attributes whose result has this type.
pub(super) fn of_type(code: OpCode, ty: &Type, inputs: &[u32]) -> NodeDescription {
    NodeDescription::new(code, dtype(ty.dtype), &ints(ty.shape.dims()), inputs)
}

fn dtype(dtype: DType) -> metal::DType {
    match dtype {
        DType::F32 => metal::DType::F32,
        DType::F16 => metal::DType::F16,
        DType::BF16 => metal::DType::Bf16,
        DType::I32 => metal::DType::I32,
        DType::U8 => metal::DType::U8,
    }
}

fn unary(op: Unary) -> OpCode {
    match op {
        Unary::Neg => OpCode::Neg,
        Unary::Abs => OpCode::Abs,
        Unary::Sign => OpCode::Sign,
        Unary::Floor => OpCode::Floor,
        Unary::Exp => OpCode::Exp,
        Unary::Expm1 => OpCode::Expm1,
        Unary::Log => OpCode::Log,
        Unary::Log1p => OpCode::Log1p,
        Unary::Sqrt => OpCode::Sqrt,
        Unary::Rsqrt => OpCode::Rsqrt,
        Unary::Reciprocal => OpCode::Reciprocal,
        Unary::Sin => OpCode::Sin,
        Unary::Cos => OpCode::Cos,
        Unary::Tanh => OpCode::Tanh,
        Unary::Sigmoid => OpCode::Sigmoid,
        Unary::Erf => OpCode::Erf,
        Unary::Relu => OpCode::Relu,
    }
}

fn binary(op: Binary) -> OpCode {
    match op {
        Binary::Add => OpCode::Add,
        Binary::Sub => OpCode::Sub,
        Binary::Mul => OpCode::Mul,
        Binary::Div => OpCode::Div,
        Binary::Max => OpCode::Max,
        Binary::Min => OpCode::Min,
        Binary::Pow => OpCode::Pow,
    }
}

fn compare(op: Compare) -> OpCode {
    match op {
        Compare::Eq => OpCode::Eq,
        Compare::Ne => OpCode::Ne,
        Compare::Lt => OpCode::Lt,
        Compare::Le => OpCode::Le,
        Compare::Gt => OpCode::Gt,
        Compare::Ge => OpCode::Ge,
    }
}

fn reduce(kind: ReduceKind) -> OpCode {
    match kind {
        // The graph's translation divides the mean's.
        ReduceKind::Sum | ReduceKind::Mean => OpCode::ReduceSum,
        ReduceKind::Max => OpCode::ReduceMax,
        ReduceKind::Min => OpCode::ReduceMin,
    }
}

fn conv(node: NodeDescription, window: &ConvWindow) -> NodeDescription {
    let ConvWindow { stride, pad_low, pad_high, dilation, groups } = *window;
    let pairs = [stride, pad_low, pad_high, dilation].concat();
    node.with_ints(0, &ints(&pairs)).with_ints(pairs.len(), &[int(groups)])
}

fn pool(node: NodeDescription, window: &PoolWindow) -> NodeDescription {
    let PoolWindow { size, stride, pad_low, pad_high, dilation } = *window;
    node.with_ints(0, &ints(&[size, stride, pad_low, pad_high, dilation].concat()))
}

fn bytes(constant: &Constant) -> Vec<u8> {
    match &constant.data {
        ConstantData::F32(data) => bytemuck::cast_slice(data).to_vec(),
        ConstantData::I32(data) => bytemuck::cast_slice(data).to_vec(),
    }
}

/// Sizes as the shim counts them. None is beyond what memory can address.
pub(super) fn ints(sizes: &[usize]) -> Vec<i64> {
    sizes.iter().copied().map(int).collect()
}

pub(super) fn int(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use onestep_engine::Graph;

    use super::*;

    /// The last node of what `f` builds on a picture and a weight.
    fn last(
        f: impl FnOnce(&mut Graph, [onestep_engine::Value; 2]) -> Result<(), EngineError>,
    ) -> Result<NodeDescription, EngineError> {
        let mut graph = Graph::new();
        let x = graph.input("x", &[2, 4, 6, 5], DType::F32)?;
        let w = graph.parameter("w", &[8, 2, 3, 1])?;
        f(&mut graph, [x, w])?;
        let nodes = graph.nodes();
        node(&nodes[nodes.len() - 1], &[7, 9])
    }

    #[test]
    fn windows_are_laid_out_as_the_shim_reads_them() -> Result<(), EngineError> {
        let window = ConvWindow {
            stride: [2, 1],
            pad_low: [1, 0],
            pad_high: [0, 3],
            dilation: [2, 4],
            groups: 2,
        };
        let conv = last(|g, [x, w]| Ok(g.conv(x, w, window).map(drop)?))?;
        assert_eq!((conv.op, conv.inputs.as_slice()), (OpCode::Conv, &[7, 9][..]));
        assert_eq!(conv.dims, [2, 8, 2, 8]);
        assert_eq!(conv.ints[..10], [2, 1, 1, 0, 0, 3, 2, 4, 2, 0]);

        let window = PoolWindow {
            size: [2, 3],
            stride: [1, 2],
            pad_low: [0, 1],
            pad_high: [1, 0],
            dilation: [1, 1],
        };
        let pool = last(|g, [x, _]| Ok(g.max_pool(x, window).map(drop)?))?;
        assert_eq!(pool.ints[..11], [2, 3, 1, 2, 0, 1, 1, 0, 1, 1, 0]);
        Ok(())
    }

    #[test]
    fn ranges_have_their_second_half_at_the_largest_rank() -> Result<(), EngineError> {
        let slice = last(|g, [x, _]| Ok(g.slice(x, &[1, 0, 2, 0], &[2, 4, 5, 1]).map(drop)?))?;
        assert_eq!(slice.ints[..12], [1, 0, 2, 0, 0, 0, 2, 4, 5, 1, 0, 0]);
        let pad = last(|g, [x, _]| Ok(g.pad(x, &[0, 0, 1, 2], &[0, 0, 3, 4], -1.5).map(drop)?))?;
        assert_eq!(pad.ints[..12], [0, 0, 1, 2, 0, 0, 0, 0, 3, 4, 0, 0]);
        assert_eq!(pad.floats[0], -1.5);
        Ok(())
    }

    #[test]
    fn constants_carry_their_bytes() -> Result<(), EngineError> {
        let constant = last(|g, _| Ok(g.constant(0.5).map(drop)?))?;
        assert!(constant.dims.is_empty());
        assert_eq!(constant.data.as_deref(), Some(&0.5f32.to_ne_bytes()[..]));
        Ok(())
    }
}
