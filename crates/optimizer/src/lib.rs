//! Optimizers of onestep as update graphs, with schedules, clipping and parameter groups.
#![doc = ""]

mod adagrad;
mod adam;
mod adamw;
mod check;
mod clip;
mod error;
mod grouping;
mod optimizer;
mod rmsprop;
mod rule;
mod sgd;
mod shorthand;
mod spec;

pub use adagrad::Adagrad;
pub use adam::Adam;
pub use adamw::AdamW;
pub use clip::{Clip, GRAD_NORM};
pub use error::OptimizerError;
pub use grouping::{GroupOptions, GroupRule, Grouping, Selector};
pub use optimizer::Optimizer;
pub use rmsprop::RmsProp;
pub use rule::{GroupLeaves, LR, STEP, StateKind, UpdateRule, Updated};
pub use sgd::Sgd;
pub use spec::OptimizerSpec;
