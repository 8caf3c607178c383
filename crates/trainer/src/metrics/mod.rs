//! How good a model is on data.

mod confusion;
mod meter;
mod top_k;

pub use confusion::ConfusionMatrix;
pub use top_k::TopK;

pub(crate) use meter::{Figures, Meter, MetricKind};
