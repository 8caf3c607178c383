//! Which way a convolution goes, and each of its gradients: said here and nowhere else.
//!
//! Which of them real networks go, and which the draws of the differential test reach, is tabled in
//! `docs/convolutions.md`.

use std::fmt;

use onestep_engine::ops::ConvWindow;

use super::problem::Problem;
use crate::cache::cached;
use crate::machine::Machine;
use crate::simd::VECTORS;

/// The size of the windows that minimal filtering is for.
const WINDOW: usize = 3;
/// Fewer channels than this do not pay for the transforms of minimal filtering, and make tiles of so few
/// sums that planes are faster, if their rows are whole vectors.
const FEW: usize = 16;
/// Small pictures of so many channels take the larger tiles.
const MANY: usize = 64;
/// Pictures of fewer rows or columns are small.
const SMALL: usize = 7;
/// Elements of a picture that stay in a cache: half of a second-level one.
pub(super) const PICTURE: usize = 1 << 17;
/// The most elements of a window whose pixels are put side by side.
pub(super) const MOST_ELEMENTS: usize = 49;

/// What is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Forward,
    InputGradient,
    WeightGradient,
}

/// How.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Minimal filtering (`winograd/`), by pictures or, where there are many more channels than tiles, by
    /// blocks of channels.
    Winograd { tiles: Tiles, blocks: bool },
    /// Channels last (`pixels.rs`). Not for the weight gradient.
    Pixels,
    /// Channels last, outer products (`outer.rs`). For the weight gradient only.
    Outer,
    /// Bordered planes (`sums.rs`, `weight_grad.rs`).
    Planes,
}

/// The outputs of a tile of minimal filtering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tiles {
    /// 2 x 2.
    Two,
    /// 4 x 4.
    Four,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Way {
    /// In profiles and dumps.
    pub(super) fn name(self) -> &'static str {
        match self {
            Way::Winograd { tiles: Tiles::Two, blocks: false } => "F(2x2)",
            Way::Winograd { tiles: Tiles::Four, blocks: false } => "F(4x4)",
            Way::Winograd { tiles: Tiles::Two, blocks: true } => "F(2x2) in blocks",
            Way::Winograd { tiles: Tiles::Four, blocks: true } => "F(4x4) in blocks",
            Way::Pixels => "pixels",
            Way::Outer => "outer products",
            Way::Planes => "planes",
        }
    }

    /// Whether the result's channels stand side by side before they are stored, so that their moments can
    /// be taken on the way. In groups, vectors of channels would reach into the next group's.
    pub(super) fn takes_moments(self, problem: &Problem) -> bool {
        matches!(self, Way::Winograd { .. } | Way::Pixels) && problem.groups == 1
    }
}

/// The way of a convolution or of one of its gradients.
pub(super) fn way(
    direction: Direction,
    window: &ConvWindow,
    problem: &Problem,
    machine: Machine,
) -> Way {
    let lanes = machine.level.tile().lanes;
    if suits_winograd(window, problem) {
        return winograd(direction, problem, machine);
    }
    match direction {
        // Vectors along the input channels must be filled.
        Direction::WeightGradient if problem.in_channels >= lanes => Way::Outer,
        Direction::Forward | Direction::InputGradient if suits_pixels(problem, lanes) => {
            Way::Pixels
        }
        _ => Way::Planes,
    }
}

/// Whether minimal filtering suits a convolution and its gradients.
fn suits_winograd(window: &ConvWindow, problem: &Problem) -> bool {
    let ConvWindow { stride, dilation, pad_low, pad_high, groups } = window;
    let plain = problem.kernel == [WINDOW; 2] && *stride == [1; 2] && *dilation == [1; 2];
    let padded = pad_low.iter().chain(pad_high).all(|&pad| pad < WINDOW);
    plain
        && padded
        && *groups == 1
        && problem.batch > 0
        && problem.in_channels.min(problem.out_channels) >= FEW
}

fn winograd(direction: Direction, p: &Problem, machine: Machine) -> Way {
    let (out, rows) = match direction {
        Direction::Forward => (p.output, p.out_channels),
        Direction::InputGradient => (p.input, p.in_channels),
        Direction::WeightGradient => (p.output, p.out_channels),
    };
    let channels = p.in_channels.min(p.out_channels);
    let (tiles, size) = if is_large(out, channels) { (Tiles::Four, 4) } else { (Tiles::Two, 2) };
    let count = p.batch * out.iter().map(|length| length.div_ceil(size)).product::<usize>();
    let vectors = rows.div_ceil(machine.level.tile().lanes);
    // Enough result channels for all threads, and so few tiles that reading them once for each block
    // costs little.
    let blocks = match direction {
        Direction::WeightGradient => 4 * count <= channels && vectors >= machine.threads,
        Direction::Forward | Direction::InputGradient => {
            4 * count <= rows && vectors >= VECTORS.max(machine.threads)
        }
    };
    Way::Winograd { tiles, blocks }
}

/// Whether tiles of 4 x 4 outputs, each of 36 products, take fewer than those of 2 x 2 with 16. Their
/// error is three times as large, which small sums do not bear; small pictures gain by them only
/// with many channels anyway.
fn is_large(out: [usize; 2], channels: usize) -> bool {
    let tiles = |size: usize| out[0].div_ceil(size) * out[1].div_ceil(size);
    let fewer = 36 * tiles(4) < 16 * tiles(2);
    fewer && (channels >= MANY || out.iter().all(|&size| size >= SMALL))
}

/// Whether channels fill vectors well enough, and pictures fit a cache.
fn suits_pixels(problem: &Problem, lanes: usize) -> bool {
    let ragged = !problem.output[1].is_multiple_of(lanes);
    let least = if ragged { lanes } else { lanes.max(FEW) };
    let pixels = |size: [usize; 2], channels: usize| size[0] * size[1] * channels;
    let largest = pixels(problem.input, problem.in_channels)
        .max(pixels(problem.output, problem.out_channels));
    problem.in_channels.min(problem.out_channels) >= least
        && problem.kernel[0] * problem.kernel[1] <= MOST_ELEMENTS
        && largest <= cached(PICTURE)
}

#[cfg(test)]
mod tests {
    use onestep_engine::Shape;

    use super::*;
    use crate::simd::Level;

    const PADDED: ConvWindow = ConvWindow {
        stride: [1; 2],
        pad_low: [1; 2],
        pad_high: [1; 2],
        dilation: [1; 2],
        groups: 1,
    };

    /// Input, weight, window, threads, and the ways of the convolution and of its gradients in the input and
    /// in the weight with eight lanes: one row for each rule, on either side of its bound.
    type Row = ([usize; 4], [usize; 4], ConvWindow, usize, [Way; 3]);

    fn rows() -> Vec<Row> {
        let filter = |tiles, blocks| Way::Winograd { tiles, blocks };
        let (two, four) = (filter(Tiles::Two, false), filter(Tiles::Four, false));
        let blocks = filter(Tiles::Four, true);
        let (pixels, outer, planes) = (Way::Pixels, Way::Outer, Way::Planes);
        let strided = ConvWindow { stride: [2; 2], ..PADDED };
        let wide = ConvWindow { pad_low: [3; 2], pad_high: [3; 2], ..PADDED };
        let dilated = ConvWindow { dilation: [2; 2], ..PADDED };
        let grouped = ConvWindow { groups: 2, ..PADDED };
        let plain = ConvWindow { pad_low: [0; 2], pad_high: [0; 2], ..PADDED };
        vec![
            // Channels that pay for the transforms, and one too few.
            ([8, 16, 32, 32], [16, 16, 3, 3], PADDED, 1, [four; 3]),
            ([8, 15, 32, 32], [16, 15, 3, 3], PADDED, 1, [planes, planes, outer]),
            // Small pictures.
            ([8, 16, 6, 6], [16, 16, 3, 3], PADDED, 1, [two; 3]),
            ([64, 64, 8, 4], [64, 64, 3, 3], PADDED, 1, [four; 3]),
            ([64, 63, 8, 4], [63, 63, 3, 3], PADDED, 1, [two; 3]),
            // Many more channels than tiles, for few threads.
            ([1, 512, 7, 7], [512, 512, 3, 3], PADDED, 1, [blocks; 3]),
            ([1, 512, 7, 7], [512, 512, 3, 3], PADDED, 65, [four; 3]),
            // What minimal filtering is not for.
            ([8, 16, 30, 30], [16, 16, 3, 3], strided, 1, [pixels, pixels, outer]),
            ([8, 16, 30, 30], [16, 16, 3, 3], wide, 1, [pixels, pixels, outer]),
            ([8, 16, 30, 30], [16, 16, 3, 3], dilated, 1, [pixels, pixels, outer]),
            ([8, 32, 30, 30], [32, 16, 3, 3], grouped, 1, [pixels, pixels, outer]),
            ([8, 16, 30, 30], [16, 16, 1, 1], plain, 1, [pixels, pixels, outer]),
            // Channels that do not fill a vector, a picture beyond a cache, a large window.
            ([8, 7, 30, 30], [16, 7, 1, 1], plain, 1, [planes; 3]),
            ([8, 64, 56, 56], [64, 64, 1, 1], plain, 1, [planes, planes, outer]),
            ([8, 16, 30, 30], [16, 16, 8, 8], plain, 1, [planes, planes, outer]),
        ]
    }

    #[test]
    fn each_rule_on_either_side_of_its_bound() {
        for (x, w, window, threads, wanted) in rows() {
            let size = |axis: usize| window.output_size(axis, x[2 + axis], w[2 + axis]).unwrap();
            let y = Shape::from([x[0], w[0], size(0), size(1)]);
            let problem = Problem::new(&window, &x.into(), &w.into(), &y).unwrap();
            let machine = Machine { threads, level: Level::V3 };
            let got = [Direction::Forward, Direction::InputGradient, Direction::WeightGradient]
                .map(|direction| way(direction, &window, &problem, machine));
            assert_eq!(got, wanted, "{x:?} by {w:?} {window} with {threads} threads");
            let takes = matches!(wanted[0], Way::Winograd { .. } | Way::Pixels) && w[1] == x[1];
            assert_eq!(got[0].takes_moments(&problem), takes, "{x:?} by {w:?}");
        }
    }
}
