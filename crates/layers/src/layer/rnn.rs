//! Elman's recurrent network.

use onestep_engine::ops::Cell;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::InitialState;
use super::cells::{Stack, one, recurrent_layer};
use super::dense::{is_default, yes};

/// The function of an [`Rnn`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RnnNonlinearity {
    /// The hyperbolic tangent.
    #[default]
    Tanh,
    /// The rectified linear unit.
    Relu,
}

impl RnnNonlinearity {
    fn cell(self) -> Cell {
        match self {
            RnnNonlinearity::Tanh => Cell::Tanh,
            RnnNonlinearity::Relu => Cell::Relu,
        }
    }
}

/// `h_t = f(W_ih x_t + b_ih + W_hh h_(t-1) + b_hh)` with `tanh` or a rectified linear unit as `f`, from state to state
/// (Elman, "Finding Structure in Time", 1990): `[t, features]` to `[t, hidden_size]`.
///
/// Parameters of layer `k`, with PyTorch's names and layouts, each uniform within `1 / sqrt(hidden_size)` at the
/// start: `weight_ih_lk [hidden_size, features]`, `weight_hh_lk [hidden_size, hidden_size]`, with `bias` `bias_ih_lk` and
/// `bias_hh_lk [hidden_size]`; those of the other direction end in `_reverse`. States are `[batch, layers x
/// directions, hidden_size]`, the batch first, where PyTorch has it second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rnn {
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
    /// `f`; default `tanh`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub nonlinearity: RnnNonlinearity,
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

impl Rnn {
    /// One layer with `tanh`, in one direction, from zeros.
    pub fn new(hidden_size: usize) -> Self {
        Rnn {
            name: None,
            hidden_size,
            num_layers: 1,
            bias: true,
            dropout: 0.0,
            bidirectional: false,
            nonlinearity: RnnNonlinearity::Tanh,
            initial: InitialState::Zeros,
            lengths: false,
            state: false,
        }
    }

    fn stack(&self) -> Stack {
        Stack {
            cell: self.nonlinearity.cell(),
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

recurrent_layer!(Rnn);
