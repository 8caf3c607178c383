//! From a draw to a run.

use std::collections::HashMap;

use onestep_engine::ops::{Binary, ConvWindow, Op, ReduceKind, Unary};
use onestep_engine::reference::Array;
use onestep_engine::{
    DType, Graph, GraphError, Mode, Named, ParameterGroup, ParameterInfo, Program, Shape,
    UpdateGraph, Value,
};

use super::{Draw, GraphStep};
use crate::subject::{Feeds, Run, Tensors};

/// A graph under construction with the numbers of its leaves.
#[derive(Default)]
struct Builder {
    g: Graph,
    initial: Tensors,
    inputs: Tensors,
    parameters: Vec<ParameterInfo>,
}

impl Builder {
    /// An f32 operand that gets a gradient. Its numbers are spread evenly over `low..high` in a
    /// scrambled order: no two are alike, and none is 0.
    fn operand(&mut self, dims: &[usize], low: f64, high: f64) -> Result<Value, GraphError> {
        let name = format!("x{}", self.parameters.len());
        let shape = Shape::new(dims)?;
        let data = spread(shape.elements(), self.parameters.len(), low, high);
        self.parameters.push(ParameterInfo::new(&name, shape.clone()));
        self.initial.insert(name.clone(), Array::new(shape, data)?);
        self.g.parameter(&name, dims)
    }

    /// An input with given numbers.
    fn input(&mut self, dims: &[usize], dtype: DType, data: Vec<f64>) -> Result<Value, GraphError> {
        let name = format!("input{}", self.inputs.len());
        self.inputs.insert(name.clone(), Array::new(Shape::new(dims)?, data)?);
        self.g.input(&name, dims, dtype)
    }

    fn plain(&mut self, dims: &[usize]) -> Result<Value, GraphError> {
        self.operand(dims, -1.85, 1.85)
    }

    /// A function of one plain operand.
    fn on_plain(
        &mut self,
        dims: &[usize],
        f: impl FnOnce(&mut Graph, Value) -> Result<Value, GraphError>,
    ) -> Result<Value, GraphError> {
        let x = self.plain(dims)?;
        f(&mut self.g, x)
    }

    fn finish(mut self, output: Value) -> Result<Run, GraphError> {
        let dims = self.g.shape(output).dims().to_vec();
        let weights = spread(dims.iter().product(), 7, -1.0, 1.0);
        let weights = self.input(&dims, DType::F32, weights)?;
        let product = self.g.mul(output, weights)?;
        let loss = self.g.sum_all(product)?;
        let group = ParameterGroup::new("all", self.parameters);
        let mut update = UpdateGraph::default();
        update.group(&group)?;
        let mut program = Program::predict(self.g, vec![Named::new("output", output)]);
        program.mode = Mode::Train;
        program.loss = Some(loss);
        program.groups = [group].into();
        program.update = Some(update.into());
        program.keep_gradients = true;
        let feeds = Feeds { inputs: self.inputs, scalars: HashMap::new() };
        Ok(Run { program, initial: self.initial, steps: vec![feeds], seed: 1, first_step: 1 })
    }
}

/// Numbers spread over a range in a scrambled order; `salt` makes two such lists differ. They are
/// exact in f32.
fn spread(count: usize, salt: usize, low: f64, high: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by_key(|&i| {
        (i as u64 + 1 + 31 * salt as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20
    });
    let width = high - low;
    let place = |i: usize| (i as f64 + 0.37 + 0.083 * salt as f64) / (count as f64 + 1.0);
    order.into_iter().map(|i| f64::from((low + width * place(i)) as f32)).collect()
}

pub(super) fn run(draw: &Draw) -> Result<Run, GraphError> {
    let mut builder = Builder::default();
    let b = &mut builder;
    let output = match draw {
        Draw::Unary(op, dims) => unary(b, *op, dims),
        Draw::Binary(op, dims, ones) => binary(b, *op, dims, ones),
        Draw::Select(dims) => select(b, dims),
        Draw::Reduce(kind, dims, flags) => reduce(b, *kind, dims, flags),
        Draw::Flatten(dims) => b.on_plain(dims, |g, x| g.reshape(x, &[dims.iter().product()])),
        Draw::Permute(dims, axes) => b.on_plain(dims, |g, x| g.permute(x, axes)),
        Draw::Slice(dims, ranges) => {
            let (start, end): (Vec<usize>, Vec<usize>) = ranges.iter().copied().unzip();
            b.on_plain(dims, |g, x| g.slice(x, &start, &end))
        }
        Draw::Concat(dims, axis, sizes) => concat(b, dims, *axis, sizes),
        Draw::Pad(dims, widths) => {
            let (low, high): (Vec<usize>, Vec<usize>) = widths.iter().copied().unzip();
            b.on_plain(dims, |g, x| g.pad(x, &low, &high, 0.5))
        }
        Draw::MatMul(batch, sizes, ta, tb) => matmul(b, batch, *sizes, *ta, *tb),
        Draw::Conv(sizes, kernel, window) => conv(b, *sizes, *kernel, *window),
        Draw::Pool(true, dims, window) => b.on_plain(dims, |g, x| g.max_pool(x, *window)),
        Draw::Pool(false, dims, window) => b.on_plain(dims, |g, x| g.sum_pool(x, *window)),
        Draw::Softmax(true, dims, axis) => b.on_plain(dims, |g, x| g.softmax(x, *axis)),
        Draw::Softmax(false, dims, axis) => b.on_plain(dims, |g, x| g.log_softmax(x, *axis)),
        Draw::CrossEntropy(n, classes, eighths) => cross_entropy(b, *n, *classes, *eighths),
        Draw::Gather(rows, width, count) => gather(b, *rows, *width, *count),
        Draw::ScatterAdd(rows, width, count) => scatter_add(b, *rows, *width, *count),
        Draw::GatherAlong(dims, axis, count) => gather_along(b, dims, *axis, *count),
        Draw::ScatterAlong(dims, axis, size) => scatter_along(b, dims, *axis, *size),
        Draw::CumSum(dims, axis, reverse) => b.on_plain(dims, |g, x| g.cumsum(x, *axis, *reverse)),
        Draw::Sort(dims, axis, down) => b.on_plain(dims, |g, x| Ok(g.sort(x, *axis, *down)?.0)),
        Draw::TopK(dims, axis, k) => b.on_plain(dims, |g, x| Ok(g.top_k(x, *axis, *k)?.0)),
        Draw::SortBy(dims, axis, down, keys) => sort_by(b, dims, *axis, *down, keys),
        Draw::Graph(dims, steps) => graph(b, dims, steps),
    };
    let output = output?;
    builder.finish(output)
}

fn conv(
    b: &mut Builder,
    [n, c, o, h, w]: [usize; 5],
    [kh, kw]: [usize; 2],
    window: ConvWindow,
) -> Result<Value, GraphError> {
    let x = b.plain(&[n, c * window.groups, h, w])?;
    let weight = b.plain(&[o * window.groups, c, kh, kw])?;
    b.g.conv(x, weight, window)
}

fn cross_entropy(
    b: &mut Builder,
    n: usize,
    classes: usize,
    eighths: u8,
) -> Result<Value, GraphError> {
    let x = b.plain(&[n, classes])?;
    let labels = b.input(&[n], DType::I32, indices(n, classes))?;
    b.g.cross_entropy(x, labels, f32::from(eighths) / 8.0)
}

fn gather(b: &mut Builder, rows: usize, width: usize, count: usize) -> Result<Value, GraphError> {
    let table = b.plain(&[rows, width])?;
    let taken = b.input(&[count], DType::I32, indices(count, rows))?;
    b.g.gather(table, taken)
}

fn scatter_add(
    b: &mut Builder,
    rows: usize,
    width: usize,
    count: usize,
) -> Result<Value, GraphError> {
    let at = b.input(&[count], DType::I32, indices(count, rows))?;
    let updates = b.plain(&[count, width])?;
    b.g.scatter_add(at, updates, rows)
}

fn gather_along(
    b: &mut Builder,
    dims: &[usize],
    axis: usize,
    count: usize,
) -> Result<Value, GraphError> {
    let x = b.plain(dims)?;
    let mut taken = dims.to_vec();
    taken[axis] = count;
    let places = indices(taken.iter().product(), dims[axis]);
    let places = b.input(&taken, DType::I32, places)?;
    b.g.gather_along(x, places, axis)
}

/// Some places are before the first and some behind the last.
fn scatter_along(
    b: &mut Builder,
    dims: &[usize],
    axis: usize,
    size: usize,
) -> Result<Value, GraphError> {
    let places = indices(dims.iter().product(), size + 2);
    let places = places.into_iter().map(|place| place - 1.0).collect();
    let at = b.input(dims, DType::I32, places)?;
    let updates = b.plain(dims)?;
    b.g.scatter_along(at, updates, axis, size)
}

/// The elements are all different, so that they tell which order their keys were found to have.
fn sort_by(
    b: &mut Builder,
    dims: &[usize],
    axis: usize,
    descending: bool,
    keys: &[u8],
) -> Result<Value, GraphError> {
    const KEYS: [f64; 8] =
        [0.0, f64::NAN, -0.0, 1.5, f64::NEG_INFINITY, -2.0, f64::INFINITY, f64::NAN];
    let numbers = keys.iter().map(|&key| KEYS[usize::from(key) % KEYS.len()]).cycle();
    let numbers = numbers.take(dims.iter().product()).collect();
    let keys = b.input(dims, DType::F32, numbers)?;
    let x = b.plain(dims)?;
    let order = b.g.argsort(keys, axis, descending)?;
    b.g.gather_along(x, order, axis)
}

fn graph(b: &mut Builder, dims: &[usize], steps: &[GraphStep]) -> Result<Value, GraphError> {
    let leaves = [b.plain(dims)?, b.plain(dims)?];
    super::graph::append(&mut b.g, &leaves, steps)
}

fn unary(b: &mut Builder, op: Unary, dims: &[usize]) -> Result<Value, GraphError> {
    let partial = op.apply(-1.5).is_nan() || op.apply(0.0).is_infinite();
    let (low, high) = if partial { (0.2, 3.0) } else { (-1.85, 1.85) };
    let x = b.operand(dims, low, high)?;
    b.g.push(Op::Unary(op), &[x])
}

/// Positive operands, so that each op is defined and smooth on them.
fn binary(
    b: &mut Builder,
    op: Binary,
    dims: &[usize],
    ones: &[(bool, bool)],
) -> Result<Value, GraphError> {
    let side = |is_one: fn(&(bool, bool)) -> bool| -> Vec<usize> {
        dims.iter().zip(ones).map(|(&d, flags)| if is_one(flags) { 1 } else { d }).collect()
    };
    let x = b.operand(&side(|f| f.0), 0.3, 2.9)?;
    let y = b.operand(&side(|f| f.1), 0.31, 3.1)?;
    let full = side(|f| f.0 && f.1);
    let (x, y) = (b.g.broadcast(x, &full)?, b.g.broadcast(y, &full)?);
    b.g.push(Op::Binary(op), &[x, y])
}

fn select(b: &mut Builder, dims: &[usize]) -> Result<Value, GraphError> {
    let count: usize = dims.iter().product();
    let mask = (0..count).map(|i| f64::from(u8::from(i % 3 == 0))).collect();
    let mask = b.input(dims, DType::F32, mask)?;
    let (x, y) = (b.plain(dims)?, b.plain(dims)?);
    b.g.select(mask, x, y)
}

fn reduce(
    b: &mut Builder,
    kind: ReduceKind,
    dims: &[usize],
    flags: &[bool],
) -> Result<Value, GraphError> {
    // The error of a sum is relative to the sum of magnitudes: positive terms make that the sum.
    let x = match kind {
        ReduceKind::Sum | ReduceKind::Mean => b.operand(dims, 0.3, 2.9)?,
        ReduceKind::Max | ReduceKind::Min => b.plain(dims)?,
    };
    let axes: Vec<usize> = (0..dims.len()).filter(|&i| flags[i]).collect();
    match kind {
        ReduceKind::Sum => b.g.sum(x, &axes, false),
        ReduceKind::Mean => b.g.mean(x, &axes, false),
        ReduceKind::Max => b.g.max_over(x, &axes, true),
        ReduceKind::Min => b.g.min_over(x, &axes, false),
    }
}

fn concat(
    b: &mut Builder,
    dims: &[usize],
    axis: usize,
    sizes: &[usize],
) -> Result<Value, GraphError> {
    let mut parts = Vec::new();
    for &size in sizes {
        let mut part = dims.to_vec();
        part[axis] = size;
        parts.push(b.plain(&part)?);
    }
    b.g.concat(&parts, axis)
}

fn matmul(
    b: &mut Builder,
    batch: &[usize],
    [m, k, n]: [usize; 3],
    transpose_a: bool,
    transpose_b: bool,
) -> Result<Value, GraphError> {
    let shape = |rows: usize, columns: usize, transposed: bool| {
        let last = if transposed { [columns, rows] } else { [rows, columns] };
        [batch, &last].concat()
    };
    let x = b.plain(&shape(m, k, transpose_a))?;
    let y = b.plain(&shape(k, n, transpose_b))?;
    b.g.matmul_with(x, y, transpose_a, transpose_b)
}

/// Integers below `limit`, some of them more than once.
fn indices(count: usize, limit: usize) -> Vec<f64> {
    (0..count).map(|i| ((i * 7 + 3) % limit) as f64).collect()
}
