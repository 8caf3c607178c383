//! From a program to one explicit graph of the whole step: forward, loss, backward, update. For
//! executors whose platform does not differentiate by itself.

use std::collections::{HashMap, HashSet};

use onestep_memory::DType;

use crate::autodiff::gradients;
use crate::by_rows::by_rows;
use crate::error::EngineError;
use crate::graph::{Graph, GraphError, Named, Phase, Value};
use crate::mode::Mode;
use crate::ops::{Leaf, LeafKind};
use crate::parameters::ParameterGroup;
use crate::program::Program;
use crate::state::{
    ACCUMULATED, ACCUMULATED_WEIGHT, StateLayout, optimizer_buffer, parameter_buffer,
    weights_buffers,
};
use crate::ticket::MAX_REPORTS;
use crate::touched::{FoundRows, TouchedRows};
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
        if program.mode.trains() {
            lowering.train()?;
        }
        if program.mode != Mode::Evaluate {
            lowering.update_states();
        }
        let step = lowering.step;
        if step.reports.len() > MAX_REPORTS {
            let got = step.reports.len();
            return Err(EngineError::TooManyReports { most: MAX_REPORTS, got });
        }
        Ok(step)
    }

    /// The update of a program alone, for executors that compute gradients in another way: the gradient of
    /// each group is fed as `gradient.GROUP`, a vector in the order of the group's parameters.
    ///
    /// # Errors
    /// The program lacks an update rule, or the layout lacks a tensor.
    pub fn of_update(program: &Program, layout: &StateLayout) -> Result<Self, EngineError> {
        let mode = program.mode.doing();
        let missing = EngineError::Incomplete { mode, missing: "an update rule" };
        let update = program.update.clone().ok_or(missing)?;
        let mut graph = Graph::new();
        let mut learned = Vec::with_capacity(update.groups.len());
        for own in &update.groups {
            let Some(group) = program.groups.iter().find(|group| group.name == own.group) else {
                return Err(EngineError::UnknownState { name: own.group.clone() });
            };
            for parameter in &group.parameters {
                layout.entry(&parameter.name)?;
            }
            let dims = [group.elements()];
            let parameters = graph.state(&parameter_buffer(&group.name), &dims)?;
            let gradient = graph.input(&format!("gradient.{}", group.name), &dims, DType::F32)?;
            let gradients = Vec::new();
            learned.push(Learned {
                group,
                update: own,
                parameters,
                changed: None,
                gradients,
                gradient,
            });
        }
        graph.begin(Phase::Update);
        let (writes, reports, outputs) = Default::default();
        let step = StepGraph { graph, writes, reports, outputs };
        let mut lowering = Lowering { program, step, map: Vec::new(), buffers: Vec::new() };
        lowering.apply_update(&update, &learned)?;
        Ok(lowering.step)
    }
}

struct Lowering<'a> {
    program: &'a Program,
    step: StepGraph,
    /// The new value of each node of the program's graph.
    map: Vec<Value>,
    /// The buffer of each group's parameters.
    buffers: Vec<Value>,
}

/// A group that is updated.
struct Learned<'a> {
    group: &'a ParameterGroup,
    update: &'a GroupUpdate,
    /// The buffer of its parameters.
    parameters: Value,
    /// What the update starts from, where the forward pass has changed them: as one vector.
    changed: Option<Value>,
    /// The gradient of each parameter.
    gradients: Vec<Value>,
    /// All of them as one vector, in the order of the parameters.
    gradient: Value,
}

impl<'a> Lowering<'a> {
    /// Copies the forward graph with its parameters cut from their groups' buffers.
    fn begin(program: &'a Program, layout: &StateLayout) -> Result<Self, EngineError> {
        let mut graph = Graph::new();
        let mut cut = HashMap::new();
        let names = weights_buffers(&program.groups, layout, program.weights.as_deref())?;
        let mut buffers = Vec::with_capacity(names.len());
        for (group, name) in program.groups.iter().zip(&names) {
            let flat = graph.state(name, &[group.elements()])?;
            buffers.push(flat);
            for (parameter, range) in group.ranges() {
                layout.entry(&parameter.name)?;
                let part = graph.slice_axis(flat, 0, range.start, range.end)?;
                cut.entry(parameter.name.as_str())
                    .or_insert(graph.reshape(part, parameter.shape.dims())?);
            }
        }
        let parameter = |_, leaf: &Leaf| {
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
        Ok(Lowering { program, step, map, buffers })
    }

    fn train(&mut self) -> Result<(), EngineError> {
        let mode = self.program.mode.doing();
        let missing = |missing| EngineError::Incomplete { mode, missing };
        let update = self.program.update.clone().ok_or_else(|| missing("an update rule"))?;
        let loss = self.program.loss.ok_or_else(|| missing("a loss"))?;
        if let Some(kind) = &self.program.weights {
            return Err(EngineError::NoWeights { kind: kind.clone() });
        }
        self.step.graph.begin(Phase::Backward);
        let mut learned = self.gradients(self.map[loss.index()], &update)?;
        self.step.graph.begin(Phase::Update);
        for group in &mut learned {
            self.change(group)?;
        }
        let weight = self.program.accumulation.map(|weight| self.map[weight.index()]);
        match (self.program.mode, weight) {
            (Mode::Accumulate, None) => return Err(missing("the weight of its loss")),
            (_, Some(weight)) => self.accumulate(weight, &mut learned)?,
            (_, None) => {}
        }
        if self.program.keep_gradients {
            self.keep(&learned);
        }
        if self.program.mode == Mode::Train {
            self.apply_update(&update, &learned)?;
        }
        Ok(())
    }

    /// New values of the states that the model keeps.
    fn update_states(&mut self) {
        let parameters = self.program.groups.iter().flat_map(|group| &group.parameters);
        let parameters: HashSet<&str> = parameters.map(|p| p.name.as_str()).collect();
        for state in &self.program.state_updates {
            if !parameters.contains(state.name.as_str()) {
                let value = self.map[state.value.index()];
                self.write(state.name.clone(), value);
            }
        }
    }

    /// What the forward pass makes of a group's parameters. Where there is no update yet, it is kept.
    fn change(&mut self, learned: &mut Learned<'_>) -> Result<(), EngineError> {
        let group = learned.group;
        let updates = &self.program.state_updates;
        let new = |name: &str| updates.iter().find(|update| update.name == name);
        if group.parameters.iter().all(|parameter| new(&parameter.name).is_none()) {
            return Ok(());
        }
        let graph = &mut self.step.graph;
        let mut values = Vec::with_capacity(group.parameters.len());
        for (parameter, range) in group.ranges() {
            values.push(match new(&parameter.name) {
                Some(update) => self.map[update.value.index()],
                None => graph.slice_axis(learned.parameters, 0, range.start, range.end)?,
            });
        }
        let changed = flat(graph, group, &values)?;
        learned.changed = Some(changed);
        if self.program.mode == Mode::Accumulate {
            self.write(parameter_buffer(&group.name), changed);
        }
        Ok(())
    }

    fn write(&mut self, buffer: String, value: Value) {
        self.step.writes.push(Named::new(buffer, value));
    }

    /// The groups that the update has an entry for, with their gradients. The others are frozen.
    fn gradients<'u>(
        &mut self,
        loss: Value,
        update: &'u UpdateGraph,
    ) -> Result<Vec<Learned<'u>>, EngineError>
    where
        'a: 'u,
    {
        let program: &'a Program = self.program;
        let by_group: HashMap<&str, &GroupUpdate> =
            update.groups.iter().rev().map(|u| (u.group.as_str(), u)).collect();
        let groups = program.groups.iter().zip(self.buffers.iter().copied());
        let updated: Vec<(&ParameterGroup, &GroupUpdate, Value)> = groups
            .filter_map(|(group, buffer)| {
                Some((group, *by_group.get(group.name.as_str())?, buffer))
            })
            .collect();
        // A parameter that the forward graph does not use has no node there.
        let parameters = updated.iter().flat_map(|(group, ..)| &group.parameters);
        let targets: Vec<Option<Value>> = parameters
            .map(|p| program.graph.find_leaf(&p.name).map(|v| self.map[v.index()]))
            .collect();
        let graph = &mut self.step.graph;
        let used: Vec<Value> = targets.iter().copied().flatten().collect();
        let mut found = gradients(graph, loss, &used)?.into_iter();
        let mut targets = targets.into_iter();
        let mut learned = Vec::with_capacity(updated.len());
        for (group, update, parameters) in updated {
            let mut gradients = Vec::with_capacity(group.parameters.len());
            for parameter in &group.parameters {
                gradients.push(match targets.next().flatten().and_then(|_| found.next()) {
                    Some(gradient) => gradient,
                    None => zeros(graph, parameter.shape.dims())?,
                });
            }
            let gradient = flat(graph, group, &gradients)?;
            graph.label(gradient, &format!("gradient of group {}", group.name));
            let changed = None;
            learned.push(Learned { group, update, parameters, changed, gradients, gradient });
        }
        Ok(learned)
    }

    /// The gradients can be read after the step.
    fn keep(&mut self, learned: &[Learned<'_>]) {
        for group in learned {
            for (parameter, &gradient) in group.group.parameters.iter().zip(&group.gradients) {
                let name = format!("grad.{}", parameter.name);
                self.step.outputs.push(Named::new(name, gradient));
            }
        }
    }

    /// Adds the gradients to those of the batches before. To train, their mean takes their place,
    /// and nothing is left over; else the sums are kept.
    fn accumulate(
        &mut self,
        weight: Value,
        learned: &mut [Learned<'_>],
    ) -> Result<(), EngineError> {
        let ends = self.program.mode == Mode::Train;
        let graph = &mut self.step.graph;
        let zero = graph.constant(0.0)?;
        // A batch without weight has no mean and no gradient.
        let counts = graph.gt(weight, zero)?;
        let before = graph.state(ACCUMULATED_WEIGHT, &[])?;
        let total = graph.add(before, weight)?;
        let mut writes = Vec::new();
        for learned in learned {
            let name = optimizer_buffer(ACCUMULATED, &learned.group.name);
            let before = graph.state(&name, &[learned.group.elements()])?;
            let own = graph.mul(learned.gradient, weight)?;
            let own = graph.select(counts, own, zero)?;
            let sum = graph.add(before, own)?;
            graph.label(sum, &format!("accumulated gradient of group {}", learned.group.name));
            if ends {
                let mean = graph.div(sum, total)?;
                learned.set_gradient(graph, mean)?;
            }
            let kept = if ends { zeros(graph, &[learned.group.elements()])? } else { sum };
            writes.push(Named::new(name, kept));
        }
        let kept = if ends { zero } else { total };
        writes.push(Named::new(ACCUMULATED_WEIGHT, kept));
        self.step.writes.extend(writes);
        Ok(())
    }

    fn apply_update(
        &mut self,
        update: &UpdateGraph,
        learned: &[Learned<'_>],
    ) -> Result<(), EngineError> {
        let graph = &mut self.step.graph;
        let of = |own: &GroupUpdate| learned.iter().find(|group| group.group.name == own.group);
        let touched = |own| of(own).and_then(|group| group.touched(graph));
        let touched: Vec<Option<TouchedRows>> = update.groups.iter().map(touched).collect();
        let lengths: Vec<_> = touched.iter().map(|rows| rows.map(|rows| rows.elements())).collect();
        let (shorter, chosen) = by_rows(update, &lengths)?;
        let update = &shorter;
        let mut found = Vec::with_capacity(touched.len());
        let mut substitutes = HashMap::new();
        for ((own, rows), chosen) in update.groups.iter().zip(touched).zip(chosen) {
            let rows = rows.filter(|_| chosen).map(|rows| rows.find(graph)).transpose()?;
            if let Some(group) = of(own) {
                group.leaves(graph, own, rows, &mut substitutes)?;
            }
            found.push(rows);
        }
        for shared in &update.shared {
            let dims = update.graph.shape(shared.old).dims();
            substitutes.insert(shared.old, graph.state(&shared.name, dims)?);
        }
        // Scalars may stand in the forward graph already.
        for (name, leaf) in update.graph.leaves(LeafKind::Scalar) {
            substitutes.insert(leaf, graph.scalar(name)?);
        }
        let map = graph.splice(&update.graph, |leaf, _| substitutes.get(&leaf).copied())?;
        for (group, rows) in update.groups.iter().zip(found) {
            let states = group.states.iter();
            let states = states.map(|s| (optimizer_buffer(&s.kind, &group.group), s.new));
            let all = states.chain([(parameter_buffer(&group.group), group.new_parameter)]);
            for (buffer, new) in all {
                let mut new = map[new.index()];
                if let Some(rows) = rows {
                    let graph = &mut self.step.graph;
                    let old = graph.find_leaf(&buffer);
                    let old =
                        old.ok_or_else(|| EngineError::UnknownState { name: buffer.clone() })?;
                    new = rows.write(graph, old, new)?;
                }
                self.write(buffer, new);
            }
        }
        for shared in &update.shared {
            self.write(shared.name.clone(), map[shared.new.index()]);
        }
        let reports = update.reports.iter();
        self.step.reports.extend(reports.map(|r| Named::new(r.name.clone(), map[r.value.index()])));
        Ok(())
    }
}

impl Learned<'_> {
    /// The rows of a table to which its gradient is added.
    fn touched(&self, graph: &Graph) -> Option<TouchedRows> {
        TouchedRows::of(graph, self.group, &self.gradients, self.update)
    }

    /// What stands for each leaf of the group's update, which is of some rows alone where they are given.
    fn leaves(
        &self,
        graph: &mut Graph,
        update: &GroupUpdate,
        rows: Option<FoundRows>,
        substitutes: &mut HashMap<Value, Value>,
    ) -> Result<(), GraphError> {
        let mut part = |graph: &mut Graph, leaf, whole| {
            let value = rows.map_or(Ok(whole), |rows| rows.read(graph, whole))?;
            substitutes.insert(leaf, value);
            Ok::<(), GraphError>(())
        };
        part(graph, update.parameter, self.changed.unwrap_or(self.parameters))?;
        for state in &update.states {
            let dims = [state.shape.elements(self.group)];
            let leaf = graph.state(&optimizer_buffer(&state.kind, &update.group), &dims)?;
            part(graph, state.old, leaf)?;
        }
        let gradient = rows.map_or(self.gradient, |rows| rows.gradient);
        substitutes.insert(update.gradient, gradient);
        Ok(())
    }

    /// Another gradient for all parameters, as one vector.
    fn set_gradient(&mut self, graph: &mut Graph, gradient: Value) -> Result<(), GraphError> {
        self.gradient = gradient;
        for ((parameter, range), own) in self.group.ranges().zip(&mut self.gradients) {
            let part = graph.slice_axis(gradient, 0, range.start, range.end)?;
            *own = graph.reshape(part, parameter.shape.dims())?;
        }
        Ok(())
    }
}

/// What there is for each of a group's parameters, such as gradients, one behind the other.
fn flat(graph: &mut Graph, group: &ParameterGroup, values: &[Value]) -> Result<Value, GraphError> {
    let mut parts = Vec::with_capacity(values.len());
    for (&value, parameter) in values.iter().zip(&group.parameters) {
        parts.push(graph.reshape(value, &[parameter.shape.elements()])?);
    }
    match parts.is_empty() {
        true => zeros(graph, &[0]),
        false => graph.concat(&parts, 0),
    }
}

fn zeros(graph: &mut Graph, dims: &[usize]) -> Result<Value, GraphError> {
    let zero = graph.constant(0.0)?;
    graph.broadcast(zero, dims)
}
