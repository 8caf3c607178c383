//! What a metric is.

use onestep_engine::{DType, Graph, Value};
use onestep_layers::{LayerError, LossValues, Task};
use serde::{Deserialize, Serialize};

/// Which of two figures is the better one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// The larger one, as of accuracies.
    Higher,
    /// The smaller one, as of losses and errors.
    #[default]
    Lower,
}

/// What an output is asked to do: what its loss says, or for a loss of one's own what its target shows.
pub(crate) fn task_of(g: &Graph, output: Value, loss: &LossValues, said: Task) -> Task {
    let Some(target) = loss.target else { return said };
    let (target, output) = (g.type_of(target), g.type_of(output));
    match said {
        Task::Other if target.dtype == DType::I32 => {
            let classes = target.shape.rank() + 1 == output.shape.rank();
            if classes { Task::Classify { axis: 1 } } else { Task::Other }
        }
        Task::Other if target == output => Task::Regress,
        said => said,
    }
}

/// What a metric is computed from: values of the graph of a step.
#[derive(Clone, Copy, Debug)]
pub struct Scored {
    /// What the model says, `[batch, ...]`.
    pub output: Value,
    /// What it should have said, and the loss.
    pub loss: LossValues,
    /// What it is asked to do.
    pub task: Task,
}

/// What a batch has come to in a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// An f32 scalar: of a [mean](Aggregate::Mean) the mean of the batch.
    pub value: Value,
    /// The f32 scalar that the mean was divided by, in what is counted; `None` for the samples of the
    /// batch.
    pub weight: Option<Value>,
}

impl Measured {
    /// A mean over the samples of the batch.
    pub fn over_samples(value: Value) -> Self {
        Measured { value, weight: None }
    }
}

/// How the values of batches become that of an epoch or of a data set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Aggregate {
    /// Their mean, each batch by its weight: what is counted twice as often counts twice.
    #[default]
    Mean,
    /// Their sum.
    Sum,
    /// The largest.
    Max,
    /// The smallest.
    Min,
}

/// A figure of how good a model is, which a step computes on the device beside its loss. Its name is
/// the column of tables, the key in JSON, the curve of the plot, and what
/// [`Monitor`](crate::Monitor)s watch.
///
/// The share of the outputs that are within 0.1 of their targets:
///
/// ```
/// use onestep_engine::Graph;
/// use onestep_layers::LayerError;
/// use onestep_trainer::{Better, Measured, Metric, Scored, TrainerConfig};
///
/// struct Close;
///
/// impl Metric for Close {
///     fn name(&self) -> String {
///         "close".to_owned()
///     }
///     fn better(&self) -> Better {
///         Better::Higher
///     }
///     fn report(&self, g: &mut Graph, scored: &Scored) -> Result<Option<Measured>, LayerError> {
///         let Some(target) = scored.loss.target else { return Ok(None) };
///         let error = g.sub(scored.output, target)?;
///         let error = g.abs(error)?;
///         let most = g.constant(0.1)?;
///         let close = g.lt(error, most)?;
///         Ok(Some(Measured::over_samples(g.mean_all(close)?)))
///     }
/// }
///
/// let config = TrainerConfig { loss: "mse".parse()?, ..TrainerConfig::default() }
///     .with_metric(Close);
/// # Ok::<(), LayerError>(())
/// ```
pub trait Metric: Send + Sync {
    /// The name, such as `top5`.
    fn name(&self) -> String;

    /// Which figures are the better ones.
    fn better(&self) -> Better;

    /// Appends the figure of a batch to the graph; `None` where it is not defined for what the model
    /// is asked to do.
    ///
    /// # Errors
    /// What the ops say.
    fn report(&self, g: &mut Graph, scored: &Scored) -> Result<Option<Measured>, LayerError>;

    /// How the figures of batches become one.
    fn aggregate(&self) -> Aggregate {
        Aggregate::Mean
    }

    /// The figure that is shown, from the aggregated one: the root of a mean of squares, for example.
    fn finish(&self, aggregated: f64) -> f64 {
        aggregated
    }

    /// The power of the targets' unit that the shown figure is in: 1 for errors, 2 for squared ones.
    /// Where targets are standardised, the figure is brought back to their own units by it.
    fn target_power(&self) -> i32 {
        0
    }
}
