//! The CPU executor against PyTorch, against the f64 evaluator, and on drawn and large ops: with
//! one thread and with several, and with every instruction set of this machine.

use onestep_backend_cpu::{CpuExecutor, CpuOptions, Level};
use onestep_conformance::{
    Case, OnExecutor, Subject, check_dropout, parity, properties, table, values,
};
use onestep_engine::Executor;

/// The CPU executor with so many threads and an instruction set.
fn cpu(threads: usize, level: Level) -> impl Subject {
    OnExecutor::new(move || {
        let options =
            CpuOptions { threads: Some(threads), level: Some(level), ..CpuOptions::default() };
        CpuExecutor::new(options).map(|cpu| Box::new(cpu) as Box<dyn Executor>)
    })
}

/// One thread with each instruction set, and several threads with the best.
fn each_cpu(check: impl Fn(&dyn Subject) -> Result<(), String>) -> Result<(), String> {
    let alone = Level::available().map(|level| (1, level));
    for (threads, level) in alone.chain([(3, Level::best())]) {
        let subject = cpu(threads, level);
        check(&subject).map_err(|e| format!("{}: {e}", subject.name()))?;
    }
    Ok(())
}

fn holds(cases: &[Case]) -> Result<(), String> {
    each_cpu(|subject| {
        values(cases, subject).verdict()?;
        parity(cases, subject).verdict()
    })
}

#[test]
fn ops() -> Result<(), String> {
    holds(&table::ops())
}

#[test]
fn layers() -> Result<(), String> {
    holds(&table::layers())
}

#[test]
fn losses() -> Result<(), String> {
    holds(&table::losses())
}

#[test]
fn optimizers() -> Result<(), String> {
    holds(&table::optimizers())
}

#[test]
fn networks() -> Result<(), String> {
    // Parity is excluded: see the table.
    each_cpu(|subject| values(&table::networks(), subject).verdict())
}

#[test]
fn dropout() -> Result<(), String> {
    each_cpu(check_dropout)
}

#[test]
fn drawn_shapes() -> Result<(), String> {
    each_cpu(|subject| properties::check_parity(500, subject))
}

#[test]
fn large_ops() -> Result<(), String> {
    each_cpu(properties::check_large)
}
