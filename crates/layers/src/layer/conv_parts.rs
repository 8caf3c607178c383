//! What a convolution and its transpose share.

use onestep_engine::Value;

use crate::context::BuildContext;
use crate::error::LayerError;
use crate::geometry::Sizes;
use crate::initializer::{Fan, Initializer};

/// The channels of a convolution, as its options say them.
pub(super) struct Channels {
    /// Checked where it is given.
    pub(super) input: Option<usize>,
    pub(super) output: usize,
    pub(super) groups: usize,
}

impl Channels {
    /// The channels of the sample `x`, once it is clear that all go together.
    pub(super) fn check<S: Sizes>(&self, cx: &BuildContext, x: Value) -> Result<usize, LayerError> {
        cx.expect_rank(x, 1 + S::AXES, S::SAMPLE)?;
        let channels = cx.dims(x)[1];
        if let Some(wanted) = self.input.filter(|&wanted| wanted != channels) {
            return Err(cx.input_error(format!("{wanted} input channels"), channels));
        }
        let groups = self.groups;
        if groups == 0 {
            return Err(cx.option_error("groups", "at least 1", groups));
        }
        if self.output == 0 || !self.output.is_multiple_of(groups) {
            let wanted = format!("a multiple of {groups} groups and at least 1");
            return Err(cx.option_error("out_channels", wanted, self.output));
        }
        if !channels.is_multiple_of(groups) {
            let wanted = format!("input channels divisible by {groups} groups");
            return Err(cx.input_error(wanted, channels));
        }
        Ok(channels)
    }
}

/// The fans of a weight `[out, in / groups, kernel sizes...]`.
pub(super) fn fan(weight: &[usize]) -> Fan {
    Fan::conv([weight[0], weight[1], weight[2..].iter().product(), 1])
}

/// `y [n, c, ...]` and a parameter `bias [c]`, which begins as `init` says, or by the weight's fan.
pub(super) fn add_bias(
    cx: &mut BuildContext,
    y: Value,
    init: Initializer,
    fan: Fan,
) -> Result<Value, LayerError> {
    let mut shape = vec![1; cx.dims(y).len()];
    shape[1] = cx.dims(y)[1];
    let init = init.or(Initializer::bias_default(fan));
    let bias = cx.parameter("bias", &shape[1..2], init, Fan::NONE)?;
    let bias = cx.graph.reshape(bias, &shape)?;
    Ok(cx.graph.add(y, bias)?)
}
