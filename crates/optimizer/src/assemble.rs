//! From groups of parameters and their rules to one update graph.

use std::sync::Arc;

use onestep_engine::{
    Graph, Named, ParameterGroup, StateShape, StateUpdate, Type, UpdateGraph, Value,
};

use crate::averaging::Averaging;
use crate::clip::{Clip, GRAD_NORM};
use crate::leaves::{GroupLeaves, GroupTensor, LR, SharedLeaf};
use crate::rule::{Scope, SharedState, UpdateRule, Updated};
use crate::{GroupOptions, OptimizerError};

/// A group that is trained, and what its rule is told.
pub(crate) struct Part<'a> {
    pub(crate) group: &'a ParameterGroup,
    pub(crate) options: &'a GroupOptions,
    pub(crate) rule: Arc<dyn UpdateRule>,
    /// Parts with the same are updated by the same rule.
    pub(crate) of: String,
    /// The learning rate as a multiple of the optimizer's.
    pub(crate) lr_scale: f64,
    pub(crate) weight_decay: f64,
    /// The options that schedules change, with a factor of each.
    pub(crate) fed: Vec<(&'static str, f64)>,
}

/// A part with its values in the graph.
struct Ready<'a> {
    part: Part<'a>,
    tensors: Vec<GroupTensor>,
    gradient: Value,
    lr: Value,
    fed: Vec<(&'static str, Value)>,
    shared: Vec<SharedLeaf>,
}

impl Ready<'_> {
    fn leaves<'a>(&'a self, update: &'a onestep_engine::GroupUpdate) -> GroupLeaves<'a> {
        GroupLeaves {
            group: &self.part.options.name,
            tensors: &self.tensors,
            parameter: update.parameter,
            gradient: self.gradient,
            states: &update.states,
            shared: &self.shared,
            lr: self.lr,
            weight_decay: self.part.weight_decay,
            fed: &self.fed,
        }
    }
}

/// The update of all parts: clipping over all of them together, what they share, then the rule on
/// each, and the average of what comes out.
pub(crate) fn assemble(
    parts: Vec<Part<'_>>,
    clip: Option<Clip>,
    averaging: Option<Averaging>,
) -> Result<UpdateGraph, OptimizerError> {
    let mut update = UpdateGraph::default();
    for part in &parts {
        add_leaves(&mut update, part)?;
    }
    let mut gradients: Vec<Value> = update.groups.iter().map(|g| g.gradient).collect();
    if let Some(clip) = clip {
        let (clipped, norm) = clip.apply(&mut update.graph, &gradients)?;
        gradients = clipped;
        update.reports.extend(norm.map(|norm| Named::new(GRAD_NORM, norm)));
    }
    let mut ready = Vec::with_capacity(parts.len());
    for (part, gradient) in parts.into_iter().zip(gradients) {
        ready.push(prepare(&mut update.graph, part, gradient)?);
    }
    for scope in [Scope::Group, Scope::Run] {
        share(&mut update, &mut ready, scope)?;
    }
    for (index, ready) in ready.iter().enumerate() {
        update_group(&mut update, index, ready)?;
    }
    if let Some(averaging) = averaging {
        for (index, ready) in ready.iter().enumerate() {
            average(&mut update, index, ready.part.group, averaging)?;
        }
    }
    Ok(update)
}

/// Adds the leaves of a group: parameter, gradient and each kind of state.
fn add_leaves(update: &mut UpdateGraph, part: &Part<'_>) -> Result<(), OptimizerError> {
    update.group(part.group)?.lazy = part.rule.lazy();
    for kind in part.rule.states() {
        if kind.shape.elements(part.group) == 0 && part.group.elements() > 0 {
            // No tensor of the group has any.
            continue;
        }
        let old = update.shaped_state(part.group, &kind.name, kind.shape)?;
        let (shape, initial) = (kind.shape, kind.initial);
        let state = StateUpdate { kind: kind.name, shape, old, new: old, initial };
        if let Some(last) = update.groups.last_mut() {
            last.states.push(state);
        }
    }
    Ok(())
}

fn prepare<'a>(
    g: &mut Graph,
    part: Part<'a>,
    gradient: Value,
) -> Result<Ready<'a>, OptimizerError> {
    let lr = g.scalar(LR)?;
    let lr = scaled(g, lr, part.lr_scale)?;
    let mut fed = Vec::with_capacity(part.fed.len());
    for &(name, factor) in &part.fed {
        let scalar = g.scalar(name)?;
        fed.push((name, scaled(g, scalar, factor)?));
    }
    let tensors = GroupTensor::of(part.group);
    Ok(Ready { part, tensors, gradient, lr, fed, shared: Vec::new() })
}

fn scaled(g: &mut Graph, scalar: Value, factor: f64) -> Result<Value, OptimizerError> {
    Ok(if factor == 1.0 { scalar } else { g.scale(scalar, factor as f32)? })
}

/// Adds what parts share in a scope, and updates it.
fn share(
    update: &mut UpdateGraph,
    ready: &mut [Ready<'_>],
    scope: Scope,
) -> Result<(), OptimizerError> {
    let key = |ready: &Ready<'_>| match scope {
        Scope::Group => (ready.part.of.clone(), ready.part.options.name.clone()),
        Scope::Run => (ready.part.of.clone(), ready.part.of.clone()),
    };
    for first in 0..ready.len() {
        let own = key(&ready[first]);
        if ready[..first].iter().any(|earlier| key(earlier) == own) {
            continue;
        }
        let rule = Arc::clone(&ready[first].part.rule);
        let kinds = rule.shared_states().into_iter().filter(|shared| shared.scope == scope);
        let kinds: Vec<SharedState> = kinds.collect();
        if kinds.is_empty() {
            continue;
        }
        let members: Vec<usize> =
            (first..ready.len()).filter(|&index| key(&ready[index]) == own).collect();
        let position = update.shared.len();
        for kind in &kinds {
            let old = update.shared(&format!("{}.{}", kind.kind, own.1), kind.initial)?.old;
            for &member in &members {
                let leaf = SharedLeaf { kind: kind.kind.clone(), old, new: old };
                ready[member].shared.push(leaf);
            }
        }
        let leaves: Vec<_> =
            members.iter().map(|&at| ready[at].leaves(&update.groups[at])).collect();
        let new = rule.shared(&mut update.graph, scope, &leaves)?;
        check_shared(&update.graph, rule.name(), &new, kinds.len())?;
        for (offset, (kind, &value)) in kinds.iter().zip(&new).enumerate() {
            update.shared[position + offset].new = value;
            for &member in &members {
                let leaf = ready[member].shared.iter_mut().find(|leaf| leaf.kind == kind.kind);
                leaf.into_iter().for_each(|leaf| leaf.new = value);
            }
        }
    }
    Ok(())
}

/// Runs the rule on one group.
fn update_group(
    update: &mut UpdateGraph,
    index: usize,
    ready: &Ready<'_>,
) -> Result<(), OptimizerError> {
    let group = &mut update.groups[index];
    let rule = &ready.part.rule;
    let updated = rule.update(&mut update.graph, ready.leaves(group))?;
    let old: Vec<Value> = group.states.iter().map(|state| state.old).collect();
    check_updated(&update.graph, rule.name(), &updated, group.parameter, &old)?;
    group.new_parameter = updated.parameter;
    for (state, new) in group.states.iter_mut().zip(updated.states) {
        state.new = new;
    }
    Ok(())
}

/// Adds the average of a group's new parameters.
fn average(
    update: &mut UpdateGraph,
    index: usize,
    group: &ParameterGroup,
    averaging: Averaging,
) -> Result<(), OptimizerError> {
    let (kind, shape) = (averaging.kind().to_owned(), StateShape::Copy);
    let old = update.shaped_state(group, &kind, shape)?;
    let new = averaging.average(&mut update.graph, old, update.groups[index].new_parameter)?;
    update.groups[index].states.push(StateUpdate { kind, shape, old, new, initial: 0.0 });
    Ok(())
}

/// Checks what a rule returned against what it said of itself.
fn check_updated(
    g: &Graph,
    rule: &str,
    updated: &Updated,
    parameter: Value,
    states: &[Value],
) -> Result<(), OptimizerError> {
    if updated.states.len() != states.len() {
        let wanted = format!("{} states, as many as it lists", states.len());
        return Err(wrong(rule, wanted, updated.states.len().to_string()));
    }
    let old = states.iter().chain([&parameter]);
    for (&value, &old) in updated.states.iter().chain([&updated.parameter]).zip(old) {
        check_type(g, rule, value, g.type_of(old))?;
    }
    Ok(())
}

fn check_shared(g: &Graph, rule: &str, new: &[Value], wanted: usize) -> Result<(), OptimizerError> {
    if new.len() != wanted {
        let wanted = format!("{wanted} shared states, as many as it lists");
        return Err(wrong(rule, wanted, new.len().to_string()));
    }
    let scalar = Type::f32(onestep_engine::Shape::scalar());
    new.iter().try_for_each(|&value| check_type(g, rule, value, &scalar))
}

fn check_type(g: &Graph, rule: &str, value: Value, wanted: &Type) -> Result<(), OptimizerError> {
    let got = g.nodes().get(value.index()).map(|node| &node.ty);
    if got == Some(wanted) {
        return Ok(());
    }
    let got = got.map_or_else(|| "one of another graph".to_owned(), Type::to_string);
    Err(wrong(rule, format!("values of {wanted}"), got))
}

fn wrong(rule: &str, wanted: String, got: String) -> OptimizerError {
    OptimizerError::Rule { rule: rule.to_owned(), wanted, got }
}
