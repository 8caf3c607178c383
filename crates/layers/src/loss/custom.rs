//! Losses of one's own.

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer, ser::Error as _};

use super::{Loss, LossContext, LossValues, Reduction, Task};
use crate::error::LayerError;
use crate::registry::Registry;

/// A loss of one's own.
///
/// Read from a file it is a name and options, which [`Registry`] turns into code:
/// `{"type": "custom", "loss": "log_cosh", "options": {...}}`. Made from a closure or a type it is
/// code without a name, and cannot be written to a file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomLoss {
    /// The name it is registered under.
    pub loss: String,
    /// Options for the registered constructor; default none.
    #[serde(default)]
    pub options: serde_json::Map<String, serde_json::Value>,
    /// The code, once it is known.
    #[serde(skip)]
    #[schemars(skip)]
    pub code: Option<LossFunction>,
}

/// The code of a custom loss.
#[derive(Clone)]
pub struct LossFunction(Arc<dyn Loss>);

impl LossFunction {
    /// Wraps a type or a closure.
    pub fn new(loss: impl Loss + 'static) -> Self {
        LossFunction(Arc::new(loss))
    }

    pub(crate) fn from_arc(loss: Arc<dyn Loss>) -> Self {
        LossFunction(loss)
    }
}

impl fmt::Debug for LossFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LossFunction")
    }
}

impl PartialEq for LossFunction {
    /// Whether both are the very same code.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl CustomLoss {
    /// A loss from a type or a closure.
    pub fn new(loss: impl Loss + 'static) -> Self {
        CustomLoss { code: Some(LossFunction::new(loss)), ..Self::default() }
    }

    /// A loss by the name it is registered under, for [`Registry`] to find.
    pub fn registered(loss: &str, options: serde_json::Map<String, serde_json::Value>) -> Self {
        CustomLoss { loss: loss.to_owned(), options, code: None }
    }

    /// Looks the code up, where it is not known yet.
    pub(super) fn resolve(&mut self, registry: &Registry) -> Result<(), LayerError> {
        if self.code.is_none() {
            self.code = Some(registry.make_loss(&self.loss, &self.options)?);
        }
        Ok(())
    }
}

impl Loss for CustomLoss {
    fn build(&self, cx: &mut LossContext<'_>) -> Result<LossValues, LayerError> {
        let Some(code) = &self.code else {
            return Err(Registry::default().unknown::<dyn Loss>("loss", &self.loss));
        };
        let values = code.0.build(cx)?;
        let g = &cx.graph;
        if g.shape(values.loss).rank() != 0 {
            return Err(LayerError::input("loss", "a scalar loss", g.type_of(values.loss)));
        }
        Ok(values)
    }

    fn task(&self) -> Task {
        self.code.as_ref().map_or(Task::Other, |code| code.0.task())
    }

    fn reduction(&self) -> Reduction {
        self.code.as_ref().map_or(Reduction::Mean, |code| code.0.reduction())
    }

    fn most_outputs(&self) -> usize {
        self.code.as_ref().map_or(1, |code| code.0.most_outputs())
    }
}

impl Serialize for CustomLoss {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Written<'a> {
            loss: &'a str,
            #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
            options: &'a serde_json::Map<String, serde_json::Value>,
        }
        if self.loss.is_empty() {
            return Err(S::Error::custom(
                "the custom loss is code without a registered name and cannot be written; register \
                 its constructor in a Registry and use CustomLoss::registered",
            ));
        }
        Written { loss: &self.loss, options: &self.options }.serialize(serializer)
    }
}
