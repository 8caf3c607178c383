//! What a rule sees of a group: flat vectors, and the tensors that lie in them.

use std::ops::Range;

use onestep_engine::{Graph, GraphError, ParameterGroup, Shape, StateUpdate, Value};

use crate::hyper::Hyper;

/// The scalar leaf of the learning rate.
pub const LR: &str = "lr";

/// The scalar leaf of the step's number, counted from 1.
pub const STEP: &str = "step";

/// A tensor of a group.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupTensor {
    /// Its name, such as `conv1.weight`.
    pub name: String,
    /// Its shape.
    pub shape: Shape,
    /// Its elements in the group's vector.
    pub range: Range<usize>,
}

impl GroupTensor {
    /// The tensors of a group in order.
    pub(crate) fn of(group: &ParameterGroup) -> Vec<GroupTensor> {
        let tensor = |(parameter, range): (&onestep_engine::ParameterInfo, _)| GroupTensor {
            name: parameter.name.clone(),
            shape: parameter.shape.clone(),
            range,
        };
        group.ranges().map(tensor).collect()
    }
}

/// State that groups share, in a group's eyes.
#[derive(Clone, Debug, PartialEq)]
pub struct SharedLeaf {
    /// What it is, such as `d`.
    pub kind: String,
    /// It before the step, an f32 scalar.
    pub old: Value,
    /// It after the step.
    pub new: Value,
}

/// What a rule works on: one group, whose parameters lie one behind the other in one f32 vector,
/// and so do their gradients and what is kept for each of them.
#[derive(Clone, Copy, Debug)]
pub struct GroupLeaves<'a> {
    /// The name of the group's options, such as `decay`. A large parameter is updated in a call of
    /// its own, with the name of the group that it was put into.
    pub group: &'a str,
    /// The tensors of the group.
    pub tensors: &'a [GroupTensor],
    /// The parameters before the step.
    pub parameter: Value,
    /// Their gradient, clipped where clipping is on.
    pub gradient: Value,
    /// The state, in the order of [`UpdateRule::states`](crate::UpdateRule::states) without those
    /// kinds of which no tensor of the group has any; [`GroupLeaves::state`] finds it by name.
    pub states: &'a [StateUpdate],
    /// The state that groups share; [`GroupLeaves::shared`] finds it by name.
    pub shared: &'a [SharedLeaf],
    /// The learning rate of the group, an f32 scalar.
    pub lr: Value,
    /// The weight decay of the group: its own, or else the rule's. Where a schedule changes it,
    /// [`GroupLeaves::decay`] has the scalar.
    pub weight_decay: f64,
    /// The options that schedules change, with their scalars.
    pub(crate) fed: &'a [(&'static str, Value)],
}

impl GroupLeaves<'_> {
    /// One kind of state before the step.
    ///
    /// # Errors
    /// [`GraphError::UnknownLeaf`] when [`UpdateRule::states`](crate::UpdateRule::states) does not
    /// list it, or no tensor of the group has any of it.
    pub fn state(&self, kind: &str) -> Result<Value, GraphError> {
        self.kept(kind).map(|state| state.old)
    }

    fn kept(&self, kind: &str) -> Result<&StateUpdate, GraphError> {
        let found = self.states.iter().find(|state| state.kind == kind);
        found.ok_or_else(|| unknown(kind, self.states.iter().map(|s| s.kind.as_str())))
    }

    /// State that groups share, before and after the step.
    ///
    /// # Errors
    /// [`GraphError::UnknownLeaf`] when the rule does not list it.
    pub fn shared(&self, kind: &str) -> Result<&SharedLeaf, GraphError> {
        let found = self.shared.iter().find(|shared| shared.kind == kind);
        found.ok_or_else(|| unknown(kind, self.shared.iter().map(|s| s.kind.as_str())))
    }

    /// The number of the step, an f32 scalar counted from 1. A rule that never asks for it has no
    /// such leaf.
    ///
    /// # Errors
    /// The graph has another kind of leaf of that name.
    pub fn step(&self, g: &mut Graph) -> Result<Value, GraphError> {
        g.scalar(STEP)
    }

    /// An option of the rule: the scalar that a schedule feeds, or else `fixed`.
    pub fn hyper(&self, name: &str, fixed: f64) -> Hyper {
        let fed = self.fed.iter().find(|(known, _)| *known == name);
        fed.map_or(Hyper::Fixed(fixed), |&(_, value)| Hyper::Fed(value))
    }

    /// The weight decay: the scalar that a schedule feeds, or else the number.
    pub fn decay(&self) -> Hyper {
        self.hyper("weight_decay", self.weight_decay)
    }

    /// The gradient with an L2 penalty: `gradient + weight_decay * parameter`.
    ///
    /// # Errors
    /// None in practice; the signature is that of the graph's methods.
    pub fn penalised_gradient(&self, g: &mut Graph) -> Result<Value, GraphError> {
        self.penalised(g, self.gradient)
    }

    /// `update + weight_decay * parameter`
    pub(crate) fn penalised(&self, g: &mut Graph, update: Value) -> Result<Value, GraphError> {
        let decay = self.decay();
        if decay.is_zero() {
            return Ok(update);
        }
        let penalty = decay.times(g, self.parameter)?;
        g.add(update, penalty)
    }

    /// The parameters after decoupled weight decay: `parameter * (1 - lr * weight_decay)`.
    ///
    /// # Errors
    /// None in practice; the signature is that of the graph's methods.
    pub fn decayed_parameter(&self, g: &mut Graph) -> Result<Value, GraphError> {
        let negative = match self.decay() {
            Hyper::Fixed(0.0) => return Ok(self.parameter),
            Hyper::Fixed(decay) => Hyper::Fixed(-decay),
            Hyper::Fed(decay) => Hyper::Fed(g.neg(decay)?),
        };
        let decay = negative.times(g, self.lr)?;
        let keep = g.offset(decay, 1.0)?;
        g.mul(self.parameter, keep)
    }

    /// A tensor of the group, with its shape, out of a vector of the group's length.
    ///
    /// # Errors
    /// The vector has another length, or there is no such tensor.
    pub fn view(&self, g: &mut Graph, flat: Value, tensor: usize) -> Result<Value, GraphError> {
        let GroupTensor { shape, range, .. } = self.tensor(tensor)?;
        cut(g, flat, range.clone(), shape)
    }

    /// What is kept of one kind for a tensor of the group, with its shape; nothing where nothing is.
    ///
    /// # Errors
    /// There is no such tensor.
    pub fn state_view(
        &self,
        g: &mut Graph,
        kind: &str,
        tensor: usize,
    ) -> Result<Option<Value>, GraphError> {
        let wanted = self.tensor(tensor)?.shape.clone();
        let Ok(state) = self.kept(kind) else { return Ok(None) };
        let Some(shape) = state.shape.of(&wanted) else { return Ok(None) };
        let before = self.tensors[..tensor].iter().filter_map(|t| state.shape.of(&t.shape));
        let start: usize = before.map(|shape| shape.elements()).sum();
        cut(g, state.old, start..start + shape.elements(), &shape).map(Some)
    }

    /// Tensors, or what is kept for them, in order as one vector.
    ///
    /// # Errors
    /// One is not f32.
    pub fn join(&self, g: &mut Graph, parts: &[Value]) -> Result<Value, GraphError> {
        let mut flat = Vec::with_capacity(parts.len());
        for &part in parts {
            let elements = g.shape(part).elements();
            flat.push(g.reshape(part, &[elements])?);
        }
        match flat[..] {
            [one] => Ok(one),
            _ => g.concat(&flat, 0),
        }
    }

    fn tensor(&self, index: usize) -> Result<&GroupTensor, GraphError> {
        let wanted = format!("below {}, the tensors of the group", self.tensors.len());
        let missing = || GraphError::attribute("update rule", "tensor", wanted, index);
        self.tensors.get(index).ok_or_else(missing)
    }
}

fn cut(
    g: &mut Graph,
    flat: Value,
    range: Range<usize>,
    shape: &Shape,
) -> Result<Value, GraphError> {
    let whole = g.shape(flat).dims() == [range.len()];
    let part = if whole { flat } else { g.slice_axis(flat, 0, range.start, range.end)? };
    g.reshape(part, shape.dims())
}

fn unknown<'a>(kind: &str, known: impl Iterator<Item = &'a str>) -> GraphError {
    let known = known.collect::<Vec<_>>().join(", ");
    GraphError::UnknownLeaf { name: kind.to_owned(), known }
}
