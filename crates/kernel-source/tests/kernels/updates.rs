//! The update of flat groups in place: every optimizer, from its update graph.

use std::collections::HashMap;
use std::sync::Arc;

use onestep_base::Registered;
use onestep_engine::ops::LeafKind;
use onestep_engine::plan::{Place, Region, compile_step};
use onestep_engine::reference::{Array, Context, evaluate};
use onestep_engine::{
    DType, Graph, ParameterInfo, Plan, Program, Shape, StateLayout, StepGraph, Value,
};
use onestep_kernel_source::{Dialect, print};
use onestep_optimizer::{Averaging, Clip, Ema, Grouping, Optimizer, OptimizerSpec};

use super::common::{Machine, Result, close, compiler, numbers, whole};

/// An update with its plan.
struct Update {
    name: String,
    step: StepGraph,
    layout: StateLayout,
    plan: Plan,
}

fn optimizer(name: &str) -> Result<Optimizer> {
    let spec: OptimizerSpec = name.parse()?;
    Ok(Optimizer::from_spec(spec)?.with_grouping(Grouping::no_decay_on_biases_and_norms())?)
}

fn update(name: &str, optimizer: &Optimizer) -> Result<Update> {
    let parameter = |name: &str, dims: &[usize]| -> Result<ParameterInfo> {
        Ok(ParameterInfo::new(name, Shape::new(dims)?))
    };
    let groups = optimizer.groups(&[
        parameter("fc.weight", &[6, 50])?,
        parameter("conv.weight", &[3, 4, 2])?,
        parameter("fc.bias", &[6])?,
        parameter("norm.bias", &[3])?,
    ])?;
    let update = optimizer.update_graph(&groups)?;
    let layout = StateLayout::new(&groups, &[], Some(&update))?;
    let mut program = Program::predict(Graph::new(), Vec::new());
    program.groups = groups.into();
    program.update = Some(Arc::new(update));
    let step = StepGraph::of_update(&program, &layout)?;
    let plan = compile_step(&step, &layout)?;
    Ok(Update { name: name.to_owned(), step, layout, plan })
}

impl Update {
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
            use onestep_engine::ops::ConstantData;
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
            let place = whole(Region::Feed(at), feed.ty.shape.dims(), DType::F32);
            machine.write(&place, &numbers(100 * number + at as u64, place.shape.elements()));
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
            let place = whole(Region::Feed(at), feed.ty.shape.dims(), DType::F32);
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

    fn check(&self, dialect: Dialect) -> Result<()> {
        let mut machine = Machine::new(dialect, Context::default());
        self.start(&mut machine);
        let compiled = machine.compile(self.plan.kernels.iter().map(|kernel| &kernel.work))?;
        for number in 1..=2 {
            let leaves = self.feed(&mut machine, number);
            let roots = self.step.writes.iter().chain(&self.step.reports);
            let targets: Vec<Value> = roots.map(|named| named.value).collect();
            let wanted = evaluate(&self.step.graph, &leaves, &Context::default(), &targets)?;
            machine.execute(&compiled);
            let (writes, reports) = wanted.split_at(self.step.writes.len());
            for (named, wanted) in self.step.writes.iter().zip(writes) {
                let at = self.plan.states.iter().position(|own| *own == named.name).unwrap();
                let what = format!("{} of {} in {dialect:?}", named.name, self.name);
                close(&what, &machine.read(&self.state(at)), &wanted.data, 2e-5);
            }
            for (named, wanted) in self.plan.reports.iter().zip(reports) {
                close(&named.name, &machine.read(&named.place), &wanted.data, 1e-5);
            }
        }
        machine.by_definition.retain(|op| *op != "matmul");
        assert!(machine.by_definition.is_empty(), "{}: {:?}", self.name, machine.by_definition);
        Ok(())
    }
}

#[test]
fn every_optimizer_updates_in_place() -> Result<()> {
    if compiler().is_none() {
        return Ok(());
    }
    for (at, name) in OptimizerSpec::plain_names().into_iter().enumerate() {
        let update = update(name, &optimizer(name)?.with_clip(Clip::Norm(0.5))?)?;
        // All are the same programs of the plan; each dialect has its turn.
        update.check(Dialect::ALL[at % 3])?;
    }
    Ok(())
}

#[test]
fn clipping_and_averages_are_part_of_the_update() -> Result<()> {
    if compiler().is_none() {
        return Ok(());
    }
    for dialect in Dialect::ALL {
        let averaged = optimizer("adamw")?
            .with_averaging(Averaging::Ema(Ema::default()))?
            .with_clip(Clip::Value(0.3))?;
        update("adamw with an average", &averaged)?.check(dialect)?;
    }
    Ok(())
}

#[test]
fn the_update_of_a_group_is_one_kernel() -> Result<()> {
    let update = update("adam", &optimizer("adam")?)?;
    let mut kernels = Vec::new();
    for kernel in &update.plan.kernels {
        kernels.extend(print(&kernel.work, Dialect::Metal)?.kernels);
    }
    let groups = update.plan.feeds.len();
    let wide = kernels.iter().filter(|k| {
        k.arguments.iter().any(|a| {
            matches!(a.role, onestep_kernel_source::Role::Memory { region: Region::Feed(_), .. })
        })
    });
    assert_eq!((groups, wide.count()), (2, 2), "{kernels:?}");
    assert!(update.plan.footprint.arena <= 256, "nothing but scalars lies in the arena");
    Ok(())
}
