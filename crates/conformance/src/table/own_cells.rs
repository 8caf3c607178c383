//! Cells of one's own along a sequence.

use super::layers::layer;
use crate::case::Case;
use crate::tolerance::Tolerance;

const SUMS: Tolerance = Tolerance::SUMS;

pub(super) fn cases() -> Vec<Case> {
    vec![
        layer("recurrent", SUMS),
        layer("recurrent_short", SUMS),
        layer("recurrent_reverse", SUMS),
        layer("recurrent_learned", SUMS),
        layer("recurrent_fed", SUMS),
        layer("recurrent_lstm", SUMS),
        layer("recurrent_states", SUMS),
    ]
}
