//! Custom layers and losses by name.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::error::LayerError;
use crate::layer::{CustomLayer, Layer};
use crate::loss::{Loss, LossFunction};

type MakeLayer = dyn Fn(&Map<String, Value>) -> Result<Arc<dyn Layer>, String> + Send + Sync;
type MakeLoss = dyn Fn(&Map<String, Value>) -> Result<Arc<dyn Loss>, String> + Send + Sync;

/// The code of custom layers and losses by the names that specs use. A constructor gets the
/// options of the spec and returns the layer, or says what is wrong with them.
///
/// ```
/// use onestep_engine::Value;
/// use onestep_layers::{BuildContext, LayerError, ModelSpec, Registry};
///
/// let registry = Registry::new().layer("scale", |options| {
///     let factor = options.get("factor").and_then(|f| f.as_f64()).ok_or("`factor` is missing")?;
///     Ok(move |cx: &mut BuildContext, x: Value| -> Result<Value, LayerError> {
///         Ok(cx.graph.scale(x, factor as f32)?)
///     })
/// });
/// let spec = ModelSpec::from_json(
///     r#"{"input": {"shape": [4]},
///         "layers": [{"type": "custom", "layer": "scale", "options": {"factor": 2}}]}"#,
/// )?;
/// assert!(spec.compile().is_err());
/// let model = spec.resolve(&registry)?.compile()?;
/// assert_eq!(model.output_shape().dims(), &[4]);
/// # Ok::<(), LayerError>(())
/// ```
#[derive(Clone, Default)]
pub struct Registry {
    layers: BTreeMap<String, Arc<MakeLayer>>,
    losses: BTreeMap<String, Arc<MakeLoss>>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("layers", &self.layers.keys())
            .field("losses", &self.losses.keys())
            .finish()
    }
}

impl Registry {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a layer's constructor, in place of an earlier one of the same name.
    #[must_use]
    pub fn layer<L: Layer + 'static>(
        mut self,
        name: &str,
        make: impl Fn(&Map<String, Value>) -> Result<L, String> + Send + Sync + 'static,
    ) -> Self {
        let make = move |options: &Map<String, Value>| {
            make(options).map(|layer| Arc::new(layer) as Arc<dyn Layer>)
        };
        self.layers.insert(name.to_owned(), Arc::new(make));
        self
    }

    /// Adds a loss's constructor, in place of an earlier one of the same name.
    #[must_use]
    pub fn loss<L: Loss + 'static>(
        mut self,
        name: &str,
        make: impl Fn(&Map<String, Value>) -> Result<L, String> + Send + Sync + 'static,
    ) -> Self {
        let make = move |options: &Map<String, Value>| {
            make(options).map(|loss| Arc::new(loss) as Arc<dyn Loss>)
        };
        self.losses.insert(name.to_owned(), Arc::new(make));
        self
    }

    pub(crate) fn make_layer(
        &self,
        place: &str,
        kind: &str,
        options: &Map<String, Value>,
    ) -> Result<CustomLayer, LayerError> {
        let make = self.layers.get(kind).ok_or_else(|| self.unknown(place, "layer", kind))?;
        let made = make(options).map_err(|problem| options_error(place, kind, &problem))?;
        Ok(CustomLayer::from_arc(made))
    }

    pub(crate) fn make_loss(
        &self,
        kind: &str,
        options: &Map<String, Value>,
    ) -> Result<LossFunction, LayerError> {
        let make = self.losses.get(kind).ok_or_else(|| self.unknown("loss", "loss", kind))?;
        let made = make(options).map_err(|problem| options_error("loss", kind, &problem))?;
        Ok(LossFunction::from_arc(made))
    }

    /// The error for a name that is not registered.
    pub(crate) fn unknown(&self, layer: &str, what: &'static str, kind: &str) -> LayerError {
        let names: Vec<&str> = match what {
            "layer" => self.layers.keys().map(String::as_str).collect(),
            _ => self.losses.keys().map(String::as_str).collect(),
        };
        let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        LayerError::NotRegistered { layer: layer.to_owned(), what, kind: kind.to_owned(), known }
    }
}

fn options_error(place: &str, kind: &str, problem: &str) -> LayerError {
    LayerError::option(place, "options", format!("those of the custom `{kind}`"), problem)
}
