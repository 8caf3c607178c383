//! Layers of one's own.

use std::fmt;
use std::sync::Arc;

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer, ser::Error as _};

use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;
use crate::registry::Registry;

/// A layer of one's own in a model.
///
/// Read from a file it is a name and options, which [`Registry`] turns into code:
/// `{"type": "custom", "layer": "scaled_tanh", "options": {...}}`. Made from a closure or a type it
/// is code without a name, and cannot be written to a file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Custom {
    /// The layer's name.
    #[serde(default)]
    pub name: Option<String>,
    /// The name it is registered under.
    pub layer: String,
    /// Options for the registered constructor; default none.
    #[serde(default)]
    pub options: serde_json::Map<String, serde_json::Value>,
    /// The code, once it is known.
    #[serde(skip)]
    #[schemars(skip)]
    pub code: Option<CustomLayer>,
}

/// The code of a custom layer.
#[derive(Clone)]
pub struct CustomLayer(Arc<dyn Layer>);

impl CustomLayer {
    /// Wraps a type or a closure.
    pub fn new(layer: impl Layer + 'static) -> Self {
        CustomLayer(Arc::new(layer))
    }

    pub(crate) fn from_arc(layer: Arc<dyn Layer>) -> Self {
        CustomLayer(layer)
    }
}

impl fmt::Debug for CustomLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CustomLayer")
    }
}

impl PartialEq for CustomLayer {
    /// Whether both are the very same code.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Custom {
    /// A layer from a type or a closure.
    pub fn new(layer: impl Layer + 'static) -> Self {
        Custom { code: Some(CustomLayer::new(layer)), ..Self::default() }
    }

    /// A layer by the name it is registered under, for [`Registry`] to find.
    pub fn registered(layer: &str, options: serde_json::Map<String, serde_json::Value>) -> Self {
        Custom { name: None, layer: layer.to_owned(), options, code: None }
    }

    pub(super) fn kind(&self) -> &str {
        if self.layer.is_empty() { "custom" } else { &self.layer }
    }

    /// Looks the code up, where it is not known yet.
    pub(crate) fn resolve(&mut self, place: &str, registry: &Registry) -> Result<(), LayerError> {
        if self.code.is_none() {
            self.code = Some(registry.make_layer(place, &self.layer, &self.options)?);
        }
        Ok(())
    }
}

impl Layer for Custom {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        match &self.code {
            Some(code) => code.0.build(cx, x),
            None => Err(Registry::default().unknown::<dyn Layer>(&cx.path(), &self.layer)),
        }
    }

    fn build_many(
        &self,
        cx: &mut BuildContext,
        inputs: &[Value],
    ) -> Result<Vec<Value>, LayerError> {
        match &self.code {
            Some(code) => code.0.build_many(cx, inputs),
            None => Err(Registry::default().unknown::<dyn Layer>(&cx.path(), &self.layer)),
        }
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        self.code.as_ref().map_or(0, |code| code.0.flops(shapes))
    }
}

impl Serialize for Custom {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Written<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            name: Option<&'a str>,
            layer: &'a str,
            #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
            options: &'a serde_json::Map<String, serde_json::Value>,
        }
        if self.layer.is_empty() {
            let name = self.name.as_deref().unwrap_or("custom");
            return Err(S::Error::custom(format!(
                "the custom layer `{name}` is code without a registered name and cannot be written; \
                 register its constructor in a Registry and use Custom::registered"
            )));
        }
        let name = self.name.as_deref();
        Written { name, layer: &self.layer, options: &self.options }.serialize(serializer)
    }
}
