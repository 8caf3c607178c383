//! Gated recurrent units.

use onestep_engine::ops::Cell;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::InitialState;
use super::cells::{Stack, one, recurrent_layer};
use super::dense::{is_default, yes};

/// Gated recurrent units (Cho et al., 2014): with `r` and `z` as gates of `W_ih x_t + b_ih + W_hh h_(t-1) + b_hh`,
/// `n = tanh(W_in x_t + b_in + sigmoid(r) (W_hn h_(t-1) + b_hn))` and `h_t = (1 - sigmoid(z)) n + sigmoid(z) h_(t-1)`, the
/// gates standing as `r, z, n`: `[t, features]` to `[t, hidden_size]`.
///
/// Parameters of layer `k`, with PyTorch's names and layouts, each uniform within `1 / sqrt(hidden_size)` at the
/// start: `weight_ih_lk [3 hidden_size, features]`, `weight_hh_lk [3 hidden_size, hidden_size]`, with `bias` `bias_ih_lk` and
/// `bias_hh_lk [3 hidden_size]`; those of the other direction end in `_reverse`. States are `[batch, layers x
/// directions, hidden_size]`, the batch first, where PyTorch has it second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gru {
    /// The layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The numbers of a state.
    pub hidden_size: usize,
    /// Layers, each over the outputs of the one before; default 1.
    #[serde(default = "one")]
    pub num_layers: usize,
    /// Whether biases are added; default true.
    #[serde(default = "yes")]
    pub bias: bool,
    /// The probability that an output between two layers is dropped in training; default 0.
    #[serde(default)]
    pub dropout: f32,
    /// Whether each layer also goes from the last step to the first, its outputs side by side with the others;
    /// default false.
    #[serde(default)]
    pub bidirectional: bool,
    /// The state before the first step; default zeros.
    #[serde(default, skip_serializing_if = "is_default")]
    pub initial: InitialState,
    /// Whether the last input is i32 `[1]`: how many steps a sample has. Behind them the outputs are 0, and the other
    /// direction begins at the last of them, as with PyTorch's packed sequences; default false.
    #[serde(default)]
    pub lengths: bool,
    /// Whether the last state is given too, as `NAME.1` behind the sequence, which is `NAME.0` then; default
    /// false.
    #[serde(default)]
    pub state: bool,
}

impl Gru {
    /// One layer, in one direction, from zeros.
    pub fn new(hidden_size: usize) -> Self {
        Gru {
            name: None,
            hidden_size,
            num_layers: 1,
            bias: true,
            dropout: 0.0,
            bidirectional: false,
            initial: InitialState::Zeros,
            lengths: false,
            state: false,
        }
    }

    fn stack(&self) -> Stack {
        Stack {
            cell: Cell::Gru,
            hidden_size: self.hidden_size,
            num_layers: self.num_layers,
            bias: self.bias,
            dropout: self.dropout,
            bidirectional: self.bidirectional,
            proj_size: 0,
            initial: self.initial,
            lengths: self.lengths,
            state: self.state,
        }
    }
}

recurrent_layer!(Gru);
