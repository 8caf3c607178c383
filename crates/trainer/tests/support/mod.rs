//! What several tests share. Each test file is a program of its own and uses only a part.
#![allow(dead_code, reason = "each test program uses a part")]

pub(crate) mod reference_executor;

use std::sync::Arc;

use onestep_data::{Dataset, InMemory, TargetSpec};
use onestep_layers::{ModelBuilder, ModelSpec};
use onestep_memory::Shape;
use onestep_trainer::TrainerConfig;

/// A toss that is the same on every machine.
pub(crate) fn noise(index: usize) -> f32 {
    let bits = (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let bits = (bits ^ (bits >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (bits >> 40) as f32 / (1u64 << 24) as f32 - 0.5
}

/// Points of the plane, by whether their coordinates have the same sign.
pub(crate) fn quadrants(samples: usize) -> Arc<dyn Dataset> {
    let inputs: Vec<f32> = (0..2 * samples).map(|i| 2.0 * noise(i)).collect();
    let labels = inputs.chunks(2).map(|p| i32::from(p[0] * p[1] > 0.0)).collect();
    let set = InMemory::classification(
        "quadrants",
        Shape::from([2]),
        inputs,
        labels,
        TargetSpec::named_classes(["different", "same"]),
    );
    Arc::new(set.unwrap())
}

/// Small pictures `[1, 4, 4]` whose class is the brighter half.
pub(crate) fn halves(samples: usize) -> Arc<dyn Dataset> {
    let inputs: Vec<f32> = (0..16 * samples).map(noise).collect();
    let sum = |pixels: &[f32]| pixels.iter().sum::<f32>();
    let labels = inputs.chunks(16).map(|p| i32::from(sum(&p[..8]) > sum(&p[8..]))).collect();
    let classes = TargetSpec::classes(2);
    let shape = Shape::from([1, 4, 4]);
    Arc::new(InMemory::classification("halves", shape, inputs, labels, classes).unwrap())
}

/// y = x1 - 2 x2 + 0.5
pub(crate) fn plane(samples: usize) -> Arc<dyn Dataset> {
    let inputs: Vec<f32> = (0..2 * samples).map(noise).collect();
    let targets = inputs.chunks(2).map(|p| p[0] - 2.0 * p[1] + 0.5).collect();
    let (x, y) = (Shape::from([2]), Shape::from([1]));
    Arc::new(InMemory::regression("plane", x, inputs, y, targets).unwrap())
}

/// Two dense layers with dropout and batch normalisation between: everything that a checkpoint
/// must keep.
pub(crate) fn stateful_model() -> ModelSpec {
    ModelBuilder::new([1, 4, 4])
        .name("stateful")
        .flatten("flatten")
        .dense(8, true, "fc1")
        .batch_norm("bn1")
        .relu("relu1")
        .dropout(0.3, "dropout1")
        .dense(2, true, "fc2")
        .spec()
}

/// Settings of a small run on one thread.
pub(crate) fn small_config() -> TrainerConfig {
    TrainerConfig { epochs: 2, batch_size: 8, threads: 1, ..TrainerConfig::default() }
}

/// An executor for tests of what lies around the steps.
pub(crate) fn executor() -> Box<dyn onestep_engine::Executor> {
    reference_executor::Reference::boxed(std::time::Duration::ZERO)
}

/// The CPU's executor on two threads, whatever `auto` would choose.
pub(crate) fn cpu() -> Box<dyn onestep_engine::Executor> {
    let options = onestep_trainer::ExecutorOptions { threads: 2, memory_budget: None };
    onestep_trainer::executor("cpu", &options).unwrap()
}

/// A trainer on [`executor`].
pub(crate) fn trainer(
    model: impl Into<onestep_trainer::ModelSource>,
    config: TrainerConfig,
) -> onestep_trainer::Trainer {
    onestep_trainer::Trainer::builder(model).config(config).executor(executor()).build().unwrap()
}

/// Ends training after a step.
pub(crate) struct StopAt(pub(crate) u64);

impl onestep_trainer::Callback for StopAt {
    fn name(&self) -> &str {
        "stop_at"
    }

    fn on_step(
        &mut self,
        _: &mut onestep_trainer::RunView<'_>,
        step: &onestep_trainer::StepEvent,
    ) -> Result<onestep_trainer::Flow, onestep_trainer::TrainerError> {
        use onestep_trainer::Flow;
        Ok(if step.step == self.0 { Flow::Stop } else { Flow::Continue })
    }
}
