//! A recurrence as primitives, step by step. It is what the op means: its evaluation is theirs.

use std::collections::HashMap;

use onestep_memory::DType;

use super::{Cell, Recurrence, RecurrenceSizes};
use crate::array::{Array, Context};
use crate::graph::{Graph, GraphError, Type, Value};
use crate::reference;

/// The values of all steps, in the order of the sequence.
pub(super) struct Unrolled {
    sizes: RecurrenceSizes,
    /// What each step is given, `[b, wide]`.
    pub(super) given: Vec<Value>,
    /// The recurrent products of a GRU's new gate with their bias, `[b, hidden]`.
    pub(super) new: Vec<Value>,
    /// What the projection gives, `[b, out]`.
    pub(super) projected: Vec<Value>,
    outputs: Vec<Value>,
    unprojected: Vec<Value>,
    kept: Vec<Vec<Value>>,
    last: Value,
    cell: Option<Value>,
}

/// A step's operands, which are the same for all.
struct Shared {
    op: Recurrence,
    hidden: usize,
    weight: Value,
    bias: Option<Value>,
}

/// What a step makes of the state, and what is kept of it.
struct Stepped {
    h: Value,
    c: Option<Value>,
    kept: Vec<Value>,
}

impl Unrolled {
    pub(super) fn build(
        op: &Recurrence,
        g: &mut Graph,
        inputs: &[Value],
    ) -> Result<Unrolled, GraphError> {
        let sizes = sizes(op, g, inputs);
        let RecurrenceSizes { batch, steps, hidden, out, wide } = sizes;
        let at = op.at();
        let operand = |at: Option<usize>| at.map(|at| inputs[at]);
        let (x, weight, mut last, mut cell) = (inputs[0], inputs[1], inputs[2], operand(at.cell));
        let (bias, projection) = (operand(at.bias), operand(at.projection));
        let shared = Shared { op: *op, hidden, weight, bias };
        let none = vec![last; steps];
        let mut all = Unrolled {
            sizes,
            given: none.clone(),
            new: Vec::new(),
            projected: if op.projection { none.clone() } else { Vec::new() },
            outputs: none.clone(),
            unprojected: if op.projection { none.clone() } else { Vec::new() },
            kept: vec![Vec::new(); steps],
            last,
            cell,
        };
        if op.cell == Cell::Gru {
            all.new = none;
        }
        let lengths = match at.lengths {
            Some(at) => {
                let lengths = g.cast(inputs[at], DType::F32)?;
                Some(g.reshape(lengths, &[batch, 1])?)
            }
            None => None,
        };
        let zero = g.constant(0.0)?;
        for turn in 0..steps {
            let step = if op.reverse { steps - 1 - turn } else { turn };
            let given = g.slice_axis(x, 1, step, step + 1)?;
            let given = g.reshape(given, &[batch, wide])?;
            let mut next = shared.step(g, given, (last, cell), (&mut all, step))?;
            if let Some(inner) = projection {
                all.unprojected[step] = next.h;
                next.h = g.matmul(next.h, inner)?;
                all.projected[step] = next.h;
            }
            all.given[step] = given;
            all.outputs[step] = next.h;
            all.kept[step] = next.kept;
            if let Some(lengths) = lengths {
                let now = g.constant(step as f32)?;
                let alive = g.gt(lengths, now)?;
                let mut choose = |width: usize, a: Value, b: Value| {
                    let alive = g.broadcast(alive, &[batch, width])?;
                    let b = g.broadcast(b, &[batch, width])?;
                    g.select(alive, a, b)
                };
                all.outputs[step] = choose(out, next.h, zero)?;
                next.h = choose(out, next.h, last)?;
                if let (Some(new), Some(old)) = (next.c, cell) {
                    next.c = Some(choose(hidden, new, old)?);
                }
                for kept in all.unprojected.get_mut(step).into_iter().chain(&mut all.kept[step]) {
                    *kept = choose(hidden, *kept, zero)?;
                }
            }
            (last, cell) = (next.h, next.c);
        }
        Ok(Unrolled { last, cell, ..all })
    }

    /// The result, whose gradient is what comes of that of its first parts: what a kernel keeps has none.
    pub(super) fn packed(&self, op: &Recurrence, g: &mut Graph) -> Result<Value, GraphError> {
        let mut parts = self.visible(g)?;
        if op.projection {
            parts.push(stacked(g, &self.unprojected)?);
        }
        let width = self.sizes.kept(op);
        if width > 0 {
            let kept = self.kept.iter().map(|kept| g.concat(kept, 1));
            let kept = kept.collect::<Result<Vec<_>, _>>()?;
            parts.push(stacked(g, &kept)?);
        }
        joined(g, &parts)
    }

    /// Outputs, last outputs and last cells as vectors.
    pub(super) fn visible(&self, g: &mut Graph) -> Result<Vec<Value>, GraphError> {
        let mut parts = vec![stacked(g, &self.outputs)?, self.last];
        parts.extend(self.cell);
        Ok(parts)
    }
}

impl Shared {
    /// A step of the cell.
    fn step(
        &self,
        g: &mut Graph,
        given: Value,
        (h, c): (Value, Option<Value>),
        (all, step): (&mut Unrolled, usize),
    ) -> Result<Stepped, GraphError> {
        let recurrent = g.matmul(h, self.weight)?;
        if self.op.cell == Cell::Gru {
            return self.gru(g, given, (recurrent, h), (all, step));
        }
        let mut sum = g.add(given, recurrent)?;
        if let Some(bias) = self.bias {
            sum = g.add(sum, bias)?;
        }
        match (self.op.cell, c) {
            (Cell::Lstm, Some(c)) => {
                let [i, f, n, o] = [0, 1, 2, 3].map(|at| self.gate(g, sum, at));
                let (i, f, n, o) = (g.sigmoid(i?)?, g.sigmoid(f?)?, g.tanh(n?)?, g.sigmoid(o?)?);
                let (kept, new) = (g.mul(f, c)?, g.mul(i, n)?);
                let c = g.add(kept, new)?;
                let squashed = g.tanh(c)?;
                Ok(Stepped { h: g.mul(o, squashed)?, c: Some(c), kept: vec![i, f, n, o, c] })
            }
            (Cell::Relu, _) => Ok(Stepped { h: g.relu(sum)?, c: None, kept: Vec::new() }),
            _ => Ok(Stepped { h: g.tanh(sum)?, c: None, kept: Vec::new() }),
        }
    }

    fn gru(
        &self,
        g: &mut Graph,
        given: Value,
        (recurrent, h): (Value, Value),
        (all, step): (&mut Unrolled, usize),
    ) -> Result<Stepped, GraphError> {
        let [r, z, mut new] = [0, 1, 2].map(|at| self.gate(g, recurrent, at));
        let [of_r, of_z, of_n] = [0, 1, 2].map(|at| self.gate(g, given, at));
        let (mut r, mut z, mut n) = (g.add(r?, of_r?)?, g.add(z?, of_z?)?, of_n?);
        if let Some(bias) = self.bias {
            let [a, b, c, d] = [0, 1, 2, 3]
                .map(|at| g.slice_axis(bias, 0, at * self.hidden, (at + 1) * self.hidden));
            (r, z, n) = (g.add(r, a?)?, g.add(z, b?)?, g.add(n, c?)?);
            new = Ok(g.add(new?, d?)?);
        }
        let (r, z, new) = (g.sigmoid(r)?, g.sigmoid(z)?, new?);
        all.new[step] = new;
        let reset = g.mul(r, new)?;
        let n = g.add(n, reset)?;
        let n = g.tanh(n)?;
        let difference = g.sub(h, n)?;
        let moved = g.mul(z, difference)?;
        Ok(Stepped { h: g.add(n, moved)?, c: None, kept: vec![r, z, n, new] })
    }

    fn gate(&self, g: &mut Graph, of: Value, at: usize) -> Result<Value, GraphError> {
        g.slice_axis(of, 1, at * self.hidden, (at + 1) * self.hidden)
    }
}

/// Values `[b, n]` of all steps as `[b, t, n]`.
pub(super) fn stacked(g: &mut Graph, of: &[Value]) -> Result<Value, GraphError> {
    let mut rows = Vec::with_capacity(of.len());
    for &value in of {
        let dims = g.shape(value).dims().to_vec();
        rows.push(g.reshape(value, &[dims[0], 1, dims[1]])?);
    }
    g.concat(&rows, 1)
}

/// Values one behind the other as a vector.
pub(super) fn joined(g: &mut Graph, parts: &[Value]) -> Result<Value, GraphError> {
    let mut flat = Vec::with_capacity(parts.len());
    for &part in parts {
        let elements = g.shape(part).elements();
        flat.push(g.reshape(part, &[elements])?);
    }
    g.concat(&flat, 0)
}

pub(super) fn sizes(op: &Recurrence, g: &Graph, inputs: &[Value]) -> RecurrenceSizes {
    RecurrenceSizes::of(op, inputs.iter().map(|&x| g.shape(x).dims()))
}

/// What `build` makes of leaves of the operands' shapes, in f64.
pub(super) fn evaluate(
    inputs: &[&Array],
    context: &Context,
    out: &Type,
    build: impl FnOnce(&mut Graph, &[Value]) -> Result<Value, GraphError>,
) -> Array {
    let run = || -> Result<Array, GraphError> {
        let mut graph = Graph::new();
        let (mut leaves, mut arrays) = (Vec::new(), HashMap::new());
        for (at, input) in inputs.iter().enumerate() {
            // Numbers of samples are told apart by their rank: nothing else is a vector of them.
            let name = at.to_string();
            leaves.push(graph.input(&name, input.shape.dims(), DType::F32)?);
            arrays.insert(name, (*input).clone());
        }
        let root = build(&mut graph, &leaves)?;
        let mut values = reference::evaluate(&graph, &arrays, context, &[root])?;
        values.pop().ok_or_else(|| GraphError::shape("recurrence", "a value", "none"))
    };
    // Operands that fit can be built from: `infer` has seen them.
    run().unwrap_or_else(|_| Array::filled(&out.shape, f64::NAN))
}
