//! The training loop of onestep: trainer, factories, callbacks, metrics and checkpoints.
//!
//! A [`Trainer`] takes a model and a [`TrainerConfig`]. [`Trainer::fit`] trains it on a data set,
//! with a loader that prepares batches on threads of its own and losses that arrive while later
//! steps run; [`Trainer::evaluate`] measures it, [`Trainer::predict`] applies it, and
//! [`Trainer::save`] and [`Trainer::load`] keep it. [`Callback`]s watch and steer.
//!
//! ```
//! use onestep_data::open;
//! use onestep_trainer::{Flow, Progress, ProgressEvent, Trainer, TrainerConfig, TrainerError, factory};
//!
//! let data = open("digits")?;
//! let config = TrainerConfig { epochs: 3, ..TrainerConfig::default() };
//! let mut trainer = Trainer::new(factory::mlp([1, 8, 8], &[32], 10), config)?;
//! let mut progress = Progress::new(|event| {
//!     if let ProgressEvent::EpochEnd(epoch) = event {
//!         println!("epoch {}: loss {:.3}", epoch.epoch, epoch.train.loss);
//!     }
//! });
//! let history = trainer.fit(data.train, Some(data.validation.clone()), &mut [&mut progress])?;
//! assert!(history.last().unwrap().validation.as_ref().unwrap().accuracy().unwrap() > 0.8);
//! println!("{}", trainer.evaluate(data.validation)?.confusion.unwrap());
//! # Ok::<(), TrainerError>(())
//! ```

#![forbid(unsafe_code)]

mod atomic_file;
mod callback;
pub mod checkpoint;
mod config;
mod decoder;
mod device;
mod disk;
mod error;
pub mod factory;
mod fitting;
mod folder_lock;
mod generator;
mod history;
mod host;
mod learner;
mod metrics;
mod pattern;
mod phases;
mod plot;
mod predictor;
mod program;
mod sampling;
mod snapshot;
mod trainer;
pub mod weights;

pub use atomic_file::write_atomically;
pub use callback::{
    BestCheckpoint, Callback, Checkpoints, CurvePlot, EarlyStopping, EpochStart, Flow, MetricsCsv,
    MetricsJson, Progress, ProgressEvent, RunView, StepEvent,
};
pub use config::{Buckets, EarlyStoppingConfig, TrainerConfig};
pub use device::{ExecutorOptions, device_forms, device_table, devices, executor};
pub use error::TrainerError;
pub use fitting::Taken;
pub use folder_lock::FolderLock;
pub use generator::{Generator, Pieces, Tokens};
pub use history::{EpochRecord, History, PerStep, Stop};
pub use host::HostFields;
pub use learner::Learner;
pub use metrics::{
    Accuracy, Aggregate, Better, ConfusionMatrix, CustomMetric, ExactMatch, IntersectionOverUnion,
    MeanAbsoluteError, MeanSquaredError, Measured, Metric, MetricSpec, Metrics, Monitor, Part,
    Perplexity, RootMeanSquaredError, Scored, Task, TopK, TopKAccuracy,
};
pub use onestep_memory::HostData;
pub use pattern::name_matches;
pub use phases::{Phases, peak_resident_bytes};
pub use plot::draw_curves;
pub use predictor::{Predictor, PredictorOptions};
pub use program::{OUTPUT, TrainingProgram, gradient_name};
pub use sampling::{Sampler, Sampling};
pub use snapshot::{Snapshot, Weights};
pub use trainer::{Evaluation, ModelSource, Prediction, StepResult, Trainer, TrainerBuilder};
