//! Metrics by name.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use onestep_base::{Constructors, OwnKind, Registered, json, registry};
use onestep_engine::Graph;
use onestep_layers::LayerError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer, ser::Error as _};

use super::builtin::{
    Accuracy, ExactMatch, IntersectionOverUnion, MeanAbsoluteError, MeanSquaredError, Perplexity,
    RootMeanSquaredError, TopKAccuracy,
};
use super::metric::{Aggregate, Better, Measured, Metric, Scored};
use crate::TrainerError;

registry! {
    kind = "metric", plural = "metrics", form = text_or_object;
    /// A metric by name with its options. In JSON the name (`"accuracy"`, `"top5"`) or an object
    /// (`{"type": "top_k", "k": 5}`); a name that is none of the library's is one of a program's own.
    ///
    /// ```
    /// use onestep_trainer::{Metric, MetricSpec, TopKAccuracy};
    /// let metric: MetricSpec = "top3".parse()?;
    /// assert_eq!(metric, TopKAccuracy { k: 3 }.into());
    /// assert_eq!(metric.name(), "top3");
    /// # Ok::<(), onestep_trainer::TrainerError>(())
    /// ```
    #[schemars(description = "A metric as an object: its type and its options.")]
    pub enum MetricSpec: Metric {
        /// The share of right answers.
        Accuracy(Accuracy) = "accuracy",
        /// The share of samples whose class is among the k with the largest logits; `top5` for short.
        TopK(TopKAccuracy) = "top_k",
        /// The mean of |output - target|.
        MeanAbsoluteError(MeanAbsoluteError) = "mean_absolute_error",
        /// The mean of (output - target)^2.
        MeanSquaredError(MeanSquaredError) = "mean_squared_error",
        /// The root of the mean of (output - target)^2.
        RootMeanSquaredError(RootMeanSquaredError) = "root_mean_squared_error",
        /// e to the power of the mean cross-entropy of labels.
        Perplexity(Perplexity) = "perplexity",
        /// The share of samples of which every label is right.
        ExactMatch(ExactMatch) = "exact_match",
        /// What two regions have in common over what either covers.
        IntersectionOverUnion(IntersectionOverUnion) = "iou",
        /// A metric of one's own.
        Custom(CustomMetric) = "custom",
    }
}

impl OwnKind for dyn Metric {
    const WORD: &'static str = "metric";
}

impl MetricSpec {
    /// The built-in metric that is shown under a name, such as `top3`.
    pub(super) fn by_name(name: &str) -> Option<Self> {
        let numbered = name.strip_prefix("top").and_then(|k| k.parse().ok());
        if let Some(k) = numbered.filter(|&k: &usize| k > 0) {
            return Some(TopKAccuracy { k }.into());
        }
        match name {
            "top_k" | "custom" => None,
            _ => MetricSpec::from_parts(name, json::Value::Object(Default::default()))?.ok(),
        }
    }

    /// The same metric with the code of a custom one looked up by name.
    ///
    /// # Errors
    /// [`TrainerError::Option`] where it is not registered, or what its constructor says of its
    /// options.
    pub fn resolve(mut self, own: &Constructors) -> Result<Self, TrainerError> {
        if let MetricSpec::Custom(custom) = &mut self
            && custom.code.is_none()
        {
            let made = own.make::<dyn Metric>(&custom.metric, &custom.options);
            custom.code = Some(MetricCode(made.map_err(|error| {
                let known = Self::help();
                let wanted = format!("one of {known}, topK, or a registered one");
                TrainerError::option("metrics", wanted, error)
            })?));
        }
        Ok(self)
    }

    /// Checks the options, and that the code of a custom one is known.
    pub(crate) fn check(&self) -> Result<(), TrainerError> {
        match self {
            MetricSpec::TopK(TopKAccuracy { k: 0 }) => {
                Err(TrainerError::option("metrics", "top_k with k of at least 1", "k of 0"))
            }
            MetricSpec::Custom(CustomMetric { code: None, .. }) => {
                self.clone().resolve(&Constructors::default()).map(|_| ())
            }
            _ => Ok(()),
        }
    }
}

impl Metric for MetricSpec {
    fn name(&self) -> String {
        self.inner().name()
    }
    fn better(&self) -> Better {
        self.inner().better()
    }
    fn report(&self, g: &mut Graph, scored: &Scored) -> Result<Option<Measured>, LayerError> {
        self.inner().report(g, scored)
    }
    fn aggregate(&self) -> Aggregate {
        self.inner().aggregate()
    }
    fn finish(&self, aggregated: f64) -> f64 {
        self.inner().finish(aggregated)
    }
    fn target_power(&self) -> i32 {
        self.inner().target_power()
    }
}

impl FromStr for MetricSpec {
    type Err = TrainerError;

    /// Reads a name or the JSON object.
    fn from_str(text: &str) -> Result<Self, TrainerError> {
        let text = text.trim();
        if text.starts_with('{') {
            let value = json::parse(text)
                .map_err(|error| TrainerError::option("metrics", "a JSON object", error))?;
            return MetricSpec::from_object(value).map_err(|error| {
                TrainerError::option("metrics", "a metric with its options", error)
            });
        }
        let plain = |c: char| c.is_alphanumeric() || "_-.".contains(c);
        if text.is_empty() || !text.chars().all(plain) || text == "loss" {
            let wanted = format!("names such as {}, top5", Self::help());
            return Err(TrainerError::option("metrics", wanted, format!("`{text}`")));
        }
        Ok(Self::by_name(text).unwrap_or_else(|| CustomMetric::registered(text).into()))
    }
}

impl fmt::Display for MetricSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name())
    }
}

/// A metric of one's own. Read from a file it is a name and options, which a program's
/// [`Constructors`] turn into code; made from a type it is code, and is written by its name.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomMetric {
    /// The name it is registered under.
    pub metric: String,
    /// Options for the registered constructor; default none.
    #[serde(default)]
    pub options: serde_json::Map<String, serde_json::Value>,
    /// The code, once it is known.
    #[serde(skip)]
    #[schemars(skip)]
    pub code: Option<MetricCode>,
}

/// The code of a custom metric.
#[derive(Clone)]
pub struct MetricCode(Arc<dyn Metric>);

impl fmt::Debug for MetricCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MetricCode")
    }
}

impl PartialEq for MetricCode {
    /// Whether both are the very same code.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl CustomMetric {
    /// A metric from a type. A checkpoint keeps its name, under which whoever loads it registers the
    /// code.
    pub fn new(metric: impl Metric + 'static) -> Self {
        let name = metric.name();
        CustomMetric { metric: name, code: Some(MetricCode(Arc::new(metric))), ..Self::default() }
    }

    /// A metric by the name it is registered under.
    pub fn registered(name: &str) -> Self {
        CustomMetric { metric: name.to_owned(), ..Self::default() }
    }
}

impl Metric for CustomMetric {
    fn name(&self) -> String {
        self.code.as_ref().map_or_else(|| self.metric.clone(), |code| code.0.name())
    }
    fn better(&self) -> Better {
        self.code.as_ref().map_or_else(Better::default, |code| code.0.better())
    }
    fn report(&self, g: &mut Graph, scored: &Scored) -> Result<Option<Measured>, LayerError> {
        self.code.as_ref().map_or(Ok(None), |code| code.0.report(g, scored))
    }
    fn aggregate(&self) -> Aggregate {
        self.code.as_ref().map_or_else(Aggregate::default, |code| code.0.aggregate())
    }
    fn finish(&self, aggregated: f64) -> f64 {
        self.code.as_ref().map_or(aggregated, |code| code.0.finish(aggregated))
    }
    fn target_power(&self) -> i32 {
        self.code.as_ref().map_or(0, |code| code.0.target_power())
    }
}

impl Serialize for CustomMetric {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Written<'a> {
            metric: &'a str,
            #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
            options: &'a serde_json::Map<String, serde_json::Value>,
        }
        if self.metric.is_empty() {
            return Err(S::Error::custom("the custom metric has no name and cannot be written"));
        }
        Written { metric: &self.metric, options: &self.options }.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_objects_are_read_and_written() {
        for (text, wanted) in [
            (r#""accuracy""#, MetricSpec::Accuracy(Accuracy {})),
            (r#""top7""#, TopKAccuracy { k: 7 }.into()),
            (r#"{"type": "top_k"}"#, TopKAccuracy { k: 5 }.into()),
            (r#""f1""#, CustomMetric::registered("f1").into()),
        ] {
            let read: MetricSpec = serde_json::from_str(text).unwrap();
            assert_eq!(read, wanted, "{text}");
            let written = serde_json::to_string(&read).unwrap();
            assert_eq!(serde_json::from_str::<MetricSpec>(&written).unwrap(), wanted, "{written}");
        }
        for wrong in ["", "loss", "a b", "{\"type\": \"accurcy\"}", "{\"k\": 1}"] {
            assert!(wrong.parse::<MetricSpec>().is_err(), "{wrong}");
        }
        let error = MetricSpec::from(CustomMetric::registered("f1")).check().unwrap_err();
        assert!(error.to_string().contains("no custom metric `f1` is registered"), "{error}");
        assert!(MetricSpec::from(TopKAccuracy { k: 0 }).check().is_err());
    }
}
