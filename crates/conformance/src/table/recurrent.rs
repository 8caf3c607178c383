//! Recurrent networks.

use super::layers::layer;
use crate::case::Case;
use crate::tolerance::Tolerance;

pub(super) fn cases() -> Vec<Case> {
    let each = ["", "_deep", "_no_bias", "_eval", "_learned", "_state"];
    let kinds = ["rnn", "lstm", "gru"];
    let names = kinds.iter().flat_map(|kind| each.map(|option| format!("{kind}{option}")));
    let more = ["rnn_relu", "lstm_projection", "lstm_cells", "lstm_given", "gru_given"];
    names.chain(more.map(str::to_owned)).map(|name| layer(&name, Tolerance::SUMS)).collect()
}
