//! Benchmarks of onestep, by criterion: `cargo bench -p onestep-benches`.
//!
//! | bench | measures |
//! | --- | --- |
//! | `steps` | one training step of each small reference workload |
//! | `compile` | from a model to a planned training step |
//! | `memory` | tensors from the pool, and staging slots |
//!
//! Rates to compare with other frameworks come from `onestep bench`, which prints the loss beside
//! each. Nothing is asserted here.

use onestep::runner::StepRunner;
use onestep::trainer::{ExecutorOptions, executor};
use onestep::workloads;

/// A workload ready to step on the CPU with all processors.
///
/// # Errors
/// There is no such workload, or it cannot be compiled.
pub fn runner(name: &str) -> Result<StepRunner, Box<dyn std::error::Error>> {
    let cpu = executor("cpu", &ExecutorOptions::default())?;
    Ok(workloads::find(name)?.runner(cpu, 0)?)
}
