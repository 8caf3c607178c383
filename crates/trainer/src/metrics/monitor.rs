//! A figure that is watched.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::metric::{Better, Metric};
use super::spec::MetricSpec;
use crate::TrainerError;

/// The part of an epoch that a figure is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The training batches.
    Train,
    /// The validation data, or the training batches where there is none.
    Validation,
}

impl Part {
    const ALL: [(&'static str, Part); 2] =
        [("train_", Part::Train), ("validation_", Part::Validation)];
}

/// A figure of an epoch that a callback or a schedule watches: `train_` or `validation_` before
/// `loss` or the name of a metric.
///
/// ```
/// use onestep_trainer::Monitor;
///
/// let monitor: Monitor = "validation_accuracy".parse()?;
/// assert_eq!(monitor, Monitor::validation("accuracy"));
/// assert!(monitor.higher_is_better());
/// assert!(monitor.improves(0.9, Some(0.8), 0.05));
/// # Ok::<(), onestep_trainer::TrainerError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Monitor {
    part: Part,
    metric: Cow<'static, str>,
    better: Better,
}

impl Monitor {
    /// How one is written, for a line of help.
    pub const FORM: &'static str = "train_ or validation_ before loss or the name of a metric";

    /// A figure of the training batches.
    pub fn train(metric: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Part::Train, metric.into())
    }

    /// A figure of the validation data.
    pub fn validation(metric: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Part::Validation, metric.into())
    }

    fn new(part: Part, metric: Cow<'static, str>) -> Self {
        // What is a program's own is known when it trains.
        let better = MetricSpec::by_name(&metric).map(|spec| spec.better()).unwrap_or_default();
        Monitor { part, metric, better }
    }

    /// The same where the better figures are those: of a metric of one's own.
    #[must_use]
    pub fn with_better(mut self, better: Better) -> Self {
        self.better = better;
        self
    }

    /// The name, such as `validation_loss`.
    pub fn name(&self) -> String {
        self.to_string()
    }

    /// The part of an epoch that it is of.
    pub fn part(&self) -> Part {
        self.part
    }

    /// The name of the figure: `loss` or that of a metric.
    pub fn metric(&self) -> &str {
        &self.metric
    }

    /// Whether larger is better.
    pub fn higher_is_better(&self) -> bool {
        self.better == Better::Higher
    }

    /// Whether it is a figure of the validation data.
    pub(crate) fn validates(&self) -> bool {
        self.part == Part::Validation
    }

    /// Whether `value` beats `best` by more than `min_delta`. Anything beats nothing, except NaN.
    pub fn improves(&self, value: f64, best: Option<f64>, min_delta: f64) -> bool {
        match best {
            None => !value.is_nan(),
            Some(best) if self.higher_is_better() => value > best + min_delta,
            Some(best) => value < best - min_delta,
        }
    }
}

impl PartialEq for Monitor {
    fn eq(&self, other: &Self) -> bool {
        (self.part, &self.metric) == (other.part, &other.metric)
    }
}

impl Eq for Monitor {}

impl Default for Monitor {
    /// The validation loss.
    fn default() -> Self {
        Monitor::validation("loss")
    }
}

impl fmt::Display for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = Part::ALL.iter().find(|(_, part)| *part == self.part).map_or("", |(n, _)| n);
        write!(f, "{part}{}", self.metric)
    }
}

impl FromStr for Monitor {
    type Err = TrainerError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Part::ALL.iter().find_map(|(prefix, part)| {
            let metric = name.strip_prefix(prefix).filter(|metric| !metric.is_empty())?;
            Some(Monitor::new(*part, metric.to_owned().into()))
        });
        found.ok_or_else(|| {
            let wanted = format!("{}, such as validation_loss or validation_accuracy", Self::FORM);
            TrainerError::option("monitor", wanted, name)
        })
    }
}

impl Serialize for Monitor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Monitor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Monitor {
    fn schema_name() -> Cow<'static, str> {
        "Monitor".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": format!("A figure of an epoch: {}.", Self::FORM),
            "type": "string",
            "pattern": "^(train|validation)_.+$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_never_improves() {
        assert!(!Monitor::train("loss").improves(f64::NAN, None, 0.0));
        assert!(!Monitor::train("loss").improves(f64::NAN, Some(1.0), 0.0));
        assert!(!Monitor::train("accuracy").improves(0.91, Some(0.9), 0.05));
    }

    #[test]
    fn monitors_have_names() {
        let monitor: Monitor = "train_top3".parse().unwrap();
        assert_eq!((monitor.part(), monitor.metric()), (Part::Train, "top3"));
        assert!(monitor.higher_is_better() && !monitor.validates());
        let text = serde_json::to_string(&monitor).unwrap();
        assert_eq!(serde_json::from_str::<Monitor>(&text).unwrap(), monitor);
        for wrong in ["accuracy", "train_", ""] {
            let error = wrong.parse::<Monitor>().unwrap_err().to_string();
            assert!(error.contains("validation_loss"), "{error}");
        }
    }
}
