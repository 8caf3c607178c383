//! Rules as chains of transformations.

use std::fmt::Debug;

use onestep_engine::{Graph, GraphError, Value};

use crate::leaves::GroupLeaves;
use crate::rule::{Scope, SharedState, StateKind, UpdateRule, Updated};

/// What goes through a chain: the update of one group, on its way from the gradient to what is
/// taken from the parameters.
#[derive(Clone, Debug)]
pub struct Flow {
    /// What the update will be taken from: the parameters, which a decay may have shrunk.
    pub parameter: Value,
    update: Value,
    /// A scalar that the update is still to be divided by.
    divisor: Option<Value>,
    states: Vec<(String, Value)>,
}

impl Flow {
    /// The gradient on its way.
    pub(crate) fn new(leaves: &GroupLeaves<'_>) -> Self {
        Flow {
            parameter: leaves.parameter,
            update: leaves.gradient,
            divisor: None,
            states: Vec::new(),
        }
    }

    /// The update so far.
    ///
    /// # Errors
    /// None in practice; the signature is that of the graph's methods.
    pub fn update(&mut self, g: &mut Graph) -> Result<Value, GraphError> {
        if let Some(divisor) = self.divisor.take() {
            self.update = g.div(self.update, divisor)?;
        }
        Ok(self.update)
    }

    /// Sets the update.
    pub fn set(&mut self, update: Value) {
        (self.update, self.divisor) = (update, None);
    }

    /// Sets the update to `update / divisor`, for a scalar divisor. It becomes part of the learning
    /// rate where that follows, which spares a division an element.
    pub fn set_ratio(&mut self, update: Value, divisor: Value) {
        (self.update, self.divisor) = (update, Some(divisor));
    }

    /// Multiplies the update by a scalar.
    ///
    /// # Errors
    /// It is not an f32 scalar.
    pub fn scale(&mut self, g: &mut Graph, scalar: Value) -> Result<(), GraphError> {
        let size = match self.divisor.take() {
            Some(divisor) => g.div(scalar, divisor)?,
            None => scalar,
        };
        self.update = g.mul(self.update, size)?;
        Ok(())
    }

    /// Keeps a kind of state after the step.
    pub fn keep(&mut self, kind: impl Into<String>, value: Value) {
        self.states.push((kind.into(), value));
    }

    /// What a kind of state will be after the step: what was kept, or else what it was.
    ///
    /// # Errors
    /// There is no such state.
    pub fn kept(&self, leaves: &GroupLeaves<'_>, kind: &str) -> Result<Value, GraphError> {
        let kept = self.states.iter().rev().find(|(known, _)| known == kind);
        kept.map_or_else(|| leaves.state(kind), |(_, value)| Ok(*value))
    }
}

/// A part of a chain: `(update, parameter, state, scalars) -> (update, state)`.
///
/// A chain of one's own, SGD whose updates are cut at 1 where they are larger:
///
/// ```
/// use onestep_engine::{Graph, GraphError, ParameterInfo, Shape};
/// use onestep_optimizer::transform::{Momentum, ScaleByLr};
/// use onestep_optimizer::{Chain, Flow, GroupLeaves, Optimizer, OptimizerError, Transform};
///
/// #[derive(Debug)]
/// struct Cut;
///
/// impl Transform for Cut {
///     fn apply(
///         &self,
///         g: &mut Graph,
///         _: &GroupLeaves<'_>,
///         flow: &mut Flow,
///     ) -> Result<(), GraphError> {
///         let (update, one, minus) = (flow.update(g)?, g.constant(1.0)?, g.constant(-1.0)?);
///         let below = g.min(update, one)?;
///         flow.set(g.max(below, minus)?);
///         Ok(())
///     }
/// }
///
/// let chain = Chain::new("cut_sgd").then(Momentum::new(0.9)).then(Cut).then(ScaleByLr);
/// let optimizer = Optimizer::new(chain, 0.1)?;
/// let groups = optimizer.groups(&[ParameterInfo::new("fc.weight", Shape::from([3, 2]))])?;
/// assert_eq!(optimizer.update_graph(&groups)?.groups[0].states[0].kind, "momentum_buffer");
/// # Ok::<(), OptimizerError>(())
/// ```
pub trait Transform: Debug + Send + Sync {
    /// The state it keeps for each parameter.
    fn states(&self) -> Vec<StateKind> {
        Vec::new()
    }

    /// The numbers it keeps for many parameters together.
    fn shared_states(&self) -> Vec<SharedState> {
        Vec::new()
    }

    /// Appends the update of those numbers of one scope, in the order of
    /// [`Transform::shared_states`], before any group is updated.
    ///
    /// # Errors
    /// The graph's own.
    fn shared(
        &self,
        g: &mut Graph,
        scope: Scope,
        groups: &[GroupLeaves<'_>],
    ) -> Result<Vec<Value>, GraphError> {
        let _ = (g, scope, groups);
        Ok(Vec::new())
    }

    /// Whether it looks at tensors, and not at the group's vector alone.
    fn by_tensor(&self) -> bool {
        false
    }

    /// Appends its part of the update of one group.
    ///
    /// # Errors
    /// The graph's own.
    fn apply(
        &self,
        g: &mut Graph,
        leaves: &GroupLeaves<'_>,
        flow: &mut Flow,
    ) -> Result<(), GraphError>;
}

/// Transformations one after the other, and at the end `parameter - update`.
#[derive(Debug)]
pub struct Chain {
    name: String,
    transforms: Vec<Box<dyn Transform>>,
    weight_decay: f64,
}

impl Chain {
    /// A chain without a transformation: `parameter - gradient`.
    pub fn new(name: impl Into<String>) -> Self {
        Chain { name: name.into(), transforms: Vec::new(), weight_decay: 0.0 }
    }

    /// Sets the weight decay of groups that have none of their own, for the transformations that
    /// apply it.
    #[must_use]
    pub fn with_weight_decay(mut self, weight_decay: f64) -> Self {
        self.weight_decay = weight_decay;
        self
    }

    /// Adds a transformation behind the others.
    #[must_use]
    pub fn then(mut self, transform: impl Transform + 'static) -> Self {
        self.transforms.push(Box::new(transform));
        self
    }

    /// Adds a transformation where there is one.
    #[must_use]
    pub fn then_if(self, transform: Option<impl Transform + 'static>) -> Self {
        match transform {
            Some(transform) => self.then(transform),
            None => self,
        }
    }
}

impl UpdateRule for Chain {
    fn name(&self) -> &str {
        &self.name
    }

    fn states(&self) -> Vec<StateKind> {
        self.transforms.iter().flat_map(|transform| transform.states()).collect()
    }

    fn weight_decay(&self) -> f64 {
        self.weight_decay
    }

    fn shared_states(&self) -> Vec<SharedState> {
        self.transforms.iter().flat_map(|transform| transform.shared_states()).collect()
    }

    fn shared(
        &self,
        g: &mut Graph,
        scope: Scope,
        groups: &[GroupLeaves<'_>],
    ) -> Result<Vec<Value>, GraphError> {
        let mut all = Vec::new();
        for transform in &self.transforms {
            all.extend(transform.shared(g, scope, groups)?);
        }
        Ok(all)
    }

    fn by_tensor(&self) -> bool {
        self.transforms.iter().any(|transform| transform.by_tensor())
    }

    fn update(&self, g: &mut Graph, leaves: GroupLeaves<'_>) -> Result<Updated, GraphError> {
        let mut flow = Flow::new(&leaves);
        for transform in &self.transforms {
            transform.apply(g, &leaves, &mut flow)?;
        }
        let update = flow.update(g)?;
        let parameter = g.sub(flow.parameter, update)?;
        let states = leaves.states.iter().map(|state| flow.kept(&leaves, &state.kind));
        Ok(Updated { parameter, states: states.collect::<Result<_, _>>()? })
    }
}
