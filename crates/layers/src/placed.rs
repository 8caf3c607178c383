//! A layer at its place in a list.

use std::borrow::Cow;
use std::ops::{Deref, DerefMut};

use onestep_base::RegistryError;
use onestep_base::json::{self, Strict};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::Value;

use crate::layer::LayerSpec;

/// A layer at its place in a list: what it takes, and whose parameters it uses. By itself a layer
/// takes what the one before it gives, and has parameters of its own.
///
/// In JSON `inputs` and `weights` stand among the layer's options:
///
/// ```
/// use onestep_layers::{Dense, Placed};
/// let text = r#"{"type":"dense","name":"again","out_features":8,"inputs":["right"],"weights":"enc"}"#;
/// let placed: Placed = serde_json::from_str(text)?;
/// let wanted = Placed::from(Dense::new(8).named("again")).taking(["right"]).sharing("enc");
/// assert_eq!(placed, wanted);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Placed {
    /// The layer.
    pub layer: LayerSpec,
    /// The names of what it takes: layers before it in its list or in those around it, inputs of the
    /// model, or with a number (`split.1`) one of several outputs. Empty for the layer before it.
    pub inputs: Vec<String>,
    /// The name of the layer before it whose parameters and states it uses as its own.
    pub weights: Option<String>,
}

impl<T: Into<LayerSpec>> From<T> for Placed {
    fn from(layer: T) -> Self {
        Placed { layer: layer.into(), inputs: Vec::new(), weights: None }
    }
}

impl Deref for Placed {
    type Target = LayerSpec;

    fn deref(&self) -> &LayerSpec {
        &self.layer
    }
}

impl DerefMut for Placed {
    fn deref_mut(&mut self) -> &mut LayerSpec {
        &mut self.layer
    }
}

/// What stands among the options of a layer and is none of them.
#[derive(Default, Deserialize)]
struct Wiring {
    #[serde(default)]
    inputs: Names,
    #[serde(default)]
    weights: Option<String>,
}

/// One name or several.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a name or a list of names")]
enum Names {
    One(String),
    Many(Vec<String>),
}

impl Default for Names {
    fn default() -> Self {
        Names::Many(Vec::new())
    }
}

impl Placed {
    /// Takes what the layers or inputs of these names give.
    #[must_use]
    pub fn taking<N: Into<String>>(mut self, inputs: impl IntoIterator<Item = N>) -> Self {
        self.inputs = inputs.into_iter().map(Into::into).collect();
        self
    }

    /// Uses the parameters and states of the layer of this name.
    #[must_use]
    pub fn sharing(mut self, weights: impl Into<String>) -> Self {
        self.weights = Some(weights.into());
        self
    }

    /// Reads one layer; errors name it and its place, counted from 1, among its siblings.
    pub(crate) fn from_value(mut value: Value, place: usize) -> Result<Self, String> {
        let name = value.get("name").and_then(Value::as_str);
        let name = name.map_or_else(String::new, |name| format!(" `{name}`"));
        let mut wiring = serde_json::Map::new();
        if let Some(map) = value.as_object_mut() {
            for key in ["inputs", "weights"] {
                wiring.extend(map.remove(key).map(|value| (key.to_owned(), value)));
            }
        }
        let wiring: Wiring = json::from_value(wiring.into())
            .map_err(|problem| format!("layer {place}{name}: {problem}"))?;
        let inputs = match wiring.inputs {
            Names::One(name) => vec![name],
            Names::Many(names) => names,
        };
        let read = <LayerSpec as onestep_base::Registered>::from_object(value);
        let layer = read.map_err(|error| match error {
            RegistryError::Form { problem, .. } => format!("layer {place}: {problem}"),
            RegistryError::Options { name: kind, problem, .. } => {
                format!("layer {place}{name} ({kind}): {problem}")
            }
            unknown => format!("layer {place}{name}: {unknown}"),
        })?;
        Ok(Placed { layer, inputs, weights: wiring.weights })
    }
}

impl<'de> Deserialize<'de> for Placed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Strict(value) = Strict::deserialize(deserializer)?;
        Placed::from_value(value, 1).map_err(D::Error::custom)
    }
}

impl Serialize for Placed {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Written<'a> {
            #[serde(flatten)]
            layer: &'a LayerSpec,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            inputs: &'a [String],
            #[serde(skip_serializing_if = "Option::is_none")]
            weights: Option<&'a str>,
        }
        if self.inputs.is_empty() && self.weights.is_none() {
            return self.layer.serialize(serializer);
        }
        let (inputs, weights) = (&self.inputs[..], self.weights.as_deref());
        Written { layer: &self.layer, inputs, weights }.serialize(serializer)
    }
}

impl JsonSchema for Placed {
    fn schema_name() -> Cow<'static, str> {
        "Layer".into()
    }

    /// The schema of a layer, each of whose forms takes `inputs` and `weights` too.
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = LayerSpec::json_schema(generator).to_value();
        let names = json_schema!({
            "description": "What it takes, by name; default the layer before it.",
            "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }]
        });
        let weights = json_schema!({
            "description": "The layer before it whose parameters it uses.",
            "type": ["string", "null"]
        });
        let forms = schema.get_mut("oneOf").and_then(Value::as_array_mut);
        for form in forms.into_iter().flatten() {
            if let Some(options) = form.get_mut("properties").and_then(Value::as_object_mut) {
                options.insert("inputs".to_owned(), names.clone().to_value());
                options.insert("weights".to_owned(), weights.clone().to_value());
            }
        }
        // An object stays one.
        Schema::try_from(schema).unwrap_or_default()
    }
}

/// Reads a list of layers with errors that say which one is wrong.
pub(crate) fn layer_list<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Placed>, D::Error> {
    let values = Vec::<Strict>::deserialize(deserializer)?;
    layers_from_values(values).map_err(D::Error::custom)
}

pub(crate) fn layers_from_values(values: Vec<Strict>) -> Result<Vec<Placed>, String> {
    values.into_iter().zip(1..).map(|(value, place)| Placed::from_value(value.0, place)).collect()
}
