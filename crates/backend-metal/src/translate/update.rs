//! The update graph: flat parameters, gradients and optimizer state to their successors.

use std::collections::HashMap;

use onestep_engine::ops::{Leaf, LeafKind};
use onestep_engine::{EngineError, GroupUpdate, Shape, Type, UpdateGraph, Value};

use super::graph::{Nodes, Source, scalar};
use super::groups::{Group, of_group};
use crate::error::unsupported;

/// The update graph in the shim's terms.
#[derive(Debug)]
pub(crate) struct Update {
    /// Its nodes.
    pub(crate) nodes: Nodes,
    /// What becomes of each group.
    pub(crate) groups: Vec<NewGroup>,
    /// What is reported.
    pub(crate) reports: Vec<u32>,
}

/// What a group becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewGroup {
    /// Its parameters.
    pub(crate) parameter: u32,
    /// Its optimizer state.
    pub(crate) states: Vec<u32>,
}

impl Update {
    pub(super) fn new(
        rule: &UpdateGraph,
        groups: &[Group],
        scalars: &mut Vec<String>,
    ) -> Result<Self, EngineError> {
        if let Some(shared) = rule.shared.first() {
            let reason = "the shim keeps state for parameters alone";
            return Err(unsupported(format!("shared state `{}`", shared.name), reason));
        }
        if let Some(lazy) = rule.groups.iter().find(|group| group.lazy) {
            let reason = "gradients are of whole tables here; use the cpu";
            return Err(unsupported(format!("an update by rows of `{}`", lazy.group), reason));
        }
        let updates: Vec<_> = groups.iter().map(|g| of_group(rule, &g.name)).collect();
        let sources = sources(&updates);
        let mut nodes = Nodes::new(&rule.graph, &roots(rule, &updates), |value, leaf| {
            source(&sources, scalars, value, leaf)
        })?;
        let mut new_groups = Vec::with_capacity(groups.len());
        for (index, (group, update)) in groups.iter().zip(&updates).enumerate() {
            new_groups.push(match update {
                Some(update) => new_group(&nodes, update)?,
                None => unchanged(&mut nodes, index, group)?,
            });
        }
        let reports = rule.reports.iter().map(|report| nodes.number(report.value));
        let reports = reports.collect::<Result<_, _>>()?;
        Ok(Update { nodes, groups: new_groups, reports })
    }
}

/// What the leaves of the groups' updates stand for.
fn sources(updates: &[Option<&GroupUpdate>]) -> HashMap<Value, Source> {
    let mut sources = HashMap::new();
    for (group, update) in updates.iter().enumerate() {
        let Some(update) = update else { continue };
        sources.insert(update.parameter, Source::Parameter { group, offset: 0 });
        sources.insert(update.gradient, Source::Gradient { group });
        for (index, state) in update.states.iter().enumerate() {
            sources.insert(state.old, Source::OptimizerState { group, index });
        }
    }
    sources
}

fn source(
    sources: &HashMap<Value, Source>,
    scalars: &mut Vec<String>,
    value: Value,
    leaf: &Leaf,
) -> Result<Source, EngineError> {
    if leaf.kind == LeafKind::Scalar {
        return Ok(Source::Scalar(scalar(scalars, &leaf.name)));
    }
    let unknown = || unsupported(format!("leaf `{}`", leaf.name), "no group of the update has it");
    sources.get(&value).copied().ok_or_else(unknown)
}

fn roots(rule: &UpdateGraph, updates: &[Option<&GroupUpdate>]) -> Vec<Value> {
    let groups = updates.iter().copied().flatten();
    let new = groups.flat_map(|update| {
        let states = update.states.iter().map(|state| state.new);
        states.chain([update.new_parameter])
    });
    new.chain(rule.reports.iter().map(|report| report.value)).collect()
}

fn new_group(nodes: &Nodes, update: &GroupUpdate) -> Result<NewGroup, EngineError> {
    let states = update.states.iter().map(|state| nodes.number(state.new));
    Ok(NewGroup {
        parameter: nodes.number(update.new_parameter)?,
        states: states.collect::<Result<_, _>>()?,
    })
}

/// A group that the rule leaves as it is.
fn unchanged(nodes: &mut Nodes, index: usize, group: &Group) -> Result<NewGroup, EngineError> {
    let ty = Type::f32(Shape::new(&[group.elements])?);
    let node = Source::Parameter { group: index, offset: 0 }.node(&ty);
    Ok(NewGroup { parameter: nodes.append(node), states: Vec::new() })
}
