//! The trait behind every optimizer: a function over graph values.

use std::fmt::Debug;

use onestep_engine::{Graph, GraphError, StateUpdate, Value};

use crate::OptimizerSpec;

/// The scalar leaf of the learning rate.
pub const LR: &str = "lr";

/// The scalar leaf of the step's number, counted from 1.
pub const STEP: &str = "step";

/// One kind of state that a rule keeps for each element of a parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct StateKind {
    /// Its name, such as `exp_avg`. The built-in rules use the names of PyTorch's state dict.
    pub name: String,
    /// What each element is before the first step.
    pub initial: f32,
}

impl StateKind {
    /// State that starts at zero.
    pub fn zeros(name: impl Into<String>) -> Self {
        StateKind { name: name.into(), initial: 0.0 }
    }

    /// State that starts at a number.
    pub fn filled(name: impl Into<String>, initial: f32) -> Self {
        StateKind { name: name.into(), initial }
    }
}

/// What a rule works on: one group, whose parameters lie one behind the other in one f32 vector,
/// and so do their gradients and each kind of state.
#[derive(Clone, Copy, Debug)]
pub struct GroupLeaves<'a> {
    /// The name of the group's options, such as `decay`. A large parameter is updated in a call of
    /// its own, with the name of the group that it was put into.
    pub group: &'a str,
    /// The parameters before the step.
    pub parameter: Value,
    /// Their gradient, clipped where clipping is on.
    pub gradient: Value,
    /// The state, in the order of [`UpdateRule::states`]; [`GroupLeaves::state`] finds it by name.
    pub states: &'a [StateUpdate],
    /// The learning rate of the group, an f32 scalar.
    pub lr: Value,
    /// The weight decay of the group: its own, or else [`UpdateRule::weight_decay`].
    pub weight_decay: f64,
}

impl GroupLeaves<'_> {
    /// One kind of state before the step.
    ///
    /// # Errors
    /// [`GraphError::UnknownLeaf`] when [`UpdateRule::states`] does not list it.
    pub fn state(&self, kind: &str) -> Result<Value, GraphError> {
        let found = self.states.iter().find(|state| state.kind == kind);
        found.map(|state| state.old).ok_or_else(|| GraphError::UnknownLeaf {
            name: kind.to_owned(),
            known: self.states.iter().map(|s| s.kind.as_str()).collect::<Vec<_>>().join(", "),
        })
    }

    /// The number of the step, an f32 scalar counted from 1. A rule that never asks for it has no
    /// such leaf.
    ///
    /// # Errors
    /// The graph has another kind of leaf of that name.
    pub fn step(&self, g: &mut Graph) -> Result<Value, GraphError> {
        g.scalar(STEP)
    }

    /// The gradient with an L2 penalty: `gradient + weight_decay * parameter`.
    ///
    /// # Errors
    /// None in practice; the signature is that of the graph's methods.
    pub fn penalised_gradient(&self, g: &mut Graph) -> Result<Value, GraphError> {
        if self.weight_decay == 0.0 {
            return Ok(self.gradient);
        }
        let penalty = g.scale(self.parameter, self.weight_decay as f32)?;
        g.add(self.gradient, penalty)
    }

    /// The parameters after decoupled weight decay: `parameter * (1 - lr * weight_decay)`.
    ///
    /// # Errors
    /// None in practice; the signature is that of the graph's methods.
    pub fn decayed_parameter(&self, g: &mut Graph) -> Result<Value, GraphError> {
        if self.weight_decay == 0.0 {
            return Ok(self.parameter);
        }
        let decay = g.scale(self.lr, -self.weight_decay as f32)?;
        let keep = g.offset(decay, 1.0)?;
        g.mul(self.parameter, keep)
    }
}

/// What a rule returns.
#[derive(Clone, Debug, PartialEq)]
pub struct Updated {
    /// The parameters after the step.
    pub parameter: Value,
    /// The state after the step, in the order of [`UpdateRule::states`].
    pub states: Vec<Value>,
}

/// How parameters change with their gradients. It is called once a group when the step is
/// compiled, never while training: what it appends to the graph is what runs.
///
/// An optimizer of one's own is a type with this trait. Lion (Chen et al., 2023,
/// "Symbolic Discovery of Optimization Algorithms", algorithm 2):
///
/// ```
/// use onestep_engine::{Graph, GraphError, ParameterInfo, Shape};
/// use onestep_optimizer::{GroupLeaves, Optimizer, OptimizerError, StateKind, UpdateRule, Updated};
///
/// #[derive(Debug)]
/// struct Lion {
///     betas: (f32, f32),
///     weight_decay: f64,
/// }
///
/// impl UpdateRule for Lion {
///     fn name(&self) -> &str {
///         "lion"
///     }
///
///     fn states(&self) -> Vec<StateKind> {
///         vec![StateKind::zeros("exp_avg")]
///     }
///
///     fn weight_decay(&self) -> f64 {
///         self.weight_decay
///     }
///
///     fn update(&self, g: &mut Graph, leaves: GroupLeaves<'_>) -> Result<Updated, GraphError> {
///         let (gradient, average) = (leaves.gradient, leaves.state("exp_avg")?);
///         // direction = sign(beta1 * average + (1 - beta1) * gradient)
///         let old = g.scale(average, self.betas.0)?;
///         let fresh = g.scale(gradient, 1.0 - self.betas.0)?;
///         let mixed = g.add(old, fresh)?;
///         let direction = g.sign(mixed)?;
///         // parameter = parameter * (1 - lr * weight_decay) - lr * direction
///         let decayed = leaves.decayed_parameter(g)?;
///         let change = g.mul(direction, leaves.lr)?;
///         let parameter = g.sub(decayed, change)?;
///         // average = beta2 * average + (1 - beta2) * gradient
///         let old = g.scale(average, self.betas.1)?;
///         let fresh = g.scale(gradient, 1.0 - self.betas.1)?;
///         Ok(Updated { parameter, states: vec![g.add(old, fresh)?] })
///     }
/// }
///
/// # fn main() -> Result<(), OptimizerError> {
/// let lion = Optimizer::new(Lion { betas: (0.9, 0.99), weight_decay: 0.1 }, 1e-4)?;
/// let weight = ParameterInfo::new("fc.weight", Shape::from([3, 2]));
/// let update = lion.update_graph(&lion.groups(&[weight])?)?;
/// assert_eq!(update.groups[0].states[0].kind, "exp_avg");
/// # Ok(())
/// # }
/// ```
pub trait UpdateRule: Debug + Send + Sync {
    /// The rule's name in errors and summaries.
    fn name(&self) -> &str;

    /// The state the rule keeps.
    fn states(&self) -> Vec<StateKind>;

    /// The weight decay of groups that have none of their own.
    fn weight_decay(&self) -> f64 {
        0.0
    }

    /// The configuration that the rule can be made from again, with any learning rate; the built-in
    /// rules have one. A checkpoint keeps it, and of a rule without one only the name.
    fn spec(&self) -> Option<OptimizerSpec> {
        None
    }

    /// Appends the update of one group to the graph.
    ///
    /// # Errors
    /// The graph's own.
    fn update(&self, g: &mut Graph, leaves: GroupLeaves<'_>) -> Result<Updated, GraphError>;
}
