//! Pooling windows over pictures `[n, c, h, w]`. The mean of a window is its sum times a constant.

use std::fmt;

use onestep_memory::{DType, Shape};

use super::{Gradients, OpRule, Site, expect_dtype, expect_inputs, expect_rank, expect_shape};
use crate::array::{Array, Context, for_each_index};
use crate::graph::{Graph, GraphError, Type, Value};

/// How a pooling window moves. Each pair is `[vertical, horizontal]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PoolWindow {
    /// The window's size.
    pub size: [usize; 2],
    /// The step from one window to the next.
    pub stride: [usize; 2],
    /// Rows and columns before the first that no window takes from.
    pub pad_low: [usize; 2],
    /// Rows and columns behind the last that no window takes from.
    pub pad_high: [usize; 2],
    /// The step from one element of a window to the next.
    pub dilation: [usize; 2],
}

impl fmt::Display for PoolWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { size, stride, pad_low, pad_high, dilation } = self;
        write!(f, "{size:?} stride {stride:?} pad {pad_low:?}{pad_high:?} dilation {dilation:?}")
    }
}

impl PoolWindow {
    /// The output size of one spatial axis, `None` where the window does not fit.
    pub fn output_size(&self, axis: usize, input: usize) -> Option<usize> {
        let padded = input + self.pad_low[axis] + self.pad_high[axis];
        let extent = self.dilation[axis] * self.size[axis].checked_sub(1)? + 1;
        Some(padded.checked_sub(extent)? / self.stride[axis] + 1)
    }

    fn output_shape(&self, op: &'static str, x: &Shape) -> Result<Shape, GraphError> {
        for (name, pair) in [("stride", self.stride), ("dilation", self.dilation)] {
            if pair.contains(&0) {
                return Err(GraphError::attribute(op, name, "at least 1", format!("{pair:?}")));
            }
        }
        let x = x.dims();
        let mut sizes = [0; 2];
        for axis in 0..2 {
            sizes[axis] = self.output_size(axis, x[2 + axis]).ok_or_else(|| {
                let wanted = format!("an input at least as large as the window {self}");
                GraphError::shape(op, wanted, format!("{:?}", &x[2..]))
            })?;
        }
        Ok(Shape::new(&[x[0], x[1], sizes[0], sizes[1]])?)
    }

    /// Calls `f(x offset, y offset)` for each element of each window, in row-major order.
    fn for_each_element(&self, x: &Shape, y: &Shape, mut f: impl FnMut(usize, usize)) {
        let (xd, yd) = (x.dims(), y.dims());
        for_each_index(&[yd[0] * yd[1], yd[2], yd[3], self.size[0], self.size[1]], |i| {
            let &[plane, py, px, qy, qx] = i else { return };
            let row = (py * self.stride[0] + qy * self.dilation[0]).checked_sub(self.pad_low[0]);
            let column = (px * self.stride[1] + qx * self.dilation[1]).checked_sub(self.pad_low[1]);
            let (Some(row), Some(column)) = (row, column) else { return };
            if row < xd[2] && column < xd[3] {
                f((plane * xd[2] + row) * xd[3] + column, (plane * yd[2] + py) * yd[3] + px);
            }
        });
    }
}

/// The largest element of each window; padding never wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MaxPool {
    /// How the window moves.
    pub window: PoolWindow,
}

/// `(x, dy) -> dx`: each window's gradient goes to its first largest element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MaxPoolGrad {
    /// How the window moves.
    pub window: PoolWindow,
}

/// The sum of each window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SumPool {
    /// How the window moves.
    pub window: PoolWindow,
}

/// `dy -> dx`: each element gets the gradients of all windows it lies in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SumPoolGrad {
    /// How the window moves.
    pub window: PoolWindow,
    /// The shape of the pooling's input.
    pub input_shape: Shape,
}

fn expect_picture(op: &'static str, input: &Type) -> Result<(), GraphError> {
    expect_dtype(op, input, DType::F32)?;
    expect_rank(op, input, 4)
}

impl OpRule for MaxPool {
    fn name(&self) -> &'static str {
        "max_pool"
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, GraphError> {
        expect_inputs(self.name(), inputs, 1)?;
        expect_picture(self.name(), &inputs[0])?;
        Ok(Type::f32(self.window.output_shape(self.name(), &inputs[0].shape)?))
    }

    fn gradient(
        &self,
        g: &mut Graph,
        site: &Site<'_>,
        grad: Value,
    ) -> Result<Gradients, GraphError> {
        Ok(vec![Some(g.max_pool_grad(site.inputs[0], grad, self.window)?)])
    }

    fn evaluate(&self, _: &Context, inputs: &[&Array], out: &Type) -> Array {
        let mut y = Array::filled(&out.shape, f64::NEG_INFINITY);
        self.window.for_each_element(&inputs[0].shape, &out.shape, |at_x, at_y| {
            let x = inputs[0].data[at_x];
            if x > y.data[at_y] || x.is_nan() {
                y.data[at_y] = x;
            }
        });
        y
    }
}

impl OpRule for MaxPoolGrad {
    fn name(&self) -> &'static str {
        "max_pool_grad"
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, GraphError> {
        expect_inputs(self.name(), inputs, 2)?;
        expect_picture(self.name(), &inputs[0])?;
        expect_picture(self.name(), &inputs[1])?;
        let y = self.window.output_shape(self.name(), &inputs[0].shape)?;
        expect_shape(self.name(), &inputs[1], &y)?;
        Ok(inputs[0].clone())
    }

    fn gradient(&self, _: &mut Graph, _: &Site<'_>, _: Value) -> Result<Gradients, GraphError> {
        let reason = "second derivatives through max pooling are not provided";
        Err(GraphError::NotDifferentiable { op: self.name(), reason })
    }

    fn evaluate(&self, _: &Context, inputs: &[&Array], out: &Type) -> Array {
        let (x, dy) = (inputs[0], inputs[1]);
        let mut best: Vec<Option<usize>> = vec![None; dy.data.len()];
        self.window.for_each_element(&x.shape, &dy.shape, |at_x, at_y| {
            let wins = best[at_y].is_none_or(|b| x.data[at_x] > x.data[b] || x.data[at_x].is_nan());
            if wins {
                best[at_y] = Some(at_x);
            }
        });
        let mut dx = Array::filled(&out.shape, 0.0);
        for (at_y, winner) in best.into_iter().enumerate() {
            if let Some(at_x) = winner {
                dx.data[at_x] += dy.data[at_y];
            }
        }
        dx
    }
}

impl OpRule for SumPool {
    fn name(&self) -> &'static str {
        "sum_pool"
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, GraphError> {
        expect_inputs(self.name(), inputs, 1)?;
        expect_picture(self.name(), &inputs[0])?;
        Ok(Type::f32(self.window.output_shape(self.name(), &inputs[0].shape)?))
    }

    fn gradient(
        &self,
        g: &mut Graph,
        site: &Site<'_>,
        grad: Value,
    ) -> Result<Gradients, GraphError> {
        let shape = g.shape(site.inputs[0]).clone();
        Ok(vec![Some(g.sum_pool_grad(grad, self.window, &shape)?)])
    }

    fn evaluate(&self, _: &Context, inputs: &[&Array], out: &Type) -> Array {
        let mut y = Array::filled(&out.shape, 0.0);
        self.window.for_each_element(&inputs[0].shape, &out.shape, |at_x, at_y| {
            y.data[at_y] += inputs[0].data[at_x];
        });
        y
    }
}

impl OpRule for SumPoolGrad {
    fn name(&self) -> &'static str {
        "sum_pool_grad"
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, GraphError> {
        expect_inputs(self.name(), inputs, 1)?;
        expect_picture(self.name(), &inputs[0])?;
        let y = self.window.output_shape(self.name(), &self.input_shape)?;
        expect_shape(self.name(), &inputs[0], &y)?;
        Ok(Type::f32(self.input_shape.clone()))
    }

    fn gradient(&self, g: &mut Graph, _: &Site<'_>, grad: Value) -> Result<Gradients, GraphError> {
        Ok(vec![Some(g.sum_pool(grad, self.window)?)])
    }

    fn evaluate(&self, _: &Context, inputs: &[&Array], out: &Type) -> Array {
        let mut dx = Array::filled(&out.shape, 0.0);
        self.window.for_each_element(&out.shape, &inputs[0].shape, |at_x, at_y| {
            dx.data[at_x] += inputs[0].data[at_y];
        });
        dx
    }
}
