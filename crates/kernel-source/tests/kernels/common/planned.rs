//! A step with its plan, run by printed kernels and held against its graph.

use std::collections::HashMap;

use onestep_engine::ops::{ConstantData, LeafKind};
use onestep_engine::plan::{Place, Region};
use onestep_engine::reference::{Array, Context, evaluate};
use onestep_engine::{DType, Plan, Shape, StateLayout, StepGraph, Value};
use onestep_kernel_source::Dialect;

use super::{Machine, Result, close, numbers, whole};

/// A step with its plan.
pub(crate) struct Planned {
    pub(crate) name: String,
    pub(crate) step: StepGraph,
    pub(crate) layout: StateLayout,
    pub(crate) plan: Plan,
}

impl Planned {
    /// The buffer of a state as the plan counts them.
    fn state(&self, at: usize) -> Place {
        let name = &self.plan.states[at];
        let buffer = self.layout.buffers().iter().find(|b| b.name == *name).unwrap();
        whole(Region::State(at), &[buffer.elements], DType::F32)
    }

    fn start(&self, machine: &mut Machine) {
        machine.reserve(Region::Arena, self.plan.footprint.arena);
        for at in 0..self.plan.states.len() {
            let place = self.state(at);
            // As after a while of training: not below 0, as sums of squares are.
            let data = numbers(at as u64, place.shape.elements());
            machine.write(&place, &data.iter().map(|x| x.abs() + 0.1).collect::<Vec<_>>());
        }
        for (at, constant) in self.plan.constants.iter().enumerate() {
            match constant {
                ConstantData::F32(data) => {
                    let place = whole(Region::Constant(at), &[data.len()], DType::F32);
                    machine.write(&place, data);
                }
                ConstantData::I32(data) => {
                    let place = whole(Region::Constant(at), &[data.len()], DType::I32);
                    machine.write(&place, &data.iter().map(|&x| x as f32).collect::<Vec<_>>());
                }
            }
        }
    }

    /// Feeds a step, and gives the value of every leaf as the machine has it.
    fn feed(&self, machine: &mut Machine, number: u64) -> HashMap<String, Array> {
        for (at, feed) in self.plan.feeds.iter().enumerate() {
            let place = Place::contiguous(Region::Feed(at), 0, &feed.ty);
            let data = numbers(100 * number + at as u64, place.shape.elements());
            // Indices are small.
            let index = |x: f32| ((x + 1.0) * 2.5).floor();
            let data = match feed.ty.dtype {
                DType::I32 => data.into_iter().map(index).collect(),
                _ => data,
            };
            machine.write(&place, &data);
        }
        let scalar = |name: &String| match name.as_str() {
            "lr" => 0.05,
            "step" => number as f32,
            _ => 0.3,
        };
        let scalars: Vec<f32> = self.plan.scalars.iter().map(scalar).collect();
        machine.write(&whole(Region::Scalars, &[scalars.len()], DType::F32), &scalars);
        let mut leaves = HashMap::new();
        for (name, value) in self.plan.scalars.iter().zip(&scalars) {
            let array = Array::new(Shape::scalar(), vec![f64::from(*value)]).unwrap();
            leaves.insert(name.clone(), array);
        }
        for (at, feed) in self.plan.feeds.iter().enumerate() {
            let place = Place::contiguous(Region::Feed(at), 0, &feed.ty);
            leaves.insert(feed.name.clone(), machine.read_array(&place));
        }
        for (name, leaf) in self.step.graph.leaves(LeafKind::State) {
            let at = self.plan.states.iter().position(|own| own == name).unwrap();
            let shape = self.step.graph.shape(leaf).clone();
            let place = whole(Region::State(at), shape.dims(), DType::F32);
            leaves.insert(name.to_owned(), machine.read_array(&place));
        }
        leaves
    }

    /// Runs two steps and holds each against the graph, from the state that the machine has. Gives the ops that
    /// had no printed kernel.
    pub(crate) fn check(&self, dialect: Dialect, tolerance: f64) -> Result<Vec<&'static str>> {
        let mut machine = Machine::new(dialect, Context { seed: 21, step: 0 });
        self.start(&mut machine);
        let compiled = machine.compile(self.plan.kernels.iter().map(|kernel| &kernel.work))?;
        for number in 1..=2 {
            machine.context.step = number;
            let leaves = self.feed(&mut machine, number);
            let roots = [&self.step.writes, &self.step.reports, &self.step.outputs];
            let targets: Vec<Value> =
                roots.into_iter().flatten().map(|named| named.value).collect();
            let wanted = evaluate(&self.step.graph, &leaves, &machine.context, &targets)?;
            machine.execute(&compiled);
            let (writes, rest) = wanted.split_at(self.step.writes.len());
            for (named, wanted) in self.step.writes.iter().zip(writes) {
                let at = self.plan.states.iter().position(|own| *own == named.name).unwrap();
                let what = format!("{} of {} in {dialect:?}", named.name, self.name);
                close(&what, &machine.read(&self.state(at)), &wanted.data, tolerance);
            }
            for (named, wanted) in self.plan.reports.iter().chain(&self.plan.outputs).zip(rest) {
                let what = format!("{} of {} in {dialect:?}", named.name, self.name);
                close(&what, &machine.read(&named.place), &wanted.data, tolerance);
            }
        }
        Ok(machine.by_definition)
    }
}
