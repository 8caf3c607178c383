//! Builder methods: matrix products, convolutions, pooling windows and ops on rows.

use onestep_memory::Shape;

use crate::graph::{Graph, GraphError, Value};
use crate::ops::{
    Conv, ConvInputGrad, ConvWeightGrad, ConvWindow, CrossEntropy, CrossEntropyGrad, Ctc,
    LogSoftmax, MatMul, MaxPool, MaxPoolGrad, Op, PoolWindow, Softmax, SumPool, SumPoolGrad,
};

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

    /// The negative logarithm of the probability that `steps` steps, or all, say a string, one number a sample:
    /// logarithms of probabilities `[b, t, c]`, and `labels i32 [b, l]` padded behind with negative numbers. See
    /// [`Ctc`].
    ///
    /// # Errors
    /// Shapes, dtypes or the blank are wrong.
    pub fn ctc(
        &mut self,
        logs: Value,
        labels: Value,
        steps: Option<Value>,
        blank: usize,
    ) -> Result<Value, GraphError> {
        let operands: Vec<Value> = [logs, labels].into_iter().chain(steps).collect();
        let packed = self.push(Op::Ctc(Ctc { blank, lengths: steps.is_some() }), &operands)?;
        let batch = self.shape(logs).dims()[0];
        self.slice_axis(packed, 0, 0, batch)
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
