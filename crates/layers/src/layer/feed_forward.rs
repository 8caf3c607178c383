//! What the layers of transformers share: the two dense layers, and a sum with its norm.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Dense, Dropout, Gelu, GeluForm, LayerNorm, LayerSpec, Relu};
use crate::context::BuildContext;
use crate::error::LayerError;
use crate::initializer::Initializer;

/// The activation between the dense layers of a transformer's layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FeedForwardActivation {
    /// The rectified linear unit.
    #[default]
    Relu,
    /// The Gaussian error linear unit.
    Gelu,
    /// Its approximation by a hyperbolic tangent.
    GeluTanh,
}

impl FeedForwardActivation {
    fn layer(self) -> LayerSpec {
        match self {
            FeedForwardActivation::Relu => Relu::default().into(),
            FeedForwardActivation::Gelu => Gelu::default().into(),
            FeedForwardActivation::GeluTanh => Gelu::new(GeluForm::Tanh).into(),
        }
    }
}

pub(super) fn dim_feedforward() -> usize {
    2048
}

pub(super) fn dropout() -> f32 {
    0.1
}

/// The options that sublayers read.
pub(super) struct Sublayers {
    pub(super) dim_feedforward: usize,
    pub(super) dropout: f32,
    pub(super) activation: FeedForwardActivation,
    pub(super) layer_norm_eps: f32,
    pub(super) norm_first: bool,
    pub(super) bias: bool,
    pub(super) weight_init: Initializer,
    pub(super) residual_init: Initializer,
}

impl Sublayers {
    /// `x + f(norm(x))` or `norm(x + f(x))`, with what `f` gives dropped at random.
    pub(super) fn around(
        &self,
        cx: &mut BuildContext,
        norm: &str,
        x: Value,
        f: impl FnOnce(&mut BuildContext, Value) -> Result<Value, LayerError>,
    ) -> Result<Value, LayerError> {
        let inner = if self.norm_first { self.norm(cx, norm, x)? } else { x };
        let y = f(cx, inner)?;
        let y = self.drop(cx, y)?;
        let sum = cx.graph.add(x, y)?;
        if self.norm_first { Ok(sum) } else { self.norm(cx, norm, sum) }
    }

    /// `linear2(dropout(activation(linear1(x))))`
    pub(super) fn feed_forward(
        &self,
        cx: &mut BuildContext,
        x: Value,
    ) -> Result<Value, LayerError> {
        let width = cx.dims(x)[2];
        let bias_init = match self.weight_init {
            Initializer::Default => Initializer::Default,
            _ => Initializer::Zeros,
        };
        let dense = |width: usize, weight_init| {
            LayerSpec::Dense(Dense { bias: self.bias, weight_init, bias_init, ..Dense::new(width) })
        };
        let wide = cx.apply("linear1", &dense(self.dim_feedforward, self.weight_init), x)?;
        let wide = cx.apply("activation", &self.activation.layer(), wide)?;
        let wide = self.drop(cx, wide)?;
        cx.apply("linear2", &dense(width, self.residual_init), wide)
    }

    fn norm(&self, cx: &mut BuildContext, name: &str, x: Value) -> Result<Value, LayerError> {
        cx.apply(name, &norm(self.layer_norm_eps, self.bias), x)
    }

    fn drop(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        use super::Layer;
        Dropout::new(self.dropout).build(cx, x)
    }
}

/// A layer so many times as `layers.0`, `layers.1`, ..., each taking what the one before gives and the same
/// further inputs, and perhaps a norm behind.
pub(super) fn stack(
    cx: &mut BuildContext,
    (num_layers, layer): (usize, LayerSpec),
    last_norm: Option<LayerSpec>,
    inputs: &[Value],
) -> Result<Vec<Value>, LayerError> {
    if num_layers == 0 || num_layers > MOST_LAYERS {
        let wanted = format!("between 1 and {MOST_LAYERS}");
        return Err(cx.option_error("num_layers", wanted, num_layers));
    }
    if let Some(name) = layer.name() {
        return Err(cx.option_error("layer", "without a name (it has a number)", name));
    }
    let mut inputs = inputs.to_vec();
    for number in 0..num_layers {
        let values =
            cx.scope("layers", |cx| cx.apply_many(&number.to_string(), &layer, &inputs))?;
        let y = cx.one(&values)?;
        inputs.splice(..inputs.len().min(1), [y]);
    }
    inputs.truncate(1);
    match last_norm {
        Some(norm) => cx.apply_many("norm", &norm, &inputs),
        None => Ok(inputs),
    }
}

/// The most layers of a stack.
const MOST_LAYERS: usize = 1024;

/// A norm of each position.
pub(super) fn norm(eps: f32, bias: bool) -> LayerSpec {
    LayerNorm { eps, bias, ..LayerNorm::new() }.into()
}
