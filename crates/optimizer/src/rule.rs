//! The trait behind every optimizer: a function over graph values.

use std::fmt::Debug;
use std::sync::Arc;

use onestep_base::OwnKind;
use onestep_engine::{Graph, GraphError, ParameterInfo, StateShape, Value};

use crate::leaves::GroupLeaves;

/// One kind of state that a rule keeps for each parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct StateKind {
    /// Its name, such as `exp_avg`. The built-in rules use the names of PyTorch's state dict.
    pub name: String,
    /// What is kept for a parameter.
    pub shape: StateShape,
    /// What each number is before the first step, but for [`StateShape::Copy`].
    pub initial: f32,
}

impl StateKind {
    /// A number for each element that starts at zero.
    pub fn zeros(name: impl Into<String>) -> Self {
        Self::filled(name, 0.0)
    }

    /// A number for each element that starts at a number.
    pub fn filled(name: impl Into<String>, initial: f32) -> Self {
        StateKind { name: name.into(), shape: StateShape::Element, initial }
    }

    /// A copy of the parameter, which starts equal to it.
    pub fn copy(name: impl Into<String>) -> Self {
        StateKind { name: name.into(), shape: StateShape::Copy, initial: 0.0 }
    }

    /// State of another shape that starts at zero.
    pub fn shaped(name: impl Into<String>, shape: StateShape) -> Self {
        StateKind { name: name.into(), shape, initial: 0.0 }
    }
}

/// Who shares a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// All parameters with the same group options.
    Group,
    /// All parameters that the rule updates.
    Run,
}

/// A number that a rule keeps for many parameters together.
#[derive(Clone, Debug, PartialEq)]
pub struct SharedState {
    /// Its name, such as `d`.
    pub kind: String,
    /// Who shares it.
    pub scope: Scope,
    /// What it is before the first step.
    pub initial: f32,
}

impl SharedState {
    /// A number for the whole run: `d.run` in a checkpoint.
    pub fn run(kind: impl Into<String>, initial: f32) -> Self {
        SharedState { kind: kind.into(), scope: Scope::Run, initial }
    }

    /// A number for a group: `lr_max.decay` in a checkpoint.
    pub fn group(kind: impl Into<String>, initial: f32) -> Self {
        SharedState { kind: kind.into(), scope: Scope::Group, initial }
    }
}

/// Another rule for some of the parameters of a group, with the learning rate that it starts with.
#[derive(Clone, Debug)]
pub struct OtherRule {
    /// The rule.
    pub rule: Arc<dyn UpdateRule>,
    /// Its learning rate, which follows the optimizer's in proportion.
    pub lr: f64,
}

/// What a rule returns.
#[derive(Clone, Debug, PartialEq)]
pub struct Updated {
    /// The parameters after the step.
    pub parameter: Value,
    /// The state after the step, in the order of [`GroupLeaves::states`].
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

    /// The type and the options that the rule can be made from again, with any learning rate; the
    /// built-in rules have them. A checkpoint keeps them, and of a rule without them only the name.
    fn options(&self) -> Option<(&'static str, serde_json::Value)> {
        None
    }

    /// The numbers that the rule keeps for many parameters together.
    fn shared_states(&self) -> Vec<SharedState> {
        Vec::new()
    }

    /// Appends the update of those numbers of one scope, from all groups that share them, before any
    /// group is updated. Returns them in the order of [`UpdateRule::shared_states`].
    ///
    /// # Errors
    /// The graph's own.
    fn shared(
        &self,
        g: &mut Graph,
        scope: Scope,
        groups: &[GroupLeaves<'_>],
    ) -> Result<Vec<Value>, GraphError> {
        let _ = g;
        let kinds = self.shared_states().into_iter().filter(|shared| shared.scope == scope);
        let first = |kind: String| match groups.first() {
            Some(group) => group.shared(&kind).map(|shared| shared.old),
            None => Err(GraphError::UnknownLeaf { name: kind, known: String::new() }),
        };
        kinds.map(|shared| first(shared.kind)).collect()
    }

    /// Whether each tensor is to be updated in a call of its own, as rules want that take norms or
    /// products of tensors: then nothing needs to be joined.
    fn by_tensor(&self) -> bool {
        false
    }

    /// Whether the rows of a table that has no gradient for them stay as they are, with what is kept for them,
    /// whatever the rule would make of a gradient of 0: see `GroupUpdate::lazy` of the engine. It needs
    /// [`by_tensor`](UpdateRule::by_tensor), so that the table is alone.
    fn lazy(&self) -> bool {
        false
    }

    /// The rule that updates a parameter in place of this one, where this one is not for such.
    fn other(&self, parameter: &ParameterInfo) -> Option<OtherRule> {
        let _ = parameter;
        None
    }

    /// The kind of state with the weights that are to be used, where those that are trained are not:
    /// see `Program::weights` of the engine.
    fn weights(&self) -> Option<&'static str> {
        None
    }

    /// Appends the update of one group to the graph.
    ///
    /// # Errors
    /// The graph's own.
    fn update(&self, g: &mut Graph, leaves: GroupLeaves<'_>) -> Result<Updated, GraphError>;
}

impl OwnKind for dyn UpdateRule {
    const WORD: &'static str = "optimizer";
}
