//! Drawn graphs: many ops that feed each other, as planners meet them. Values of shape `[a, b]`
//! are computed from earlier ones, some of them used several times and some never, so that fused
//! groups, views of views and reuse of the arena all occur.

use onestep_engine::{Graph, GraphError, Value};

/// One node or a few: what is done (modulo the number of kinds), and to which earlier values.
#[derive(Clone, Copy, Debug)]
pub struct GraphStep {
    /// The kind.
    pub kind: usize,
    /// The first operand, counted from the last value backwards.
    pub x: usize,
    /// The second.
    pub y: usize,
}

type Kind = fn(&mut Graph, Value, Value) -> Result<Value, GraphError>;

/// Each keeps the shape, and keeps numbers of moderate size moderate. All are smooth but where two
/// values meet, which does not happen on drawn numbers.
const KINDS: [Kind; 16] = [
    |g, x, _| g.tanh(x),
    |g, x, _| g.sigmoid(x),
    |g, x, _| g.sin(x),
    |g, x, _| g.neg(x),
    |g, x, _| g.scale(x, 0.75),
    |g, x, y| g.add(x, y),
    |g, x, y| g.sub(x, y),
    |g, x, y| {
        let product = g.mul(x, y)?;
        g.tanh(product)
    },
    |g, x, y| {
        let above = g.gt(x, y)?;
        g.select(above, x, y)
    },
    centred,
    |g, x, y| {
        let rows = g.mean(y, &[0], true)?;
        g.add(x, rows)
    },
    |g, x, _| g.softmax(x, 1),
    halves_swapped,
    turned_twice,
    product,
    padded_and_cut,
];

/// `x` less the mean of each row.
fn centred(g: &mut Graph, x: Value, _: Value) -> Result<Value, GraphError> {
    let mean = g.mean(x, &[1], true)?;
    g.sub(x, mean)
}

/// The right part of each row of `x` before the left part of each row of `y`.
fn halves_swapped(g: &mut Graph, x: Value, y: Value) -> Result<Value, GraphError> {
    let columns = g.shape(x)[1];
    let left = g.slice_axis(y, 1, 0, columns / 2)?;
    let right = g.slice_axis(x, 1, columns / 2, columns)?;
    if columns < 2 { Ok(x) } else { g.concat(&[right, left], 1) }
}

/// An elementwise op between two transpositions and a change of shape.
fn turned_twice(g: &mut Graph, x: Value, y: Value) -> Result<Value, GraphError> {
    let dims = g.shape(x).dims().to_vec();
    let (x, y) = (g.permute(x, &[1, 0])?, g.permute(y, &[1, 0])?);
    let flat = [dims[0] * dims[1]];
    let (x, y) = (g.reshape(x, &flat)?, g.reshape(y, &flat)?);
    let sum = g.add(x, y)?;
    let sum = g.reshape(sum, &[dims[1], dims[0]])?;
    g.permute(sum, &[1, 0])
}

/// `x yᵀ x / (a b)`
fn product(g: &mut Graph, x: Value, y: Value) -> Result<Value, GraphError> {
    let elements = g.shape(x).elements();
    let square = g.matmul_with(x, y, false, true)?;
    let result = g.matmul(square, x)?;
    g.scale(result, 1.0 / elements as f32)
}

/// A border on one side that is cut off on the other: the rows move by one.
fn padded_and_cut(g: &mut Graph, x: Value, _: Value) -> Result<Value, GraphError> {
    let dims = g.shape(x).dims().to_vec();
    let padded = g.pad(x, &[1, 0], &[0, 0], 0.5)?;
    g.slice_axis(padded, 0, 0, dims[0])
}

/// Appends all steps; the result is the last value.
pub(super) fn append(
    g: &mut Graph,
    leaves: &[Value],
    steps: &[GraphStep],
) -> Result<Value, GraphError> {
    let mut values = leaves.to_vec();
    for step in steps {
        let back = |n: usize| values[values.len() - 1 - n % values.len()];
        let (x, y) = (back(step.x), back(step.y));
        let value = KINDS[step.kind % KINDS.len()](g, x, y)?;
        values.push(value);
    }
    Ok(values[values.len() - 1])
}
