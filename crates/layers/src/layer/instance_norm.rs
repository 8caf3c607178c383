//! Normalisation of each channel of each sample.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::dense::is_default;
use super::norm::{Affine, check_eps, eps, moments, scale_of};
use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;
use crate::initializer::Initializer;

/// `y = (x - mean) / sqrt(var + eps)` with mean and (biased) variance over each channel of each sample
/// (Ulyanov et al., "Instance Normalization", 2016), of samples `[c, l]`, `[c, h, w]` or `[c, d, h, w]`.
///
/// With `track_running_stats` the means of the batch's statistics are kept as those of
/// [`BatchNorm`](super::BatchNorm) are, and used outside training.
///
/// Parameters with `affine`: `weight [c]` (ones), `bias [c]` (zeros). States with `track_running_stats`:
/// `running_mean [c]` (zeros), `running_var [c]` (ones).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InstanceNorm {
    /// The layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Added to the variance; default 1e-5.
    #[serde(default = "eps")]
    pub eps: f32,
    /// The weight of the newest batch in the running statistics, in `[0, 1]`; default 0.1.
    #[serde(default = "momentum")]
    pub momentum: f32,
    /// Whether a learned scale and shift follow; default false.
    #[serde(default)]
    pub affine: bool,
    /// Whether running statistics are kept and used outside training; default false.
    #[serde(default)]
    pub track_running_stats: bool,
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

impl Default for InstanceNorm {
    fn default() -> Self {
        InstanceNorm {
            name: None,
            eps: eps(),
            momentum: momentum(),
            affine: false,
            track_running_stats: false,
            weight_init: Initializer::Default,
            bias_init: Initializer::Default,
        }
    }
}

impl InstanceNorm {
    /// PyTorch's defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The dimensions of the input, and how many values a channel of a sample has.
    fn check(&self, cx: &BuildContext, x: Value) -> Result<(Vec<usize>, usize), LayerError> {
        cx.expect_f32(x)?;
        check_eps(cx, self.eps)?;
        if !(0.0..=1.0).contains(&self.momentum) {
            return Err(cx.option_error("momentum", "in [0, 1]", self.momentum));
        }
        let dims = cx.dims(x);
        if !(3..=5).contains(&dims.len()) {
            let wanted = "[channels, length], [channels, height, width] or [channels, depth, height, \
                          width] a sample";
            return Err(cx.input_error(wanted, format!("{:?}", &dims[1..])));
        }
        let values = dims[2..].iter().product();
        if cx.training() && values < 2 {
            let wanted = "more than one value a channel in training";
            return Err(cx.input_error(wanted, format!("{:?}", &dims[1..])));
        }
        Ok((dims, values))
    }

    /// Moves the running statistics by the batch's mean of `mean` and `var`, both `[batch, c, 1, ...]`.
    fn track(
        &self,
        cx: &mut BuildContext,
        statistics: [(&str, Value, f32); 2],
        running: [Value; 2],
    ) -> Result<(), LayerError> {
        for ((name, statistic, factor), old) in statistics.into_iter().zip(running) {
            let channels = cx.dims(old);
            let g = &mut cx.graph;
            let batch = g.mean(statistic, &[0], true)?;
            let batch = g.reshape(batch, &channels)?;
            let new = g.scale(batch, self.momentum * factor)?;
            let kept = g.scale(old, 1.0 - self.momentum)?;
            let moved = g.add(kept, new)?;
            cx.update_state(name, moved);
        }
        Ok(())
    }
}

impl Layer for InstanceNorm {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let (dims, values) = self.check(cx, x)?;
        let mut running = None;
        if self.track_running_stats {
            let mean = cx.state("running_mean", &dims[1..2], 0.0)?;
            running = Some([mean, cx.state("running_var", &dims[1..2], 1.0)?]);
        }
        let (centered, var) = match running {
            Some([mean, var]) if !cx.training() => {
                let mut shape = vec![1; dims.len()];
                shape[1] = dims[1];
                let mean = cx.graph.reshape(mean, &shape)?;
                (cx.graph.sub(x, mean)?, cx.graph.reshape(var, &shape)?)
            }
            running => {
                let axes: Vec<usize> = (2..dims.len()).collect();
                let own = moments(&mut cx.graph, x, &axes)?;
                if let Some(running) = running {
                    let unbiased = values as f32 / (values - 1) as f32;
                    let of_batch =
                        [("running_mean", own.mean, 1.0), ("running_var", own.var, unbiased)];
                    self.track(cx, of_batch, running)?;
                }
                (own.centered, own.var)
            }
        };
        let scale = scale_of(&mut cx.graph, var, self.eps)?;
        let y = cx.graph.mul(centered, scale)?;
        if !self.affine {
            return Ok(y);
        }
        Affine { weight: self.weight_init, bias: self.bias_init }.a_channel(cx, y)
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        shapes.per_output(5 + 2 * u64::from(self.affine))
    }
}
