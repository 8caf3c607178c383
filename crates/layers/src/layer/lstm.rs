//! Long short-term memory.

use onestep_engine::ops::Cell;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::InitialState;
use super::cells::{Stack, one, recurrent_layer};
use super::dense::{is_default, yes};

/// Long short-term memory (Hochreiter and Schmidhuber, 1997, with a forget gate): with the gates `i, f, g, o` of
/// `W_ih x_t + b_ih + W_hh h_(t-1) + b_hh`, `c_t = sigmoid(f) c_(t-1) + sigmoid(i) tanh(g)` and
/// `h_t = sigmoid(o) tanh(c_t)`: `[t, features]` to `[t, hidden_size]`, or to `[t, proj_size]` with a projection, by which
/// `h_t` is multiplied (Sak et al., 2014).
///
/// Parameters of layer `k`, with PyTorch's names and layouts, each uniform within `1 / sqrt(hidden_size)` at the
/// start: `weight_ih_lk [4 hidden_size, features]`, `weight_hh_lk [4 hidden_size, hidden_size or proj_size]`, with `bias` `bias_ih_lk` and
/// `bias_hh_lk [4 hidden_size]`, with `proj_size` `weight_hr_lk [proj_size, hidden_size]`; those of the other direction end in `_reverse`. States are `[batch, layers x
/// directions, hidden_size]`, the batch first, where PyTorch has it second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lstm {
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
    /// The numbers of an output where it is projected, fewer than `hidden_size`; default 0, which is no projection.
    #[serde(default, skip_serializing_if = "is_default")]
    pub proj_size: usize,
    /// The state before the first step; default zeros.
    #[serde(default, skip_serializing_if = "is_default")]
    pub initial: InitialState,
    /// Whether the last input is i32 `[1]`: how many steps a sample has. Behind them the outputs are 0, and the other
    /// direction begins at the last of them, as with PyTorch's packed sequences; default false.
    #[serde(default)]
    pub lengths: bool,
    /// Whether the last state is given too, as `NAME.1` (outputs) and `NAME.2` (cells) behind the sequence, which is `NAME.0` then; default
    /// false.
    #[serde(default)]
    pub state: bool,
}

impl Lstm {
    /// One layer without a projection, in one direction, from zeros.
    pub fn new(hidden_size: usize) -> Self {
        Lstm {
            name: None,
            hidden_size,
            num_layers: 1,
            bias: true,
            dropout: 0.0,
            bidirectional: false,
            proj_size: 0,
            initial: InitialState::Zeros,
            lengths: false,
            state: false,
        }
    }

    fn stack(&self) -> Stack {
        Stack {
            cell: Cell::Lstm,
            hidden_size: self.hidden_size,
            num_layers: self.num_layers,
            bias: self.bias,
            dropout: self.dropout,
            bidirectional: self.bidirectional,
            proj_size: self.proj_size,
            initial: self.initial,
            lengths: self.lengths,
            state: self.state,
        }
    }
}

recurrent_layer!(Lstm);
