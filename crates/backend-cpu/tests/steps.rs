//! Whole steps through the planner, against the same steps in f64.

mod common;

use common::{Bench, Reference, Result, network, perceptron};
use onestep_backend_cpu::{CpuError, CpuExecutor, CpuOptions, Level};
use onestep_engine::*;

fn close(name: &str, got: &[f32], want: &[f64]) {
    assert_eq!(got.len(), want.len(), "{name}");
    for (i, (&got, &want)) in got.iter().zip(want).enumerate() {
        let off = (f64::from(got) - want).abs();
        assert!(off <= 2e-4 * (1.0 + want.abs()), "{name}[{i}] is {got}, wanted {want}");
    }
}

#[test]
fn training_steps_match_f64_on_each_level() -> Result<()> {
    let model = network(5, 9, Mode::Train)?;
    for level in Level::available() {
        for threads in [1, 2] {
            let options =
                CpuOptions { threads: Some(threads), level: Some(level), ..CpuOptions::default() };
            let mut bench = Bench::new(&model, options)?;
            let mut reference = Reference::new(&model, &bench)?;
            for _ in 0..3 {
                let reports = bench.submit()?;
                let [want_reports, want_outputs, want_state] = reference.submit()?;
                let want: Vec<f64> = want_reports.iter().map(|(_, x)| x[0]).collect();
                close("reports", reports.values(), &want);
                for (name, want) in &want_outputs {
                    close(name, &bench.step.read_output(name)?, want);
                }
                for (name, want) in &want_state {
                    let layout = bench.state.layout();
                    let index = layout.buffers().iter().position(|b| &b.name == name);
                    let tensor = &bench.state.tensors()[index.ok_or("no such buffer")?];
                    close(name, &tensor.read::<f32>()?, want);
                }
            }
        }
    }
    Ok(())
}

#[test]
fn the_loss_falls() -> Result<()> {
    let mut bench = Bench::new(&network(10, 12, Mode::Train)?, CpuOptions::default())?;
    let first = bench.submit()?.loss();
    let last = (0..60).try_fold(first, |_, _| bench.submit().map(|r| r.loss()))?;
    assert!(last < first.map(|f| 0.8 * f), "{first:?} -> {last:?}");
    assert_eq!(bench.step.reports(), ["loss", "grad_norm"]);
    Ok(())
}

#[test]
fn the_same_run_gives_the_same_bits() -> Result<()> {
    let model = network(16, 32, Mode::Train)?;
    for threads in [1, 2, 3] {
        let options = CpuOptions { threads: Some(threads), ..CpuOptions::default() };
        let run = || -> Result<Vec<u32>> {
            let mut bench = Bench::new(&model, options)?;
            for _ in 0..5 {
                bench.submit()?;
            }
            bench.bits()
        };
        assert!(run()? == run()?, "{threads} threads");
    }
    Ok(())
}

/// A gradient that is kept is computed as a whole, one that is not in blocks.
#[test]
fn a_large_gradient_is_used_block_by_block_with_the_same_bits() -> Result<()> {
    for threads in [1, 2, 3] {
        let options = CpuOptions { threads: Some(threads), ..CpuOptions::default() };
        let run = |keep_gradients| -> Result<(Option<f32>, Vec<u32>, String)> {
            let mut bench = Bench::new(&perceptron(keep_gradients)?, options)?;
            for _ in 0..4 {
                bench.submit()?;
            }
            Ok((bench.submit()?.loss(), bench.bits()?, bench.step.dump()))
        };
        let (kept, blocks) = (run(true)?, run(false)?);
        assert!(!kept.2.contains("run as one"), "{}", kept.2);
        assert!(blocks.2.contains("run as one"), "{}", blocks.2);
        assert_eq!(kept.0, blocks.0);
        assert!(kept.1 == blocks.1, "{threads} threads");
    }
    Ok(())
}

#[test]
fn evaluation_changes_nothing_and_shares_the_memory() -> Result<()> {
    let train = network(6, 8, Mode::Train)?;
    let mut bench = Bench::new(&train, CpuOptions::default())?;
    let evaluate = network(6, 8, Mode::Evaluate)?;
    let mut eval = bench.executor.compile(&evaluate.program, &bench.state)?;
    let before = bench.bits()?;
    let loss = eval.submit(Feeds::new(&bench.feeds), &bench.scalars)?.wait()?;
    assert!(loss.loss().is_some_and(f32::is_finite));
    assert_eq!(before, bench.bits()?);
    assert_eq!(eval.read_output("predicted")?.len(), 6);
    bench.submit()?;
    assert!(bench.step.read_output("logits").is_ok());
    let error = eval.read_output("logits").unwrap_err().to_string();
    assert!(error.contains("another step"), "{error}");
    Ok(())
}

#[test]
fn what_is_missing_is_named() -> Result<()> {
    let model = network(4, 8, Mode::Train)?;
    let mut bench = Bench::new(&model, CpuOptions::default())?;
    let error = bench.step.read_output("logits").unwrap_err().to_string();
    assert!(error.contains("no step"), "{error}");
    let feeds = bench.feeds.clone();
    let error = bench.step.submit(Feeds::new(&feeds), &Scalars::new(0)).unwrap_err();
    assert!(matches!(&error, EngineError::MissingScalar { name } if name == "lr"), "{error}");
    let swapped = [feeds[1].clone(), feeds[0].clone()];
    let error = bench.step.submit(Feeds::new(&swapped), &bench.scalars).unwrap_err().to_string();
    assert!(error.contains("input") && error.contains("[4, 3, 8, 8]"), "{error}");
    let error = bench.step.read_output("nothing").unwrap_err().to_string();
    assert!(error.contains("nothing") && error.contains("logits"), "{error}");
    bench.submit()?;
    Ok(())
}

#[test]
fn a_small_budget_is_refused_before_the_first_step() -> Result<()> {
    let model = network(64, 32, Mode::Train)?;
    let bytes = Bench::new(&model, CpuOptions::default())?.step.footprint().peak();
    let options = CpuOptions { memory_budget: Some(bytes / 2), ..CpuOptions::default() };
    let Err(error) = Bench::new(&model, options) else { return Err("was not refused".into()) };
    assert!(error.to_string().contains("budget"), "{error}");
    Ok(())
}

#[test]
fn options_are_checked() {
    let error = |options| CpuExecutor::new(options).unwrap_err();
    let none = CpuOptions { threads: Some(0), ..CpuOptions::default() };
    assert_eq!(error(none), CpuError::NoThreads);
    let missing = if cfg!(target_arch = "x86_64") { Level::Neon } else { Level::V3 };
    let foreign = CpuOptions { level: Some(missing), ..CpuOptions::default() };
    assert!(matches!(error(foreign), CpuError::MissingInstructions { .. }));
    let name = CpuExecutor::new(CpuOptions { threads: Some(2), ..CpuOptions::default() });
    assert!(name.unwrap().name().starts_with("cpu (2 threads, "));
}

#[test]
fn the_dump_names_kernels_and_scratch_memory() -> Result<()> {
    let bench = Bench::new(&network(4, 8, Mode::Train)?, CpuOptions::default())?;
    let dump = bench.step.dump();
    assert!(dump.contains("conv_weight_grad") && dump.contains("scratch memory"), "{dump}");
    Ok(())
}

/// On each thread of a step; the caller's own arithmetic stays as it was.
#[test]
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn subnormal_numbers_are_zero_in_a_step() -> Result<()> {
    let count = 1 << 20;
    let mut g = Graph::new();
    let x = g.input("x", &[count], DType::F32)?;
    let y = g.scale(x, 0.5)?;
    let program = Program::predict(g, vec![Named::new("y", y)]);
    for threads in [1, 3] {
        let options = CpuOptions { threads: Some(threads), ..CpuOptions::default() };
        let mut executor = CpuExecutor::new(options)?;
        let layout = StateLayout::new(&program.groups, &[], None)?;
        let mut step = executor.compile(&program, &StateTable::new(layout, executor.memory())?)?;
        let smallest = vec![f32::MIN_POSITIVE; count];
        let x = executor.memory().from_slice([count], &smallest)?;
        step.submit(Feeds::new(&[x]), &Scalars::new(0))?;
        assert!(step.read_output("y")?.iter().all(|&y| y == 0.0), "{threads} threads");
        assert!(std::hint::black_box(smallest[0]) * std::hint::black_box(0.5) > 0.0);
    }
    Ok(())
}
