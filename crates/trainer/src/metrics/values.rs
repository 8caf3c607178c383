//! Figures by name.

use std::fmt;
use std::sync::Arc;

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The most metrics that a step can report.
pub(crate) const MOST_METRICS: usize = 6;

/// Figures of an epoch or of a data set, which do not depend on how it was cut into batches. Where
/// targets were standardised to learn them, errors are in the targets' own units, and so are the
/// losses `mse` (in their square) and `mae`.
///
/// In JSON it is one object: `{"loss": 0.25, "accuracy": 0.97}`.
///
/// ```
/// use onestep_trainer::Metrics;
///
/// let metrics = Metrics::new(0.25).with("accuracy", 0.75).with("top5", 1.0);
/// assert_eq!(metrics.accuracy(), Some(0.75));
/// assert_eq!(metrics.get("loss"), Some(0.25));
/// assert_eq!(metrics.names().collect::<Vec<_>>(), ["accuracy", "top5"]);
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct Metrics {
    /// The loss: over the samples its mean, over weighted classes the weighted mean, or the sum
    /// where it is one.
    pub loss: f64,
    names: Arc<[String]>,
    values: [f64; MOST_METRICS],
}

impl Metrics {
    /// A loss without metrics.
    pub fn new(loss: f64) -> Self {
        Metrics { loss, ..Metrics::default() }
    }

    /// Figures of these names. It allocates nothing.
    pub(crate) fn of(loss: f64, names: &Arc<[String]>, values: [f64; MOST_METRICS]) -> Self {
        Metrics { loss, names: Arc::clone(names), values }
    }

    /// The same with one figure more. There is room for six; further ones are left out.
    #[must_use]
    pub fn with(mut self, name: &str, value: f64) -> Self {
        let place = self.names.len();
        if place < MOST_METRICS {
            self.values[place] = value;
            self.names = self.names.iter().cloned().chain([name.to_owned()]).collect();
        }
        self
    }

    /// The names of the metrics, without the loss.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// The metrics with their names, without the loss.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.names().zip(self.values)
    }

    /// The figure of a name: `loss` or a metric's.
    pub fn get(&self, name: &str) -> Option<f64> {
        if name == "loss" {
            return Some(self.loss);
        }
        self.iter().find(|(own, _)| *own == name).map(|(_, value)| value)
    }

    /// The share of right answers, from 0 to 1, where it is measured: by default for losses of
    /// classification.
    pub fn accuracy(&self) -> Option<f64> {
        self.get("accuracy")
    }

    /// The mean absolute error, where it is measured: by default for losses of regression.
    pub fn mean_absolute_error(&self) -> Option<f64> {
        self.get("mean_absolute_error")
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [("loss", self.loss)].into_iter().chain(self.iter());
        f.debug_map().entries(all).finish()
    }
}

impl Serialize for Metrics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1 + self.names.len()))?;
        map.serialize_entry("loss", &self.loss)?;
        for (name, value) in self.iter() {
            map.serialize_entry(name, &value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Metrics {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Figures)
    }
}

struct Figures;

impl<'de> Visitor<'de> for Figures {
    type Value = Metrics;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("figures by name, the loss among them")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Metrics, M::Error> {
        let (mut loss, mut metrics) = (None, Metrics::default());
        while let Some((name, value)) = map.next_entry::<String, Option<f64>>()? {
            match name.as_str() {
                "loss" => loss = value,
                // What is no number has no form in JSON.
                _ => metrics = metrics.with(&name, value.unwrap_or(f64::NAN)),
            }
        }
        metrics.loss = loss.ok_or_else(|| serde::de::Error::missing_field("loss"))?;
        Ok(metrics)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_survive_json_and_are_bounded() {
        let metrics = Metrics::new(0.5).with("b", 1.0).with("a", 2.0);
        let text = serde_json::to_string(&metrics).unwrap();
        assert_eq!(text, r#"{"loss":0.5,"b":1.0,"a":2.0}"#);
        assert_eq!(serde_json::from_str::<Metrics>(&text).unwrap(), metrics);
        assert!(serde_json::from_str::<Metrics>(r#"{"a": 1}"#).is_err());
        let many = (0..99).fold(Metrics::new(0.0), |m, i| m.with(&i.to_string(), 1.0));
        assert_eq!(many.names().count(), MOST_METRICS);
    }
}
