//! From a program to one explicit graph of the whole step: forward, loss, backward, update. For
//! executors whose platform does not differentiate by itself.

use std::collections::HashMap;

use crate::autodiff::gradients;
use crate::error::{EngineError, GraphError};
use crate::graph::{Graph, Phase, Value};
use crate::mode::Mode;
use crate::ops::{Leaf, LeafKind};
use crate::program::{Named, ParameterGroup, Program};
use crate::state::{StateLayout, optimizer_buffer, parameter_buffer, weights_buffers};
use crate::ticket::MAX_REPORTS;
use crate::update::{GroupUpdate, UpdateGraph};

/// One graph for a whole step. Its state leaves are whole buffers of the state table.
#[derive(Clone, Debug)]
pub struct StepGraph {
    /// The graph.
    pub graph: Graph,
    /// New contents of state buffers, by the buffer's name.
    pub writes: Vec<Named>,
    /// Scalars for the ticket: the loss first.
    pub reports: Vec<Named>,
    /// Values to be read after the step.
    pub outputs: Vec<Named>,
}

impl StepGraph {
    /// Lowers a program whose state lies as in `layout`.
    ///
    /// # Errors
    /// The program lacks a loss or an update rule that its mode needs, an op on the way to the
    /// loss has no gradient, or the layout lacks a tensor.
    pub fn new(program: &Program, layout: &StateLayout) -> Result<Self, EngineError> {
        let mut lowering = Lowering::begin(program, layout)?;
        if program.mode == Mode::Train {
            lowering.train()?;
        }
        let step = lowering.step;
        if step.reports.len() > MAX_REPORTS {
            let got = step.reports.len();
            return Err(EngineError::TooManyReports { most: MAX_REPORTS, got });
        }
        Ok(step)
    }
}

struct Lowering<'a> {
    program: &'a Program,
    step: StepGraph,
    /// The new value of each node of the program's graph.
    map: Vec<Value>,
}

impl<'a> Lowering<'a> {
    /// Copies the forward graph with its parameters cut from their groups' buffers.
    fn begin(program: &'a Program, layout: &StateLayout) -> Result<Self, EngineError> {
        let mut graph = Graph::new();
        let mut cut = HashMap::new();
        let buffers = weights_buffers(&program.groups, layout, program.weights.as_deref())?;
        for (group, buffer) in program.groups.iter().zip(&buffers) {
            let flat = graph.state(buffer, &[group.elements()])?;
            for (parameter, range) in group.ranges() {
                layout.entry(&parameter.name)?;
                let part = graph.slice_axis(flat, 0, range.start, range.end)?;
                cut.entry(parameter.name.as_str())
                    .or_insert(graph.reshape(part, parameter.shape.dims())?);
            }
        }
        let parameter = |leaf: &Leaf| {
            let is_parameter = leaf.kind == LeafKind::Parameter;
            is_parameter.then(|| cut.get(leaf.name.as_str()).copied()).flatten()
        };
        let map = graph.splice(&program.graph, parameter)?;
        if let Some((name, _)) = graph.leaves(LeafKind::Parameter).next() {
            return Err(EngineError::UnknownState { name: name.to_owned() });
        }
        let at = |named: &Named| Named::new(named.name.clone(), map[named.value.index()]);
        let loss = program.loss.map(|loss| Named::new("loss", map[loss.index()]));
        let reports = loss.into_iter().chain(program.reports.iter().map(at)).collect();
        let outputs = program.outputs.iter().map(at).collect();
        let step = StepGraph { graph, writes: Vec::new(), reports, outputs };
        Ok(Lowering { program, step, map })
    }

    fn train(&mut self) -> Result<(), EngineError> {
        let missing = |missing| EngineError::Incomplete { mode: "train", missing };
        let update = self.program.update.clone().ok_or_else(|| missing("an update rule"))?;
        let loss = self.program.loss.ok_or_else(|| missing("a loss"))?;
        if let Some(kind) = &self.program.weights {
            return Err(EngineError::NoWeights { kind: kind.clone() });
        }
        // What the update says nothing of is frozen.
        let by_group: HashMap<&str, &GroupUpdate> =
            update.groups.iter().rev().map(|u| (u.group.as_str(), u)).collect();
        let learned = self.program.groups.iter();
        let learned: Vec<(&ParameterGroup, &GroupUpdate)> = learned
            .filter_map(|group| Some((group, *by_group.get(group.name.as_str())?)))
            .collect();
        self.step.graph.begin(Phase::Backward);
        let flat = self.flat_gradients(self.map[loss.index()], &learned)?;
        self.step.graph.begin(Phase::Update);
        self.apply_update(&update, &learned, &flat)?;
        for state in &self.program.state_updates {
            let value = self.map[state.value.index()];
            self.step.writes.push(Named::new(state.name.clone(), value));
        }
        Ok(())
    }

    /// The gradient of each group as one vector, in the order of the group's parameters.
    fn flat_gradients(
        &mut self,
        loss: Value,
        learned: &[(&ParameterGroup, &GroupUpdate)],
    ) -> Result<Vec<Value>, EngineError> {
        let graph = &mut self.step.graph;
        let parameters: Vec<_> = learned.iter().flat_map(|(g, _)| &g.parameters).collect();
        let mut targets = Vec::with_capacity(parameters.len());
        for parameter in &parameters {
            // A parameter that the forward graph does not use has no node there.
            let used = self.program.graph.find_leaf(&parameter.name);
            targets.push(used.map(|v| self.map[v.index()]));
        }
        let used: Vec<Value> = targets.iter().copied().flatten().collect();
        let mut grads = gradients(graph, loss, &used)?.into_iter();
        let mut flat = Vec::new();
        let mut targets = targets.into_iter();
        for (group, _) in learned {
            let mut parts = Vec::new();
            for parameter in &group.parameters {
                let grad = match targets.next().flatten().and_then(|_| grads.next()) {
                    Some(grad) => grad,
                    None => zeros(graph, parameter.shape.dims())?,
                };
                if self.program.keep_gradients {
                    let name = format!("grad.{}", parameter.name);
                    self.step.outputs.push(Named::new(name, grad));
                }
                parts.push(graph.reshape(grad, &[parameter.shape.elements()])?);
            }
            let gradient = match parts.is_empty() {
                true => zeros(graph, &[0])?,
                false => graph.concat(&parts, 0)?,
            };
            graph.label(gradient, &format!("gradient of group {}", group.name));
            flat.push(gradient);
        }
        Ok(flat)
    }

    fn apply_update(
        &mut self,
        update: &UpdateGraph,
        learned: &[(&ParameterGroup, &GroupUpdate)],
        flat: &[Value],
    ) -> Result<(), EngineError> {
        let mut substitutes = Vec::new();
        for ((group, updates), &gradient) in learned.iter().zip(flat) {
            self.group_leaves(group, updates, gradient, &mut substitutes)?;
        }
        for shared in &update.shared {
            let dims = update.graph.shape(shared.old).dims();
            substitutes.push((shared.old, self.step.graph.state(&shared.name, dims)?));
        }
        let leaf_name = |value: Value| match update.graph.op(value) {
            crate::ops::Op::Leaf(leaf) => leaf.name.clone(),
            _ => String::new(),
        };
        // The first of a name counts.
        let named: HashMap<String, Value> =
            substitutes.into_iter().rev().map(|(leaf, value)| (leaf_name(leaf), value)).collect();
        // Scalars may stand in the forward graph already.
        let scalars: HashMap<String, Value> = self
            .step
            .graph
            .leaves(LeafKind::Scalar)
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        let map = self.step.graph.splice(&update.graph, |leaf| {
            let known = if leaf.kind == LeafKind::Scalar { &scalars } else { &named };
            known.get(&leaf.name).copied()
        })?;
        for group in &update.groups {
            let buffer = parameter_buffer(&group.group);
            self.step.writes.push(Named::new(buffer, map[group.new_parameter.index()]));
            for state in &group.states {
                let buffer = optimizer_buffer(&state.kind, &group.group);
                self.step.writes.push(Named::new(buffer, map[state.new.index()]));
            }
        }
        for shared in &update.shared {
            self.step.writes.push(Named::new(shared.name.clone(), map[shared.new.index()]));
        }
        let reports = update.reports.iter();
        self.step.reports.extend(reports.map(|r| Named::new(r.name.clone(), map[r.value.index()])));
        Ok(())
    }

    /// What stands for each leaf of a group's update.
    fn group_leaves(
        &mut self,
        group: &ParameterGroup,
        update: &GroupUpdate,
        gradient: Value,
        substitutes: &mut Vec<(Value, Value)>,
    ) -> Result<(), GraphError> {
        let graph = &mut self.step.graph;
        let name = parameter_buffer(&update.group);
        let parameter = graph
            .find_leaf(&name)
            .ok_or(GraphError::UnknownLeaf { name, known: "no such group".into() })?;
        substitutes.push((update.parameter, parameter));
        substitutes.push((update.gradient, gradient));
        for state in &update.states {
            let dims = [state.shape.elements(group)];
            let leaf = graph.state(&optimizer_buffer(&state.kind, &update.group), &dims)?;
            substitutes.push((state.old, leaf));
        }
        Ok(())
    }
}

fn zeros(graph: &mut Graph, dims: &[usize]) -> Result<Value, GraphError> {
    let zero = graph.constant(0.0)?;
    graph.broadcast(zero, dims)
}
