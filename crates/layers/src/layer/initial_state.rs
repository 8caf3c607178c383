//! What recurrences begin with.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The state before the first step of a recurrent layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InitialState {
    /// Zeros.
    #[default]
    Zeros,
    /// Further inputs, behind the sequence: of `rnn`, `lstm` and `gru` `[layers x directions, hidden]`, and for an
    /// LSTM its cells.
    Input,
    /// Parameters, the same for every sample, which begin as 0: `h_0`, so shaped, and for an LSTM `c_0`.
    Learned,
}
