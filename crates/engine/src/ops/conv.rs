//! Convolution (cross-correlation, as everywhere in the field) in two spatial dimensions. One
//! spatial dimension is two with a height of 1.
//!
//! `y[n,o,p] = sum over c, q of x[n, c, p*stride + q*dilation - pad] * w[o, c, q]` within groups.
//! The three ops are closed under differentiation: each gradient is one of the other two.

use std::fmt;

use onestep_memory::{DType, Shape};

use super::{Gradients, OpRule, Site, expect_dtype, expect_inputs, expect_rank, expect_shape};
use crate::array::{Array, Context, for_each_index};
use crate::graph::{Graph, GraphError, Type, Value};

/// How a kernel moves over the picture. Each pair is `[vertical, horizontal]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConvWindow {
    /// The step from one output to the next.
    pub stride: [usize; 2],
    /// Zeros before the first row and column.
    pub pad_low: [usize; 2],
    /// Zeros behind the last row and column.
    pub pad_high: [usize; 2],
    /// The step from one kernel element to the next.
    pub dilation: [usize; 2],
    /// Input and output channels are split into so many independent groups.
    pub groups: usize,
}

impl Default for ConvWindow {
    fn default() -> Self {
        ConvWindow {
            stride: [1; 2],
            pad_low: [0; 2],
            pad_high: [0; 2],
            dilation: [1; 2],
            groups: 1,
        }
    }
}

impl fmt::Display for ConvWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stride, pad_low, pad_high, dilation, groups } = self;
        write!(f, "stride {stride:?} pad {pad_low:?}{pad_high:?}")?;
        write!(f, " dilation {dilation:?} groups {groups}")
    }
}

impl ConvWindow {
    /// The output size of one spatial axis, `None` where the kernel does not fit.
    pub fn output_size(&self, axis: usize, input: usize, kernel: usize) -> Option<usize> {
        let padded = input + self.pad_low[axis] + self.pad_high[axis];
        let extent = self.dilation[axis] * kernel.checked_sub(1)? + 1;
        Some(padded.checked_sub(extent)? / self.stride[axis] + 1)
    }

    fn check(&self, op: &'static str) -> Result<(), GraphError> {
        for (name, pair) in [("stride", self.stride), ("dilation", self.dilation)] {
            if pair.contains(&0) {
                return Err(GraphError::attribute(op, name, "at least 1", format!("{pair:?}")));
            }
        }
        if self.groups == 0 {
            return Err(GraphError::attribute(op, "groups", "at least 1", 0));
        }
        Ok(())
    }

    /// The output shape for an input and a weight, or why they do not fit.
    fn output_shape(&self, op: &'static str, x: &Shape, w: &Shape) -> Result<Shape, GraphError> {
        self.check(op)?;
        let (x, w) = (x.dims(), w.dims());
        if x[1] != w[1] * self.groups {
            let wanted = format!("{} input channels for the weight {w:?}", w[1] * self.groups);
            return Err(GraphError::shape(op, wanted, format!("{} in {x:?}", x[1])));
        }
        if !w[0].is_multiple_of(self.groups) {
            let wanted = format!("output channels divisible by {} groups", self.groups);
            return Err(GraphError::shape(op, wanted, w[0]));
        }
        let mut sizes = [0; 2];
        for axis in 0..2 {
            sizes[axis] = self.output_size(axis, x[2 + axis], w[2 + axis]).ok_or_else(|| {
                let wanted = format!("an input at least as large as the kernel {:?}", &w[2..]);
                GraphError::shape(op, wanted, format!("{:?} with {self}", &x[2..]))
            })?;
        }
        Ok(Shape::new(&[x[0], w[0], sizes[0], sizes[1]])?)
    }

    /// Calls `f(x offset, w offset, y offset)` for each product of the convolution.
    fn for_each_product(
        &self,
        x: &Shape,
        w: &Shape,
        y: &Shape,
        mut f: impl FnMut(usize, usize, usize),
    ) {
        let (xd, wd, yd) = (x.dims(), w.dims(), y.dims());
        let per_group = wd[0] / self.groups;
        for_each_index(&[yd[0], yd[1], yd[2], yd[3], wd[1], wd[2], wd[3]], |i| {
            let &[n, o, py, px, c, qy, qx] = i else { return };
            let row = (py * self.stride[0] + qy * self.dilation[0]).checked_sub(self.pad_low[0]);
            let column = (px * self.stride[1] + qx * self.dilation[1]).checked_sub(self.pad_low[1]);
            let (Some(row), Some(column)) = (row, column) else { return };
            if row >= xd[2] || column >= xd[3] {
                return;
            }
            let channel = o / per_group * wd[1] + c;
            let at_x = ((n * xd[1] + channel) * xd[2] + row) * xd[3] + column;
            let at_w = ((o * wd[1] + c) * wd[2] + qy) * wd[3] + qx;
            let at_y = ((n * yd[1] + o) * yd[2] + py) * yd[3] + px;
            f(at_x, at_w, at_y);
        });
    }
}

/// `(x [n, c, h, w], weight [o, c/groups, kh, kw]) -> [n, o, h', w']`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conv {
    /// How the kernel moves.
    pub window: ConvWindow,
}

/// `(dy [n, o, h', w'], weight [o, c/groups, kh, kw]) -> dx`: also the transposed convolution.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConvInputGrad {
    /// How the kernel moves in the convolution.
    pub window: ConvWindow,
    /// The shape of the convolution's input.
    pub input_shape: Shape,
}

/// `(x [n, c, h, w], dy [n, o, h', w']) -> dweight`
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConvWeightGrad {
    /// How the kernel moves in the convolution.
    pub window: ConvWindow,
    /// The shape of the convolution's weight.
    pub weight_shape: Shape,
}

fn expect_pictures(op: &'static str, inputs: &[Type]) -> Result<(), GraphError> {
    expect_inputs(op, inputs, 2)?;
    for input in inputs {
        expect_dtype(op, input, DType::F32)?;
        expect_rank(op, input, 4)?;
    }
    Ok(())
}

impl OpRule for Conv {
    fn name(&self) -> &'static str {
        "conv"
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, GraphError> {
        expect_pictures(self.name(), inputs)?;
        Ok(Type::f32(self.window.output_shape("conv", &inputs[0].shape, &inputs[1].shape)?))
    }

    fn gradient(
        &self,
        g: &mut Graph,
        site: &Site<'_>,
        grad: Value,
    ) -> Result<Gradients, GraphError> {
        let (x, w) = (site.inputs[0], site.inputs[1]);
        let (x_shape, w_shape) = (g.shape(x).clone(), g.shape(w).clone());
        let dx = g.conv_input_grad(grad, w, self.window, &x_shape)?;
        let dw = g.conv_weight_grad(x, grad, self.window, &w_shape)?;
        Ok(vec![Some(dx), Some(dw)])
    }

    fn evaluate(&self, _: &Context, inputs: &[&Array], out: &Type) -> Array {
        let mut y = Array::filled(&out.shape, 0.0);
        let (x, w) = (inputs[0], inputs[1]);
        self.window.for_each_product(&x.shape, &w.shape, &out.shape, |at_x, at_w, at_y| {
            y.data[at_y] += x.data[at_x] * w.data[at_w];
        });
        y
    }
}

impl OpRule for ConvInputGrad {
    fn name(&self) -> &'static str {
        "conv_input_grad"
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, GraphError> {
        expect_pictures(self.name(), inputs)?;
        let y = self.window.output_shape(self.name(), &self.input_shape, &inputs[1].shape)?;
        expect_shape(self.name(), &inputs[0], &y)?;
        Ok(Type::f32(self.input_shape.clone()))
    }

    fn gradient(
        &self,
        g: &mut Graph,
        site: &Site<'_>,
        grad: Value,
    ) -> Result<Gradients, GraphError> {
        let (dy, w) = (site.inputs[0], site.inputs[1]);
        let w_shape = g.shape(w).clone();
        let ddy = g.conv(grad, w, self.window)?;
        let dw = g.conv_weight_grad(grad, dy, self.window, &w_shape)?;
        Ok(vec![Some(ddy), Some(dw)])
    }

    fn evaluate(&self, _: &Context, inputs: &[&Array], out: &Type) -> Array {
        let mut dx = Array::filled(&out.shape, 0.0);
        let (dy, w) = (inputs[0], inputs[1]);
        self.window.for_each_product(&out.shape, &w.shape, &dy.shape, |at_x, at_w, at_y| {
            dx.data[at_x] += dy.data[at_y] * w.data[at_w];
        });
        dx
    }
}

impl OpRule for ConvWeightGrad {
    fn name(&self) -> &'static str {
        "conv_weight_grad"
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, GraphError> {
        expect_pictures(self.name(), inputs)?;
        let y = self.window.output_shape(self.name(), &inputs[0].shape, &self.weight_shape)?;
        expect_shape(self.name(), &inputs[1], &y)?;
        Ok(Type::f32(self.weight_shape.clone()))
    }

    fn gradient(
        &self,
        g: &mut Graph,
        site: &Site<'_>,
        grad: Value,
    ) -> Result<Gradients, GraphError> {
        let (x, dy) = (site.inputs[0], site.inputs[1]);
        let x_shape = g.shape(x).clone();
        let dx = g.conv_input_grad(dy, grad, self.window, &x_shape)?;
        let ddy = g.conv(x, grad, self.window)?;
        Ok(vec![Some(dx), Some(ddy)])
    }

    fn evaluate(&self, _: &Context, inputs: &[&Array], out: &Type) -> Array {
        let mut dw = Array::filled(&out.shape, 0.0);
        let (x, dy) = (inputs[0], inputs[1]);
        self.window.for_each_product(&x.shape, &out.shape, &dy.shape, |at_x, at_w, at_y| {
            dw.data[at_w] += x.data[at_x] * dy.data[at_y];
        });
        dw
    }
}
