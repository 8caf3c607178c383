//! What a classification of strings is made of: a step after the other, in primitives.

use onestep_memory::DType;

use super::Ctc;
use super::strings::NEVER;
use crate::graph::{Graph, GraphError, Value};

/// The vector of [`Ctc`]: its numbers, and zeros for what only its own gradient reads.
pub(super) fn forward(op: &Ctc, g: &mut Graph, inputs: &[Value]) -> Result<Value, GraphError> {
    let (logs, labels) = (inputs[0], inputs[1]);
    let dims = g.shape(logs).dims().to_vec();
    let (batch, steps) = (dims[0], dims[1]);
    let states = op.states(g, labels)?;
    let steps_of = match inputs.get(2) {
        None => None,
        Some(&steps) => {
            let steps = g.cast(steps, DType::F32)?;
            Some(g.reshape(steps, &[batch, 1])?)
        }
    };
    let found = op.log_probabilities(g, logs, &states, steps_of)?;
    let least = g.constant(NEVER / 10.0)?;
    let possible = g.gt(found, least)?;
    let never = g.constant(f32::INFINITY)?;
    let losses = g.neg(found)?;
    let losses = g.select(possible, losses, never)?;
    let zero = g.constant(0.0)?;
    let rest = g.broadcast(zero, &[batch * steps * g.shape(states.classes).dims()[1]])?;
    g.concat(&[losses, rest], 0)
}

/// What the recursion goes over: strings with a blank before, between and behind their labels.
struct States {
    /// The class of each, f32 `[batch, states]`.
    classes: Value,
    /// 0 where a state may follow the one two before, [`NEVER`] where it may not, `[batch, states]`.
    skip: Value,
    /// 0 where a string may end, [`NEVER`] elsewhere, `[batch, states]`.
    end: Value,
}

/// 0 where `condition` is 1, else [`NEVER`].
fn only(g: &mut Graph, condition: Value) -> Result<Value, GraphError> {
    let (zero, never) = (g.constant(0.0)?, g.constant(NEVER)?);
    g.select(condition, zero, never)
}

impl Ctc {
    fn states(&self, g: &mut Graph, target: Value) -> Result<States, GraphError> {
        let dims = g.shape(target).dims().to_vec();
        let (batch, longest) = (dims[0], dims[1]);
        let count = 2 * longest + 1;
        let labels = g.cast(target, DType::F32)?;
        let (blank, zero) = (g.constant(self.blank as f32)?, g.constant(0.0)?);
        let other = g.ne(labels, blank)?;
        let known = g.ge(labels, zero)?;
        let counts = g.mul(known, other)?;
        let lengths = g.sum(counts, &[1], true)?;
        let labels = g.select(counts, labels, blank)?;
        let labels = g.reshape(labels, &[batch, longest, 1])?;
        let blanks = g.broadcast(blank, &[batch, longest, 1])?;
        let pairs = g.concat(&[blanks, labels], 2)?;
        let pairs = g.reshape(pairs, &[batch, 2 * longest])?;
        let last = g.broadcast(blank, &[batch, 1])?;
        let classes = g.concat(&[pairs, last], 1)?;
        // A label may follow another label that is not the same.
        let nothing = g.broadcast(blank, &[batch, 2])?;
        let before = match count {
            1 => g.broadcast(blank, &[batch, 1])?,
            _ => {
                let before = g.slice(classes, &[0, 0], &[batch, count - 2])?;
                g.concat(&[nothing, before], 1)?
            }
        };
        let label = g.ne(classes, blank)?;
        let differs = g.ne(classes, before)?;
        let skip = g.mul(label, differs)?;
        let skip = only(g, skip)?;
        let numbers: Vec<f32> = (0..count).map(|state| state as f32).collect();
        let numbers = g.constant_tensor(&[1, count], &numbers)?;
        let whole = g.scale(lengths, 2.0)?;
        let least = g.offset(whole, -1.0)?;
        let (at_most, at_least) = (g.le(numbers, whole)?, g.ge(numbers, least)?);
        let end = g.mul(at_most, at_least)?;
        let end = only(g, end)?;
        Ok(States { classes, skip, end })
    }

    /// The logarithms of the probabilities `[batch]`, of those of classes `[batch, steps, classes]`.
    fn log_probabilities(
        &self,
        g: &mut Graph,
        logs: Value,
        states: &States,
        steps_of: Option<Value>,
    ) -> Result<Value, GraphError> {
        let dims = g.shape(logs).dims().to_vec();
        let (batch, steps, classes) = (dims[0], dims[1], dims[2]);
        let count = g.shape(states.classes).dims()[1];
        // What each step says of each state, by a product with ones where a state has the class.
        let names: Vec<f32> = (0..classes).map(|class| class as f32).collect();
        let names = g.constant_tensor(&[1, classes, 1], &names)?;
        let wide = g.reshape(states.classes, &[batch, 1, count])?;
        let own = g.eq(names, wide)?;
        let said = g.matmul(logs, own)?;
        let first: Vec<f32> = (0..count).map(|i| if i < 2 { 0.0 } else { NEVER }).collect();
        let first = g.constant_tensor(&[1, count], &first)?;
        let mut alpha = None;
        for step in 0..steps {
            let now = g.slice(said, &[0, step, 0], &[batch, step + 1, count])?;
            let now = g.reshape(now, &[batch, count])?;
            alpha = Some(match alpha {
                None => g.add(now, first)?,
                Some(last) => {
                    let next = follow(g, last, states.skip)?;
                    let next = g.add(next, now)?;
                    match steps_of {
                        None => next,
                        Some(steps_of) => {
                            let step = g.constant(step as f32)?;
                            let counts = g.lt(step, steps_of)?;
                            g.select(counts, next, last)?
                        }
                    }
                }
            });
        }
        let alpha = alpha.unwrap_or(first);
        let ends = g.add(alpha, states.end)?;
        let largest = g.max_over(ends, &[1], true)?;
        let rest = g.sub(ends, largest)?;
        let rest = g.exp(rest)?;
        let sum = g.sum(rest, &[1], true)?;
        let sum = g.log(sum)?;
        let log = g.add(largest, sum)?;
        g.reshape(log, &[batch])
    }
}

/// `log(e^x_s + e^x_(s-1) + e^x_(s-2))`, the last where `skip` allows it, of states `x [batch, states]`.
fn follow(g: &mut Graph, x: Value, skip: Value) -> Result<Value, GraphError> {
    let dims = g.shape(x).dims().to_vec();
    let (batch, count) = (dims[0], dims[1]);
    if count == 1 {
        return Ok(x);
    }
    let never = g.constant(NEVER)?;
    let [one, two] = [1, 2].map(|by| -> Result<Value, GraphError> {
        let nothing = g.broadcast(never, &[batch, by])?;
        let rest = g.slice(x, &[0, 0], &[batch, count - by])?;
        g.concat(&[nothing, rest], 1)
    });
    let (one, two) = (one?, g.add(two?, skip)?);
    let largest = g.max(x, one)?;
    let largest = g.max(largest, two)?;
    let mut sum = None;
    for part in [x, one, two] {
        let rest = g.sub(part, largest)?;
        let rest = g.exp(rest)?;
        sum = Some(match sum {
            None => rest,
            Some(sum) => g.add(sum, rest)?,
        });
    }
    let sum = g.log(sum.unwrap_or(x))?;
    g.add(largest, sum)
}
