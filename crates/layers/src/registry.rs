//! Custom layers and losses by name.
//!
//! This file and those of custom layers and losses name one another: they look their code up here, and
//! what is found are layers and losses.

use std::sync::Arc;

use onestep_base::{ConstructError, Constructors, OwnKind};
use serde_json::{Map, Value};

use crate::error::LayerError;
use crate::layer::{CustomLayer, Layer};
use crate::loss::{Loss, LossFunction};

impl OwnKind for dyn Layer {
    const WORD: &'static str = "layer";
}

impl OwnKind for dyn Loss {
    const WORD: &'static str = "loss";
}

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
#[derive(Clone, Debug, Default)]
pub struct Registry {
    constructors: Constructors,
}

impl Registry {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a layer's constructor, in place of an earlier one of the same name.
    #[must_use]
    pub fn layer<L: Layer + 'static>(
        self,
        name: &str,
        make: impl Fn(&Map<String, Value>) -> Result<L, String> + Send + Sync + 'static,
    ) -> Self {
        self.with::<dyn Layer>(name, move |options| Ok(Arc::new(make(options)?)))
    }

    /// Adds a loss's constructor, in place of an earlier one of the same name.
    #[must_use]
    pub fn loss<L: Loss + 'static>(
        self,
        name: &str,
        make: impl Fn(&Map<String, Value>) -> Result<L, String> + Send + Sync + 'static,
    ) -> Self {
        self.with::<dyn Loss>(name, move |options| Ok(Arc::new(make(options)?)))
    }

    /// Adds the constructor of any kind that settings name, such as a metric or an update rule.
    #[must_use]
    pub fn with<K: OwnKind + ?Sized>(
        mut self,
        name: &str,
        make: impl Fn(&Map<String, Value>) -> Result<Arc<K>, String> + Send + Sync + 'static,
    ) -> Self {
        self.constructors.add::<K>(name, make);
        self
    }

    /// All constructors, for kinds that this crate does not know.
    pub fn constructors(&self) -> &Constructors {
        &self.constructors
    }

    pub(crate) fn make_layer(
        &self,
        place: &str,
        kind: &str,
        options: &Map<String, Value>,
    ) -> Result<CustomLayer, LayerError> {
        let made = self.constructors.make::<dyn Layer>(kind, options);
        made.map(CustomLayer::from_arc).map_err(|error| refused(place, error))
    }

    pub(crate) fn make_loss(
        &self,
        kind: &str,
        options: &Map<String, Value>,
    ) -> Result<LossFunction, LayerError> {
        let made = self.constructors.make::<dyn Loss>(kind, options);
        made.map(LossFunction::from_arc).map_err(|error| refused("loss", error))
    }

    /// The error for a name that is not registered.
    pub(crate) fn unknown<K: OwnKind + ?Sized>(&self, place: &str, kind: &str) -> LayerError {
        refused(place, self.constructors.unknown::<K>(kind))
    }
}

fn refused(place: &str, error: ConstructError) -> LayerError {
    match error {
        ConstructError::NotRegistered { word, name, known } => {
            LayerError::NotRegistered { layer: place.to_owned(), what: word, kind: name, known }
        }
        ConstructError::Options { name, problem, .. } => {
            LayerError::option(place, "options", format!("those of the custom `{name}`"), problem)
        }
    }
}
