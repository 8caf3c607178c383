//! Channels of several groups, mixed.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;

/// Channels in another order: the first of each group, the second of each, and so on (Zhang et al.,
/// "ShuffleNet", 2018), of samples `[c, ...]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelShuffle {
    /// The layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The number of groups, a divisor of the channels.
    pub groups: usize,
}

impl ChannelShuffle {
    /// Of so many groups.
    pub fn new(groups: usize) -> Self {
        ChannelShuffle { name: None, groups }
    }
}

impl Layer for ChannelShuffle {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        cx.expect_f32(x)?;
        let dims = cx.dims(x);
        let Some(&channels) = dims.get(1) else {
            return Err(cx.input_error("[channels, ...] a sample", "a number"));
        };
        if self.groups == 0 || !channels.is_multiple_of(self.groups) {
            let wanted = format!("a divisor of the {channels} channels");
            return Err(cx.option_error("groups", wanted, self.groups));
        }
        let rest = dims[2..].iter().product();
        let g = &mut cx.graph;
        let grouped = g.reshape(x, &[dims[0], self.groups, channels / self.groups, rest])?;
        let mixed = g.permute(grouped, &[0, 2, 1, 3])?;
        Ok(g.reshape(mixed, &dims)?)
    }

    fn flops(&self, _: &Shapes) -> u64 {
        0
    }
}
