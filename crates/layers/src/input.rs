//! What a model takes.

use onestep_engine::DType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The name of the input of a model that has one.
pub const INPUT: &str = "input";

/// The name of the output of a model that names none.
pub const OUTPUT: &str = "output";

/// One of the inputs of a model.
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
    /// Small indices, or masks of zeros and ones.
    U8,
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
            InputType::U8 => DType::U8,
        }
    }
}

impl InputSpec {
    /// f32 samples of the given shape.
    pub fn new(shape: impl Into<Vec<usize>>) -> Self {
        InputSpec { shape: shape.into(), dtype: InputType::F32 }
    }

    /// i32 samples, such as the indices of an embedding.
    pub fn indices(shape: impl Into<Vec<usize>>) -> Self {
        InputSpec { shape: shape.into(), dtype: InputType::I32 }
    }
}
