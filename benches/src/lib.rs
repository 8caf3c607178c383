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

use onestep::layers::{LossSpec, ModelBuilder};
use onestep::optimizer::{Adam, Optimizer, OptimizerSpec};
use onestep::runner::{RunnerOptions, StepRunner};
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

/// A deep network ready to step on the CPU: dense layers with batch norms and ReLUs between them.
///
/// # Errors
/// It cannot be compiled.
pub fn deep_runner(layers: usize) -> Result<StepRunner, Box<dyn std::error::Error>> {
    let add = |model: ModelBuilder, i: usize| match i % 3 {
        0 => model.dense(64, true, &format!("dense{i}")),
        1 => model.batch_norm(&format!("norm{i}")),
        _ => model.relu(&format!("relu{i}")),
    };
    let model = (0..layers).fold(ModelBuilder::new([64]), add).dense(10, true, "fc").build()?;
    let optimizer = Optimizer::from_spec(OptimizerSpec::Adam(Adam::default()))?;
    let cpu = executor("cpu", &ExecutorOptions::default())?;
    let batch = [
        cpu.memory().from_slice([32, 64], &[0.5f32; 32 * 64])?,
        cpu.memory().from_slice([32], &[1i32; 32])?,
    ];
    let (loss, options) = (LossSpec::default(), RunnerOptions::default());
    Ok(StepRunner::new(&model, &loss, &optimizer, cpu, batch, &options)?)
}
