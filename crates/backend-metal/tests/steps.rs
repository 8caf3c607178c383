//! Steps of the Metal executor: what they learn, what they refuse, what they hold on to.

mod support;

use std::sync::Arc;

use onestep_backend_cpu::{CpuExecutor, CpuOptions};
use onestep_backend_metal::{MetalExecutor, MetalOptions};
use onestep_engine::{EngineError, Executor, Feeds, Mode, Reports, Scalars, Step};
use onestep_memory::{DType, MemoryError, MemoryManager, Shape, StagingPool};
use support::{Bench, Model, PATHS, Result, feeds, on};

/// The reports of some steps and the state behind them.
fn history(
    model: &Model,
    options: &MetalOptions,
    steps: usize,
) -> Result<(Vec<Reports>, Vec<u32>)> {
    let mut bench = Bench::metal(model, options)?;
    let reports = (0..steps).map(|_| bench.run()).collect::<Result<_>>()?;
    let bits = bench.bits()?;
    Ok((reports, bits))
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn twenty_steps_are_those_of_the_cpu() -> Result<()> {
    let model = Model::new(Mode::Train, 10)?;
    for path in PATHS {
        let mut metal = Bench::metal(&model, &on(path))?;
        let mut cpu = Bench::new(&model, CpuExecutor::new(CpuOptions::default())?)?;
        for step in 0..20 {
            let (ours, theirs) = (metal.run()?, cpu.run()?);
            assert_eq!(metal.step.reports(), cpu.step.reports());
            let apart = distance(ours.values(), theirs.values());
            assert!(apart < 2e-4, "{path:?}, step {step}: {ours:?}, on the cpu {theirs:?}");
        }
        for entry in model.layout.entries() {
            let (ours, theirs) = (metal.state.read(&entry.name)?, cpu.state.read(&entry.name)?);
            let apart = distance(&ours, &theirs);
            assert!(apart < 2e-3, "{path:?}: {} differs by {apart}", entry.name);
        }
        for name in ["logits", "grad.conv1.weight", "grad.fc.bias"] {
            let apart = distance(&metal.step.read_output(name)?, &cpu.step.read_output(name)?);
            assert!(apart < 2e-3, "{path:?}: {name} differs by {apart}");
        }
    }
    Ok(())
}

#[test]
fn the_same_seed_gives_the_same_bits_split_or_not() -> Result<()> {
    let model = Model::new(Mode::Train, 4)?;
    for path in PATHS {
        let (first, second) = (history(&model, &on(path), 5)?, history(&model, &on(path), 5)?);
        assert!(first == second, "{path:?}");
        // A split step is the same nodes in the same order, in several graphs.
        for limit in [1, 20_000] {
            let split = MetalOptions { flops_per_command_buffer: limit, ..on(path) };
            assert!(first == history(&model, &split, 5)?, "{path:?}, split at {limit}");
        }
        let alone = MetalOptions { in_flight: 1, ..on(path) };
        assert!(first == history(&model, &alone, 5)?, "{path:?}, one in flight");
    }
    Ok(())
}

#[test]
fn evaluation_changes_nothing() -> Result<()> {
    let model = Model::new(Mode::Evaluate, 6)?;
    let mut bench = Bench::metal(&model, &MetalOptions::default())?;
    let before = bench.bits()?;
    let (first, second) = (bench.run()?, bench.run()?);
    assert_eq!(first, second);
    assert!(bench.bits()? == before);
    assert_eq!(bench.step.read_output("logits")?.len(), 6 * 5);
    assert!(matches!(
        bench.step.read_output("grad.fc.bias"),
        Err(EngineError::UnknownOutput { .. })
    ));
    Ok(())
}

#[test]
fn programs_share_the_state() -> Result<()> {
    let (train, evaluate) = (Model::new(Mode::Train, 5)?, Model::new(Mode::Evaluate, 5)?);
    let mut bench = Bench::metal(&train, &MetalOptions::default())?;
    let mut evaluation = bench.executor.compile(&evaluate.program, &bench.state)?;
    let (feeds, scalars) = (bench.feeds.clone(), bench.scalars.clone());
    let mut loss = || -> Result<f32> {
        let reports = evaluation.submit(Feeds::new(&feeds), &scalars)?.wait()?;
        Ok(reports.loss().ok_or("no loss")?)
    };
    let before = loss()?;
    for _ in 0..30 {
        bench.submit()?;
    }
    let after = loss()?;
    assert!(after < before - 0.3, "{before} to {after}");
    Ok(())
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() -> Result<()> {
    let model = Model::new(Mode::Train, 4)?;
    let mut bench = Bench::metal(&model, &MetalOptions::default())?;
    assert!(bench.step.read_output("logits").is_err(), "no step was run");
    let before = bench.bits()?;
    let swapped = [bench.feeds[1].clone(), bench.feeds[0].clone()];
    let error = bench.step.submit(Feeds::new(&swapped), &bench.scalars);
    assert!(matches!(error, Err(EngineError::Feed { .. })));
    let error = bench.step.submit(Feeds::new(&bench.feeds[..1]), &bench.scalars);
    assert!(matches!(error, Err(EngineError::Feed { .. })));
    let error = bench.step.submit(Feeds::new(&bench.feeds), &Scalars::new(7));
    assert!(matches!(error, Err(EngineError::MissingScalar { .. })));
    assert!(bench.bits()? == before);
    bench.run()?;
    Ok(())
}

#[test]
fn feeds_may_lie_anywhere() -> Result<()> {
    let model = Model::new(Mode::Train, 4)?;
    let mut bench = Bench::metal(&model, &MetalOptions::default())?;
    let usual = bench.run()?;

    let mut bench = Bench::metal(&model, &MetalOptions::default())?;
    let (memory, elements) = (bench.executor.memory().clone(), bench.feeds[0].elements());
    let large = memory.zeros([elements + 3], DType::F32)?;
    let part = large.view(3, bench.feeds[0].shape().clone())?;
    part.write(&bench.feeds[0].read::<f32>()?)?;
    let labels = feeds(&model.program, &MemoryManager::host())?.remove(1);
    bench.feeds = vec![part, labels];
    assert_eq!(bench.run()?, usual);
    Ok(())
}

#[test]
fn state_of_another_device_is_refused() -> Result<()> {
    let model = Model::new(Mode::Train, 4)?;
    let mut metal = MetalExecutor::new(&MetalOptions::default())?;
    let bench = Bench::metal(&model, &MetalOptions::default())?;
    let error = metal.compile(&model.program, &bench.state).err().ok_or("it compiled")?;
    let foreign = matches!(&error, EngineError::Memory(e) if matches!(**e, MemoryError::ForeignBuffer { .. }));
    assert!(foreign, "{error}");
    Ok(())
}

#[test]
fn a_budget_is_kept() -> Result<()> {
    let model = Model::new(Mode::Train, 4)?;
    let needed = Bench::metal(&model, &MetalOptions::default())?.step.footprint();
    assert!(needed.state > 0 && needed.arena > needed.state && needed.feeds > 0);
    let options = MetalOptions { memory_budget: Some(needed.peak() - 1), ..Default::default() };
    let error = Bench::metal(&model, &options).err().ok_or("it compiled")?.to_string();
    assert!(error.contains("budget"), "{error}");
    let options = MetalOptions { memory_budget: Some(needed.peak() + (1 << 20)), ..options };
    Bench::metal(&model, &options)?.run()?;
    Ok(())
}

#[test]
fn staging_slots_come_back_when_their_step_is_done() -> Result<()> {
    let model = Model::new(Mode::Train, 4)?;
    let mut bench = Bench::metal(&model, &MetalOptions::default())?;
    let layout = [(Shape::from([4, 2, 8, 8]), DType::F32), (Shape::from([4]), DType::I32)];
    let ring: Arc<StagingPool> = StagingPool::new(bench.executor.memory(), 2, &layout)?;
    let mut last = None;
    for step in 0..12 {
        let mut slot = ring.acquire()?;
        slot.slice_mut::<f32>(0)?.fill(step as f32 / 12.0);
        slot.slice_mut::<i32>(1)?.copy_from_slice(&[0, 1, 2, 3]);
        let staged = slot.freeze();
        let feeds = Feeds { staged: Some(&staged), ..Feeds::new(staged.tensors()) };
        last = Some(bench.step.submit(feeds, &bench.scalars)?);
        bench.scalars.step += 1;
    }
    last.ok_or("no step")?.wait()?;
    assert_eq!(ring.statistics().in_use, 0);
    Ok(())
}

#[test]
fn a_step_can_be_dropped_while_it_runs() -> Result<()> {
    let model = Model::new(Mode::Train, 4)?;
    let Bench { mut step, state, feeds, scalars, executor } =
        Bench::metal(&model, &MetalOptions::default())?;
    let submit = |_| Ok(step.submit(Feeds::new(&feeds), &scalars)?);
    let tickets = (0..3).map(submit).collect::<Result<Vec<_>>>()?;
    drop((step, state, feeds, executor));
    for ticket in tickets {
        assert!(ticket.wait()?.loss().is_some_and(f32::is_finite));
    }
    Ok(())
}

#[test]
fn steps_go_to_other_threads() -> Result<()> {
    let model = Model::new(Mode::Train, 4)?;
    let mut bench = Bench::metal(&model, &MetalOptions::default())?;
    let (feeds, scalars) = (bench.feeds.clone(), bench.scalars.clone());
    let mut step: Box<dyn Step> = bench.executor.compile(&model.program, &bench.state)?;
    let elsewhere = std::thread::spawn(move || {
        let ticket = step.submit(Feeds::new(&feeds), &scalars)?;
        ticket.wait()
    });
    let here = bench.run()?;
    let there = elsewhere.join().map_err(|_| "the thread panicked")??;
    assert!(here.loss().is_some_and(f32::is_finite) && there.loss().is_some_and(f32::is_finite));
    Ok(())
}
