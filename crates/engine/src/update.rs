//! The update rule of a program: parameters, gradients and optimizer state to their successors.

use onestep_memory::Shape;

use crate::graph::{Graph, GraphError, Named, Value};
use crate::parameters::ParameterGroup;

/// The update of all groups as one graph over their flat buffers:
/// `parameter, gradient, state, scalars -> parameter, state`.
#[derive(Clone, Debug, Default)]
pub struct UpdateGraph {
    /// The graph. Its leaves are those made by [`UpdateGraph::group`], [`UpdateGraph::state`] and
    /// [`UpdateGraph::shared`], and scalars such as `lr`.
    pub graph: Graph,
    /// One entry a group. A group without one is frozen.
    pub groups: Vec<GroupUpdate>,
    /// State that belongs to no group alone, such as a scalar for the whole run.
    pub shared: Vec<SharedUpdate>,
    /// Scalars for the ticket, such as the gradient's norm.
    pub reports: Vec<Named>,
}

/// The update of one group. Parameters and gradients are f32 vectors of the group's length.
#[derive(Clone, Debug)]
pub struct GroupUpdate {
    /// The group's name.
    pub group: String,
    /// The leaf that stands for the parameters before the step.
    pub parameter: Value,
    /// The leaf that stands for their gradient.
    pub gradient: Value,
    /// The parameters after the step.
    pub new_parameter: Value,
    /// The optimizer's state.
    pub states: Vec<StateUpdate>,
    /// Whether a table's rows without a gradient stay as they are, with what is kept for them, whatever the
    /// rule does where a gradient is 0. Without effect where the gradient is not of rows.
    pub lazy: bool,
}

/// One kind of optimizer state of one group: what is kept for each of its parameters, one behind
/// the other in one f32 vector.
#[derive(Clone, Debug)]
pub struct StateUpdate {
    /// What it is, such as `exp_avg`.
    pub kind: String,
    /// What is kept for a parameter of which shape.
    pub shape: StateShape,
    /// The leaf that stands for it before the step.
    pub old: Value,
    /// Its value after the step.
    pub new: Value,
    /// What each number is before the first step, but for [`StateShape::Copy`].
    pub initial: f32,
}

/// State that all groups share.
#[derive(Clone, Debug)]
pub struct SharedUpdate {
    /// Its name in the state table, such as `d.run`.
    pub name: String,
    /// The leaf that stands for it before the step.
    pub old: Value,
    /// Its value after the step, of the same type.
    pub new: Value,
    /// What it is before the first step.
    pub initial: f32,
}

/// What an optimizer keeps for a parameter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum StateShape {
    /// A number for each element.
    #[default]
    Element,
    /// A number for each element, which starts equal to it: when the initial weights have been
    /// written, and when others have been loaded ([`StateTable::start_copies`]).
    ///
    /// [`StateTable::start_copies`]: crate::StateTable::start_copies
    Copy,
    /// One number.
    Tensor,
    /// One number for each row: the shape with 1 for its last axis. Tensors of rank 0 and 1 have none.
    Rows,
    /// One number for each column: the shape with 1 for the axis before the last. Tensors of rank 0
    /// and 1 have none.
    Columns,
    /// A number for each element of tensors of rank 0 and 1, which have neither rows nor columns;
    /// the others have none.
    Vectors,
}

impl StateShape {
    /// The shape of what is kept for a parameter; nothing where nothing is.
    pub fn of(self, parameter: &Shape) -> Option<Shape> {
        let rank = parameter.rank();
        let without = |axis: usize| {
            let dims = parameter.dims().iter().enumerate();
            let dims: Vec<usize> = dims.map(|(i, &d)| if i == axis { 1 } else { d }).collect();
            // No larger than a shape that there is.
            Shape::new(&dims).ok()
        };
        match self {
            StateShape::Element | StateShape::Copy => Some(parameter.clone()),
            StateShape::Tensor => Some(Shape::scalar()),
            StateShape::Rows if rank > 1 => without(rank - 1),
            StateShape::Columns if rank > 1 => without(rank - 2),
            StateShape::Vectors if rank < 2 => Some(parameter.clone()),
            StateShape::Rows | StateShape::Columns | StateShape::Vectors => None,
        }
    }

    /// How many numbers are kept for a group.
    pub fn elements(self, group: &ParameterGroup) -> usize {
        let shapes = group.parameters.iter().filter_map(|p| self.of(&p.shape));
        shapes.map(|shape| shape.elements()).sum()
    }

    /// Whether it is a number for each element of every parameter.
    pub fn is_elementwise(self) -> bool {
        matches!(self, StateShape::Element | StateShape::Copy)
    }
}

impl UpdateGraph {
    /// Adds the leaves of a group: its parameters and its gradient. Until the caller sets
    /// `new_parameter`, the update changes nothing.
    ///
    /// # Errors
    /// The group was added before.
    pub fn group(&mut self, group: &ParameterGroup) -> Result<&mut GroupUpdate, GraphError> {
        let dims = [group.elements()];
        let parameter = self.graph.parameter(&format!("{}.parameter", group.name), &dims)?;
        let gradient = self.graph.gradient(&format!("{}.gradient", group.name), &dims)?;
        self.groups.push(GroupUpdate {
            group: group.name.clone(),
            parameter,
            gradient,
            new_parameter: parameter,
            states: Vec::new(),
            lazy: false,
        });
        let last = self.groups.len() - 1;
        Ok(&mut self.groups[last])
    }

    /// Adds a leaf for one kind of optimizer state of a group, a number for each element. The caller
    /// then appends a [`StateUpdate`] to the group.
    ///
    /// # Errors
    /// The group has such a state already.
    pub fn state(&mut self, group: &ParameterGroup, kind: &str) -> Result<Value, GraphError> {
        self.shaped_state(group, kind, StateShape::Element)
    }

    /// The same for state of another shape: what is kept for the parameters, one behind the other in
    /// a vector of [`StateShape::elements`].
    ///
    /// # Errors
    /// The group has such a state already.
    pub fn shaped_state(
        &mut self,
        group: &ParameterGroup,
        kind: &str,
        shape: StateShape,
    ) -> Result<Value, GraphError> {
        self.graph.optimizer_state(&format!("{}.{kind}", group.name), &[shape.elements(group)])
    }

    /// Adds state that belongs to no group alone: one number, by its name in the state table, which
    /// must differ from all other names there. Until the caller sets `new`, it stays as it is.
    ///
    /// # Errors
    /// There is a leaf of this name already.
    pub fn shared(&mut self, name: &str, initial: f32) -> Result<&mut SharedUpdate, GraphError> {
        let old = self.graph.optimizer_state(name, &[])?;
        self.shared.push(SharedUpdate { name: name.to_owned(), old, new: old, initial });
        let last = self.shared.len() - 1;
        Ok(&mut self.shared[last])
    }
}
