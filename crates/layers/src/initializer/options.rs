//! The options of initialisers, and the fans they scale with.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How many values feed one unit of a layer and how many units one value feeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fan {
    /// Values that one output is computed from.
    pub fan_in: usize,
    /// Outputs that one value takes part in.
    pub fan_out: usize,
}

impl Fan {
    /// For parameters that are no weights of a product, such as biases and scales.
    pub const NONE: Fan = Fan { fan_in: 1, fan_out: 1 };

    /// Of a dense weight `[fan_in, fan_out]`.
    pub fn dense(fan_in: usize, fan_out: usize) -> Fan {
        Fan { fan_in, fan_out }
    }

    /// Of a convolution's weight `[out, in/groups, kh, kw]`: as PyTorch counts it, without regard
    /// to groups in `fan_out`.
    pub fn conv(weight: [usize; 4]) -> Fan {
        let [out, inner, kh, kw] = weight;
        Fan { fan_in: inner * kh * kw, fan_out: out * kh * kw }
    }
}

/// Which fan keeps its variance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FanMode {
    /// Of the values, forward.
    #[default]
    FanIn,
    /// Of the gradients, backward.
    FanOut,
}

/// The activation behind a layer, which sets the gain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Nonlinearity {
    /// Gain 1.
    Linear,
    /// Gain 1.
    Sigmoid,
    /// Gain 5/3.
    Tanh,
    /// Gain sqrt(2).
    Relu,
    /// Gain sqrt(2 / (1 + a^2)).
    #[default]
    LeakyRelu,
    /// Gain 3/4.
    Selu,
}

impl Nonlinearity {
    /// The gain of PyTorch's `calculate_gain`; `a` is the negative slope of a leaky ReLU.
    pub fn gain(self, a: f64) -> f64 {
        match self {
            Nonlinearity::Linear | Nonlinearity::Sigmoid => 1.0,
            Nonlinearity::Tanh => 5.0 / 3.0,
            Nonlinearity::Relu => std::f64::consts::SQRT_2,
            Nonlinearity::LeakyRelu => (2.0 / (1.0 + a * a)).sqrt(),
            Nonlinearity::Selu => 0.75,
        }
    }
}

/// Options of the Kaiming initialisers (He et al., "Delving Deep into Rectifiers", 2015):
/// a standard deviation of `gain / sqrt(fan)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Kaiming {
    /// The negative slope of the leaky ReLU behind the layer; default 0.
    pub a: f32,
    /// Default `fan_in`.
    pub mode: FanMode,
    /// Default `leaky_relu`.
    pub nonlinearity: Nonlinearity,
}

impl Kaiming {
    /// The standard deviation.
    pub(super) fn std(self, fan: Fan) -> f64 {
        let fan = match self.mode {
            FanMode::FanIn => fan.fan_in,
            FanMode::FanOut => fan.fan_out,
        };
        self.nonlinearity.gain(f64::from(self.a)) / (fan.max(1) as f64).sqrt()
    }
}

/// Options of the Xavier initialisers (Glorot and Bengio, "Understanding the difficulty of training
/// deep feedforward neural networks", 2010): a standard deviation of
/// `gain * sqrt(2 / (fan_in + fan_out))`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Xavier {
    /// Default 1.
    pub gain: f32,
}

impl Default for Xavier {
    fn default() -> Self {
        Xavier { gain: 1.0 }
    }
}

impl Xavier {
    pub(super) fn std(self, fan: Fan) -> f64 {
        let sum = (fan.fan_in + fan.fan_out).max(1) as f64;
        f64::from(self.gain) * (2.0 / sum).sqrt()
    }
}

/// Options of the uniform initialiser.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Uniform {
    /// The lower bound; default 0.
    pub low: f32,
    /// The upper bound; default 1.
    pub high: f32,
}

impl Default for Uniform {
    fn default() -> Self {
        Uniform { low: 0.0, high: 1.0 }
    }
}

/// Options of the normal initialiser.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Normal {
    /// The mean; default 0.
    pub mean: f32,
    /// The standard deviation; default 1.
    pub std: f32,
}

impl Default for Normal {
    fn default() -> Self {
        Normal { mean: 0.0, std: 1.0 }
    }
}

/// Options of the truncated normal initialiser: numbers outside the bounds are drawn again.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TruncatedNormal {
    /// The mean before truncation; default 0.
    pub mean: f32,
    /// The standard deviation before truncation; default 1.
    pub std: f32,
    /// The lower bound; default -2.
    pub low: f32,
    /// The upper bound; default 2.
    pub high: f32,
}

impl Default for TruncatedNormal {
    fn default() -> Self {
        TruncatedNormal { mean: 0.0, std: 1.0, low: -2.0, high: 2.0 }
    }
}

/// Options of the constant initialiser.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConstantValue {
    /// The number.
    pub value: f32,
}
