//! Updates of a table whose gradient is known by rows: those of the rows that have one, where the rule leaves the
//! others as they are. What a rule does with a gradient of 0 is read off its graph; where that is nothing, the
//! rows without a gradient need not be touched, and no gradient of the whole table is needed.

use std::collections::HashMap;

use crate::graph::{Graph, GraphError, Named, Value};
use crate::ops::{Binary, Broadcast, Op, Reduce, ReduceKind};
use crate::update::{GroupUpdate, SharedUpdate, StateUpdate, UpdateGraph};
use onestep_memory::Shape;

/// What a value of the update is where the gradient is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AtZero {
    Zero,
    /// What a leaf was before the step.
    Old(Value),
    Other,
}

/// What a value of the update is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The same whichever rows there are, once sums over them have been taken.
    Plain,
    /// A number for each element of a group, which depends on that element alone.
    Elements { group: usize, at_zero: AtZero },
}

/// The update with the vectors of some groups replaced by shorter ones, `elements` of each group that has any:
/// of the rows with a gradient alone. Says of which groups that gives the same.
pub(crate) fn by_rows(
    update: &UpdateGraph,
    elements: &[Option<usize>],
) -> Result<(UpdateGraph, Vec<bool>), GraphError> {
    let mut chosen: Vec<bool> = elements.iter().map(Option::is_some).collect();
    loop {
        let kinds = match classify(update, &chosen) {
            Ok(kinds) => kinds,
            Err(group) => {
                chosen[group] = false;
                continue;
            }
        };
        let changed = |&group: &usize| {
            chosen[group] && !update.groups[group].lazy && !keeps(&update.groups[group], &kinds)
        };
        if let Some(group) = (0..chosen.len()).find(changed) {
            chosen[group] = false;
            continue;
        }
        if !chosen.contains(&true) {
            return Ok((update.clone(), chosen));
        }
        return Ok((shorten(update, &kinds, elements)?, chosen));
    }
}

/// Whether an element without a gradient stays as it is, and what is kept for it.
fn keeps(group: &GroupUpdate, kinds: &[Kind]) -> bool {
    let stays = |old: Value, new: Value| match kinds[new.index()] {
        Kind::Elements { at_zero, .. } => at_zero == AtZero::Old(old),
        Kind::Plain => false,
    };
    let states = group.states.iter().map(|state| (state.old, state.new));
    states.chain([(group.parameter, group.new_parameter)]).all(|(old, new)| stays(old, new))
}

/// What each value is, or a group of which something is made that needs the whole of it.
fn classify(update: &UpdateGraph, chosen: &[bool]) -> Result<Vec<Kind>, usize> {
    let graph = &update.graph;
    let mut leaves: HashMap<Value, Kind> = HashMap::new();
    for (group, own) in update.groups.iter().enumerate().filter(|(group, _)| chosen[*group]) {
        let kind = |at_zero| Kind::Elements { group, at_zero };
        leaves.insert(own.gradient, kind(AtZero::Zero));
        let olds = own.states.iter().map(|state| state.old).chain([own.parameter]);
        leaves.extend(olds.map(|old| (old, kind(AtZero::Old(old)))));
    }
    let mut kinds: Vec<Kind> = Vec::with_capacity(graph.nodes().len());
    for value in graph.values() {
        let node = graph.node(value);
        let of = node.inputs.iter().find_map(|input| match kinds[input.index()] {
            Kind::Elements { group, .. } => Some(group),
            Kind::Plain => None,
        });
        let kind = match (leaves.get(&value), of) {
            (Some(kind), _) => *kind,
            (None, None) => Kind::Plain,
            (None, Some(group)) => made_of(graph, value, &kinds, group).ok_or(group)?,
        };
        kinds.push(kind);
    }
    Ok(kinds)
}

/// What an op makes of elements of a group; `None` where it is not known to be the same by rows.
fn made_of(graph: &Graph, value: Value, kinds: &[Kind], group: usize) -> Option<Kind> {
    let node = graph.node(value);
    let at_zero = |input: &Value| match kinds[input.index()] {
        Kind::Elements { at_zero, .. } => at_zero,
        Kind::Plain if number(graph, *input) == Some(0.0) => AtZero::Zero,
        Kind::Plain => AtZero::Other,
    };
    let fits = |input: &Value| match kinds[input.index()] {
        Kind::Elements { group: own, .. } => own == group,
        Kind::Plain => scalar_of(graph, *input).is_some(),
    };
    if let Op::Reduce(Reduce { kind: ReduceKind::Sum, axes }) = &node.op {
        let all = axes.len() == graph.shape(node.inputs[0]).rank();
        return (all && at_zero(&node.inputs[0]) == AtZero::Zero).then_some(Kind::Plain);
    }
    if !node.inputs.iter().all(fits) {
        return None;
    }
    let of: Vec<AtZero> = node.inputs.iter().map(at_zero).collect();
    let at_zero = match (&node.op, &of[..]) {
        (Op::Unary(op), [AtZero::Zero]) if op.apply(0.0) == 0.0 => AtZero::Zero,
        (Op::Binary(op), &[a, b]) => {
            let numbers = [node.inputs[0], node.inputs[1]].map(|input| number(graph, input));
            binary(*op, [a, b], numbers)
        }
        (Op::Select(_), &[_, a, b]) if a == b => a,
        (Op::Unary(_) | Op::Compare(_) | Op::Select(_) | Op::Cast(_), _) => AtZero::Other,
        _ => return None,
    };
    Some(Kind::Elements { group, at_zero })
}

fn binary(op: Binary, [a, b]: [AtZero; 2], [x, y]: [Option<f32>; 2]) -> AtZero {
    use AtZero::{Other, Zero};
    let beside = |other: Option<f32>, fits: fn(f32) -> bool| match other.is_some_and(fits) {
        true => Zero,
        false => Other,
    };
    match (op, a, b) {
        (Binary::Add, Zero, other) | (Binary::Add | Binary::Sub, other, Zero) => other,
        (Binary::Mul, Zero, _) | (Binary::Mul, _, Zero) | (Binary::Div, Zero, _) => Zero,
        (Binary::Max | Binary::Min, a, b) if a == b => a,
        (Binary::Max, Zero, Other) => beside(y, |y| y <= 0.0),
        (Binary::Max, Other, Zero) => beside(x, |x| x <= 0.0),
        (Binary::Min, Zero, Other) => beside(y, |y| y >= 0.0),
        (Binary::Min, Other, Zero) => beside(x, |x| x >= 0.0),
        _ => Other,
    }
}

/// The scalar that a value repeats.
fn scalar_of(graph: &Graph, value: Value) -> Option<Value> {
    let node = graph.node(value);
    match &node.op {
        _ if node.ty.shape.elements() == 1 => Some(value),
        Op::Broadcast(_) => scalar_of(graph, *node.inputs.first()?),
        _ => None,
    }
}

/// The number that a value repeats.
fn number(graph: &Graph, value: Value) -> Option<f32> {
    match graph.op(scalar_of(graph, value)?) {
        Op::Constant(constant) => constant.as_scalar(),
        _ => None,
    }
}

/// The same update of vectors of another length.
fn shorten(
    update: &UpdateGraph,
    kinds: &[Kind],
    elements: &[Option<usize>],
) -> Result<UpdateGraph, GraphError> {
    let (old, mut graph) = (&update.graph, Graph::new());
    let mut map: Vec<Value> = Vec::with_capacity(kinds.len());
    for value in old.values() {
        let node = old.node(value);
        let length = match kinds[value.index()] {
            Kind::Elements { group, .. } => elements[group],
            Kind::Plain => None,
        };
        let new = match (&node.op, length) {
            (Op::Leaf(leaf), _) => {
                let mut leaf = leaf.clone();
                if let Some(length) = length {
                    leaf.ty.shape = Shape::new(&[length])?;
                }
                graph.push_leaf(leaf)?
            }
            (op, None) => {
                let inputs: Vec<Value> = node.inputs.iter().map(|i| map[i.index()]).collect();
                graph.push(op.clone(), &inputs)?
            }
            (op, Some(length)) => {
                let mut inputs = Vec::with_capacity(node.inputs.len());
                for &input in &node.inputs {
                    inputs.push(match (kinds[input.index()], scalar_of(old, input)) {
                        (Kind::Plain, Some(scalar)) => {
                            let shape = Shape::new(&[length])?;
                            let scalar = graph.reshape(map[scalar.index()], &[])?;
                            graph.push(Op::Broadcast(Broadcast { shape }), &[scalar])?
                        }
                        _ => map[input.index()],
                    });
                }
                graph.push(op.clone(), &inputs)?
            }
        };
        map.push(new);
    }
    Ok(renamed(update, graph, |value| map[value.index()]))
}

fn renamed(update: &UpdateGraph, graph: Graph, at: impl Fn(Value) -> Value) -> UpdateGraph {
    let state = |state: &StateUpdate| StateUpdate {
        old: at(state.old),
        new: at(state.new),
        ..state.clone()
    };
    let groups = update.groups.iter().map(|group| GroupUpdate {
        parameter: at(group.parameter),
        gradient: at(group.gradient),
        new_parameter: at(group.new_parameter),
        states: group.states.iter().map(state).collect(),
        ..group.clone()
    });
    let shared = update.shared.iter().map(|shared| SharedUpdate {
        old: at(shared.old),
        new: at(shared.new),
        ..shared.clone()
    });
    let reports =
        update.reports.iter().map(|named| Named::new(named.name.clone(), at(named.value)));
    UpdateGraph {
        groups: groups.collect(),
        shared: shared.collect(),
        reports: reports.collect(),
        graph,
    }
}
