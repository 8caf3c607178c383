//! Decay, momentum and the learning rate.

use onestep_engine::{Graph, GraphError, Value};

use crate::chain::{Flow, Transform};
use crate::leaves::GroupLeaves;
use crate::rule::StateKind;

const BUFFER: &str = "momentum_buffer";

/// `update + weight_decay * parameter`, with the weight decay of the group: an L2 penalty where it is
/// first, decay beside the rule's own direction where it is later.
#[derive(Clone, Copy, Debug)]
pub struct AddDecay;

impl Transform for AddDecay {
    fn apply(
        &self,
        g: &mut Graph,
        leaves: &GroupLeaves<'_>,
        flow: &mut Flow,
    ) -> Result<(), GraphError> {
        if !leaves.decay().is_zero() {
            let update = flow.update(g)?;
            flow.set(leaves.penalised(g, update)?);
        }
        Ok(())
    }
}

/// `parameter * (1 - lr * weight_decay)`, which the update is then taken from.
#[derive(Clone, Copy, Debug)]
pub struct Decay;

impl Transform for Decay {
    fn apply(
        &self,
        g: &mut Graph,
        leaves: &GroupLeaves<'_>,
        flow: &mut Flow,
    ) -> Result<(), GraphError> {
        flow.parameter = leaves.decayed_parameter(g)?;
        Ok(())
    }
}

/// `b = momentum * b + (1 - dampening) * update`, where the first step has no dampening. The update
/// becomes `b`, or `update + momentum * b` with Nesterov's momentum. State: `momentum_buffer`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Momentum {
    /// How much of the last change is kept.
    pub momentum: f64,
    /// How much less a new update counts.
    pub dampening: f64,
    /// Whether to look ahead.
    pub nesterov: bool,
}

impl Momentum {
    /// Plain momentum.
    pub fn new(momentum: f64) -> Self {
        Momentum { momentum, dampening: 0.0, nesterov: false }
    }

    /// `momentum * buffer + (1 - dampening) * d`, where at step 1 the factor of `d` is 1. As the
    /// buffer starts at zero, that makes it `d` at step 1.
    fn buffer(
        &self,
        g: &mut Graph,
        leaves: &GroupLeaves<'_>,
        d: Value,
    ) -> Result<Value, GraphError> {
        let kept = leaves.hyper("momentum", self.momentum).times(g, leaves.state(BUFFER)?)?;
        if self.dampening == 0.0 {
            return g.add(kept, d);
        }
        let one = g.constant(1.0)?;
        let damped = leaves.hyper("dampening", self.dampening).rest(g)?.value(g)?;
        let step = leaves.step(g)?;
        let first = g.le(step, one)?;
        let factor = g.select(first, one, damped)?;
        let fresh = g.mul(d, factor)?;
        g.add(kept, fresh)
    }
}

impl Transform for Momentum {
    fn states(&self) -> Vec<StateKind> {
        vec![StateKind::zeros(BUFFER)]
    }

    fn apply(
        &self,
        g: &mut Graph,
        leaves: &GroupLeaves<'_>,
        flow: &mut Flow,
    ) -> Result<(), GraphError> {
        let d = flow.update(g)?;
        let buffer = self.buffer(g, leaves, d)?;
        flow.keep(BUFFER, buffer);
        flow.set(match self.nesterov {
            true => {
                let ahead = leaves.hyper("momentum", self.momentum).times(g, buffer)?;
                g.add(d, ahead)?
            }
            false => buffer,
        });
        Ok(())
    }
}

/// `update * lr`
#[derive(Clone, Copy, Debug)]
pub struct ScaleByLr;

impl Transform for ScaleByLr {
    fn apply(
        &self,
        g: &mut Graph,
        leaves: &GroupLeaves<'_>,
        flow: &mut Flow,
    ) -> Result<(), GraphError> {
        flow.scale(g, leaves.lr)
    }
}

/// `update * lr / (1 + (step - 1) * decay)`
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DecayLr {
    /// How fast the learning rate falls with the number of steps.
    pub decay: f64,
}

impl Transform for DecayLr {
    fn apply(
        &self,
        g: &mut Graph,
        leaves: &GroupLeaves<'_>,
        flow: &mut Flow,
    ) -> Result<(), GraphError> {
        if self.decay == 0.0 {
            return flow.scale(g, leaves.lr);
        }
        let step = leaves.step(g)?;
        let before = g.offset(step, -1.0)?;
        let growth = leaves.hyper("lr_decay", self.decay).times(g, before)?;
        let divisor = g.offset(growth, 1.0)?;
        let rate = g.div(leaves.lr, divisor)?;
        flow.scale(g, rate)
    }
}
