//! The state table: everything that lives from step to step, by name.

use std::collections::HashMap;
use std::sync::Arc;

use onestep_memory::{DType, MemoryManager, Shape, Tensor};

use crate::error::EngineError;
use crate::parameters::ParameterGroup;
use crate::plan::Footprint;
use crate::plan::budget::check_budget;
use crate::update::{StateShape, StateUpdate, UpdateGraph};

/// A flat f32 buffer of the state table.
#[derive(Clone, Debug, PartialEq)]
pub struct StateBuffer {
    /// Its name, such as `parameter.all` or `exp_avg.all`.
    pub name: String,
    /// Its length.
    pub elements: usize,
    /// What it is filled with at first.
    pub initial: f32,
    /// The position of the buffer that it starts as a copy of ([`StateTable::start_copies`]).
    pub copy_of: Option<usize>,
}

/// A named tensor within a buffer of the state table.
#[derive(Clone, Debug, PartialEq)]
pub struct StateEntry {
    /// Its name: `conv1.weight` for a parameter or running statistic, `exp_avg.conv1.weight` for
    /// what the optimizer keeps for a parameter, of whichever shape, and `d.run` for what all
    /// parameters share.
    pub name: String,
    /// What it is.
    pub kind: StateKind,
    /// The buffer's position in the layout.
    pub buffer: usize,
    /// Elements before it.
    pub offset: usize,
    /// Its shape.
    pub shape: Shape,
}

/// What an entry of the state table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StateKind {
    /// Learned by the optimizer.
    Parameter,
    /// Kept by the optimizer.
    Optimizer,
    /// Kept by the model, such as running statistics.
    Model,
}

/// A tensor of the model that is kept between steps but not learned.
#[derive(Clone, Debug, PartialEq)]
pub struct StateInfo {
    /// The name of its leaf, such as `bn1.running_mean`.
    pub name: String,
    /// Its shape.
    pub shape: Shape,
    /// What it is filled with at first.
    pub initial: f32,
}

/// Where each named tensor of the state table lies. It does not depend on the batch size, so all
/// programs of a model share one table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StateLayout {
    buffers: Vec<StateBuffer>,
    entries: Vec<StateEntry>,
    by_name: HashMap<String, usize>,
}

impl StateLayout {
    /// The layout of a model's parameters and state and, where it is trained, of its optimizer's.
    ///
    /// # Errors
    /// Two tensors of one name.
    pub fn new(
        groups: &[ParameterGroup],
        states: &[StateInfo],
        update: Option<&UpdateGraph>,
    ) -> Result<Self, EngineError> {
        let mut layout = StateLayout::default();
        let mut updates: HashMap<&str, Vec<&StateUpdate>> = HashMap::new();
        for update in update.map_or(&[][..], |u| &u.groups) {
            updates.entry(update.group.as_str()).or_default().extend(&update.states);
        }
        for group in groups {
            let parameters = layout.add_parameters(group)?;
            for state in updates.get(group.name.as_str()).into_iter().flatten() {
                layout.add_state(group, state, parameters)?;
            }
        }
        let shared = update.map_or(&[][..], |u| &u.shared).iter().map(|s| {
            let shape = update.map_or_else(Shape::scalar, |u| u.graph.shape(s.old).clone());
            (StateKind::Optimizer, s.name.clone(), shape, s.initial)
        });
        let kept = states.iter();
        let kept = kept.map(|s| (StateKind::Model, s.name.clone(), s.shape.clone(), s.initial));
        for (kind, name, shape, initial) in shared.chain(kept) {
            let buffer = layout.add_buffer(&name, shape.elements(), initial);
            layout.add_entry(StateEntry { name, kind, buffer, offset: 0, shape })?;
        }
        Ok(layout)
    }

    /// The same with room for the gradients of several batches ([`Program::accumulation`]): a vector
    /// for each group that is updated, and the sum of the weights.
    ///
    /// [`Program::accumulation`]: crate::Program::accumulation
    ///
    /// # Errors
    /// The update has a kind of state of the same name.
    pub fn accumulating(
        mut self,
        groups: &[ParameterGroup],
        update: &UpdateGraph,
    ) -> Result<Self, EngineError> {
        let updated = |group: &&ParameterGroup| update.groups.iter().any(|u| u.group == group.name);
        for group in groups.iter().filter(updated) {
            let name = optimizer_buffer(ACCUMULATED, &group.name);
            let buffer = self.add_buffer(&name, group.elements(), 0.0);
            for (parameter, range) in group.ranges() {
                let name = format!("{ACCUMULATED}.{}", parameter.name);
                let (kind, shape) = (StateKind::Optimizer, parameter.shape.clone());
                self.add_entry(StateEntry { name, kind, buffer, offset: range.start, shape })?;
            }
        }
        let name = ACCUMULATED_WEIGHT.to_owned();
        let buffer = self.add_buffer(&name, 1, 0.0);
        let (kind, shape) = (StateKind::Optimizer, Shape::scalar());
        self.add_entry(StateEntry { name, kind, buffer, offset: 0, shape })?;
        Ok(self)
    }

    fn add_buffer(&mut self, name: &str, elements: usize, initial: f32) -> usize {
        let name = name.to_owned();
        self.buffers.push(StateBuffer { name, elements, initial, copy_of: None });
        self.buffers.len() - 1
    }

    fn add_parameters(&mut self, group: &ParameterGroup) -> Result<usize, EngineError> {
        let buffer = self.add_buffer(&parameter_buffer(&group.name), group.elements(), 0.0);
        for (parameter, range) in group.ranges() {
            let (name, shape) = (parameter.name.clone(), parameter.shape.clone());
            let (kind, offset) = (StateKind::Parameter, range.start);
            self.add_entry(StateEntry { name, kind, buffer, offset, shape })?;
        }
        Ok(buffer)
    }

    /// One kind of optimizer state of a group, whose parameters are in the buffer `parameters`.
    fn add_state(
        &mut self,
        group: &ParameterGroup,
        state: &StateUpdate,
        parameters: usize,
    ) -> Result<(), EngineError> {
        let name = optimizer_buffer(&state.kind, &group.name);
        let buffer = self.add_buffer(&name, state.shape.elements(group), state.initial);
        self.buffers[buffer].copy_of = (state.shape == StateShape::Copy).then_some(parameters);
        let mut offset = 0;
        for parameter in &group.parameters {
            let Some(shape) = state.shape.of(&parameter.shape) else { continue };
            let (kind, size) = (StateKind::Optimizer, shape.elements());
            let name = format!("{}.{}", state.kind, parameter.name);
            self.add_entry(StateEntry { name, kind, buffer, offset, shape })?;
            offset += size;
        }
        Ok(())
    }

    fn add_entry(&mut self, entry: StateEntry) -> Result<(), EngineError> {
        let name = entry.name.clone();
        if self.by_name.insert(name.clone(), self.entries.len()).is_some() {
            return Err(EngineError::DuplicateState { name });
        }
        self.entries.push(entry);
        Ok(())
    }

    /// The flat buffers.
    pub fn buffers(&self) -> &[StateBuffer] {
        &self.buffers
    }

    /// The named tensors in order.
    pub fn entries(&self) -> &[StateEntry] {
        &self.entries
    }

    /// The named tensor.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn entry(&self, name: &str) -> Result<&StateEntry, EngineError> {
        self.by_name
            .get(name)
            .map(|&index| &self.entries[index])
            .ok_or_else(|| EngineError::UnknownState { name: name.to_owned() })
    }

    /// Bytes of all buffers.
    pub fn bytes(&self) -> usize {
        let bytes = self.buffers.iter().map(|b| b.elements.saturating_mul(DType::F32.size()));
        bytes.fold(0, usize::saturating_add)
    }
}

/// The name of the buffer that the parameters of a group are read from: their own, or that of a
/// kind of state with their shape.
///
/// # Errors
/// No group has such state, or it has another shape.
pub(crate) fn weights_buffers(
    groups: &[ParameterGroup],
    layout: &StateLayout,
    kind: Option<&str>,
) -> Result<Vec<String>, EngineError> {
    let Some(kind) = kind else {
        return Ok(groups.iter().map(|group| parameter_buffer(&group.name)).collect());
    };
    let mut found = false;
    let names = groups.iter().map(|group| {
        let copy = optimizer_buffer(kind, &group.name);
        match layout.buffers.iter().find(|buffer| buffer.name == copy) {
            Some(buffer) if buffer.elements != group.elements() => {
                Err(EngineError::NoWeights { kind: kind.to_owned() })
            }
            Some(_) => {
                found = true;
                Ok(copy)
            }
            None => Ok(parameter_buffer(&group.name)),
        }
    });
    let names = names.collect::<Result<Vec<_>, _>>()?;
    found.then_some(names).ok_or_else(|| EngineError::NoWeights { kind: kind.to_owned() })
}

/// The kind of state that gradients of several batches are added up in.
pub(crate) const ACCUMULATED: &str = "accumulated";

/// The name of the sum of their weights.
pub(crate) const ACCUMULATED_WEIGHT: &str = "accumulated_weight";

/// The name of the buffer of a group's parameters.
pub(crate) fn parameter_buffer(group: &str) -> String {
    format!("parameter.{group}")
}

/// The name of the buffer of one kind of optimizer state of a group.
pub(crate) fn optimizer_buffer(kind: &str, group: &str) -> String {
    format!("{kind}.{group}")
}

/// The buffers of a layout on a device. Cloning shares them.
#[derive(Clone, Debug)]
pub struct StateTable {
    layout: Arc<StateLayout>,
    tensors: Arc<[Tensor]>,
}

impl StateTable {
    /// Allocates the buffers and fills them with their initial values.
    ///
    /// # Errors
    /// Out of memory or over the budget.
    pub fn new(layout: StateLayout, memory: &MemoryManager) -> Result<Self, EngineError> {
        let live = memory.statistics().total.live;
        let room = memory.budget().map(|budget| budget.saturating_sub(live));
        // Before the first buffer, and not at the one that is too much.
        check_budget(&Footprint { state: layout.bytes(), ..Footprint::default() }, room)?;
        let mut tensors = Vec::with_capacity(layout.buffers.len());
        for buffer in &layout.buffers {
            let tensor = memory.zeros(Shape::new(&[buffer.elements])?, DType::F32)?;
            if buffer.initial != 0.0 {
                tensor.write(&vec![buffer.initial; buffer.elements])?;
            }
            tensors.push(tensor);
        }
        Ok(StateTable { layout: Arc::new(layout), tensors: tensors.into() })
    }

    /// Makes state that starts equal to the parameters ([`StateShape::Copy`]) equal to them: to be
    /// called when initial weights have been written, and when others have been loaded, but not
    /// when all state has been restored. The caller makes sure that no step is in flight.
    ///
    /// # Errors
    /// The device cannot be read or written.
    pub fn start_copies(&self) -> Result<(), EngineError> {
        for (buffer, tensor) in self.layout.buffers.iter().zip(self.tensors.iter()) {
            if let Some(parameters) = buffer.copy_of {
                tensor.write(&self.tensors[parameters].read::<f32>()?)?;
            }
        }
        Ok(())
    }

    /// Where each tensor lies.
    pub fn layout(&self) -> &StateLayout {
        &self.layout
    }

    /// The buffers in the order of the layout.
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// The elements of a named tensor. The caller makes sure that no step is in flight.
    ///
    /// # Errors
    /// There is none of this name, or the device cannot be read.
    pub fn read(&self, name: &str) -> Result<Vec<f32>, EngineError> {
        Ok(self.view(name)?.read()?)
    }

    /// Copies the tensors that another table has by the same name and shape, and tells their names.
    /// No step of either may be in flight.
    ///
    /// # Errors
    /// A device cannot be read or written.
    pub fn carry_over(&self, from: &StateTable) -> Result<Vec<String>, EngineError> {
        let mut carried = Vec::new();
        for entry in self.layout.entries() {
            let known = from.layout.entry(&entry.name).ok();
            if known.is_some_and(|known| known.shape == entry.shape) {
                self.write(&entry.name, &from.read(&entry.name)?)?;
                carried.push(entry.name.clone());
            }
        }
        Ok(carried)
    }

    /// Replaces the elements of a named tensor. The caller makes sure that no step is in flight.
    ///
    /// # Errors
    /// There is none of this name, the count is wrong, or the device cannot be written.
    pub fn write(&self, name: &str, data: &[f32]) -> Result<(), EngineError> {
        Ok(self.view(name)?.write(data)?)
    }

    fn view(&self, name: &str) -> Result<Tensor, EngineError> {
        let entry = self.layout.entry(name)?;
        Ok(self.tensors[entry.buffer].view(entry.offset, entry.shape.clone())?)
    }
}
