//! Layers that look rows up in a table.

use super::layers::{SUMS, layer};
use crate::case::Case;
use crate::report::Mode;

/// A row that stays as it is, or is made shorter beforehand.
const HELD: &[(Mode, &str)] = &[(
    Mode::Gradient,
    "a gradient is held back or scaled, on purpose not that of the value; PyTorch's decides",
)];

pub(super) fn cases() -> Vec<Case> {
    let held = [
        "embedding_padding",
        "embedding_padding_from_end",
        "embedding_max_norm",
        "embedding_max_norm_one",
        "embedding_max_norm_three",
        "embedding_max_norm_padding",
        "embedding_frequency",
        "embedding_bag_max_norm",
        "embedding_bag_frequency",
    ];
    let free = [
        "embedding_bag_mean",
        "embedding_bag_padding_mean",
        "embedding_bag_sum",
        "embedding_bag_padding_sum",
        "embedding_bag_max",
        "embedding_bag_padding_max",
        "embedding_bag_factors",
    ];
    let held = held.map(|name| Case { exclusions: HELD, ..layer(name, SUMS) });
    held.into_iter().chain(free.map(|name| layer(name, SUMS))).collect()
}
