//! Optimizers of onestep as update graphs, with schedules, clipping and parameter groups.
//!
//! An [`Optimizer`] is an [`UpdateRule`] (one of [`OptimizerSpec`]'s, or one of your own), a
//! [`Grouping`] of the parameters and perhaps a [`Clip`]. It makes an
//! [`UpdateGraph`](onestep_engine::UpdateGraph) once; the executor runs that graph as part of each
//! step. The learning rate is a scalar input of it, which a [`Schedule`] computes on the host.
//!
//! ```
//! use onestep_engine::{ParameterInfo, Shape};
//! use onestep_optimizer::{Horizon, Optimizer, OptimizerSpec, ScheduleSpec};
//!
//! # fn main() -> Result<(), onestep_optimizer::OptimizerError> {
//! let spec = "sgd".parse::<OptimizerSpec>()?.with_lr(0.1);
//! let optimizer = Optimizer::from_spec(spec)?;
//! let groups = optimizer.groups(&[ParameterInfo::new("w", Shape::from([2, 2]))])?;
//! let update = optimizer.update_graph(&groups)?;
//! println!("{}", update.graph);
//!
//! let schedule = "cosine".parse::<ScheduleSpec>()?.build(optimizer.lr(), Horizon::new(10, 50)?)?;
//! assert_eq!(schedule.lr(0), 0.1);
//! # Ok(())
//! # }
//! ```

mod adafactor;
mod adagrad;
mod adam;
mod adamw;
mod assemble;
mod averaging;
mod chain;
mod check;
mod clip;
mod custom;
mod error;
mod fed;
mod grouping;
mod hyper;
mod lamb;
mod lars;
mod leaves;
mod lion;
mod muon;
mod optimizer;
mod options;
mod prodigy;
mod rmsprop;
mod rule;
mod schedule;
mod schedule_free;
mod sgd;
mod sparse_adam;
mod spec;
pub mod transform;

pub use adafactor::Adafactor;
pub use adagrad::Adagrad;
pub use adam::Adam;
pub use adamw::AdamW;
pub use averaging::{AVERAGE, Averaging, Ema, Swa};
pub use chain::{Chain, Flow, Transform};
pub use clip::{Clip, GRAD_NORM};
pub use custom::CustomOptimizer;
pub use error::OptimizerError;
pub use fed::Fed;
pub use grouping::{GroupOptions, GroupRule, Grouping, Selector};
pub use hyper::{HYPERPARAMETERS, Hyper};
pub use lamb::Lamb;
pub use lars::Lars;
pub use leaves::{GroupLeaves, GroupTensor, LR, STEP, SharedLeaf};
pub use lion::Lion;
pub use muon::{AdjustLr, Muon};
pub use onestep_engine::StateShape;
pub use optimizer::Optimizer;
pub use prodigy::Prodigy;
pub use rmsprop::RmsProp;
pub use rule::{OtherRule, Scope, SharedState, StateKind, UpdateRule, Updated};
pub use schedule::{
    AnnealStrategy, Constant, Cosine, Exponential, Horizon, Leg, LinearWarmup, MultiStep, OneCycle,
    Per, PlateauMode, PlateauState, ReduceOnPlateau, Schedule, ScheduleSpec, ScheduleState,
    StepDecay, ThresholdMode, schedule_forms,
};
pub use schedule_free::ScheduleFree;
pub use sgd::Sgd;
pub use sparse_adam::SparseAdam;
pub use spec::OptimizerSpec;
