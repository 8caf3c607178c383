//! The JSON form of a model.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::Error as _};

use crate::input::{INPUT, InputSpec};
use crate::limits::check_depth;
use crate::loss::LossTerm;
use crate::placed::{Placed, layer_list};
use crate::spec::ModelSpec;

/// What stands in a file.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(
    rename = "ModelSpec",
    description = "A model: its name, what goes in, its layers in order, and what comes out."
)]
struct File {
    /// The model's name; default "model".
    #[serde(default = "default_name")]
    name: String,
    /// What goes in, where that is one tensor: the same as `inputs` with one called `input`.
    #[serde(default)]
    input: Option<InputSpec>,
    /// What goes in, by name.
    #[serde(default)]
    inputs: Option<BTreeMap<String, InputSpec>>,
    /// The layers. Each takes what the one before it gives, unless it names its `inputs`.
    #[serde(deserialize_with = "layer_list")]
    layers: Vec<Placed>,
    /// What comes out: names of layers, or names for outputs with those of the layers that give them.
    /// Default the last layer, as `output`.
    #[serde(default)]
    outputs: Outputs,
    /// What is minimised; default what the training is told.
    #[serde(default)]
    losses: Vec<LossTerm>,
}

fn default_name() -> String {
    "model".to_owned()
}

/// Layers that give outputs.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a list of layers, or a map from names to layers")]
enum Outputs {
    /// Under their own names.
    Layers(Vec<String>),
    /// Under other names.
    Named(BTreeMap<String, String>),
}

impl Default for Outputs {
    fn default() -> Self {
        Outputs::Layers(Vec::new())
    }
}

impl<'de> Deserialize<'de> for ModelSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let file = File::deserialize(deserializer)?;
        let inputs = match (file.input, file.inputs) {
            (Some(input), None) => BTreeMap::from([(INPUT.to_owned(), input)]),
            (None, Some(inputs)) => inputs,
            (None, None) => return Err(D::Error::missing_field("input")),
            (Some(_), Some(_)) => {
                return Err(D::Error::custom(
                    "`input` and `inputs` are given; one of them is wanted",
                ));
            }
        };
        let outputs = match file.outputs {
            Outputs::Named(outputs) => outputs,
            Outputs::Layers(layers) => {
                let mut outputs = BTreeMap::new();
                for layer in layers {
                    if outputs.insert(layer.clone(), layer.clone()).is_some() {
                        return Err(D::Error::custom(format!("outputs: `{layer}` is given twice")));
                    }
                }
                outputs
            }
        };
        let (name, layers, losses) = (file.name, file.layers, file.losses);
        Ok(ModelSpec { name, inputs, layers, outputs, losses })
    }
}

impl Serialize for ModelSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Written<'a> {
            name: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            input: Option<&'a InputSpec>,
            #[serde(skip_serializing_if = "Option::is_none")]
            inputs: Option<&'a BTreeMap<String, InputSpec>>,
            layers: &'a [Placed],
            #[serde(skip_serializing_if = "BTreeMap::is_empty")]
            outputs: &'a BTreeMap<String, String>,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            losses: &'a [LossTerm],
        }
        check_depth(&self.layers).map_err(S::Error::custom)?;
        let input = self.input().filter(|_| self.inputs.contains_key(INPUT));
        let written = Written {
            name: &self.name,
            input,
            inputs: input.is_none().then_some(&self.inputs),
            layers: &self.layers,
            outputs: &self.outputs,
            losses: &self.losses,
        };
        written.serialize(serializer)
    }
}

impl JsonSchema for ModelSpec {
    fn schema_name() -> Cow<'static, str> {
        File::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        File::json_schema(generator)
    }
}
