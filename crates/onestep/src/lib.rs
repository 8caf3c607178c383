//! onestep trains neural networks with one native call a step.
//!
//! This crate is the face of the workspace: [`prelude`] has what a training script needs, and each
//! crate of the workspace is a module here ([`layers`], [`data`], [`trainer`], …), so that one
//! dependency is enough. Its binary is the `onestep` command.
//!
//! ```
//! use onestep::prelude::*;
//!
//! let data = open("digits")?;
//! let model = ModelBuilder::new([1, 8, 8])
//!     .conv2d(8, 3, 1, 1, true, "conv1")
//!     .relu("relu1")
//!     .flatten("flat")
//!     .dense(10, true, "fc")
//!     .build()?;
//! let config = TrainerConfig { epochs: 1, threads: 1, ..TrainerConfig::default() };
//! let mut trainer = Trainer::new(model, config)?;
//! let history = trainer.fit(data.train, Some(data.validation), &mut [])?;
//! assert!(history.last().unwrap().train.loss < 2.3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`memory`] | tensors, shapes, pools, staging |
//! | [`engine`] | graphs, automatic differentiation, plans, tickets |
//! | [`cpu`] | the CPU executor |
//! | [`metal`] | the Metal executor |
//! | [`optimizer`] | optimizers as update graphs, schedules, clipping |
//! | [`layers`] | layers, models and losses as configuration |
//! | [`data`] | data sets, transforms, the loader |
//! | [`trainer`] | the training loop, metrics, checkpoints |
//! | [`runner`] | steps on one batch, straight on the engine |
//! | [`workloads`] | the reference workloads that rates are measured on |
//! | [`guide`] | how to use it in a project of one's own |
//!
//! Features, both on by default: `cli`, the command, which no library needs, and `metal`, the GPU of a
//! Mac with the module [`metal`]. A program that uses the library takes
//! `onestep = { version = "0.1", default-features = false }`.

#![forbid(unsafe_code)]

pub use onestep_backend_cpu as cpu;
#[cfg(feature = "metal")]
pub use onestep_backend_metal as metal;
pub use onestep_data as data;
pub use onestep_engine as engine;
pub use onestep_layers as layers;
pub use onestep_memory as memory;
pub use onestep_optimizer as optimizer;
pub use onestep_trainer as trainer;

/// The README's program is compiled and run with the documentation's own.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// A guide to projects of one's own.
#[doc = include_str!("../guide.md")]
pub mod guide {}

pub mod prelude;
pub mod runner;
pub mod workloads;
