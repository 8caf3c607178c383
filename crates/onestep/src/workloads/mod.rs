//! The reference workloads: networks, batches and optimizers that training rates are measured on,
//! the same as in the PyTorch script that they are compared with.
//!
//! A rate is that of steps that learn: the batch is fixed, so the loss must fall, and it is
//! reported beside the rate.
//!
//! ```
//! use onestep::trainer::{ExecutorOptions, executor};
//! use onestep::workloads;
//! use std::time::Duration;
//!
//! let workload = workloads::find("seed_cnn_sgd")?;
//! let cpu = executor("cpu", &ExecutorOptions { threads: 1, memory_budget: None })?;
//! let mut runner = workload.runner(cpu, 0)?;
//! let measured = runner.measure(Duration::from_millis(50))?;
//! println!("{:.3} ms a step, loss {}", measured.ms_per_step, measured.last_loss);
//! assert!(measured.last_loss < measured.first_loss);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod batch;
mod measure;
mod profile;

pub use measure::Measurement;
pub use profile::{Ceilings, Profile, ProfileRow};

use onestep_engine::Executor;
use onestep_layers::presets::reference;
use onestep_layers::{LossSpec, ModelSpec};
use onestep_memory::{MemoryError, MemoryManager, Tensor};
use onestep_optimizer::{Adam, Optimizer, OptimizerSpec, Sgd};

use crate::runner::{RunnerError, RunnerOptions, StepRunner};

/// A network with a fixed random batch and an optimizer.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Its name.
    pub name: &'static str,
    /// What it is, for people.
    pub description: &'static str,
    /// Samples in its batch.
    pub batch_size: usize,
    /// Classes to tell apart.
    pub classes: usize,
    model: fn() -> ModelSpec,
    optimizer: fn() -> OptimizerSpec,
}

fn adam() -> OptimizerSpec {
    OptimizerSpec::Adam(Adam::default())
}

fn sgd(lr: f64, momentum: f64) -> OptimizerSpec {
    OptimizerSpec::Sgd(Sgd { lr, momentum, ..Sgd::default() })
}

/// All workloads, the smallest first.
pub const ALL: [Workload; 6] = [
    Workload {
        name: "seed_cnn_sgd",
        description: "one 3x3 convolution to 8 channels, 32 pictures of 32x32, SGD",
        batch_size: 32,
        classes: 2,
        model: reference::seed_cnn,
        optimizer: || sgd(0.01, 0.0),
    },
    Workload {
        name: "seed_cnn_adam",
        description: "the same with Adam",
        batch_size: 32,
        classes: 2,
        model: reference::seed_cnn,
        optimizer: adam,
    },
    Workload {
        name: "mlp_mnist",
        description: "784-256-128-10 perceptron, batches of 64, Adam",
        batch_size: 64,
        classes: 10,
        model: reference::mlp_mnist,
        optimizer: adam,
    },
    Workload {
        name: "seed_custom",
        description: "two convolutions and a wide dense layer, 16 pictures of 64x64, Adam",
        batch_size: 16,
        classes: 10,
        model: reference::seed_custom,
        optimizer: adam,
    },
    Workload {
        name: "cifar_cnn",
        description: "two convolutions with pooling, 32 pictures of 32x32, Adam",
        batch_size: 32,
        classes: 10,
        model: reference::cifar_cnn,
        optimizer: adam,
    },
    Workload {
        name: "resnet18_b32",
        description: "ResNet-18 for 32x32 pictures, batches of 32, SGD with momentum",
        batch_size: 32,
        classes: 10,
        model: reference::resnet18_cifar,
        optimizer: || sgd(0.05, 0.9),
    },
];

/// The workload of a name.
///
/// # Errors
/// [`RunnerError::UnknownWorkload`] with the names there are.
pub fn find(name: &str) -> Result<&'static Workload, RunnerError> {
    ALL.iter().find(|workload| workload.name == name).ok_or_else(|| RunnerError::UnknownWorkload {
        got: name.to_owned(),
        known: ALL.iter().map(|workload| workload.name).collect::<Vec<_>>().join(", "),
    })
}

impl Workload {
    /// The network, with PyTorch's default initialisation.
    pub fn model(&self) -> ModelSpec {
        (self.model)()
    }

    /// The optimizer.
    pub fn optimizer(&self) -> OptimizerSpec {
        (self.optimizer)()
    }

    /// The batch: standard normal inputs and labels of equal probability.
    ///
    /// # Errors
    /// Out of memory.
    pub fn batch(&self, memory: &MemoryManager, seed: u64) -> Result<[Tensor; 2], MemoryError> {
        let model = self.model();
        let sample = model.input().map_or(&[][..], |input| &input.shape);
        let shape = [&[self.batch_size], sample].concat();
        let shape = onestep_memory::Shape::new(&shape)?;
        let inputs = batch::normals(seed, shape.elements());
        let labels = batch::labels(seed, self.batch_size, self.classes);
        Ok([memory.from_slice(shape, &inputs)?, memory.from_slice([self.batch_size], &labels)?])
    }

    /// The workload on an executor, ready to step.
    ///
    /// # Errors
    /// The executor lacks an op or the memory.
    pub fn runner(
        &self,
        executor: Box<dyn Executor>,
        seed: u64,
    ) -> Result<StepRunner, RunnerError> {
        let batch = self.batch(executor.memory(), seed)?;
        let model = self.model().compile()?;
        let optimizer = Optimizer::from_spec(self.optimizer())?;
        let options = RunnerOptions { seed, ..RunnerOptions::default() };
        StepRunner::new(&model, &LossSpec::default(), &optimizer, executor, batch, &options)
    }
}
