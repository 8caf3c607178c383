//! A model as pure configuration.
//!
//! This file and `model.rs` name one another: a specification compiles to a model, which keeps it.

use std::collections::BTreeMap;

use onestep_base::json;
use onestep_base::schema::shorten_defaults;

use crate::error::LayerError;
use crate::input::{INPUT, InputSpec};
use crate::layer::LayerSpec;
use crate::limits::{check_depth, check_layers, check_length};
use crate::loss::{LossSpec, LossTerm};
use crate::model::Model;
use crate::placed::Placed;
use crate::registry::Registry;

/// A model: its name, what goes in, its layers in order, and what comes out. `docs/model-spec.md`
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
///
/// Two inputs through the same weights, and two outputs:
///
/// ```
/// use onestep_layers::ModelSpec;
/// let spec = ModelSpec::from_json(
///     r#"{ "inputs": { "left": { "shape": [4] }, "right": { "shape": [4] } },
///          "layers": [
///            { "type": "dense", "name": "a", "inputs": "left", "out_features": 8 },
///            { "type": "dense", "name": "b", "inputs": "right", "out_features": 8, "weights": "a" },
///            { "type": "sum", "name": "gap", "inputs": ["a", "b"], "coefficients": [1, -1] },
///            { "type": "dense", "name": "fc", "out_features": 1 } ],
///          "outputs": { "score": "fc", "code": "a" } }"#,
/// )?;
/// let model = spec.compile()?;
/// assert_eq!(model.parameters().len(), 4);
/// assert_eq!(model.outputs()[0].name, "code");
/// # Ok::<(), onestep_layers::LayerError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ModelSpec {
    /// The model's name; in JSON by default "model".
    pub name: String,
    /// What goes in, by name. In JSON one that is called `input` may stand as `input`.
    pub inputs: BTreeMap<String, InputSpec>,
    /// The layers. Each takes what the one before it gives, unless it names what it takes.
    pub layers: Vec<Placed>,
    /// What comes out: the names of outputs, and of the layers that give them. Empty for the last
    /// layer under the name `output`.
    pub outputs: BTreeMap<String, String>,
    /// What is minimised, where that is part of the model.
    pub losses: Vec<LossTerm>,
}

impl ModelSpec {
    /// A model of f32 samples, called `input`, and layers one behind the other.
    pub fn new(name: &str, input: impl Into<Vec<usize>>, layers: Vec<LayerSpec>) -> Self {
        ModelSpec {
            name: name.to_owned(),
            inputs: BTreeMap::from([(INPUT.to_owned(), InputSpec::new(input))]),
            layers: layers.into_iter().map(Placed::from).collect(),
            outputs: BTreeMap::new(),
            losses: Vec::new(),
        }
    }

    /// The only input, of a model that has one.
    pub fn input(&self) -> Option<&InputSpec> {
        let mut inputs = self.inputs.values();
        inputs.next().filter(|_| inputs.next().is_none())
    }

    /// As [`Self::input`], to be changed.
    pub fn input_mut(&mut self) -> Option<&mut InputSpec> {
        let mut inputs = self.inputs.values_mut();
        inputs.next().filter(|_| inputs.next().is_none())
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
        for term in &mut self.losses {
            term.loss = std::mem::take(&mut term.loss).resolve(registry)?;
        }
        Ok(self)
    }

    /// Infers every shape and parameter, and checks the model as a whole.
    ///
    /// # Errors
    /// The first layer that does not fit, by its path, with what it got and what it wanted.
    pub fn compile(&self) -> Result<Model, LayerError> {
        Model::new(self.clone())
    }

    /// Checks what can be said before any layer is built.
    pub(crate) fn check(&self) -> Result<(), LayerError> {
        check_layers(&self.layers)?;
        check_length("model", &self.name)?;
        if self.inputs.is_empty() {
            return Err(LayerError::option("model", "inputs", "one or more by name", "none"));
        }
        for (name, input) in &self.inputs {
            check_name("inputs", name)?;
            let shape = &input.shape;
            if shape.is_empty() || shape.contains(&0) {
                let wanted = "one or more sizes of at least 1";
                return Err(LayerError::option(name, "shape", wanted, format!("{shape:?}")));
            }
        }
        self.outputs.keys().try_for_each(|name| check_name("outputs", name))?;
        let named = self.layers.iter().filter_map(|layer| layer.name());
        let mut clashes = named.filter(|name| self.inputs.contains_key(*name));
        match clashes.next() {
            Some(name) if self.inputs.len() > 1 => {
                let got = format!("`{name}`, which is an input too");
                Err(LayerError::option("model", "a layer's name", "its alone", got))
            }
            _ => Ok(()),
        }
    }
}

fn json_error(message: String) -> LayerError {
    LayerError::Json { what: "model spec", message }
}

fn check_name(what: &str, name: &str) -> Result<(), LayerError> {
    check_length(what, name)?;
    if name.is_empty() || name.contains('.') {
        return Err(LayerError::InvalidName { sequence: what.to_owned(), name: name.to_owned() });
    }
    Ok(())
}

fn resolve(layers: &mut [Placed], path: &str, registry: &Registry) -> Result<(), LayerError> {
    for (layer, place) in layers.iter_mut().zip(1..) {
        let own = layer.name().map_or_else(|| format!("layer {place}"), str::to_owned);
        let path = if path.is_empty() { own } else { format!("{path}.{own}") };
        if let LayerSpec::Custom(custom) = &mut layer.layer {
            custom.resolve(&path, registry)?;
        }
        for (name, list) in layer.lists_mut() {
            let within = if name.is_empty() { path.clone() } else { format!("{path}.{name}") };
            resolve(list, &within, registry)?;
        }
    }
    Ok(())
}
