//! Rewrites before planning: what can be done as a whole gets its name back, dead nodes go, equal nodes
//! become one, arithmetic with 0 and 1 disappears, and sums that follow from others are not taken
//! (`sums.rs`), parts of a gradient are put together (`joined.rs`, `slopes.rs`). Automatic differentiation leaves
//! much of that behind.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::graph::{Composite, Graph, GraphError, Named, Node, Value};
use crate::lower::StepGraph;
use crate::ops::{Binary, Constant, Op, Reduce, ReduceKind, Slice, Unary, keeps_channels};

/// One rewrite makes room for another, but seldom for a third: a step that still changes after so many
/// rounds is planned as it is, which costs time and never the result.
const MOST_ROUNDS: usize = 8;

/// A smaller graph that computes the same, rewritten until nothing changes.
pub(super) fn simplify(step: &StepGraph) -> Result<StepGraph, GraphError> {
    let (mut step, mut changed) = rewrite(step)?;
    for _ in 1..MOST_ROUNDS {
        if !changed {
            break;
        }
        (step, changed) = rewrite(&step)?;
    }
    Ok(step)
}

/// One round, and whether it has changed something.
fn rewrite(step: &StepGraph) -> Result<(StepGraph, bool), GraphError> {
    let roots = step.writes.iter().chain(&step.reports).chain(&step.outputs);
    let targets: Vec<Value> = roots.map(|named| named.value).collect();
    let live = step.graph.live(&targets);
    let uses = uses(&step.graph, &targets, &live);
    let mut rewriter = Rewriter::default();
    let mut map: Vec<Option<Value>> = vec![None; step.graph.nodes().len()];
    let composites: HashMap<Value, &Composite> =
        step.graph.composites().iter().map(|composite| (composite.value, composite)).collect();
    for value in step.graph.values() {
        // Leaves stay even when nothing reads them: they are the program's interface.
        let node = step.graph.node(value);
        if !live[value.index()] && !matches!(node.op, Op::Leaf(_)) {
            rewriter.changed = true;
            continue;
        }
        let mapped = |inputs: &[Value]| -> Vec<Value> {
            inputs.iter().filter_map(|i| map[i.index()]).collect()
        };
        let whole =
            composites.get(&value).map(|composite| (&composite.op, mapped(&composite.inputs)));
        let whole = whole.filter(|(op, inputs)| rewriter.is_worth_a_name(op, inputs));
        rewriter.changed |= whole.is_some();
        let (op, inputs) = whole.unwrap_or_else(|| (&node.op, mapped(&node.inputs)));
        rewriter.graph.begin(node.phase);
        let new = rewriter.add(op, &inputs, node.label.as_deref())?;
        rewriter.uses(new, uses[value.index()]);
        map[value.index()] = Some(new);
    }
    let rename = |named: &[Named]| {
        let renamed = named
            .iter()
            .filter_map(|n| map[n.value.index()].map(|value| Named::new(n.name.clone(), value)));
        renamed.collect::<Vec<_>>()
    };
    let (writes, reports) = (rename(&step.writes), rename(&step.reports));
    let outputs = rename(&step.outputs);
    let changed = rewriter.changed;
    Ok((StepGraph { graph: rewriter.graph, writes, reports, outputs }, changed))
}

/// How often each value is read, by what is needed and from outside.
fn uses(graph: &Graph, targets: &[Value], live: &[bool]) -> Vec<usize> {
    let mut uses = vec![0; live.len()];
    let needed = graph.values().filter(|value| live[value.index()]);
    let inputs = needed.flat_map(|value| &graph.node(value).inputs);
    inputs.chain(targets).for_each(|value| uses[value.index()] += 1);
    uses
}

#[derive(Default)]
pub(super) struct Rewriter {
    pub(super) graph: Graph,
    /// Nodes by the hash of their op and operands.
    known: HashMap<u64, Vec<Value>>,
    /// How often what each stands for was read before.
    uses: Vec<usize>,
    /// Whether anything has become something else.
    changed: bool,
}

impl Rewriter {
    /// The node, or one that is there and is equal to it.
    pub(super) fn add(
        &mut self,
        op: &Op,
        inputs: &[Value],
        label: Option<&str>,
    ) -> Result<Value, GraphError> {
        if let Some(value) = self.identity(op, inputs) {
            self.changed = true;
            return Ok(value);
        }
        if let (Op::Reduce(reduce), &[x]) = (op, inputs)
            && let Some(value) = self.cheaper_sum(reduce, x, label)?
        {
            self.changed = true;
            return Ok(value);
        }
        if let (Op::Binary(Binary::Add), &[a, b]) = (op, inputs) {
            let value = match self.joined([a, b], label)? {
                Some(value) => Some(value),
                None => self.with_common_factor([a, b], label)?,
            };
            if let Some(value) = value {
                self.changed = true;
                return Ok(value);
            }
        }
        let (op, inputs) = match self.fold(op, inputs) {
            Some(constant) => {
                self.changed = true;
                (Op::Constant(constant), &[][..])
            }
            None => (op.clone(), inputs),
        };
        if let Some(value) = self.find(&op, inputs) {
            self.changed = true;
            return Ok(value);
        }
        let key = key(&op, inputs);
        let value = self.graph.push(op, inputs)?;
        if let Some(label) = label {
            self.graph.label(value, label);
        }
        self.known.entry(key).or_default().push(value);
        Ok(value)
    }

    /// Notes that what a value stands for was read so often.
    fn uses(&mut self, value: Value, uses: usize) {
        let count = self.uses.len().max(value.index() + 1);
        self.uses.resize(count, 0);
        self.uses[value.index()] += uses;
    }

    /// Whether a value is read more than once.
    pub(super) fn is_shared(&self, value: Value) -> bool {
        self.uses.get(value.index()).is_some_and(|&uses| uses > 1)
    }

    /// A node that was added before.
    pub(super) fn find(&self, op: &Op, inputs: &[Value]) -> Option<Value> {
        let is_same = |&&value: &&Value| {
            let node = self.graph.node(value);
            node.inputs == inputs && node.op == *op
        };
        self.known.get(&key(op, inputs))?.iter().find(is_same).copied()
    }

    /// Whether a composite stays one: the moments of what a convolution computes, which it can take on the
    /// way. Other variances are better as elementwise code, which fuses with that around it.
    fn is_worth_a_name(&self, op: &Op, inputs: &[Value]) -> bool {
        let (Op::Variance(variance), &[x, mean]) = (op, inputs) else { return false };
        let Op::Conv(conv) = self.graph.op(x) else { return false };
        let wanted = Reduce { kind: ReduceKind::Mean, axes: variance.axes.clone() };
        conv.window.groups == 1
            && keeps_channels(&variance.axes, self.graph.shape(x))
            && self.graph.op(mean) == &Op::Reduce(wanted)
            && self.graph.node(mean).inputs == [x]
    }

    /// The operand that the op would only copy.
    fn identity(&self, op: &Op, inputs: &[Value]) -> Option<Value> {
        let number = |value| self.number(value);
        match (op, inputs) {
            (Op::Binary(Binary::Add), &[a, b]) if number(b) == Some(0.0) => Some(a),
            (Op::Binary(Binary::Add), &[a, b]) if number(a) == Some(0.0) => Some(b),
            (Op::Binary(Binary::Sub), &[a, b]) if number(b) == Some(0.0) => Some(a),
            (Op::Binary(Binary::Mul | Binary::Div), &[a, b]) if number(b) == Some(1.0) => Some(a),
            (Op::Binary(Binary::Mul), &[a, b]) if number(a) == Some(1.0) => Some(b),
            (Op::Unary(Unary::Neg), &[x]) => match self.graph.node(x) {
                node if node.op == Op::Unary(Unary::Neg) => node.inputs.first().copied(),
                _ => None,
            },
            // Gradients have been taken by now.
            (Op::Detach(_), &[x]) => Some(x),
            (Op::Reshape(reshape), &[x]) if &reshape.shape == self.graph.shape(x) => Some(x),
            (Op::Slice(slice), &[x]) if slice_is_whole(slice, self.graph.shape(x).dims()) => {
                Some(x)
            }
            (Op::Pad(pad), &[x]) if pad.low.iter().chain(&pad.high).all(|&n| n == 0) => Some(x),
            // The gradient of a part of which only that part is used.
            (Op::Slice(slice), &[x]) => match self.graph.node(x) {
                Node { op: Op::Pad(pad), inputs, .. } if pad.low == slice.start => {
                    let inner = inputs.first().copied()?;
                    let ends = slice.start.iter().zip(&slice.end).map(|(start, end)| end - start);
                    ends.eq(self.graph.shape(inner).dims().iter().copied()).then_some(inner)
                }
                _ => None,
            },
            (Op::Reduce(reduce), &[x]) => {
                let dims = self.graph.shape(x).dims();
                reduce.axes.iter().all(|&axis| dims[axis] == 1).then_some(x)
            }
            _ => None,
        }
    }

    /// The number that a value repeats, if it repeats one known at compile time.
    pub(super) fn number(&self, value: Value) -> Option<f32> {
        let node = self.graph.node(value);
        match &node.op {
            Op::Constant(constant) => constant.as_scalar(),
            Op::Broadcast(_) | Op::Reshape(_) => self.number(*node.inputs.first()?),
            _ => None,
        }
    }

    /// The result of arithmetic between scalar constants.
    fn fold(&self, op: &Op, inputs: &[Value]) -> Option<Constant> {
        let scalar = |value: Value| match self.graph.op(value) {
            Op::Constant(constant) => constant.as_scalar().map(f64::from),
            _ => None,
        };
        let result = match (op, inputs) {
            (Op::Unary(unary), &[x]) => unary.apply(scalar(x)?),
            (Op::Binary(binary), &[a, b]) => binary.apply(scalar(a)?, scalar(b)?),
            _ => return None,
        };
        Some(Constant::scalar(result as f32))
    }
}

/// Whether a slice takes all there is.
fn slice_is_whole(slice: &Slice, dims: &[usize]) -> bool {
    slice.start.iter().all(|&start| start == 0) && slice.end == dims
}

fn key(op: &Op, inputs: &[Value]) -> u64 {
    let mut hasher = DefaultHasher::new();
    (op, inputs).hash(&mut hasher);
    hasher.finish()
}
