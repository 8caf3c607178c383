//! The engine's lowered step as a [`Subject`]: the one graph of forward, loss, backward and update
//! over flat buffers that executors run, evaluated in f64. Against [`Reference`](crate::Reference),
//! which puts the same step together by hand, it shows errors of the lowering alone.

use std::collections::BTreeMap;

use onestep_engine::ops::LeafKind;
use onestep_engine::reference::{Array, Context, evaluate};
use onestep_engine::{
    Mode, Named, Program, Shape, StateInfo, StateKind, StateLayout, StepGraph, Value,
};

use crate::error::ConformanceError;
use crate::reference::scalar;
use crate::subject::{Outcome, Run, Subject, Tensors};

/// The lowered step in f64.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lowered;

impl Subject for Lowered {
    fn name(&self) -> String {
        "lowered step in f64".to_owned()
    }

    fn run(&self, run: &Run) -> Result<Outcome, ConformanceError> {
        let layout = layout(&run.program)?;
        let step = StepGraph::new(&run.program, &layout)?;
        let mut buffers = initial_buffers(&layout, run)?;
        let mut outcome = Outcome::default();
        for (i, feeds) in run.steps.iter().enumerate() {
            let number = run.first_step + i as u64;
            let mut leaves = buffers.clone();
            leaves.extend(feeds.inputs.clone());
            leaves.extend(feeds.scalars.iter().map(|(n, &x)| (n.clone(), scalar(f64::from(x)))));
            leaves.insert("step".to_owned(), scalar(number as f64));
            let context = Context { seed: run.seed, step: number };
            let get = |named: &[Named]| -> Result<Vec<(String, Array)>, ConformanceError> {
                let values: Vec<Value> = named.iter().map(|n| n.value).collect();
                let arrays = evaluate(&step.graph, &leaves, &context, &values)?;
                Ok(named.iter().map(|n| n.name.clone()).zip(arrays).collect())
            };
            let mut results: BTreeMap<String, Array> = get(&step.outputs)?.into_iter().collect();
            results.extend(get(&step.reports)?);
            buffers.extend(get(&step.writes)?);
            if run.program.mode == Mode::Train {
                let state = entries(&layout, &buffers)?;
                results.extend(state.into_iter().filter(|(name, _)| name.starts_with("param.")));
            }
            outcome.steps.push(results);
        }
        outcome.last = entries(&layout, &buffers)?;
        Ok(outcome)
    }
}

/// Where the state of a program lies: its parameters, running statistics and optimizer state.
pub(crate) fn layout(program: &Program) -> Result<StateLayout, ConformanceError> {
    let states: Vec<StateInfo> = program
        .graph
        .leaves(LeafKind::State)
        .map(|(name, value)| StateInfo {
            name: name.to_owned(),
            shape: program.graph.shape(value).clone(),
            initial: 0.0,
        })
        .collect();
    Ok(StateLayout::new(&program.groups, &states, program.update.as_deref())?)
}

fn initial_buffers(layout: &StateLayout, run: &Run) -> Result<Tensors, ConformanceError> {
    let mut data: Vec<Vec<f64>> =
        layout.buffers().iter().map(|b| vec![f64::from(b.initial); b.elements]).collect();
    for (name, array) in &run.initial {
        let entry = layout.entry(name)?;
        data[entry.buffer][entry.offset..][..array.data.len()].copy_from_slice(&array.data);
    }
    for (index, buffer) in layout.buffers().iter().enumerate() {
        if let Some(parameters) = buffer.copy_of {
            data[index] = data[parameters].clone();
        }
    }
    let mut buffers = Tensors::new();
    for (buffer, data) in layout.buffers().iter().zip(data) {
        // A buffer of one tensor, such as a running statistic, stands for a leaf of its shape.
        let entry = layout.entries().iter().find(|e| e.name == buffer.name);
        let shape = match entry {
            Some(entry) => entry.shape.clone(),
            None => Shape::new(&[buffer.elements])?,
        };
        buffers.insert(buffer.name.clone(), Array::new(shape, data)?);
    }
    Ok(buffers)
}

/// The name of a state's tensor in [`Outcome::last`].
pub(crate) fn outcome_name(kind: StateKind, name: &str) -> String {
    match kind {
        StateKind::Parameter => format!("param.{name}"),
        StateKind::Model => format!("state.{name}"),
        StateKind::Optimizer => name.to_owned(),
    }
}

fn entries(
    layout: &StateLayout,
    buffers: &Tensors,
) -> Result<BTreeMap<String, Array>, ConformanceError> {
    let mut result = BTreeMap::new();
    for entry in layout.entries() {
        let buffer = &buffers[&layout.buffers()[entry.buffer].name];
        let data = buffer.data[entry.offset..][..entry.shape.elements()].to_vec();
        let array = Array::new(entry.shape.clone(), data)?;
        result.insert(outcome_name(entry.kind, &entry.name), array);
    }
    Ok(result)
}
