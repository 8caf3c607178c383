//! Dense layers.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::parametrization::{Parametrization, Weight};
use super::{Layer, Lora, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;
use crate::initializer::{Fan, Initializer};

/// `y = x W + b` over the last axis: `[..., in_features] -> [..., out_features]`.
///
/// Parameters: `weight [in_features, out_features]` (the transpose of PyTorch's) or those of its
/// [`Parametrization`], with `lora` those of [`Lora`], and with `bias` `bias [out_features]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dense {
    /// The layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The size of the input's last axis. Inferred; checked where it is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_features: Option<usize>,
    /// The size of the output's last axis.
    pub out_features: usize,
    /// Whether a bias is added; default true.
    #[serde(default = "yes")]
    pub bias: bool,
    /// How the weight begins.
    #[serde(default, skip_serializing_if = "is_default")]
    pub weight_init: Initializer,
    /// How the bias begins.
    #[serde(default, skip_serializing_if = "is_default")]
    pub bias_init: Initializer,
    /// A low-rank adapter that is added to the weight; default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lora: Option<Lora>,
    /// How the weight is made of what is learned; default as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parametrization: Option<Parametrization>,
}

pub(super) fn yes() -> bool {
    true
}

pub(super) fn is_default<T: Default + PartialEq>(option: &T) -> bool {
    *option == T::default()
}

impl Dense {
    /// With a bias and PyTorch's initial values.
    pub fn new(out_features: usize) -> Self {
        Dense {
            name: None,
            in_features: None,
            out_features,
            bias: true,
            weight_init: Initializer::Default,
            bias_init: Initializer::Default,
            lora: None,
            parametrization: None,
        }
    }

    fn check(&self, cx: &BuildContext, x: Value) -> Result<usize, LayerError> {
        cx.expect_f32(x)?;
        let dims = cx.dims(x);
        let [_, .., features] = dims[..] else {
            return Err(cx.input_error("at least one axis a sample", "none"));
        };
        if let Some(wanted) = self.in_features.filter(|&wanted| wanted != features) {
            return Err(cx.input_error(format!("{wanted} input features"), features));
        }
        if self.out_features == 0 {
            return Err(cx.option_error("out_features", "at least 1", 0));
        }
        if let (Some(_), Some(by)) = (self.lora, self.parametrization) {
            let wanted = "none for a weight with an adapter (lora)";
            return Err(cx.option_error("parametrization", wanted, by.type_name()));
        }
        Ok(features)
    }
}

impl Layer for Dense {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let features = self.check(cx, x)?;
        let out = self.out_features;
        let init = self.weight_init.or(Initializer::weight_default());
        let weight = Weight::dense([features, out], init).build(cx, self.parametrization)?;

        let mut dims = cx.dims(x);
        let rows = dims[..dims.len() - 1].iter().product();
        let flat = cx.graph.reshape(x, &[rows, features])?;
        let mut y = cx.graph.matmul(flat, weight)?;
        if let Some(lora) = self.lora {
            let adapted = lora.build(cx, flat, [features, out])?;
            y = cx.graph.add(y, adapted)?;
        }
        if self.bias {
            let init = self.bias_init.or(Initializer::bias_default(Fan::dense(features, out)));
            let bias = cx.parameter("bias", &[out], init, Fan::NONE)?;
            y = cx.graph.add(y, bias)?;
        }
        if let Some(last) = dims.last_mut() {
            *last = out;
        }
        Ok(cx.graph.reshape(y, &dims)?)
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        let features = shapes.input.last().copied().unwrap_or(0) as u64;
        let out = self.out_features as u64;
        let adapter =
            self.lora.map_or(0, |l| l.flops(shapes.outputs() / out.max(1), features, out));
        shapes.per_output(2 * features + u64::from(self.bias)).saturating_add(adapter)
    }
}
