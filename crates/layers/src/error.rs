//! What can be wrong with a model or a loss.

use std::fmt::Display;

use onestep_base::RegistryError;
use onestep_engine::GraphError;
use thiserror::Error;

/// A model, layer or loss that cannot be built, read or written. Layers are named by their path,
/// such as `block1.body.conv2`.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum LayerError {
    /// A layer (or loss) got values it cannot work on.
    #[error("{layer}: expected {wanted}, got {got}")]
    Input {
        /// The layer's path.
        layer: String,
        /// What it can work on.
        wanted: String,
        /// What it was given.
        got: String,
    },
    /// An option is out of its range.
    #[error("{layer}: {option} must be {wanted}, got {got}")]
    Option {
        /// The layer's path.
        layer: String,
        /// The option's name.
        option: String,
        /// The range.
        wanted: String,
        /// The value given.
        got: String,
    },
    /// A number of a batch that is not in its range, found on the host.
    #[error("{what}: {place}: expected {wanted}, got {got}")]
    Element {
        /// `input` or `target`.
        what: &'static str,
        /// The sample in the batch and the position in it, counted from 0.
        place: String,
        /// The range.
        wanted: String,
        /// The number.
        got: String,
    },
    /// Two siblings have the same name.
    #[error("{sequence}: two layers are named `{name}`; names must be unique among siblings")]
    DuplicateName {
        /// Where the siblings stand: the path of their container, or `model`.
        sequence: String,
        /// The name.
        name: String,
    },
    /// A name that cannot be part of a path.
    #[error(
        "{sequence}: `{name}` cannot name a layer; a name has 1 to 255 characters and no dot \
         (dots join the names of nested layers)"
    )]
    InvalidName {
        /// Where the layer stands: the path of its container, or `model`.
        sequence: String,
        /// The name.
        name: String,
    },
    /// A custom layer or loss that was read from a file and whose code is not known.
    #[error(
        "{layer}: no custom {what} `{kind}` is registered (registered: {known}); add it to a \
         Registry and resolve the spec with it"
    )]
    NotRegistered {
        /// The layer's path, or `loss`.
        layer: String,
        /// `layer` or `loss`.
        what: &'static str,
        /// The name it was asked for by.
        kind: String,
        /// The names there are.
        known: String,
    },
    /// The engine refused an op of a layer.
    #[error("{}", refusal(layer, source))]
    Graph {
        /// The layer's path.
        layer: String,
        /// The engine's reason.
        source: Box<GraphError>,
    },
    /// A spec that is not JSON, has unknown or missing fields, or cannot be written.
    #[error("{what}: {message}")]
    Json {
        /// What was read or written.
        what: &'static str,
        /// Why it failed, with the place.
        message: String,
    },
    /// A state dict lacks a tensor of the model.
    #[error("the state dict has no tensor `{name}`, which the model needs")]
    MissingTensor {
        /// The tensor's name.
        name: String,
    },
    /// A state dict has a tensor that the model does not know.
    #[error("the state dict has a tensor `{name}`, which the model does not have")]
    UnexpectedTensor {
        /// The tensor's name.
        name: String,
    },
    /// A tensor of a state dict has another shape than the model's.
    #[error("tensor `{name}`: expected shape {wanted}, got {got}")]
    TensorShape {
        /// The tensor's name.
        name: String,
        /// The shape the model needs.
        wanted: String,
        /// The shape, or the number of elements, that was given.
        got: String,
    },
    /// Weights of which some are in one layout and some in the other.
    #[error(
        "the weights are in no one layout: `{ours}` has the shape of this library's ([in, out]), \
         `{theirs}` that of PyTorch's ([out, in])"
    )]
    MixedLayouts {
        /// A dense weight in the layout used here.
        ours: String,
        /// One in PyTorch's.
        theirs: String,
    },
}

/// What the engine refused, in terms of the layer: the op comes last, since the layer's user has not
/// chosen it.
fn refusal(layer: &str, source: &GraphError) -> String {
    let (op, reason) = match source {
        GraphError::Shape { op, wanted, got } => (*op, format!("expected {wanted}, got {got}")),
        GraphError::Attribute { op, attribute, wanted, got } => {
            (*op, format!("{attribute} must be {wanted}, got {got}"))
        }
        other => ("", other.to_string()),
    };
    let subject = if layer.is_empty() { op } else { layer };
    let place = if subject.is_empty() { String::new() } else { format!("{subject}: ") };
    let by =
        if op.is_empty() || op == subject { String::new() } else { format!(" (in its op {op})") };
    format!("{place}{reason}{by}")
}

impl LayerError {
    /// An input that a layer cannot work on.
    pub fn input(layer: impl Display, wanted: impl Display, got: impl Display) -> Self {
        LayerError::Input {
            layer: layer.to_string(),
            wanted: wanted.to_string(),
            got: got.to_string(),
        }
    }

    /// An option out of its range.
    pub fn option(
        layer: impl Display,
        option: impl Display,
        wanted: impl Display,
        got: impl Display,
    ) -> Self {
        LayerError::Option {
            layer: layer.to_string(),
            option: option.to_string(),
            wanted: wanted.to_string(),
            got: got.to_string(),
        }
    }

    /// Names the layer in an error of the engine that has no name yet.
    pub(crate) fn within(self, path: &str) -> Self {
        match self {
            LayerError::Graph { layer, source } if layer.is_empty() => {
                LayerError::Graph { layer: path.to_owned(), source }
            }
            other => other,
        }
    }
}

impl From<GraphError> for LayerError {
    /// The layer's path is filled in by [`crate::BuildContext`] on the way out of the layer.
    fn from(source: GraphError) -> Self {
        LayerError::Graph { layer: String::new(), source: Box::new(source) }
    }
}

impl From<RegistryError> for LayerError {
    fn from(error: RegistryError) -> Self {
        LayerError::Json { what: "loss", message: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_s_refusals_speak_of_the_layer() {
        let shape = || LayerError::from(GraphError::shape("gt", "an operand of f32", "i32[2]"));
        let wanted = "elu1: expected an operand of f32, got i32[2] (in its op gt)";
        assert_eq!(shape().within("elu1").to_string(), wanted);
        assert_eq!(shape().within("gt").to_string(), "gt: expected an operand of f32, got i32[2]");
        assert_eq!(shape().to_string(), "gt: expected an operand of f32, got i32[2]");
        let leaf = LayerError::from(GraphError::DuplicateLeaf { name: "x".into() });
        assert!(leaf.to_string().starts_with("the graph already"), "{leaf}");
    }
}
