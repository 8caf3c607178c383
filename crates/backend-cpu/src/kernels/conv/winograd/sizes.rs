//! What is filtered, and how its transformed tiles lie in memory.

use onestep_engine::ops::ConvWindow;

use super::transform::WINDOW;
use crate::kernels::conv::problem::{Problem, WeightLayout};

/// How transformed tiles lie in memory: by frequency, tile and channel. Distances are odd numbers
/// of vectors, so that tiles and frequencies spread over the sets of a cache.
#[derive(Clone, Copy, Debug)]
pub(super) struct TileLayout {
    /// Tiles in a row of a picture, and in a whole unit.
    pub(super) columns: usize,
    pub(super) tiles: usize,
    pub(super) lanes: usize,
}

impl TileLayout {
    /// Elements of a pixel: whole vectors.
    pub(super) fn pixel(&self, channels: usize) -> usize {
        channels.next_multiple_of(self.lanes)
    }

    /// From one tile's channels to the next's.
    pub(super) fn tile(&self, channels: usize) -> usize {
        (channels.div_ceil(self.lanes) | 1) * self.lanes
    }

    /// From one frequency's tiles to the next's.
    pub(super) fn frequency(&self, channels: usize) -> usize {
        self.tiles * self.tile(channels) + self.lanes
    }
}

/// What is summed: the convolution, or the gradient in its input, which is a convolution of the
/// result's gradient with the turned window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filter {
    pub(super) weights: WeightLayout,
    /// Whether the window's elements are taken from the last to the first.
    pub(super) turned: bool,
    /// Summed channels and result channels.
    pub(super) channels: usize,
    pub(super) rows: usize,
    /// Height and width of what is summed, and zeros before it.
    pub(super) source: [usize; 2],
    pub(super) pad: [usize; 2],
    /// Height and width of the result.
    pub(super) out: [usize; 2],
}

impl Filter {
    /// The convolution.
    pub(crate) fn forward(window: &ConvWindow, p: &Problem, weights: WeightLayout) -> Filter {
        let (channels, rows, pad) = (p.in_channels, p.out_channels, window.pad_low);
        Filter { weights, turned: false, channels, rows, source: p.input, pad, out: p.output }
    }

    /// The gradient in the input.
    pub(crate) fn input_gradient(
        window: &ConvWindow,
        p: &Problem,
        weights: WeightLayout,
    ) -> Filter {
        let (channels, rows) = (p.out_channels, p.in_channels);
        let pad = window.pad_low.map(|pad| WINDOW - 1 - pad);
        Filter { weights, turned: true, channels, rows, source: p.output, pad, out: p.input }
    }
}
