//! The forward graph with its loss.

use std::collections::HashMap;

use onestep_engine::ops::{Leaf, LeafKind, Op};
use onestep_engine::{EngineError, Mode, Program, StateKind, StateLayout, Value};

use super::Group;
use super::graph::{Nodes, Source, scalar};
use crate::error::unsupported;

/// The forward graph in the shim's terms.
#[derive(Debug)]
pub(crate) struct Forward {
    /// Its nodes.
    pub(crate) nodes: Nodes,
    /// What is minimised, or reported first.
    pub(crate) loss: Option<u32>,
    /// What is reported behind it.
    pub(crate) reports: Vec<u32>,
    /// What can be read, in the program's order.
    pub(crate) outputs: Vec<u32>,
    /// Running statistics: the buffer's position in the state table, and the new value.
    pub(crate) states: Vec<(usize, Option<u32>)>,
    /// How many tensors a step is fed.
    pub(crate) feeds: usize,
}

impl Forward {
    pub(super) fn new(
        program: &Program,
        groups: &[Group],
        layout: &StateLayout,
        scalars: &mut Vec<String>,
    ) -> Result<Self, EngineError> {
        let stops = |node: &onestep_engine::Node| matches!(node.op, Op::Detach(_));
        if program.mode.trains() && program.graph.nodes().iter().any(stops) {
            let reason = "MPSGraph differentiates by itself and knows no way to stop; use the cpu";
            return Err(unsupported("detach", reason));
        }
        let names = Names::new(program, groups);
        let nodes = Nodes::new(&program.graph, &roots(program), |_, leaf| match leaf.kind {
            LeafKind::Scalar => Ok(Source::Scalar(scalar(scalars, &leaf.name))),
            _ => names.source(leaf),
        })?;
        let numbers = |values: &[onestep_engine::Named]| -> Result<Vec<u32>, EngineError> {
            values.iter().map(|named| nodes.number(named.value)).collect()
        };
        let states = names.states.iter().map(|&name| {
            let buffer = state_buffer(layout, name)?;
            let new = updates(program).iter().find(|update| update.name == name);
            Ok((buffer, new.map(|update| nodes.number(update.value)).transpose()?))
        });
        Ok(Forward {
            states: states.collect::<Result<_, EngineError>>()?,
            loss: program.loss.map(|loss| nodes.number(loss)).transpose()?,
            reports: numbers(&program.reports)?,
            outputs: numbers(&program.outputs)?,
            feeds: names.feeds.len(),
            nodes,
        })
    }
}

/// The state updates that a step makes.
fn updates(program: &Program) -> &[onestep_engine::Named] {
    match program.mode {
        Mode::Train | Mode::Accumulate | Mode::Predict => &program.state_updates,
        Mode::Evaluate => &[],
    }
}

/// Every value that somebody needs.
fn roots(program: &Program) -> Vec<Value> {
    let named = program.reports.iter().chain(&program.outputs).chain(updates(program));
    program.loss.into_iter().chain(named.map(|named| named.value)).collect()
}

/// The buffer of a running statistic.
fn state_buffer(layout: &StateLayout, name: &str) -> Result<usize, EngineError> {
    let entry = layout.entry(name)?;
    if entry.kind != StateKind::Model {
        let reason = "a state of the graph must be a buffer of its own, not a part of a group's";
        return Err(unsupported(format!("state `{name}`"), reason));
    }
    Ok(entry.buffer)
}

/// Where leaves are found, by name.
struct Names<'a> {
    feeds: HashMap<&'a str, usize>,
    parameters: HashMap<&'a str, Source>,
    /// In the order in which the shim takes them.
    states: Vec<&'a str>,
}

impl<'a> Names<'a> {
    fn new(program: &'a Program, groups: &[Group]) -> Self {
        let graph = &program.graph;
        let feeds = graph.leaves(LeafKind::Input).enumerate().map(|(i, (name, _))| (name, i));
        let mut parameters = HashMap::new();
        for (group, of) in groups.iter().enumerate() {
            let Some(info) = program.groups.iter().find(|g| g.name == of.name) else { continue };
            let mut offset = 0;
            for parameter in &info.parameters {
                parameters.insert(parameter.name.as_str(), Source::Parameter { group, offset });
                offset += parameter.shape.elements();
            }
        }
        let mut states: Vec<&str> = graph.leaves(LeafKind::State).map(|(name, _)| name).collect();
        for update in updates(program) {
            if !states.contains(&update.name.as_str()) {
                states.push(&update.name);
            }
        }
        Names { feeds: feeds.collect(), parameters, states }
    }

    fn source(&self, leaf: &Leaf) -> Result<Source, EngineError> {
        let name = leaf.name.as_str();
        let found = match leaf.kind {
            LeafKind::Input => self.feeds.get(name).map(|&index| Source::Feed(index)),
            LeafKind::Parameter => self.parameters.get(name).copied(),
            LeafKind::State => self.states.iter().position(|&s| s == name).map(Source::State),
            LeafKind::Scalar | LeafKind::Gradient | LeafKind::OptimizerState => None,
        };
        found.ok_or_else(|| EngineError::UnknownState { name: name.to_owned() })
    }
}
