//! Pictures as sequences of patches.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::dense::{is_default, yes};
use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;
use crate::geometry::Pair;
use crate::initializer::{Fan, Initializer};

/// A convolution whose stride is its kernel, with its pixels as a sequence, row by row:
/// `[c, h, w] -> [(h / ph) (w / pw), embed_dim]` (Dosovitskiy et al., "An Image is Worth 16x16 Words", 2020).
/// Rows and columns that fill no patch are left out, as a convolution leaves them out.
///
/// Parameters, of that convolution: `weight [embed_dim, c, ph, pw]`, and with `bias` `bias [embed_dim]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchEmbedding {
    /// The layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Numbers a patch becomes.
    pub embed_dim: usize,
    /// The size of a patch in pixels.
    pub patch_size: Pair,
    /// Whether a bias is added; default true.
    #[serde(default = "yes")]
    pub bias: bool,
    /// How the weight begins.
    #[serde(default, skip_serializing_if = "is_default")]
    pub weight_init: Initializer,
    /// How the bias begins.
    #[serde(default, skip_serializing_if = "is_default")]
    pub bias_init: Initializer,
}

impl PatchEmbedding {
    /// With a bias, and the initial values of PyTorch's convolution.
    pub fn new(embed_dim: usize, patch_size: impl Into<Pair>) -> Self {
        PatchEmbedding {
            name: None,
            embed_dim,
            patch_size: patch_size.into(),
            bias: true,
            weight_init: Initializer::Default,
            bias_init: Initializer::Default,
        }
    }

    /// The pixels of each patch as a row: `[batch patches, c ph pw]`, and how many patches there are.
    fn rows(&self, cx: &mut BuildContext, x: Value) -> Result<(Value, usize), LayerError> {
        let [ph, pw] = self.patch_size.to_array();
        let dims = cx.dims(x);
        let (batch, channels, down, across) = (dims[0], dims[1], dims[2] / ph, dims[3] / pw);
        if down == 0 || across == 0 {
            let wanted = format!("a picture of at least {ph} x {pw}");
            return Err(cx.input_error(wanted, format!("{:?}", &dims[2..])));
        }
        let g = &mut cx.graph;
        let whole = g.slice_axis(x, 2, 0, down * ph)?;
        let whole = g.slice_axis(whole, 3, 0, across * pw)?;
        let parts = g.reshape(whole, &[batch, channels, down, ph, across, pw])?;
        let parts = g.permute(parts, &[0, 2, 4, 1, 3, 5])?;
        let patches = down * across;
        Ok((g.reshape(parts, &[batch * patches, channels * ph * pw])?, patches))
    }
}

impl Layer for PatchEmbedding {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        cx.expect_rank(x, 3, "[channels, height, width]")?;
        cx.check_sizes("patch_size", self.patch_size, 1)?;
        let width = self.embed_dim;
        if width == 0 {
            return Err(cx.option_error("embed_dim", "at least 1", 0));
        }
        let [ph, pw] = self.patch_size.to_array();
        let channels = cx.dims(x)[1];
        let (rows, patches) = self.rows(cx, x)?;
        let shape = [width, channels, ph, pw];
        let fan = Fan::conv(shape);
        let init = self.weight_init.or(Initializer::weight_default());
        let weight = cx.parameter("weight", &shape, init, fan)?;
        let weight = cx.graph.reshape(weight, &[width, channels * ph * pw])?;
        let mut y = cx.graph.matmul_with(rows, weight, false, true)?;
        if self.bias {
            let init = self.bias_init.or(Initializer::bias_default(fan));
            let bias = cx.parameter("bias", &[width], init, Fan::NONE)?;
            y = cx.graph.add(y, bias)?;
        }
        let batch = cx.batch();
        Ok(cx.graph.reshape(y, &[batch, patches, width])?)
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        let channels = shapes.input.first().copied().unwrap_or(0);
        let products = (channels * self.patch_size.height * self.patch_size.width) as u64;
        shapes.per_output(2 * products + u64::from(self.bias))
    }
}
