//! From a program to what the shim compiles: the forward graph, whose gradient MPSGraph derives by
//! itself, and the update graph.

mod forward;
mod graph;
mod groups;
mod op;
mod update;

use onestep_engine::{EngineError, MAX_REPORTS, Mode, Program, StateLayout};
use onestep_metal_sys::NodeDescription;

use crate::error::unsupported;

pub(crate) use forward::Forward;
pub(crate) use groups::Group;
use update::Update;

/// A program in the shim's terms, but for the buffers.
#[derive(Debug)]
pub(crate) struct Translation {
    /// The forward graph.
    pub(crate) forward: Forward,
    /// The update graph of a training program.
    pub(crate) update: Option<Update>,
    /// Groups that have elements.
    pub(crate) groups: Vec<Group>,
    /// The scalars of a step by name, in the order in which the shim takes them.
    pub(crate) scalars: Vec<String>,
    /// The names of what a step reports.
    pub(crate) reports: Vec<String>,
}

impl Translation {
    /// Translates a program whose state lies as in `layout`.
    ///
    /// # Errors
    /// The program lacks a loss or an update rule that its mode needs, a leaf has no place in the
    /// layout, or an op has no translation.
    pub(crate) fn new(program: &Program, layout: &StateLayout) -> Result<Self, EngineError> {
        let train = program.mode == Mode::Train;
        if program.mode == Mode::Accumulate || program.accumulation.is_some() {
            let reason = "a step's gradients are its own; train on larger batches, or on the cpu";
            return Err(unsupported("accumulated gradients", reason));
        }
        let missing = |missing| EngineError::Incomplete { mode: "train", missing };
        if train && program.loss.is_none() {
            return Err(missing("a loss"));
        }
        let rule = program.update.as_deref().filter(|_| train);
        if train && rule.is_none() {
            return Err(missing("an update rule"));
        }
        let groups = groups::groups(program, rule, layout)?;
        let mut scalars = Vec::new();
        let forward = Forward::new(program, &groups, layout, &mut scalars)?;
        let update = rule.map(|rule| Update::new(rule, &groups, &mut scalars)).transpose()?;
        let reports = report_names(program, train);
        if reports.len() > MAX_REPORTS {
            let got = reports.len();
            return Err(EngineError::TooManyReports { most: MAX_REPORTS, got });
        }
        Ok(Translation { forward, update, groups, scalars, reports })
    }

    /// All nodes as text, one a line.
    pub(crate) fn dump(&self) -> String {
        let mut text = String::from("forward\n");
        dump_nodes(&self.forward.nodes.list, &mut text);
        if let Some(update) = &self.update {
            text.push_str("update\n");
            dump_nodes(&update.nodes.list, &mut text);
        }
        text
    }
}

fn dump_nodes(nodes: &[NodeDescription], text: &mut String) {
    for (number, node) in nodes.iter().enumerate() {
        let inputs: Vec<String> = node.inputs.iter().map(|i| format!("%{i}")).collect();
        let (name, inputs) = (node.op.name().to_lowercase(), inputs.join(", "));
        text.push_str(&format!(
            "%{number:<4} = {name} {inputs} : {:?}{:?}\n",
            node.dtype, node.dims
        ));
    }
}

fn report_names(program: &Program, train: bool) -> Vec<String> {
    let loss = program.loss.map(|_| "loss".to_owned());
    let update = program.update.as_deref().filter(|_| train).map_or(&[][..], |u| &u.reports);
    let named = program.reports.iter().chain(update).map(|report| report.name.clone());
    loss.into_iter().chain(named).collect()
}
