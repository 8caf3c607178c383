//! The engine's plain f64 evaluator as a [`Subject`]: it trains a program step by step, with the
//! gradients by the engine's autodiff and the update by the optimizer's own graph.

use std::collections::BTreeMap;

use onestep_engine::reference::{Array, Context, evaluate};
use onestep_engine::{
    Graph, GraphError, GroupUpdate, ParameterGroup, Program, Shape, StateShape, UpdateGraph, Value,
    gradients,
};

use crate::error::ConformanceError;
use crate::subject::{Outcome, Run, Subject, Tensors};

/// What a program means, in f64.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reference;

impl Subject for Reference {
    fn name(&self) -> String {
        "f64 reference".to_owned()
    }

    fn run(&self, run: &Run) -> Result<Outcome, ConformanceError> {
        let trained = Trained::new(&run.program)?;
        let mut leaves = run.initial.clone();
        let mut optimizer = initial_optimizer_state(run)?;
        let mut outcome = Outcome::default();
        for (i, feeds) in run.steps.iter().enumerate() {
            for (name, array) in &feeds.inputs {
                leaves.insert(name.clone(), array.clone());
            }
            for (name, &number) in &feeds.scalars {
                leaves.insert(name.clone(), scalar(f64::from(number)));
            }
            leaves.insert("step".to_owned(), scalar((run.first_step + i as u64) as f64));
            let context = Context { seed: run.seed, step: run.first_step + i as u64 };
            let mut step = trained.step(&leaves, &context)?;
            if let Some(update) = run.program.update.as_deref() {
                apply(
                    update,
                    &run.program.groups,
                    &mut step,
                    &mut leaves,
                    &mut optimizer,
                    &context,
                )?;
            }
            for named in &run.program.state_updates {
                if let Some(new) = step.remove(&format!("state.{}", named.name)) {
                    leaves.insert(named.name.clone(), new);
                }
            }
            note_parameters(&run.program, &leaves, &mut step);
            outcome.steps.push(step);
        }
        note_parameters(&run.program, &leaves, &mut outcome.last);
        for named in &run.program.state_updates {
            outcome.last.insert(format!("state.{}", named.name), leaves[&named.name].clone());
        }
        outcome.last.extend(split_optimizer_state(&run.program, &optimizer));
        Ok(outcome)
    }
}

/// A scalar array.
pub(crate) fn scalar(number: f64) -> Array {
    Array { shape: Shape::scalar(), data: vec![number] }
}

fn note_parameters(program: &Program, leaves: &Tensors, into: &mut BTreeMap<String, Array>) {
    for parameter in program.groups.iter().flat_map(|g| &g.parameters) {
        if let Some(array) = leaves.get(&parameter.name) {
            into.insert(format!("param.{}", parameter.name), array.clone());
        }
    }
}

/// A forward graph with its gradients, and what to read from it.
struct Trained {
    graph: Graph,
    names: Vec<String>,
    values: Vec<Value>,
}

impl Trained {
    fn new(program: &Program) -> Result<Self, GraphError> {
        let mut graph = program.graph.clone();
        let mut named: Vec<(String, Value)> = Vec::new();
        for n in program.outputs.iter().chain(&program.reports) {
            named.push((n.name.clone(), n.value));
        }
        for n in &program.state_updates {
            named.push((format!("state.{}", n.name), n.value));
        }
        if let Some(loss) = program.loss {
            named.push(("loss".to_owned(), loss));
            if program.keep_gradients || program.update.is_some() {
                named.extend(gradient_values(&mut graph, loss, program)?);
            }
        }
        let (names, values) = named.into_iter().unzip();
        Ok(Trained { graph, names, values })
    }

    fn step(
        &self,
        leaves: &Tensors,
        context: &Context,
    ) -> Result<BTreeMap<String, Array>, GraphError> {
        let arrays = evaluate(&self.graph, leaves, context, &self.values)?;
        Ok(self.names.iter().cloned().zip(arrays).collect())
    }
}

fn gradient_values(
    graph: &mut Graph,
    loss: Value,
    program: &Program,
) -> Result<Vec<(String, Value)>, GraphError> {
    let mut names = Vec::new();
    let mut leaves = Vec::new();
    for parameter in program.groups.iter().flat_map(|g| &g.parameters) {
        let leaf = graph.find_leaf(&parameter.name).ok_or_else(|| GraphError::UnknownLeaf {
            name: parameter.name.clone(),
            known: String::new(),
        })?;
        names.push(format!("grad.{}", parameter.name));
        leaves.push(leaf);
    }
    Ok(names.into_iter().zip(gradients(graph, loss, &leaves)?).collect())
}

/// The optimizer's state by the name of its leaf in the update graph.
fn initial_optimizer_state(run: &Run) -> Result<Tensors, ConformanceError> {
    let mut result = Tensors::new();
    let Some(update) = run.program.update.as_deref() else { return Ok(result) };
    let filled = |leaf: Value, initial: f32| {
        let shape = update.graph.shape(leaf).clone();
        let data = vec![f64::from(initial); shape.elements()];
        Array::new(shape, data)
    };
    for (rule, group) in with_groups(update, &run.program.groups) {
        for state in &rule.states {
            let array = match state.shape {
                StateShape::Copy => flatten(group, |name| run.initial.get(name))?,
                _ => filled(state.old, state.initial)?,
            };
            result.insert(leaf_name(&update.graph, state.old)?, array);
        }
    }
    for shared in &update.shared {
        result.insert(shared.name.clone(), filled(shared.old, shared.initial)?);
    }
    Ok(result)
}

fn leaf_name(graph: &Graph, leaf: Value) -> Result<String, GraphError> {
    match graph.op(leaf) {
        onestep_engine::ops::Op::Leaf(leaf) => Ok(leaf.name.clone()),
        other => Err(GraphError::shape("update graph", "a leaf", other)),
    }
}

/// Runs the update graph on the flat buffers of all groups.
fn apply(
    update: &UpdateGraph,
    groups: &[ParameterGroup],
    step: &mut BTreeMap<String, Array>,
    leaves: &mut Tensors,
    optimizer: &mut Tensors,
    context: &Context,
) -> Result<(), ConformanceError> {
    let mut flat = optimizer.clone();
    for (_, value) in update.graph.leaves(onestep_engine::ops::LeafKind::Scalar) {
        let name = leaf_name(&update.graph, value)?;
        if let Some(array) = leaves.get(&name) {
            flat.insert(name, array.clone());
        }
    }
    for (rule, group) in with_groups(update, groups) {
        let parameters = flatten(group, |name| leaves.get(name))?;
        let gradients = flatten(group, |name| step.get(&format!("grad.{name}")))?;
        flat.insert(leaf_name(&update.graph, rule.parameter)?, parameters);
        flat.insert(leaf_name(&update.graph, rule.gradient)?, gradients);
    }
    let reports: Vec<Value> = update.reports.iter().map(|n| n.value).collect();
    for (named, array) in
        update.reports.iter().zip(evaluate(&update.graph, &flat, context, &reports)?)
    {
        step.insert(named.name.clone(), array);
    }
    let shared: Vec<Value> = update.shared.iter().map(|shared| shared.new).collect();
    let new = evaluate(&update.graph, &flat, context, &shared)?;
    optimizer.extend(update.shared.iter().map(|shared| shared.name.clone()).zip(new));
    for (rule, group) in with_groups(update, groups) {
        let mut targets = vec![rule.new_parameter];
        targets.extend(rule.states.iter().map(|s| s.new));
        let mut arrays = evaluate(&update.graph, &flat, context, &targets)?.into_iter();
        if let Some(parameters) = arrays.next() {
            leaves.extend(unflatten(group, StateShape::Element, &parameters));
        }
        for (state, array) in rule.states.iter().zip(arrays) {
            optimizer.insert(leaf_name(&update.graph, state.old)?, array);
        }
    }
    Ok(())
}

fn with_groups<'a>(
    update: &'a UpdateGraph,
    groups: &'a [ParameterGroup],
) -> impl Iterator<Item = (&'a GroupUpdate, &'a ParameterGroup)> {
    update.groups.iter().filter_map(|u| Some((u, groups.iter().find(|g| g.name == u.group)?)))
}

/// The tensors of a group, one behind the other.
fn flatten<'a>(
    group: &ParameterGroup,
    find: impl Fn(&str) -> Option<&'a Array>,
) -> Result<Array, ConformanceError> {
    let mut data = Vec::with_capacity(group.elements());
    for parameter in &group.parameters {
        let array = find(&parameter.name).ok_or_else(|| ConformanceError::Missing {
            case: group.name.clone(),
            missing: format!("tensor for `{}`", parameter.name),
        })?;
        data.extend_from_slice(&array.data);
    }
    let shape = Shape::new(&[data.len()]).map_err(GraphError::from)?;
    Ok(Array { shape, data })
}

/// What is kept for the tensors of a group out of its flat buffer, by the tensors' names.
fn unflatten<'a>(
    group: &'a ParameterGroup,
    kept: StateShape,
    flat: &'a Array,
) -> impl Iterator<Item = (String, Array)> + 'a {
    let mut start = 0;
    group.parameters.iter().filter_map(move |parameter| {
        let shape = kept.of(&parameter.shape)?;
        let end = start + shape.elements();
        let data = flat.data[start..end].to_vec();
        start = end;
        Some((parameter.name.clone(), Array { shape, data }))
    })
}

/// The optimizer's state by kind and parameter, such as `exp_avg.conv1.weight`.
fn split_optimizer_state(program: &Program, optimizer: &Tensors) -> BTreeMap<String, Array> {
    let mut result = BTreeMap::new();
    let Some(update) = program.update.as_deref() else { return result };
    for (rule, group) in with_groups(update, &program.groups) {
        for state in &rule.states {
            let name = leaf_name(&update.graph, state.old).unwrap_or_default();
            if let Some(flat) = optimizer.get(&name) {
                let tensors = unflatten(group, state.shape, flat);
                result.extend(tensors.map(|(name, a)| (format!("{}.{name}", state.kind), a)));
            }
        }
    }
    let shared = update.shared.iter().filter_map(|s| optimizer.get_key_value(&s.name));
    result.extend(shared.map(|(name, array)| (name.clone(), array.clone())));
    result
}
