//! How good a model is on data.

mod builtin;
mod confusion;
mod meter;
mod metric;
mod monitor;
mod spec;
mod top_k;
mod values;

pub use builtin::{
    Accuracy, ExactMatch, IntersectionOverUnion, MeanAbsoluteError, MeanSquaredError, Perplexity,
    RootMeanSquaredError, TopKAccuracy,
};
pub use confusion::ConfusionMatrix;
pub use metric::{Aggregate, Better, Measured, Metric, Scored};
pub use monitor::{Monitor, Part};
pub use onestep_layers::Task;
pub use spec::{CustomMetric, MetricSpec};
pub use top_k::TopK;
pub use values::Metrics;

pub(crate) use meter::{Counted, Figures, Meter};
pub(crate) use values::MOST_METRICS;
