//! The closed set of primitives. A layer, a loss or an optimizer is a composition of these.
//!
//! Each family has one file with its attributes, shape rule, gradient rule (written as graph
//! nodes), a plain f64 evaluation that defines what the op means, and unit tests. See
//! `docs/adding-an-op.md`.

mod along;
mod apart;
mod argsort;
mod attention;
mod binary;
mod cast;
mod compare;
mod constant;
mod conv;
mod cross_entropy;
mod ctc;
mod cumsum;
mod gather;
mod leaf;
mod matmul;
mod movement;
mod pool;
mod random;
mod recurrence;
mod reduce;
mod rows;
mod softmax;
mod unary;
mod variance;

use std::fmt;

pub use along::{GatherAlong, ScatterAlong};
pub use argsort::ArgSort;
pub use attention::{Attention, AttentionDropout, AttentionGrad, AttentionSizes};
pub use binary::Binary;
pub use cast::Cast;
pub use compare::{Compare, Select};
pub use constant::{Constant, ConstantData};
pub use conv::{Conv, ConvInputGrad, ConvWeightGrad, ConvWindow};
pub use cross_entropy::{CrossEntropy, CrossEntropyGrad};
pub use ctc::{Ctc, CtcGrad, CtcSizes, CtcString, NEVER};
pub use cumsum::CumSum;
pub use gather::{Gather, ScatterAdd};
pub use leaf::{Leaf, LeafKind};
pub use matmul::MatMul;
pub use movement::{Broadcast, Concat, Detach, Pad, Permute, Reshape, Slice};
pub use pool::{MaxPool, MaxPoolGrad, PoolWindow, SumPool, SumPoolGrad};
pub use random::RandomUniform;
pub use recurrence::{
    Cell, Recurrence, RecurrenceGrad, RecurrenceGradParts, RecurrenceOperands, RecurrenceParts,
    RecurrenceSizes,
};
pub use reduce::{ArgMax, Reduce, ReduceKind};
pub use rows::{DistinctRows, SetRows};
pub use softmax::{LogSoftmax, Softmax};
pub use unary::Unary;
pub use variance::Variance;
pub(crate) use variance::keeps_channels;

use crate::array::{Array, Context};
use crate::graph::{Graph, GraphError, Type, Value};

/// Equality and hash of an op with numbers: those are equal where their bits are, so that ops can be
/// looked up, and 0 does not pass for -0.
macro_rules! equal_by_bits {
    ($op:ty, |$it:ident| $key:expr) => {
        impl PartialEq for $op {
            fn eq(&self, other: &Self) -> bool {
                let own = {
                    let $it = self;
                    $key
                };
                let $it = other;
                own == $key
            }
        }

        impl Eq for $op {}

        impl std::hash::Hash for $op {
            fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
                let $it = self;
                std::hash::Hash::hash(&$key, state);
            }
        }
    };
}
use equal_by_bits;

/// One primitive with its attributes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// A value from outside the graph.
    Leaf(Leaf),
    /// A value known at compile time.
    Constant(Constant),
    /// An elementwise function of one operand.
    Unary(Unary),
    /// An elementwise function of two operands of the same shape.
    Binary(Binary),
    /// An elementwise comparison: 1 where it holds, else 0.
    Compare(Compare),
    /// Elementwise choice: `condition != 0 ? a : b`.
    Select(Select),
    /// Another element type.
    Cast(Cast),
    /// Uniform random numbers in `[0, 1)`.
    RandomUniform(RandomUniform),
    /// A reduction over axes, which stay as 1.
    Reduce(Reduce),
    /// The mean of squared differences from a centre: a composite.
    Variance(Variance),
    /// The index of the largest element along an axis.
    ArgMax(ArgMax),
    /// The same elements under another shape.
    Reshape(Reshape),
    /// The same value, through which no gradient passes.
    Detach(Detach),
    /// The axes in another order.
    Permute(Permute),
    /// Repetition along axes of size 1.
    Broadcast(Broadcast),
    /// A part of each axis.
    Slice(Slice),
    /// Operands side by side along an axis.
    Concat(Concat),
    /// A border of a constant.
    Pad(Pad),
    /// Rows of a table by index.
    Gather(Gather),
    /// Rows added into a table of zeros by index.
    ScatterAdd(ScatterAdd),
    /// Which rows of a table some indices name.
    DistinctRows(DistinctRows),
    /// A table with some of its rows replaced.
    SetRows(SetRows),
    /// Elements along an axis by index.
    GatherAlong(GatherAlong),
    /// Elements added into zeros along an axis by index.
    ScatterAlong(ScatterAlong),
    /// Running sums along an axis.
    CumSum(CumSum),
    /// The places of the elements of each row in order.
    ArgSort(ArgSort),
    /// The product of (batches of) matrices.
    MatMul(MatMul),
    /// Cross-correlation in two spatial dimensions.
    Conv(Conv),
    /// The gradient of [`Conv`] in its input: a transposed convolution.
    ConvInputGrad(ConvInputGrad),
    /// The gradient of [`Conv`] in its weight.
    ConvWeightGrad(ConvWeightGrad),
    /// The largest element of each window.
    MaxPool(MaxPool),
    /// The gradient of [`MaxPool`] in its input.
    MaxPoolGrad(MaxPoolGrad),
    /// The sum of each window.
    SumPool(SumPool),
    /// The gradient of [`SumPool`] in its input.
    SumPoolGrad(SumPoolGrad),
    /// Scaled dot-product attention: a composite with a gradient of its own.
    Attention(Attention),
    /// The gradient of [`Attention`] in queries, keys and values.
    AttentionGrad(AttentionGrad),
    /// A recurrent cell over all steps: a composite with a gradient of its own.
    Recurrence(Recurrence),
    /// The gradient of [`Recurrence`] in what products over all steps are made of.
    RecurrenceGrad(RecurrenceGrad),
    /// Connectionist temporal classification: a composite with a gradient of its own.
    Ctc(Ctc),
    /// The gradient of [`Ctc`] in its logarithms of probabilities.
    CtcGrad(CtcGrad),
    /// Softmax over the last axis.
    Softmax(Softmax),
    /// Log-softmax over the last axis.
    LogSoftmax(LogSoftmax),
    /// Cross-entropy of logits against integer labels, one value a row.
    CrossEntropy(CrossEntropy),
    /// The gradient of [`CrossEntropy`] in its logits.
    CrossEntropyGrad(CrossEntropyGrad),
}

/// Where a gradient rule stands: the operands and the result of the node it differentiates.
pub(crate) struct Site<'a> {
    pub(crate) inputs: &'a [Value],
    pub(crate) output: Value,
}

/// The gradient of each operand, `None` where it is zero or undefined.
pub(crate) type Gradients = Vec<Option<Value>>;

/// What the compiler must know of each op.
pub(crate) trait OpRule {
    /// The name in dumps and errors.
    fn name(&self) -> &'static str;

    /// The type of the result, or why the operands do not fit.
    fn infer(&self, inputs: &[Type]) -> Result<Type, GraphError>;

    /// Appends the nodes of the vector-Jacobian product with `grad`, the gradient of the output.
    fn gradient(
        &self,
        g: &mut Graph,
        site: &Site<'_>,
        grad: Value,
    ) -> Result<Gradients, GraphError>;

    /// What the op means, in plain f64 loops. `out` is the inferred type.
    fn evaluate(&self, context: &Context, inputs: &[&Array], out: &Type) -> Array;

    /// Appends primitives that compute the same, where the op is a composite: one that has a name so that
    /// it may be done as a whole, by whoever can.
    fn decompose(&self, _: &mut Graph, _: &[Value]) -> Result<Option<Value>, GraphError> {
        Ok(None)
    }

    /// Whether a composite stays one when a step is lowered: it has a gradient of its own, and executors of
    /// plans have a kernel for it.
    fn is_whole(&self) -> bool {
        false
    }
}

impl Op {
    pub(crate) fn rule(&self) -> &dyn OpRule {
        match self {
            Op::Leaf(op) => op,
            Op::Constant(op) => op,
            Op::Unary(op) => op,
            Op::Binary(op) => op,
            Op::Compare(op) => op,
            Op::Select(op) => op,
            Op::Cast(op) => op,
            Op::RandomUniform(op) => op,
            Op::Reduce(op) => op,
            Op::Variance(op) => op,
            Op::ArgMax(op) => op,
            Op::Reshape(op) => op,
            Op::Detach(op) => op,
            Op::Permute(op) => op,
            Op::Broadcast(op) => op,
            Op::Slice(op) => op,
            Op::Concat(op) => op,
            Op::Pad(op) => op,
            Op::Gather(op) => op,
            Op::ScatterAdd(op) => op,
            Op::DistinctRows(op) => op,
            Op::SetRows(op) => op,
            Op::GatherAlong(op) => op,
            Op::ScatterAlong(op) => op,
            Op::CumSum(op) => op,
            Op::ArgSort(op) => op,
            Op::MatMul(op) => op,
            Op::Conv(op) => op,
            Op::ConvInputGrad(op) => op,
            Op::ConvWeightGrad(op) => op,
            Op::MaxPool(op) => op,
            Op::MaxPoolGrad(op) => op,
            Op::SumPool(op) => op,
            Op::SumPoolGrad(op) => op,
            Op::Attention(op) => op,
            Op::AttentionGrad(op) => op,
            Op::Recurrence(op) => op,
            Op::RecurrenceGrad(op) => op,
            Op::Ctc(op) => op,
            Op::CtcGrad(op) => op,
            Op::Softmax(op) => op,
            Op::LogSoftmax(op) => op,
            Op::CrossEntropy(op) => op,
            Op::CrossEntropyGrad(op) => op,
        }
    }

    /// The name of the primitive, such as `add` or `conv_weight_grad`.
    pub fn name(&self) -> &'static str {
        self.rule().name()
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Op::Leaf(leaf) => write!(f, "{} `{}`", leaf.kind.name(), leaf.name),
            Op::Constant(constant) => write!(f, "{constant}"),
            Op::Unary(_) | Op::Binary(_) | Op::Compare(_) | Op::Select(_) => {
                f.write_str(self.name())
            }
            Op::Reshape(_) | Op::Detach(_) | Op::Broadcast(_) | Op::Gather(_) => {
                f.write_str(self.name())
            }
            Op::ScatterAdd(_) | Op::DistinctRows(_) | Op::SetRows(_) => f.write_str(self.name()),
            Op::GatherAlong(op) => write!(f, "gather_along {}", op.axis),
            Op::ScatterAlong(op) => write!(f, "scatter_along {}", op.axis),
            Op::CumSum(op) => {
                write!(f, "cumsum over {}{}", op.axis, if op.reverse { " reversed" } else { "" })
            }
            Op::ArgSort(op) => {
                write!(f, "argsort {}", if op.descending { "descending" } else { "ascending" })
            }
            Op::Cast(cast) => write!(f, "cast {}", cast.to),
            Op::RandomUniform(random) => write!(f, "random_uniform stream {}", random.stream),
            Op::Reduce(reduce) => write!(f, "{} over {:?}", self.name(), reduce.axes),
            Op::Variance(variance) => write!(f, "variance over {:?}", variance.axes),
            Op::ArgMax(argmax) => write!(f, "argmax over {}", argmax.axis),
            Op::Permute(permute) => write!(f, "permute {:?}", permute.axes),
            Op::Slice(slice) => write!(f, "slice {:?}..{:?}", slice.start, slice.end),
            Op::Concat(concat) => write!(f, "concat over {}", concat.axis),
            Op::Pad(pad) => write!(f, "pad {:?} {:?} with {}", pad.low, pad.high, pad.value),
            Op::MatMul(m) => {
                let t = |flag| if flag { "ᵀ" } else { "" };
                write!(f, "matmul a{} b{}", t(m.transpose_a), t(m.transpose_b))
            }
            Op::Conv(c) => write!(f, "conv {}", c.window),
            Op::ConvInputGrad(c) => write!(f, "conv_input_grad {}", c.window),
            Op::ConvWeightGrad(c) => write!(f, "conv_weight_grad {}", c.window),
            Op::MaxPool(p) => write!(f, "max_pool {}", p.window),
            Op::MaxPoolGrad(p) => write!(f, "max_pool_grad {}", p.window),
            Op::SumPool(p) => write!(f, "sum_pool {}", p.window),
            Op::SumPoolGrad(p) => write!(f, "sum_pool_grad {}", p.window),
            Op::Recurrence(op) => write!(f, "recurrence of {}", op.cell),
            Op::RecurrenceGrad(op) => write!(f, "recurrence_grad of {}", op.of.cell),
            Op::Attention(_) | Op::AttentionGrad(_) | Op::Softmax(_) | Op::LogSoftmax(_) => {
                f.write_str(self.name())
            }
            Op::Ctc(_) | Op::CtcGrad(_) | Op::CrossEntropy(_) | Op::CrossEntropyGrad(_) => {
                f.write_str(self.name())
            }
        }
    }
}

/// Checks the number of operands.
pub(crate) fn expect_inputs(
    op: &'static str,
    inputs: &[Type],
    count: usize,
) -> Result<(), GraphError> {
    if inputs.len() == count {
        return Ok(());
    }
    Err(GraphError::shape(op, format!("{count} operands"), inputs.len()))
}

/// Checks an operand's dtype.
pub(crate) fn expect_dtype(
    op: &'static str,
    input: &Type,
    dtype: onestep_memory::DType,
) -> Result<(), GraphError> {
    if input.dtype == dtype {
        return Ok(());
    }
    Err(GraphError::shape(op, format!("an operand of {dtype}"), input))
}

/// Checks an operand's rank.
pub(crate) fn expect_rank(op: &'static str, input: &Type, rank: usize) -> Result<(), GraphError> {
    if input.shape.rank() == rank {
        return Ok(());
    }
    Err(GraphError::shape(op, format!("rank {rank}"), input))
}

/// Checks an operand's shape.
pub(crate) fn expect_shape(
    op: &'static str,
    input: &Type,
    shape: &onestep_memory::Shape,
) -> Result<(), GraphError> {
    if &input.shape == shape {
        return Ok(());
    }
    Err(GraphError::shape(op, format!("shape {shape}"), input))
}
