//! A model as pure configuration.

use std::collections::{HashMap, HashSet};

use onestep_base::json::{self, Strict};
use onestep_base::schema::shorten_defaults;
use onestep_engine::DType;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::Error as _};

use crate::error::LayerError;
use crate::layer::LayerSpec;
use crate::limits::{check_depth, check_length};
use crate::loss::LossSpec;
use crate::model::Model;
use crate::registry::Registry;

/// A model: its name, the shape of a sample, and its layers in order. `docs/model-spec.md`
/// describes the JSON form.
///
/// ```
/// use onestep_layers::ModelSpec;
/// let spec = ModelSpec::from_json(
///     r#"{ "name": "tiny", "input": { "shape": [1, 8, 8] },
///          "layers": [ { "type": "conv2d", "name": "conv1", "out_channels": 4, "kernel_size": 3 },
///                      { "type": "relu" }, { "type": "flatten" },
///                      { "type": "dense", "name": "fc", "out_features": 10 } ] }"#,
/// )?;
/// let model = spec.compile()?;
/// assert_eq!(model.output_shape().dims(), &[10]);
/// assert_eq!(model.parameters()[2].info.shape.dims(), &[4 * 6 * 6, 10]);
/// # Ok::<(), onestep_layers::LayerError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(description = "A model: its name, the shape of a sample, and its layers in order.")]
pub struct ModelSpec {
    /// The model's name; default "model".
    #[serde(default = "default_name")]
    pub name: String,
    /// What goes in.
    pub input: InputSpec,
    /// The layers, one behind the other.
    #[serde(deserialize_with = "layer_list", serialize_with = "write_layers")]
    pub layers: Vec<LayerSpec>,
}

fn default_name() -> String {
    "model".to_owned()
}

/// What a model takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InputSpec {
    /// The shape of one sample, without the batch: `[channels, height, width]` for pictures.
    pub shape: Vec<usize>,
    /// The type of its elements; default f32.
    #[serde(default, skip_serializing_if = "InputType::is_f32")]
    pub dtype: InputType,
}

/// The element types an input may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum InputType {
    /// Numbers.
    #[default]
    F32,
    /// Indices, for an embedding.
    I32,
}

impl InputType {
    fn is_f32(&self) -> bool {
        *self == InputType::F32
    }

    /// The engine's name for it.
    pub fn dtype(self) -> DType {
        match self {
            InputType::F32 => DType::F32,
            InputType::I32 => DType::I32,
        }
    }
}

impl InputSpec {
    /// f32 samples of the given shape.
    pub fn new(shape: impl Into<Vec<usize>>) -> Self {
        InputSpec { shape: shape.into(), dtype: InputType::F32 }
    }
}

impl ModelSpec {
    /// A model of f32 samples.
    pub fn new(name: &str, input: impl Into<Vec<usize>>, layers: Vec<LayerSpec>) -> Self {
        ModelSpec { name: name.to_owned(), input: InputSpec::new(input), layers }
    }

    /// Reads the JSON form.
    ///
    /// # Errors
    /// [`LayerError::Json`] for text that is not JSON, for unknown, missing or ill-typed fields,
    /// and for unknown layer types; it names the layer, what was got and what is known.
    pub fn from_json(text: &str) -> Result<Self, LayerError> {
        let spec: ModelSpec = json::from_str(text).map_err(json_error)?;
        check_depth(&spec.layers)?;
        Ok(spec)
    }

    /// Writes the JSON form, indented.
    ///
    /// # Errors
    /// [`LayerError::Json`] for a custom layer that is code without a registered name.
    pub fn to_json(&self) -> Result<String, LayerError> {
        serde_json::to_string_pretty(self).map_err(|error| json_error(error.to_string()))
    }

    /// The JSON schema of the format. What may stand for a loss is `#/$defs/Loss` in it.
    pub fn json_schema() -> schemars::Schema {
        let mut generator = schemars::SchemaGenerator::default();
        generator.subschema_for::<LossSpec>();
        let mut schema = generator.into_root_schema_for::<ModelSpec>().to_value();
        shorten_defaults(&mut schema);
        // A JSON object stays one.
        schemars::Schema::try_from(schema).unwrap_or_default()
    }

    /// The same model with the code of its custom layers looked up by name.
    ///
    /// # Errors
    /// [`LayerError::NotRegistered`], or what a constructor says of its options.
    pub fn resolve(mut self, registry: &Registry) -> Result<Self, LayerError> {
        check_depth(&self.layers)?;
        resolve(&mut self.layers, "", registry)?;
        Ok(self)
    }

    /// Infers every shape and parameter, and checks the model as a whole.
    ///
    /// # Errors
    /// The first layer that does not fit, by its path, with what it got and what it wanted.
    pub fn compile(&self) -> Result<Model, LayerError> {
        check_depth(&self.layers)?;
        check_length("model", &self.name)?;
        Model::new(self.clone())
    }
}

fn json_error(message: String) -> LayerError {
    LayerError::Json { what: "model spec", message }
}

fn resolve(layers: &mut [LayerSpec], path: &str, registry: &Registry) -> Result<(), LayerError> {
    for (layer, name) in layers.iter_mut().zip(0..) {
        let own = layer.name().map_or_else(|| format!("layer {}", name + 1), str::to_owned);
        let path = if path.is_empty() { own } else { format!("{path}.{own}") };
        match layer {
            LayerSpec::Custom(custom) => custom.resolve(&path, registry)?,
            LayerSpec::Residual(residual) => {
                resolve(&mut residual.body, &format!("{path}.body"), registry)?;
                resolve(&mut residual.shortcut, &format!("{path}.shortcut"), registry)?;
            }
            LayerSpec::Concat(concat) => {
                for (i, branch) in concat.branches.iter_mut().enumerate() {
                    resolve(branch, &format!("{path}.branch{i}"), registry)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// The names of siblings: their own, or the type's with a number counted from 1 for each type.
pub(crate) fn names(layers: &[LayerSpec], sequence: &str) -> Result<Vec<String>, LayerError> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    let mut seen = HashSet::new();
    let mut names = Vec::with_capacity(layers.len());
    for layer in layers {
        let count = counts.entry(layer.display_type()).or_default();
        *count += 1;
        let name = match layer.name() {
            Some(name) => name.to_owned(),
            None => format!("{}{count}", layer.display_type()),
        };
        check_length(&format!("{sequence}: layer {}", names.len() + 1), &name)?;
        let sequence = sequence.to_owned();
        if name.is_empty() || name.contains('.') {
            return Err(LayerError::InvalidName { sequence, name });
        }
        if !seen.insert(name.clone()) {
            return Err(LayerError::DuplicateName { sequence, name });
        }
        names.push(name);
    }
    Ok(names)
}

/// Reads a list of layers with errors that say which one is wrong.
pub(crate) fn layer_list<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<LayerSpec>, D::Error> {
    let values = Vec::<Strict>::deserialize(deserializer)?;
    layers_from_values(values).map_err(D::Error::custom)
}

pub(crate) fn layers_from_values(values: Vec<Strict>) -> Result<Vec<LayerSpec>, String> {
    values
        .into_iter()
        .zip(1..)
        .map(|(value, place)| LayerSpec::from_value(value.0, place))
        .collect()
}

/// Writes layers that may be read again.
fn write_layers<S: Serializer>(layers: &[LayerSpec], serializer: S) -> Result<S::Ok, S::Error> {
    check_depth(layers).map_err(S::Error::custom)?;
    layers.serialize(serializer)
}
