//! Test: an engine whose kernel has panicked goes on once its state was written anew.

use std::sync::Arc;

use onestep_engine::{
    DType, Engine, EngineError, Feeds, Graph, GraphError, Mode, ParameterGroup, ParameterInfo,
    Program, Scalars, StateLayout, UpdateGraph,
};
use onestep_memory::Shape;

use crate::faults::LET_PANIC;
use crate::{CpuExecutor, CpuOptions};

fn group() -> ParameterGroup {
    let shape = Shape::from([4]);
    ParameterGroup::new("all", vec![ParameterInfo::new("w", shape)])
}

/// Gradient descent by 0.1.
fn update() -> Result<UpdateGraph, GraphError> {
    let mut update = UpdateGraph::default();
    let added = update.group(&group())?;
    let (parameter, gradient) = (added.parameter, added.gradient);
    let change = update.graph.scale(gradient, 0.1)?;
    update.groups[0].new_parameter = update.graph.sub(parameter, change)?;
    Ok(update)
}

/// The mean of `(x w - 1)^2`.
fn program(batch: usize) -> Result<Program, GraphError> {
    let mut g = Graph::new();
    let x = g.input("x", &[batch, 4], DType::F32)?;
    let w = g.parameter("w", &[4])?;
    let y = g.mul(x, w)?;
    let off = g.offset(y, -1.0)?;
    let square = g.square(off)?;
    let loss = g.mean_all(square)?;
    Ok(Program {
        mode: Mode::Train,
        graph: g,
        loss: Some(loss),
        outputs: Vec::new(),
        reports: Vec::new(),
        state_updates: Vec::new(),
        groups: Arc::from([group()]),
        update: Some(Arc::new(update()?)),
        weights: None,
        keep_gradients: false,
        accumulation: None,
    })
}

fn engine() -> Result<Engine, EngineError> {
    let options = CpuOptions { threads: Some(2), ..CpuOptions::default() };
    let executor = CpuExecutor::new(options).unwrap();
    let layout = StateLayout::new(&[group()], &[], Some(&update()?))?;
    Engine::new(Box::new(executor), layout, Box::new(|_, fields| Ok(program(fields.batch())?)))
}

#[test]
fn after_a_panic_and_a_recovery_steps_are_those_of_a_run_without() -> Result<(), EngineError> {
    let (mut engine, mut other) = (engine()?, engine()?);
    let x = engine.memory().from_slice([2, 4], &[1.0f32; 8])?;
    let (names, feeds) = (["x".to_owned()], [x]);
    let losses = |engine: &mut Engine| {
        let mut step = || {
            let ticket =
                engine.submit(Mode::Train, Feeds::named(&names, &feeds), &Scalars::new(0))?;
            Ok::<_, EngineError>(ticket.wait()?.loss())
        };
        Ok::<_, EngineError>([step()?, step()?, step()?])
    };
    let wanted = losses(&mut other)?;
    assert!(wanted[2] < wanted[0], "{wanted:?}");

    let before = engine.state().read("w")?;
    LET_PANIC.set(true);
    let broken = losses(&mut engine).unwrap_err();
    assert!(broken.to_string().contains("panicked"), "{broken}");
    let refused = losses(&mut engine).unwrap_err();
    assert!(refused.to_string().contains("restore the state"), "{refused}");

    engine.state().write("w", &before)?;
    engine.recover();
    assert_eq!(losses(&mut engine)?, wanted);
    assert_eq!(engine.state().read("w")?, other.state().read("w")?);
    Ok(())
}
