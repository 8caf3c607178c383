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
use onestep_layers::{LossSpec, Model, ModelSpec, Task};
use onestep_memory::{MemoryManager, Shape, Tensor};
use onestep_optimizer::{Adam, AdamW, Optimizer, OptimizerSpec, Sgd};

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
    model: fn() -> ModelSpec,
    loss: fn() -> LossSpec,
    optimizer: fn() -> OptimizerSpec,
}

fn adam() -> OptimizerSpec {
    OptimizerSpec::Adam(Adam::default())
}

fn adamw() -> OptimizerSpec {
    OptimizerSpec::AdamW(AdamW::default())
}

fn sgd(lr: f64, momentum: f64) -> OptimizerSpec {
    OptimizerSpec::Sgd(Sgd { lr, momentum, ..Sgd::default() })
}

/// All workloads: pictures, then sequences, the smallest of each first.
pub const ALL: [Workload; 13] = [
    Workload {
        name: "seed_cnn_sgd",
        description: "one 3x3 convolution to 8 channels, 32 pictures of 32x32, SGD",
        batch_size: 32,
        model: reference::seed_cnn,
        loss: LossSpec::default,
        optimizer: || sgd(0.01, 0.0),
    },
    Workload {
        name: "seed_cnn_adam",
        description: "the same with Adam",
        batch_size: 32,
        model: reference::seed_cnn,
        loss: LossSpec::default,
        optimizer: adam,
    },
    Workload {
        name: "mlp_mnist",
        description: "784-256-128-10 perceptron, batches of 64, Adam",
        batch_size: 64,
        model: reference::mlp_mnist,
        loss: LossSpec::default,
        optimizer: adam,
    },
    Workload {
        name: "seed_custom",
        description: "two convolutions and a wide dense layer, 16 pictures of 64x64, Adam",
        batch_size: 16,
        model: reference::seed_custom,
        loss: LossSpec::default,
        optimizer: adam,
    },
    Workload {
        name: "cifar_cnn",
        description: "two convolutions with pooling, 32 pictures of 32x32, Adam",
        batch_size: 32,
        model: reference::cifar_cnn,
        loss: LossSpec::default,
        optimizer: adam,
    },
    Workload {
        name: "resnet18_b32",
        description: "ResNet-18 for 32x32 pictures, batches of 32, SGD with momentum",
        batch_size: 32,
        model: reference::resnet18_cifar,
        loss: LossSpec::default,
        optimizer: || sgd(0.05, 0.9),
    },
    Workload {
        name: "lstm",
        description: "an LSTM of 256 over 32 sequences of 64 steps of 64 features, Adam",
        batch_size: 32,
        model: reference::lstm,
        loss: LossSpec::default,
        optimizer: adam,
    },
    Workload {
        name: "gru",
        description: "the same with a GRU",
        batch_size: 32,
        model: reference::gru,
        loss: LossSpec::default,
        optimizer: adam,
    },
    Workload {
        name: "unet",
        description: "a U-Net with 16 channels at the top, 8 masks of 64x64, Adam",
        batch_size: 8,
        model: reference::unet,
        loss: || LossSpec::BceWithLogits(Default::default()),
        optimizer: adam,
    },
    Workload {
        name: "char_gpt",
        description: "a GPT of 4 layers, 128 wide, 12 texts of 64 characters, AdamW",
        batch_size: 12,
        model: reference::char_gpt,
        loss: LossSpec::default,
        optimizer: adamw,
    },
    Workload {
        name: "text_encoder",
        description: "two encoder layers, 128 wide, with a mask, 32 texts of 128 bytes, AdamW",
        batch_size: 32,
        model: reference::text_encoder,
        loss: LossSpec::default,
        optimizer: adamw,
    },
    Workload {
        name: "vit_tiny",
        description: "ViT-Ti on 32 pictures of 32x32 in patches of 4x4, AdamW",
        batch_size: 32,
        model: reference::vit_tiny,
        loss: LossSpec::default,
        optimizer: adamw,
    },
    Workload {
        name: "nano_gpt",
        description: "a GPT of 6 layers, 384 wide, 8 texts of 256 characters, AdamW",
        batch_size: 8,
        model: reference::nano_gpt,
        loss: LossSpec::default,
        optimizer: adamw,
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

    /// The loss.
    pub fn loss(&self) -> LossSpec {
        (self.loss)()
    }

    /// The optimizer.
    pub fn optimizer(&self) -> OptimizerSpec {
        (self.optimizer)()
    }

    /// The batch: standard normal inputs, or indices of equal probability, and labels of equal
    /// probability, one a sample or one a position, or masks of where a picture is positive.
    ///
    /// # Errors
    /// Out of memory.
    pub fn batch(&self, memory: &MemoryManager, seed: u64) -> Result<[Tensor; 2], RunnerError> {
        self.batch_for(&self.model().compile()?, memory, seed)
    }

    fn batch_for(
        &self,
        model: &Model,
        memory: &MemoryManager,
        seed: u64,
    ) -> Result<[Tensor; 2], RunnerError> {
        let shape = model.input_shape().with_batch(self.batch_size)?;
        let count = shape.elements();
        if let Some(limit) = model.index_limit() {
            let indices = batch::indices(seed, count, limit.rows);
            return Ok([memory.from_slice(shape, &indices)?, self.labels(model, memory, seed)?]);
        }
        let numbers = batch::normals(seed, count);
        let target = match self.loss().task() {
            Task::Binary => memory.from_slice(shape.clone(), &batch::masks(&numbers))?,
            _ => self.labels(model, memory, seed)?,
        };
        Ok([memory.from_slice(shape, &numbers)?, target])
    }

    fn labels(
        &self,
        model: &Model,
        memory: &MemoryManager,
        seed: u64,
    ) -> Result<Tensor, RunnerError> {
        // The output is [classes] or [classes, positions].
        let output = model.output_shape().dims();
        let (classes, positions) = output.split_first().unwrap_or((&1, &[]));
        let shape = Shape::new(positions)?.with_batch(self.batch_size)?;
        let labels = batch::labels(seed, shape.elements(), *classes);
        Ok(memory.from_slice(shape, &labels)?)
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
        let model = self.model().compile()?;
        let batch = self.batch_for(&model, executor.memory(), seed)?;
        let optimizer = Optimizer::from_spec(self.optimizer())?;
        let options = RunnerOptions { seed, ..RunnerOptions::default() };
        StepRunner::new(&model, &self.loss(), &optimizer, executor, batch, &options)
    }
}
