//! The groups of parameters and where their state lies.

use onestep_engine::{
    EngineError, GroupUpdate, ParameterGroup, Program, StateLayout, StateUpdate, UpdateGraph,
};

use crate::error::unsupported;

/// A group of parameters that is not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// Its name.
    pub(crate) name: String,
    /// Its length.
    pub(crate) elements: usize,
    /// The buffer of its parameters, by its position in the state table.
    pub(crate) parameter: usize,
    /// The buffers of its optimizer state.
    pub(crate) states: Vec<usize>,
}

/// What the rule says of a group.
pub(super) fn of_group<'a>(rule: &'a UpdateGraph, name: &str) -> Option<&'a GroupUpdate> {
    rule.groups.iter().find(|update| update.group == name)
}

/// The groups of a program that are not empty, with the buffers of their state.
pub(super) fn groups(
    program: &Program,
    rule: Option<&UpdateGraph>,
    layout: &StateLayout,
) -> Result<Vec<Group>, EngineError> {
    let full = program.groups.iter().filter(|group| group.elements() > 0);
    full.map(|group| {
        let updates = rule.and_then(|rule| of_group(rule, &group.name));
        let kinds = updates.map_or(&[][..], |update| &update.states);
        check_shapes(kinds)?;
        let states = kinds.iter().map(|state| buffer(layout, group, &format!("{}.", state.kind)));
        Ok(Group {
            name: group.name.clone(),
            elements: group.elements(),
            parameter: weights(layout, group, program.weights.as_deref())?,
            states: states.collect::<Result<_, EngineError>>()?,
        })
    })
    .collect()
}

/// The buffer that a group's parameters are read from.
fn weights(
    layout: &StateLayout,
    group: &ParameterGroup,
    kind: Option<&str>,
) -> Result<usize, EngineError> {
    let copy = kind.and_then(|kind| buffer(layout, group, &format!("{kind}.")).ok());
    copy.map_or_else(|| buffer(layout, group, ""), Ok)
}

/// The shim knows state of the group's length alone.
fn check_shapes(kinds: &[StateUpdate]) -> Result<(), EngineError> {
    match kinds.iter().find(|state| !state.shape.is_elementwise()) {
        None => Ok(()),
        Some(state) => {
            let reason = "the shim keeps a number for each element of the parameters alone";
            Err(unsupported(format!("optimizer state `{}`", state.kind), reason))
        }
    }
}

/// The one buffer in which the tensors of a group, with a prefix to their names, lie in order.
fn buffer(
    layout: &StateLayout,
    group: &ParameterGroup,
    prefix: &str,
) -> Result<usize, EngineError> {
    let (mut buffer, mut offset) = (None, 0);
    for parameter in &group.parameters {
        let entry = layout.entry(&format!("{prefix}{}", parameter.name))?;
        let in_order = *buffer.get_or_insert(entry.buffer) == entry.buffer;
        if !in_order || entry.offset != offset {
            let what = format!("the tensors of group `{}` lie in another order", group.name);
            return Err(EngineError::Invariant { what });
        }
        offset += entry.shape.elements();
    }
    buffer.ok_or_else(|| EngineError::UnknownState { name: group.name.clone() })
}
