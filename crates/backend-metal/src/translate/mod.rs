//! From a program to what the shim compiles: the engine's graph of the whole step, in primitives.

mod graph;
mod op;

#[cfg(all(test, feature = "headless"))]
mod differentiated;

use std::collections::HashMap;

use onestep_engine::ops::{Leaf, LeafKind};
use onestep_engine::{EngineError, Graph, Named, Program, StateLayout, StepGraph, Type, Value};
use onestep_metal_sys::NodeDescription;

use crate::error::unsupported;
use graph::{Nodes, Source};

/// A program in the shim's terms, but for the buffers.
#[derive(Debug)]
pub(crate) struct Translation {
    /// The step in primitives.
    pub(crate) step: StepGraph,
    /// The same in the shim's terms.
    pub(crate) nodes: Vec<NodeDescription>,
    /// The buffers that the step reads or writes: the position in the state table, and the new value.
    pub(crate) states: Vec<(usize, Option<u32>)>,
    /// What can be read after a step. A tensor without elements has no value.
    pub(crate) outputs: Vec<Output>,
    /// What is reported.
    pub(crate) reports: Vec<u32>,
    /// The scalars of a step by name, in the order in which the shim takes them.
    pub(crate) scalars: Vec<String>,
    /// How many tensors a step is fed.
    pub(crate) feeds: usize,
    /// The bytes of those.
    pub(crate) feed_bytes: usize,
    /// For each value of the step whether it is computed.
    pub(crate) live: Vec<bool>,
}

/// A value that can be read after a step.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) name: String,
    pub(crate) ty: Type,
    pub(crate) value: Option<u32>,
}

impl Translation {
    /// Translates a program whose state lies as in `layout`.
    ///
    /// # Errors
    /// The program lacks a loss or an update rule that its mode needs, a leaf has no place in the
    /// layout, or an op has no gradient or no translation.
    pub(crate) fn new(program: &Program, layout: &StateLayout) -> Result<Self, EngineError> {
        let step = in_primitives(&StepGraph::new(program, layout)?)?;
        let mut leaves = Leaves::new(program, layout);
        let named = step.reports.iter().chain(&step.outputs).chain(&step.writes);
        let roots: Vec<Value> = named.map(|named| named.value).collect();
        let nodes = Nodes::new(&step.graph, &roots, |leaf| leaves.source(leaf))?;
        for write in &step.writes {
            let (state, value) = (leaves.state(&write.name)?, nodes.find(write.value));
            leaves.states[state].1 = value;
        }
        let outputs = step.outputs.iter().map(|output| Output {
            name: output.name.clone(),
            ty: step.graph.type_of(output.value).clone(),
            value: nodes.find(output.value),
        });
        let reports = step.reports.iter().map(|report| nodes.number(report.value));
        Ok(Translation {
            outputs: outputs.collect(),
            reports: reports.collect::<Result<_, _>>()?,
            states: leaves.states,
            scalars: leaves.scalars,
            feeds: leaves.feeds.len(),
            feed_bytes: feed_bytes(program),
            live: nodes.live(),
            nodes: nodes.list,
            step,
        })
    }

    /// All nodes as text, one a line.
    pub(crate) fn dump(&self) -> String {
        let mut text = String::from("step\n");
        for (number, node) in self.nodes.iter().enumerate() {
            let inputs: Vec<String> = node.inputs.iter().map(|i| format!("%{i}")).collect();
            let (name, inputs) = (node.op.name().to_lowercase(), inputs.join(", "));
            text.push_str(&format!(
                "%{number:<4} = {name} {inputs} : {:?}{:?}\n",
                node.dtype, node.dims
            ));
        }
        text
    }
}

fn feed_bytes(program: &Program) -> usize {
    let feeds = program.graph.leaves(LeafKind::Input);
    feeds.map(|(_, value)| program.graph.type_of(value).bytes()).sum()
}

/// The step with its composites written out.
fn in_primitives(step: &StepGraph) -> Result<StepGraph, EngineError> {
    let (graph, map): (Graph, Vec<Value>) = step.graph.primitives()?;
    let at = |list: &[Named]| -> Vec<Named> {
        list.iter().map(|n| Named::new(n.name.clone(), map[n.value.index()])).collect()
    };
    Ok(StepGraph {
        writes: at(&step.writes),
        reports: at(&step.reports),
        outputs: at(&step.outputs),
        graph,
    })
}

/// Where leaves are found, by name.
struct Leaves<'a> {
    feeds: HashMap<&'a str, usize>,
    /// The positions of the state table's buffers.
    buffers: HashMap<&'a str, usize>,
    states: Vec<(usize, Option<u32>)>,
    scalars: Vec<String>,
}

impl<'a> Leaves<'a> {
    fn new(program: &'a Program, layout: &'a StateLayout) -> Self {
        let feeds = program.graph.leaves(LeafKind::Input).enumerate();
        let buffers = layout.buffers().iter().enumerate();
        Leaves {
            feeds: feeds.map(|(i, (name, _))| (name, i)).collect(),
            buffers: buffers.map(|(i, buffer)| (buffer.name.as_str(), i)).collect(),
            states: Vec::new(),
            scalars: Vec::new(),
        }
    }

    fn source(&mut self, leaf: &Leaf) -> Result<Source, EngineError> {
        let name = leaf.name.as_str();
        match leaf.kind {
            LeafKind::Input => {
                let unknown = || unsupported(format!("input `{name}`"), "no step is fed it");
                self.feeds.get(name).map(|&index| Source::Feed(index)).ok_or_else(unknown)
            }
            LeafKind::State => self.state(name).map(Source::State),
            LeafKind::Scalar => Ok(Source::Scalar(self.scalar(name))),
            LeafKind::Parameter | LeafKind::Gradient | LeafKind::OptimizerState => {
                Err(EngineError::UnknownState { name: name.to_owned() })
            }
        }
    }

    /// The number of a buffer of the state table, which becomes a state of the step.
    fn state(&mut self, name: &str) -> Result<usize, EngineError> {
        let unknown = || EngineError::UnknownState { name: name.to_owned() };
        let buffer = self.buffers.get(name).copied().ok_or_else(unknown)?;
        let known = self.states.iter().position(|&(at, _)| at == buffer);
        Ok(known.unwrap_or_else(|| {
            self.states.push((buffer, None));
            self.states.len() - 1
        }))
    }

    /// The number of a scalar.
    fn scalar(&mut self, name: &str) -> usize {
        self.scalars.iter().position(|known| known == name).unwrap_or_else(|| {
            self.scalars.push(name.to_owned());
            self.scalars.len() - 1
        })
    }
}
