//! Every allocation, compilation and commit of Metal fails in turn. Each failure is an error that
//! says so, the process lives on, what was there before is intact, and nothing leaks.
//!
//! The faults are of the process, so this is one test.

mod support;

use onestep_backend_metal::MetalOptions;
use onestep_engine::{Executor, Mode};
use support::headless::{
    Fault, events, fail, live, set_commit_and_continue, set_delay, set_memory_limit,
};
use support::{Bench, Model, PATHS, Result, fill, on};

const STEPS: usize = 3;

/// Opens a device, compiles, trains a little and reads: what can fail on the way does.
fn train(model: &Model, options: &MetalOptions) -> Result<Vec<u32>> {
    let mut bench = Bench::metal(model, options)?;
    for _ in 0..STEPS {
        bench.run()?;
    }
    bench.step.read_output("logits")?;
    bench.bits()
}

/// Fails each event of a kind in turn and gives how many there were.
fn each(fault: Fault, model: &Model, options: &MetalOptions, wanted: &[u32]) -> Result<u64> {
    fail(fault, 0);
    assert!(train(model, options)? == wanted);
    let count = events(fault);
    for k in 1..=count {
        fail(fault, k);
        let failed = train(model, options);
        fail(fault, 0);
        let error = failed.err().ok_or_else(|| format!("{fault:?} {k} went unseen"))?.to_string();
        assert!(!error.is_empty());
        assert_eq!(live(), (0, 0), "{fault:?} {k} leaks: {error}");
        assert!(train(model, options)? == wanted, "the process is as good as before");
    }
    Ok(count)
}

/// A compilation that fails leaves the state and the programs that there are as they were.
fn compilation_changes_nothing(model: &Model, options: &MetalOptions) -> Result<()> {
    let mut bench = Bench::metal(model, options)?;
    bench.run()?;
    let before = bench.bits()?;
    for fault in [Fault::Compile, Fault::Allocation] {
        fail(fault, 1);
        let failed = bench.executor.compile(&model.program, &bench.state);
        fail(fault, 0);
        // An allocation may be served from the pool.
        assert!(failed.is_err() || fault == Fault::Allocation);
        assert!(bench.bits()? == before);
    }
    bench.run()?;
    Ok(())
}

/// A step that fails poisons its state until that is written again.
fn a_failed_step_poisons(model: &Model, options: &MetalOptions) -> Result<()> {
    let mut bench = Bench::metal(model, options)?;
    bench.run()?;
    fail(Fault::Commit, 2);
    let tickets = [bench.submit(), bench.submit(), bench.submit()];
    let [first, second, third] = tickets;
    first?.wait()?;
    let error = second?.wait().err().ok_or("the failure went unseen")?.to_string();
    assert!(error.contains("failed"), "{error}");
    // Whether it was submitted or refused depends on when the failure arrived.
    assert!(third.and_then(|ticket| Ok(ticket.wait()?)).is_err());
    let refused = bench.submit().err().ok_or("a step ran on half an update")?.to_string();
    assert!(refused.contains("restore"), "{refused}");

    fill(&bench.state)?;
    bench.scalars.step = 1;
    for _ in 0..STEPS {
        bench.run()?;
    }
    let restored = bench.bits()?;
    drop(bench);
    assert!(restored == train(model, options)?, "a restored state trains as a new one");
    Ok(())
}

/// A failed evaluation is an error of its own and leaves the state good.
fn a_failed_evaluation_does_not(options: &MetalOptions) -> Result<()> {
    let mut bench = Bench::metal(&Model::new(Mode::Evaluate, 4)?, options)?;
    let before = bench.bits()?;
    fail(Fault::Commit, 1);
    assert!(bench.run().is_err());
    bench.run()?;
    assert!(bench.bits()? == before);
    Ok(())
}

/// Too little memory is an error that says so.
fn too_little_memory(model: &Model, options: &MetalOptions) -> Result<()> {
    // Less than the parameters, their gradients and the optimizer's state take.
    set_memory_limit(4_000);
    let failed = train(model, options);
    set_memory_limit(0);
    let error = failed.err().ok_or("it fits")?.to_string();
    assert!(error.contains("memory"), "{error}");
    Ok(())
}

#[test]
fn every_failure_is_an_error_and_nothing_leaks() -> Result<()> {
    let model = Model::new(Mode::Train, 4)?;
    for path in PATHS {
        let options = on(path);
        let wanted = train(&model, &options)?;
        assert_eq!(live(), (0, 0), "a run leaks");
        for fault in [Fault::Allocation, Fault::Compile, Fault::Commit] {
            let count = each(fault, &model, &options, &wanted)?;
            println!("{path:?}: {count} times {fault:?}");
            assert!(count > 0);
        }
        compilation_changes_nothing(&model, &options)?;
        a_failed_step_poisons(&model, &options)?;
        a_failed_evaluation_does_not(&options)?;
        too_little_memory(&model, &options)?;
        set_commit_and_continue(true);
        assert!(train(&model, &options)? == wanted, "{path:?}, with commit and continue");
        set_commit_and_continue(false);
        set_delay(500);
        assert!(train(&model, &options)? == wanted, "{path:?}, with delays");
        set_delay(0);
        assert_eq!(live(), (0, 0));
    }
    Ok(())
}
