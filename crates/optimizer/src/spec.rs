//! Optimizers as configuration.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::shorthand::{self, Options, Shorthand};
use crate::{Adagrad, Adam, AdamW, OptimizerError, RmsProp, Sgd, UpdateRule};

/// One of the built-in optimizers with its options, which have the names and the defaults of
/// PyTorch. In JSON it is an object with a `type`, or the plain name:
///
/// ```
/// use onestep_optimizer::{Adam, OptimizerSpec};
///
/// let spec: OptimizerSpec = serde_json::from_str(r#"{ "type": "adam", "lr": 0.01 }"#)?;
/// assert_eq!(spec, OptimizerSpec::Adam(Adam { lr: 0.01, ..Adam::default() }));
///
/// let spec: OptimizerSpec = serde_json::from_str(r#""adam""#)?;
/// assert_eq!(spec, "adam".parse::<OptimizerSpec>().unwrap());
/// assert_eq!(spec.lr(), 0.001);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase", remote = "Self")]
#[schemars(rename = "OptimizerSpec", transform = name_or_map)]
pub enum OptimizerSpec {
    /// Stochastic gradient descent with momentum.
    Sgd(Sgd),
    /// Adam.
    Adam(Adam),
    /// Adam with decoupled weight decay.
    AdamW(AdamW),
    /// RMSprop.
    RmsProp(RmsProp),
    /// AdaGrad.
    Adagrad(Adagrad),
}

macro_rules! each {
    ($spec:expr, $options:ident => $body:expr) => {
        match $spec {
            OptimizerSpec::Sgd($options) => $body,
            OptimizerSpec::Adam($options) => $body,
            OptimizerSpec::AdamW($options) => $body,
            OptimizerSpec::RmsProp($options) => $body,
            OptimizerSpec::Adagrad($options) => $body,
        }
    };
}

impl OptimizerSpec {
    /// The names that [`FromStr`] and the `type` of the JSON form know.
    pub const NAMES: [&'static str; 5] = ["sgd", "adam", "adamw", "rmsprop", "adagrad"];

    /// The name, such as `adam`.
    pub fn name(&self) -> &str {
        self.rule().name()
    }

    /// The learning rate, which a schedule starts from.
    pub fn lr(&self) -> f64 {
        each!(self, options => options.lr)
    }

    /// The weight decay.
    pub fn weight_decay(&self) -> f64 {
        each!(self, options => options.weight_decay)
    }

    /// The same optimizer with another learning rate.
    #[must_use]
    pub fn with_lr(mut self, lr: f64) -> Self {
        each!(&mut self, options => options.lr = lr);
        self
    }

    /// The same optimizer with another weight decay.
    #[must_use]
    pub fn with_weight_decay(mut self, weight_decay: f64) -> Self {
        each!(&mut self, options => options.weight_decay = weight_decay);
        self
    }

    /// Checks the options, with the ranges of PyTorch.
    ///
    /// # Errors
    /// [`OptimizerError::Option`] for the first option that is out of its range.
    pub fn validate(&self) -> Result<(), OptimizerError> {
        each!(self, options => options.validate())
    }

    /// The update rule.
    pub fn rule(&self) -> &dyn UpdateRule {
        each!(self, options => options)
    }
}

/// Adam with PyTorch's options.
impl Default for OptimizerSpec {
    fn default() -> Self {
        OptimizerSpec::Adam(Adam::default())
    }
}

impl fmt::Display for OptimizerSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An optimizer by its name, with PyTorch's options.
impl FromStr for OptimizerSpec {
    type Err = OptimizerError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name.trim().to_ascii_lowercase().as_str() {
            "sgd" => Ok(OptimizerSpec::Sgd(Sgd::default())),
            "adam" => Ok(OptimizerSpec::Adam(Adam::default())),
            "adamw" => Ok(OptimizerSpec::AdamW(AdamW::default())),
            "rmsprop" => Ok(OptimizerSpec::RmsProp(RmsProp::default())),
            "adagrad" => Ok(OptimizerSpec::Adagrad(Adagrad::default())),
            _ => Err(OptimizerError::UnknownOptimizer {
                got: name.to_owned(),
                known: Self::NAMES.join(", "),
            }),
        }
    }
}

impl Serialize for OptimizerSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        OptimizerSpec::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for OptimizerSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        shorthand::deserialize(deserializer)
    }
}

impl Shorthand for OptimizerSpec {
    const EXPECTED: &'static str = "an optimizer's name or an object with a `type`";
    const TYPES: &'static [&'static str] = &Self::NAMES;

    fn from_options(kind: &str, options: Options) -> Option<Result<Self, String>> {
        Some(match kind {
            "sgd" => options.read().map(OptimizerSpec::Sgd),
            "adam" => options.read().map(OptimizerSpec::Adam),
            "adamw" => options.read().map(OptimizerSpec::AdamW),
            "rmsprop" => options.read().map(OptimizerSpec::RmsProp),
            "adagrad" => options.read().map(OptimizerSpec::Adagrad),
            _ => return None,
        })
    }
}

fn name_or_map(schema: &mut Schema) {
    let names = OptimizerSpec::NAMES.join(", ");
    shorthand::or_text(schema, &format!("An optimizer with its defaults: {names}."));
}
