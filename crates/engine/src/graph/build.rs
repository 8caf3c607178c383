//! The builder methods: one for each op, with numpy's broadcasting where two operands meet, and
//! the small compositions that everyone needs.

use std::sync::Arc;

use onestep_memory::{DType, Shape};

use super::{Graph, Type, Value};
use crate::error::GraphError;
use crate::ops::*;

macro_rules! unary {
    ($($(#[$doc:meta])* $name:ident => $op:ident;)*) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        /// The operand is not f32.
        pub fn $name(&mut self, x: Value) -> Result<Value, GraphError> {
            self.push(Op::Unary(Unary::$op), &[x])
        }
    )*};
}

macro_rules! binary {
    ($($(#[$doc:meta])* $name:ident => $family:ident :: $op:ident;)*) => {$(
        $(#[$doc])*
        /// The operands are broadcast to one shape.
        ///
        /// # Errors
        /// The shapes do not broadcast, or an operand is not f32.
        pub fn $name(&mut self, a: Value, b: Value) -> Result<Value, GraphError> {
            let [a, b] = self.broadcast_together(stringify!($name), [a, b])?;
            self.push(Op::$family($family::$op), &[a, b])
        }
    )*};
}

/// Leaves and constants.
impl Graph {
    /// A value that is fed at each step.
    ///
    /// # Errors
    /// The name is taken, or the shape is not a tensor's.
    pub fn input(&mut self, name: &str, dims: &[usize], dtype: DType) -> Result<Value, GraphError> {
        self.leaf(LeafKind::Input, name, dims, dtype)
    }

    /// A learned f32 value that stays on the device.
    ///
    /// # Errors
    /// The name is taken, or the shape is not a tensor's.
    pub fn parameter(&mut self, name: &str, dims: &[usize]) -> Result<Value, GraphError> {
        self.leaf(LeafKind::Parameter, name, dims, DType::F32)
    }

    /// An f32 value kept between steps, such as running statistics.
    ///
    /// # Errors
    /// The name is taken, or the shape is not a tensor's.
    pub fn state(&mut self, name: &str, dims: &[usize]) -> Result<Value, GraphError> {
        self.leaf(LeafKind::State, name, dims, DType::F32)
    }

    /// An f32 number that may change at each step. Asking for it again gives the same value.
    ///
    /// # Errors
    /// The name is taken by a leaf of another kind.
    pub fn scalar(&mut self, name: &str) -> Result<Value, GraphError> {
        let existing = self.leaves(LeafKind::Scalar).find(|(n, _)| *n == name).map(|(_, v)| v);
        match existing {
            Some(value) => Ok(value),
            None => self.leaf(LeafKind::Scalar, name, &[], DType::F32),
        }
    }

    fn leaf(
        &mut self,
        kind: LeafKind,
        name: &str,
        dims: &[usize],
        dtype: DType,
    ) -> Result<Value, GraphError> {
        let ty = Type { shape: Shape::new(dims)?, dtype };
        self.push_leaf(Leaf { kind, name: name.to_owned(), ty })
    }

    /// An f32 scalar known at compile time.
    ///
    /// # Errors
    /// None in practice; the signature is that of its siblings.
    pub fn constant(&mut self, value: f32) -> Result<Value, GraphError> {
        self.push(Op::Constant(Constant::scalar(value)), &[])
    }

    /// An f32 tensor known at compile time.
    ///
    /// # Errors
    /// The number of elements is not that of the shape.
    pub fn constant_tensor(&mut self, dims: &[usize], data: &[f32]) -> Result<Value, GraphError> {
        let data = ConstantData::F32(Arc::from(data));
        self.push(Op::Constant(Constant { shape: Shape::new(dims)?, data }), &[])
    }

    /// An i32 tensor known at compile time.
    ///
    /// # Errors
    /// The number of elements is not that of the shape.
    pub fn constant_indices(&mut self, dims: &[usize], data: &[i32]) -> Result<Value, GraphError> {
        let data = ConstantData::I32(Arc::from(data));
        self.push(Op::Constant(Constant { shape: Shape::new(dims)?, data }), &[])
    }

    /// Uniform f32 numbers in `[0, 1)`, fresh at each step.
    ///
    /// # Errors
    /// The shape is not a tensor's.
    pub fn random_uniform(&mut self, dims: &[usize]) -> Result<Value, GraphError> {
        let stream = self.next_stream();
        self.push(Op::RandomUniform(RandomUniform { shape: Shape::new(dims)?, stream }), &[])
    }
}

/// Elementwise ops.
impl Graph {
    unary! {
        /// `-x`
        neg => Neg;
        /// `|x|`
        abs => Abs;
        /// -1, 0 or 1.
        sign => Sign;
        /// The largest integer not above x.
        floor => Floor;
        /// `e^x`
        exp => Exp;
        /// `e^x - 1`
        expm1 => Expm1;
        /// The natural logarithm.
        log => Log;
        /// `ln(1 + x)`
        log1p => Log1p;
        /// The square root.
        sqrt => Sqrt;
        /// `1 / sqrt(x)`
        rsqrt => Rsqrt;
        /// `1 / x`
        reciprocal => Reciprocal;
        /// The sine.
        sin => Sin;
        /// The cosine.
        cos => Cos;
        /// The hyperbolic tangent.
        tanh => Tanh;
        /// `1 / (1 + e^-x)`
        sigmoid => Sigmoid;
        /// The error function.
        erf => Erf;
        /// `max(x, 0)`
        relu => Relu;
    }

    binary! {
        /// `a + b`.
        add => Binary::Add;
        /// `a - b`.
        sub => Binary::Sub;
        /// `a * b`.
        mul => Binary::Mul;
        /// `a / b`.
        div => Binary::Div;
        /// The larger of two.
        max => Binary::Max;
        /// The smaller of two.
        min => Binary::Min;
        /// `a` to the power `b`.
        pow => Binary::Pow;
        /// 1 where `a == b`, else 0.
        eq => Compare::Eq;
        /// 1 where `a != b`, else 0.
        ne => Compare::Ne;
        /// 1 where `a < b`, else 0.
        lt => Compare::Lt;
        /// 1 where `a <= b`, else 0.
        le => Compare::Le;
        /// 1 where `a > b`, else 0.
        gt => Compare::Gt;
        /// 1 where `a >= b`, else 0.
        ge => Compare::Ge;
    }

    /// `condition != 0 ? a : b`. The operands are broadcast to one shape.
    ///
    /// # Errors
    /// The shapes do not broadcast, or an operand is not f32.
    pub fn select(&mut self, condition: Value, a: Value, b: Value) -> Result<Value, GraphError> {
        let operands = self.broadcast_together("select", [condition, a, b])?;
        self.push(Op::Select(Select), &operands)
    }

    /// `x` as another dtype.
    ///
    /// # Errors
    /// None in practice; the signature is that of its siblings.
    pub fn cast(&mut self, x: Value, to: DType) -> Result<Value, GraphError> {
        if self.type_of(x).dtype == to { Ok(x) } else { self.push(Op::Cast(Cast { to }), &[x]) }
    }

    /// `x` times a number.
    ///
    /// # Errors
    /// The operand is not f32.
    pub fn scale(&mut self, x: Value, factor: f32) -> Result<Value, GraphError> {
        let factor = self.constant(factor)?;
        self.mul(x, factor)
    }

    /// `x` plus a number.
    ///
    /// # Errors
    /// The operand is not f32.
    pub fn offset(&mut self, x: Value, term: f32) -> Result<Value, GraphError> {
        let term = self.constant(term)?;
        self.add(x, term)
    }

    /// `x * x`
    ///
    /// # Errors
    /// The operand is not f32.
    pub fn square(&mut self, x: Value) -> Result<Value, GraphError> {
        self.mul(x, x)
    }

    fn broadcast_together<const N: usize>(
        &mut self,
        op: &'static str,
        operands: [Value; N],
    ) -> Result<[Value; N], GraphError> {
        let mut shape = self.shape(operands[0]).clone();
        for &operand in &operands[1..] {
            let other = self.shape(operand);
            shape = Shape::broadcast(&shape, other).map_err(|_| {
                GraphError::shape(op, format!("an operand that broadcasts with {shape}"), other)
            })?;
        }
        let mut result = operands;
        for operand in &mut result {
            *operand = self.broadcast(*operand, shape.dims())?;
        }
        Ok(result)
    }
}

/// Reductions.
impl Graph {
    fn reduce(
        &mut self,
        kind: ReduceKind,
        x: Value,
        axes: &[usize],
        keep: bool,
    ) -> Result<Value, GraphError> {
        let mut sorted = axes.to_vec();
        sorted.sort_unstable();
        if sorted.is_empty() {
            return Ok(x);
        }
        let reduced = self.push(Op::Reduce(Reduce { kind, axes: sorted.clone() }), &[x])?;
        if keep {
            return Ok(reduced);
        }
        let dims = self.shape(x).dims();
        let kept: Vec<usize> =
            (0..dims.len()).filter(|axis| !sorted.contains(axis)).map(|axis| dims[axis]).collect();
        self.reshape(reduced, &kept)
    }

    /// The sum over `axes`, which stay as 1 with `keep` and vanish without.
    ///
    /// # Errors
    /// An axis that is not there or is named twice.
    pub fn sum(&mut self, x: Value, axes: &[usize], keep: bool) -> Result<Value, GraphError> {
        self.reduce(ReduceKind::Sum, x, axes, keep)
    }

    /// The largest element over `axes`.
    ///
    /// # Errors
    /// As [`Graph::sum`].
    pub fn max_over(&mut self, x: Value, axes: &[usize], keep: bool) -> Result<Value, GraphError> {
        self.reduce(ReduceKind::Max, x, axes, keep)
    }

    /// The smallest element over `axes`.
    ///
    /// # Errors
    /// As [`Graph::sum`].
    pub fn min_over(&mut self, x: Value, axes: &[usize], keep: bool) -> Result<Value, GraphError> {
        self.reduce(ReduceKind::Min, x, axes, keep)
    }

    /// The mean over `axes`.
    ///
    /// # Errors
    /// As [`Graph::sum`].
    pub fn mean(&mut self, x: Value, axes: &[usize], keep: bool) -> Result<Value, GraphError> {
        let dims = self.shape(x).dims();
        let count: usize = axes.iter().filter_map(|&axis| dims.get(axis)).product();
        let sum = self.sum(x, axes, keep)?;
        // A division, since `1 / count` would be rounded before it is used.
        let count = self.constant(count as f32)?;
        self.div(sum, count)
    }

    /// The mean of all elements, a scalar.
    ///
    /// # Errors
    /// The operand is not f32.
    pub fn mean_all(&mut self, x: Value) -> Result<Value, GraphError> {
        let axes: Vec<usize> = (0..self.shape(x).rank()).collect();
        self.mean(x, &axes, false)
    }

    /// The sum of all elements, a scalar.
    ///
    /// # Errors
    /// The operand is not f32.
    pub fn sum_all(&mut self, x: Value) -> Result<Value, GraphError> {
        let axes: Vec<usize> = (0..self.shape(x).rank()).collect();
        self.sum(x, &axes, false)
    }

    /// The index (i32) of the first largest element along `axis`, which vanishes.
    ///
    /// # Errors
    /// An axis that is not there or is empty.
    pub fn argmax(&mut self, x: Value, axis: usize) -> Result<Value, GraphError> {
        self.push(Op::ArgMax(ArgMax { axis }), &[x])
    }
}

/// Movement.
impl Graph {
    /// The same elements under another shape.
    ///
    /// # Errors
    /// The number of elements differs.
    pub fn reshape(&mut self, x: Value, dims: &[usize]) -> Result<Value, GraphError> {
        if self.shape(x).dims() == dims {
            return Ok(x);
        }
        self.push(Op::Reshape(Reshape { shape: Shape::new(dims)? }), &[x])
    }

    /// Axis `i` of the result is axis `axes[i]` of `x`.
    ///
    /// # Errors
    /// `axes` is not a permutation.
    pub fn permute(&mut self, x: Value, axes: &[usize]) -> Result<Value, GraphError> {
        if axes.len() == self.shape(x).rank() && axes.iter().enumerate().all(|(i, &a)| i == a) {
            return Ok(x);
        }
        self.push(Op::Permute(Permute { axes: axes.to_vec() }), &[x])
    }

    /// Repeats `x` to the given shape by numpy's rule.
    ///
    /// # Errors
    /// The shape does not broadcast.
    pub fn broadcast(&mut self, x: Value, dims: &[usize]) -> Result<Value, GraphError> {
        if self.shape(x).dims() == dims {
            return Ok(x);
        }
        self.push(Op::Broadcast(Broadcast { shape: Shape::new(dims)? }), &[x])
    }

    /// Repeats `x` to the shape of `like`.
    ///
    /// # Errors
    /// The shape does not broadcast.
    pub fn broadcast_like(&mut self, x: Value, like: Value) -> Result<Value, GraphError> {
        let shape = self.shape(like).clone();
        self.broadcast(x, shape.dims())
    }

    /// `start[i]..end[i]` of each axis.
    ///
    /// # Errors
    /// A range outside the operand.
    pub fn slice(&mut self, x: Value, start: &[usize], end: &[usize]) -> Result<Value, GraphError> {
        self.push(Op::Slice(Slice { start: start.to_vec(), end: end.to_vec() }), &[x])
    }

    /// `start..end` of one axis.
    ///
    /// # Errors
    /// A range outside the operand.
    pub fn slice_axis(
        &mut self,
        x: Value,
        axis: usize,
        start: usize,
        end: usize,
    ) -> Result<Value, GraphError> {
        let mut ends = self.shape(x).dims().to_vec();
        let mut starts = vec![0; ends.len()];
        let rank = ends.len();
        let (Some(s), Some(e)) = (starts.get_mut(axis), ends.get_mut(axis)) else {
            return Err(GraphError::attribute("slice", "axis", format!("below {rank}"), axis));
        };
        (*s, *e) = (start, end);
        self.slice(x, &starts, &ends)
    }

    /// The operands side by side along `axis`.
    ///
    /// # Errors
    /// Shapes that differ in another axis.
    pub fn concat(&mut self, operands: &[Value], axis: usize) -> Result<Value, GraphError> {
        match operands {
            [single] => Ok(*single),
            _ => self.push(Op::Concat(Concat { axis }), operands),
        }
    }

    /// A border of `value` around `x`.
    ///
    /// # Errors
    /// The widths are not one for each axis.
    pub fn pad(
        &mut self,
        x: Value,
        low: &[usize],
        high: &[usize],
        value: f32,
    ) -> Result<Value, GraphError> {
        self.push(Op::Pad(Pad { low: low.to_vec(), high: high.to_vec(), value }), &[x])
    }

    /// Rows of `table` by index.
    ///
    /// # Errors
    /// The table is not f32 of rank 1 or more, or the indices are not i32.
    pub fn gather(&mut self, table: Value, indices: Value) -> Result<Value, GraphError> {
        self.push(Op::Gather(Gather), &[table, indices])
    }

    /// Rows added by index into a table of `rows` rows of zeros.
    ///
    /// # Errors
    /// The shape of the updates does not begin with that of the indices.
    pub fn scatter_add(
        &mut self,
        indices: Value,
        updates: Value,
        rows: usize,
    ) -> Result<Value, GraphError> {
        self.push(Op::ScatterAdd(ScatterAdd { rows }), &[indices, updates])
    }
}

/// Products, windows and rows.
impl Graph {
    /// `[...batch, m, k] x [...batch, k, n]`
    ///
    /// # Errors
    /// Ranks, batch axes or inner sizes differ.
    pub fn matmul(&mut self, a: Value, b: Value) -> Result<Value, GraphError> {
        self.matmul_with(a, b, false, false)
    }

    /// As [`Graph::matmul`] with operands that may be stored transposed in their last two axes.
    ///
    /// # Errors
    /// As [`Graph::matmul`].
    pub fn matmul_with(
        &mut self,
        a: Value,
        b: Value,
        transpose_a: bool,
        transpose_b: bool,
    ) -> Result<Value, GraphError> {
        self.push(Op::MatMul(MatMul { transpose_a, transpose_b }), &[a, b])
    }

    /// Cross-correlation of `x [n, c, h, w]` with `weight [o, c/groups, kh, kw]`.
    ///
    /// # Errors
    /// Channels or groups do not fit, or the kernel is larger than the padded input.
    pub fn conv(
        &mut self,
        x: Value,
        weight: Value,
        window: ConvWindow,
    ) -> Result<Value, GraphError> {
        self.push(Op::Conv(Conv { window }), &[x, weight])
    }

    /// The gradient of a convolution in its input; a transposed convolution.
    ///
    /// # Errors
    /// The shapes are not those of such a convolution.
    pub fn conv_input_grad(
        &mut self,
        dy: Value,
        weight: Value,
        window: ConvWindow,
        input_shape: &Shape,
    ) -> Result<Value, GraphError> {
        let op = ConvInputGrad { window, input_shape: input_shape.clone() };
        self.push(Op::ConvInputGrad(op), &[dy, weight])
    }

    /// The gradient of a convolution in its weight.
    ///
    /// # Errors
    /// The shapes are not those of such a convolution.
    pub fn conv_weight_grad(
        &mut self,
        x: Value,
        dy: Value,
        window: ConvWindow,
        weight_shape: &Shape,
    ) -> Result<Value, GraphError> {
        let op = ConvWeightGrad { window, weight_shape: weight_shape.clone() };
        self.push(Op::ConvWeightGrad(op), &[x, dy])
    }

    /// The largest element of each window of `x [n, c, h, w]`.
    ///
    /// # Errors
    /// The window is larger than the padded input.
    pub fn max_pool(&mut self, x: Value, window: PoolWindow) -> Result<Value, GraphError> {
        self.push(Op::MaxPool(MaxPool { window }), &[x])
    }

    pub(crate) fn max_pool_grad(
        &mut self,
        x: Value,
        dy: Value,
        window: PoolWindow,
    ) -> Result<Value, GraphError> {
        self.push(Op::MaxPoolGrad(MaxPoolGrad { window }), &[x, dy])
    }

    /// The sum of each window of `x [n, c, h, w]`.
    ///
    /// # Errors
    /// The window is larger than the padded input.
    pub fn sum_pool(&mut self, x: Value, window: PoolWindow) -> Result<Value, GraphError> {
        self.push(Op::SumPool(SumPool { window }), &[x])
    }

    pub(crate) fn sum_pool_grad(
        &mut self,
        dy: Value,
        window: PoolWindow,
        input_shape: &Shape,
    ) -> Result<Value, GraphError> {
        let op = SumPoolGrad { window, input_shape: input_shape.clone() };
        self.push(Op::SumPoolGrad(op), &[dy])
    }

    /// Softmax over `axis`.
    ///
    /// # Errors
    /// An axis that is not there or is empty.
    pub fn softmax(&mut self, x: Value, axis: usize) -> Result<Value, GraphError> {
        self.over_last_axis(x, axis, Op::Softmax(Softmax))
    }

    /// Log-softmax over `axis`.
    ///
    /// # Errors
    /// An axis that is not there or is empty.
    pub fn log_softmax(&mut self, x: Value, axis: usize) -> Result<Value, GraphError> {
        self.over_last_axis(x, axis, Op::LogSoftmax(LogSoftmax))
    }

    fn over_last_axis(&mut self, x: Value, axis: usize, op: Op) -> Result<Value, GraphError> {
        let rank = self.shape(x).rank();
        if axis >= rank {
            return Err(GraphError::attribute(op.name(), "axis", format!("below {rank}"), axis));
        }
        // Swapping two axes is its own inverse.
        let mut axes: Vec<usize> = (0..rank).collect();
        axes.swap(axis, rank - 1);
        let swapped = self.permute(x, &axes)?;
        let result = self.push(op, &[swapped])?;
        self.permute(result, &axes)
    }

    /// Cross-entropy of `logits [n, c]` against `labels i32 [n]`: one value a row.
    ///
    /// # Errors
    /// Shapes, dtypes or the smoothing are wrong.
    pub fn cross_entropy(
        &mut self,
        logits: Value,
        labels: Value,
        label_smoothing: f32,
    ) -> Result<Value, GraphError> {
        self.push(Op::CrossEntropy(CrossEntropy { label_smoothing }), &[logits, labels])
    }

    pub(crate) fn cross_entropy_grad(
        &mut self,
        logits: Value,
        labels: Value,
        dy: Value,
        label_smoothing: f32,
    ) -> Result<Value, GraphError> {
        let op = Op::CrossEntropyGrad(CrossEntropyGrad { label_smoothing });
        self.push(op, &[logits, labels, dy])
    }
}
