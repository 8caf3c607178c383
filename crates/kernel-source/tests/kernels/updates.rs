//! The update of flat groups in place: every optimizer, from its update graph.

use std::sync::Arc;

use onestep_base::Registered;
use onestep_engine::plan::{Region, compile_step};
use onestep_engine::{Graph, ParameterInfo, Program, Shape, StateLayout, StepGraph};
use onestep_kernel_source::{Dialect, print};
use onestep_optimizer::{Averaging, Clip, Ema, Grouping, Optimizer, OptimizerSpec};

use super::common::{Planned, Result, compiler};

fn optimizer(name: &str) -> Result<Optimizer> {
    let spec: OptimizerSpec = name.parse()?;
    Ok(Optimizer::from_spec(spec)?.with_grouping(Grouping::no_decay_on_biases_and_norms())?)
}

fn update(name: &str, optimizer: &Optimizer) -> Result<Planned> {
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
    Ok(Planned { name: name.to_owned(), step, layout, plan })
}

#[test]
fn every_optimizer_updates_in_place() -> Result<()> {
    if compiler().is_none() {
        return Ok(());
    }
    for (at, name) in OptimizerSpec::plain_names().into_iter().enumerate() {
        let update = update(name, &optimizer(name)?.with_clip(Clip::Norm(0.5))?)?;
        // All are the same programs of the plan; each dialect has its turn.
        let rest = update.check(Dialect::ALL[at % 3], 2e-5)?;
        assert!(rest.iter().all(|op| *op == "matmul"), "{name}: {rest:?}");
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
        let rest = update("adamw with an average", &averaged)?.check(dialect, 2e-5)?;
        assert!(rest.is_empty(), "{rest:?}");
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
