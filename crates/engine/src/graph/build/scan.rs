//! A body run along the time axis.

use std::collections::HashMap;

use onestep_memory::DType;

use crate::graph::{Graph, GraphError, Value};
use crate::ops::{AttentionDropout, Op, Reshape};

/// How [`scan`] goes along the time axis. By default forwards, over all steps of all samples.
#[derive(Clone, Copy, Debug, Default)]
pub struct ScanOptions {
    /// Whether it begins with the last step; outputs stay where their step is.
    pub reverse: bool,
    /// i32 `[batch]`: how many steps each sample has. What is carried stays as it is in the steps behind
    /// them, whose outputs are 0; backwards a sample begins with its own last step.
    pub lengths: Option<Value>,
}

/// What a step of [`scan`] gives, or all of them together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scanned {
    /// What goes on to the next step, `[batch, ...]` each; of all steps what the last one carries on.
    pub carried: Vec<Value>,
    /// Results of the step, `[batch, ...]` each; of all steps `[batch, time, ...]`.
    pub outputs: Vec<Value>,
}

impl AsMut<Graph> for Graph {
    fn as_mut(&mut self) -> &mut Graph {
        self
    }
}

/// Runs `body` along the second axis of `sequences`, `[batch, time, ...]` each: a recurrence. The body gets
/// what is carried (at first `initial`, `[batch, ...]` each) and the step of each sequence, `[batch, ...]`.
/// What else it uses, such as weights, all steps share. It is called once, and what it has appended to the
/// graph is repeated for the other steps, with random numbers of its own for each; what depends on no step
/// is computed once.
///
/// The gradient in a weight that every step multiplies with is one product over all steps.
///
/// ```
/// use onestep_engine::{DType, Graph, GraphError, ScanOptions, Scanned, scan};
/// let mut g = Graph::new();
/// let x = g.input("x", &[2, 7, 3], DType::F32)?;
/// let h = g.input("h", &[2, 3], DType::F32)?;
/// let w = g.parameter("w", &[3, 3])?;
/// // h' = tanh(h w + x)
/// let all = scan(&mut g, ScanOptions::default(), &[h], &[x], |g: &mut Graph, h, x| {
///     let product = g.matmul(h[0], w)?;
///     let sum = g.add(product, x[0])?;
///     let next = g.tanh(sum)?;
///     Ok::<_, GraphError>(Scanned { carried: vec![next], outputs: vec![next] })
/// })?;
/// assert_eq!(g.shape(all.carried[0]).dims(), &[2, 3]);
/// assert_eq!(g.shape(all.outputs[0]).dims(), &[2, 7, 3]);
/// # Ok::<(), GraphError>(())
/// ```
///
/// # Errors
/// No sequence, sequences or initial values that are not of one batch and length, lengths that are not i32
/// `[batch]`, a body that carries on another number of values or others than it gets, and the body's own.
pub fn scan<C, E, F>(
    cx: &mut C,
    options: ScanOptions,
    initial: &[Value],
    sequences: &[Value],
    body: F,
) -> Result<Scanned, E>
where
    C: AsMut<Graph>,
    E: From<GraphError>,
    F: FnOnce(&mut C, &[Value], &[Value]) -> Result<Scanned, E>,
{
    let scan = Scan::new(cx.as_mut(), options, initial, sequences)?;
    let first = scan.order().next().unwrap_or(0);
    let xs = scan.slices(cx.as_mut(), sequences, first)?;
    // Values of their own, which the body cannot have from elsewhere.
    let before =
        initial.iter().map(|&value| same(cx.as_mut(), value)).collect::<Result<Vec<_>, _>>()?;
    let begin = cx.as_mut().nodes().len();
    let step = body(cx, &before, &xs)?;
    let g = cx.as_mut();
    scan.check(g, &before, &step)?;
    let pattern =
        Pattern { begin, end: g.nodes().len(), taken: [&before[..], &xs[..]].concat(), step };
    Ok(scan.run(g, sequences, &pattern)?)
}

const NAME: &str = "scan";

/// A reshape to the same shape: a new value, and in a plan none.
fn same(g: &mut Graph, value: Value) -> Result<Value, GraphError> {
    let shape = g.shape(value).clone();
    g.push(Op::Reshape(Reshape { shape }), &[value])
}

/// The sizes of a scan, checked.
struct Scan {
    batch: usize,
    steps: usize,
    reverse: bool,
    /// As f32 `[batch]`.
    lengths: Option<Value>,
}

/// The nodes of the first step.
struct Pattern {
    begin: usize,
    end: usize,
    /// What is carried into it and its steps of the sequences.
    taken: Vec<Value>,
    step: Scanned,
}

impl Scan {
    fn new(
        g: &mut Graph,
        options: ScanOptions,
        initial: &[Value],
        sequences: &[Value],
    ) -> Result<Scan, GraphError> {
        let Some(&first) = sequences.first() else {
            return Err(GraphError::shape(NAME, "at least one sequence", "none"));
        };
        let &[batch, steps, ..] = g.shape(first).dims() else {
            return Err(GraphError::shape(NAME, "sequences [batch, time, ...]", g.type_of(first)));
        };
        if steps == 0 {
            return Err(GraphError::shape(NAME, "at least one step", g.type_of(first)));
        }
        for &x in sequences {
            if g.shape(x).dims().get(..2) != Some(&[batch, steps]) {
                let wanted = format!("sequences of [{batch}, {steps}, ...]");
                return Err(GraphError::shape(NAME, wanted, g.type_of(x)));
            }
        }
        for &value in initial {
            if g.shape(value).dims().first() != Some(&batch) {
                let wanted = format!("initial values of [{batch}, ...]");
                return Err(GraphError::shape(NAME, wanted, g.type_of(value)));
            }
        }
        let lengths = match options.lengths {
            None => None,
            Some(lengths) => {
                let ty = g.type_of(lengths);
                if ty.dtype != DType::I32 || ty.shape.dims() != [batch] {
                    return Err(GraphError::shape(NAME, format!("i32 lengths of [{batch}]"), ty));
                }
                Some(g.cast(lengths, DType::F32)?)
            }
        };
        Ok(Scan { batch, steps, reverse: options.reverse, lengths })
    }

    fn order(&self) -> impl Iterator<Item = usize> + use<> {
        let (steps, reverse) = (self.steps, self.reverse);
        (0..steps).map(move |i| if reverse { steps - 1 - i } else { i })
    }

    /// One step of each sequence, `[batch, ...]`.
    fn slices(
        &self,
        g: &mut Graph,
        sequences: &[Value],
        step: usize,
    ) -> Result<Vec<Value>, GraphError> {
        let slice = |&x: &Value| {
            let mut dims = g.shape(x).dims().to_vec();
            dims.remove(1);
            let x = g.slice_axis(x, 1, step, step + 1)?;
            g.reshape(x, &dims)
        };
        sequences.iter().map(slice).collect()
    }

    /// Checks what the body gives.
    fn check(&self, g: &Graph, before: &[Value], step: &Scanned) -> Result<(), GraphError> {
        if step.carried.len() != before.len() {
            let wanted = format!("a body that carries {} values on", before.len());
            return Err(GraphError::shape(NAME, wanted, step.carried.len()));
        }
        for (&old, &new) in before.iter().zip(&step.carried) {
            if g.type_of(old) != g.type_of(new) {
                let wanted = format!("a body that carries {} on", g.type_of(old));
                return Err(GraphError::shape(NAME, wanted, g.type_of(new)));
            }
        }
        for &y in &step.outputs {
            if g.shape(y).dims().first() != Some(&self.batch) {
                let wanted = format!("outputs of [{}, ...]", self.batch);
                return Err(GraphError::shape(NAME, wanted, g.type_of(y)));
            }
        }
        Ok(())
    }

    fn run(
        &self,
        g: &mut Graph,
        sequences: &[Value],
        pattern: &Pattern,
    ) -> Result<Scanned, GraphError> {
        let count = pattern.step.carried.len();
        let mut carried = pattern.taken[..count].to_vec();
        let mut rows = vec![Vec::new(); pattern.step.outputs.len()];
        for (i, at) in self.order().enumerate() {
            let step = match i {
                0 => pattern.step.clone(),
                _ => {
                    let mut taken = carried.clone();
                    taken.extend(self.slices(g, sequences, at)?);
                    pattern.repeat(g, &taken)?
                }
            };
            let next = step.carried.iter().zip(&carried);
            let next = next.map(|(&new, &old)| self.within(g, at, new, Some(old)));
            carried = next.collect::<Result<_, _>>()?;
            for (row, &y) in rows.iter_mut().zip(&step.outputs) {
                let y = self.within(g, at, y, None)?;
                let mut dims = g.shape(y).dims().to_vec();
                dims.insert(1, 1);
                row.push(g.reshape(y, &dims)?);
            }
        }
        let mut outputs = Vec::with_capacity(rows.len());
        for mut row in rows {
            if self.reverse {
                row.reverse();
            }
            outputs.push(g.concat(&row, 1)?);
        }
        Ok(Scanned { carried, outputs })
    }

    /// `new` for samples that have the step, else `old` or 0.
    fn within(
        &self,
        g: &mut Graph,
        step: usize,
        new: Value,
        old: Option<Value>,
    ) -> Result<Value, GraphError> {
        let Some(lengths) = self.lengths else { return Ok(new) };
        let dims = g.shape(new).dims().to_vec();
        let mut column = vec![1; dims.len()];
        column[0] = self.batch;
        let lengths = g.reshape(lengths, &column)?;
        let step = g.constant(step as f32)?;
        let has = g.gt(lengths, step)?;
        let has = g.broadcast(has, &dims)?;
        let old = match old {
            Some(old) => old,
            None => {
                let zero = g.constant(0.0)?;
                g.broadcast(zero, &dims)?
            }
        };
        g.select(has, new, old)
    }
}

impl Pattern {
    /// The nodes that depend on the step, once more with other values in place of those taken.
    fn repeat(&self, g: &mut Graph, taken: &[Value]) -> Result<Scanned, GraphError> {
        let mut map: HashMap<Value, Value> =
            self.taken.iter().copied().zip(taken.iter().copied()).collect();
        for index in self.begin..self.end {
            let value = Value::new(index);
            let node = g.node(value);
            if !redrawn(&node.op) && !node.inputs.iter().any(|input| map.contains_key(input)) {
                continue;
            }
            let (mut op, label) = (node.op.clone(), node.label.clone());
            let at = |input: &Value| map.get(input).copied().unwrap_or(*input);
            let inputs: Vec<Value> = node.inputs.iter().map(at).collect();
            redraw(g, &mut op);
            let copy = g.push(op, &inputs)?;
            if let Some(label) = label {
                g.label(copy, &label);
            }
            map.insert(value, copy);
        }
        let at = |value: &Value| map.get(value).copied().unwrap_or(*value);
        Ok(Scanned {
            carried: self.step.carried.iter().map(at).collect(),
            outputs: self.step.outputs.iter().map(at).collect(),
        })
    }
}

/// Whether the op draws random numbers.
fn redrawn(op: &Op) -> bool {
    match op {
        Op::RandomUniform(_) => true,
        Op::Attention(attention) => attention.dropout.is_some(),
        _ => false,
    }
}

/// Lets an op that draws random numbers draw others.
fn redraw(g: &mut Graph, op: &mut Op) {
    match op {
        Op::RandomUniform(random) => random.stream = g.next_stream(),
        Op::Attention(attention) => {
            if let Some(AttentionDropout { stream, .. }) = &mut attention.dropout {
                *stream = g.next_stream();
            }
        }
        _ => {}
    }
}
