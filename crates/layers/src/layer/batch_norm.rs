//! Normalisation of each channel over the batch.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::dense::{is_default, yes};
use super::norm::{Moments, check_eps, eps, moments, scale_of};
use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;
use crate::initializer::{Fan, Initializer};
use crate::state_dict::BATCH_COUNT;

/// `y = (x - mean) / sqrt(var + eps) * weight + bias` for each channel (Ioffe and Szegedy, "Batch
/// Normalization", 2015), of samples `[c]`, `[c, l]`, `[c, h, w]` or `[c, d, h, w]`.
///
/// In training mean and (biased) variance are the batch's, and the running statistics move:
/// `running = (1 - momentum) running + momentum batch`, with the unbiased variance. Otherwise the
/// running statistics are used. Without a `momentum` they are the means over all batches so far, each of
/// the same weight.
///
/// Parameters with `affine`: `weight [c]` (ones), `bias [c]` (zeros). States with `track_running_stats`:
/// `running_mean [c]` (zeros), `running_var [c]` (ones), and without a `momentum` the number of batches so
/// far, `num_batches_tracked` (zero).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchNorm {
    /// The layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Added to the variance; default 1e-5.
    #[serde(default = "eps")]
    pub eps: f32,
    /// The weight of the newest batch in the running statistics, in `[0, 1]`; default 0.1. `null` for
    /// their mean over all batches.
    #[serde(default = "momentum")]
    pub momentum: Option<f32>,
    /// Whether a learned scale and shift follow; default true.
    #[serde(default = "yes")]
    pub affine: bool,
    /// Whether running statistics are kept and used outside training; default true. Without them the
    /// statistics are always the batch's.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub track_running_stats: bool,
    /// How the scale begins.
    #[serde(default, skip_serializing_if = "is_default")]
    pub weight_init: Initializer,
    /// How the shift begins.
    #[serde(default, skip_serializing_if = "is_default")]
    pub bias_init: Initializer,
}

#[expect(clippy::unnecessary_wraps, reason = "the default of an optional field")]
fn momentum() -> Option<f32> {
    Some(0.1)
}

/// `serde` asks by reference.
fn is_true(flag: &bool) -> bool {
    *flag
}

impl Default for BatchNorm {
    fn default() -> Self {
        BatchNorm {
            name: None,
            eps: eps(),
            momentum: momentum(),
            affine: true,
            track_running_stats: true,
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

/// The statistics of the batches so far.
struct Running {
    mean: Value,
    var: Value,
    /// How many batches there were, where they count alike.
    batches: Option<Value>,
}

impl BatchNorm {
    /// PyTorch's defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the statistics are those of the batch: in training, unless the running ones are held, and
    /// where there are no others.
    fn of_batch(&self, cx: &BuildContext) -> bool {
        let held = cx.holds("running_mean") && cx.holds("running_var");
        !self.track_running_stats || cx.training() && !held
    }

    fn check(&self, cx: &BuildContext, x: Value) -> Result<Channels, LayerError> {
        cx.expect_f32(x)?;
        check_eps(cx, self.eps)?;
        if let Some(momentum) = self.momentum.filter(|momentum| !(0.0..=1.0).contains(momentum)) {
            return Err(cx.option_error("momentum", "in [0, 1]", momentum));
        }
        let dims = cx.dims(x);
        if !(2..=5).contains(&dims.len()) {
            let wanted = "[channels], [channels, length], [channels, height, width] or [channels, \
                          depth, height, width] a sample";
            return Err(cx.input_error(wanted, format!("{:?}", &dims[1..])));
        }
        let mut shape = vec![1; dims.len()];
        shape[1] = dims[1];
        let others: Vec<usize> = (0..dims.len()).filter(|&axis| axis != 1).collect();
        let values = others.iter().map(|&axis| dims[axis]).product();
        if cx.training() && self.of_batch(cx) && values < 2 {
            let wanted = "more than one value a channel in training (a larger batch, or drop a \
                          last batch of one sample)";
            return Err(cx.input_error(wanted, values));
        }
        Ok(Channels { count: dims[1], shape, others, values })
    }

    /// The running statistics, where they are kept.
    fn running(
        &self,
        cx: &mut BuildContext,
        channels: &Channels,
    ) -> Result<Option<Running>, LayerError> {
        if !self.track_running_stats {
            return Ok(None);
        }
        let mean = cx.state("running_mean", &[channels.count], 0.0)?;
        let var = cx.state("running_var", &[channels.count], 1.0)?;
        let batches = match self.momentum {
            None => Some(cx.state(BATCH_COUNT, &[], 0.0)?),
            Some(_) => None,
        };
        Ok(Some(Running { mean, var, batches }))
    }

    /// Moves the running statistics by those of the batch.
    fn track(
        &self,
        cx: &mut BuildContext,
        channels: &Channels,
        batch: &Moments,
        running: &Running,
    ) -> Result<(), LayerError> {
        let share = running.batches.map(|batches| newest_share(cx, batches)).transpose()?;
        let unbiased = channels.values as f32 / (channels.values - 1) as f32;
        let statistics = [("running_mean", batch.mean, 1.0), ("running_var", batch.var, unbiased)];
        for ((name, statistic, factor), old) in
            statistics.into_iter().zip([running.mean, running.var])
        {
            let g = &mut cx.graph;
            let statistic = g.reshape(statistic, &[channels.count])?;
            let moved = match (share, self.momentum.unwrap_or_default()) {
                (None, momentum) => {
                    let new = g.scale(statistic, momentum * factor)?;
                    let kept = g.scale(old, 1.0 - momentum)?;
                    g.add(kept, new)?
                }
                (Some(share), _) => {
                    let new = g.scale(statistic, factor)?;
                    let step = g.sub(new, old)?;
                    let step = g.mul(step, share)?;
                    g.add(old, step)?
                }
            };
            cx.update_state(name, moved);
        }
        Ok(())
    }
}

/// The weight of the newest batch in the mean over all of them, which counts them.
fn newest_share(cx: &mut BuildContext, batches: Value) -> Result<Value, LayerError> {
    let count = cx.graph.offset(batches, 1.0)?;
    cx.update_state(BATCH_COUNT, count);
    let one = cx.graph.constant(1.0)?;
    Ok(cx.graph.div(one, count)?)
}

impl Layer for BatchNorm {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let channels = self.check(cx, x)?;
        let (count, shape) = ([channels.count], &channels.shape);
        let running = self.running(cx, &channels)?;
        let [centered, var] = match running {
            Some(running) if !self.of_batch(cx) => {
                let mean = cx.graph.reshape(running.mean, shape)?;
                [cx.graph.sub(x, mean)?, cx.graph.reshape(running.var, shape)?]
            }
            running => {
                let batch = moments(&mut cx.graph, x, &channels.others)?;
                if let Some(running) = running {
                    self.track(cx, &channels, &batch, &running)?;
                }
                [batch.centered, batch.var]
            }
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
