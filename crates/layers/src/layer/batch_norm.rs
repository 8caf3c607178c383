//! Normalisation of each channel over the batch.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::dense::{is_default, yes};
use super::norm::{check_eps, eps, moments, scale_of};
use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;
use crate::initializer::{Fan, Initializer};

/// `y = (x - mean) / sqrt(var + eps) * weight + bias` for each channel (Ioffe and Szegedy, "Batch
/// Normalization", 2015), of samples `[c]`, `[c, l]` or `[c, h, w]`.
///
/// In training mean and (biased) variance are the batch's, and the running statistics move:
/// `running = (1 - momentum) running + momentum batch`, with the unbiased variance. Otherwise the
/// running statistics are used.
///
/// Parameters with `affine`: `weight [c]` (ones), `bias [c]` (zeros). States:
/// `running_mean [c]` (zeros), `running_var [c]` (ones).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchNorm {
    /// The layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Added to the variance; default 1e-5.
    #[serde(default = "eps")]
    pub eps: f32,
    /// The weight of the newest batch in the running statistics, in `[0, 1]`; default 0.1.
    #[serde(default = "momentum")]
    pub momentum: f32,
    /// Whether a learned scale and shift follow; default true.
    #[serde(default = "yes")]
    pub affine: bool,
    /// How the scale begins.
    #[serde(default, skip_serializing_if = "is_default")]
    pub weight_init: Initializer,
    /// How the shift begins.
    #[serde(default, skip_serializing_if = "is_default")]
    pub bias_init: Initializer,
}

fn momentum() -> f32 {
    0.1
}

impl Default for BatchNorm {
    fn default() -> Self {
        BatchNorm {
            name: None,
            eps: eps(),
            momentum: momentum(),
            affine: true,
            weight_init: Initializer::Default,
            bias_init: Initializer::Default,
        }
    }
}

/// One value a channel, and how to bring it to the shape of the input.
struct Channels {
    count: usize,
    /// `[1, c, 1, ...]` of the input's rank.
    shape: Vec<usize>,
    /// All axes but the channels'.
    others: Vec<usize>,
    /// Values of each channel in the batch.
    values: usize,
}

impl BatchNorm {
    /// PyTorch's defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the statistics are those of the batch: in training, unless the running ones are held.
    fn of_batch(cx: &BuildContext) -> bool {
        cx.training() && !(cx.holds("running_mean") && cx.holds("running_var"))
    }

    fn check(&self, cx: &BuildContext, x: Value) -> Result<Channels, LayerError> {
        cx.expect_f32(x)?;
        check_eps(cx, self.eps)?;
        if !(0.0..=1.0).contains(&self.momentum) {
            return Err(cx.option_error("momentum", "in [0, 1]", self.momentum));
        }
        let dims = cx.dims(x);
        if !(2..=4).contains(&dims.len()) {
            let wanted = "[channels], [channels, length] or [channels, height, width] a sample";
            return Err(cx.input_error(wanted, format!("{:?}", &dims[1..])));
        }
        let mut shape = vec![1; dims.len()];
        shape[1] = dims[1];
        let others: Vec<usize> = (0..dims.len()).filter(|&axis| axis != 1).collect();
        let values = others.iter().map(|&axis| dims[axis]).product();
        if Self::of_batch(cx) && values < 2 {
            let wanted = "more than one value a channel in training (a larger batch, or drop a \
                          last batch of one sample)";
            return Err(cx.input_error(wanted, values));
        }
        Ok(Channels { count: dims[1], shape, others, values })
    }

    /// `x - mean` and the variance, of the batch.
    fn batch_statistics(
        &self,
        cx: &mut BuildContext,
        x: Value,
        channels: &Channels,
        running: [Value; 2],
    ) -> Result<[Value; 2], LayerError> {
        let batch = moments(&mut cx.graph, x, &channels.others)?;
        let unbiased = channels.values as f32 / (channels.values - 1) as f32;
        let statistics = [("running_mean", batch.mean, 1.0), ("running_var", batch.var, unbiased)];
        for ((name, statistic, factor), old) in statistics.into_iter().zip(running) {
            let g = &mut cx.graph;
            let statistic = g.reshape(statistic, &[channels.count])?;
            let new = g.scale(statistic, self.momentum * factor)?;
            let kept = g.scale(old, 1.0 - self.momentum)?;
            let moved = g.add(kept, new)?;
            cx.update_state(name, moved);
        }
        Ok([batch.centered, batch.var])
    }
}

impl Layer for BatchNorm {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let channels = self.check(cx, x)?;
        let (count, shape) = ([channels.count], &channels.shape);
        let running_mean = cx.state("running_mean", &count, 0.0)?;
        let running_var = cx.state("running_var", &count, 1.0)?;
        let [centered, var] = if Self::of_batch(cx) {
            self.batch_statistics(cx, x, &channels, [running_mean, running_var])?
        } else {
            let mean = cx.graph.reshape(running_mean, shape)?;
            [cx.graph.sub(x, mean)?, cx.graph.reshape(running_var, shape)?]
        };
        let scale = scale_of(&mut cx.graph, var, self.eps)?;
        if !self.affine {
            return Ok(cx.graph.mul(centered, scale)?);
        }
        let weight =
            cx.parameter("weight", &count, self.weight_init.or(Initializer::Ones), Fan::NONE)?;
        let bias =
            cx.parameter("bias", &count, self.bias_init.or(Initializer::Zeros), Fan::NONE)?;
        let g = &mut cx.graph;
        // The two scales meet a channel each, before they meet the picture.
        let weight = g.reshape(weight, shape)?;
        let scale = g.mul(scale, weight)?;
        let scaled = g.mul(centered, scale)?;
        let bias = g.reshape(bias, shape)?;
        Ok(g.add(scaled, bias)?)
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        shapes.per_output(2 + u64::from(self.affine))
    }
}
