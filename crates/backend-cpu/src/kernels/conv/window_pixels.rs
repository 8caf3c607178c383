//! The input's pixels under the windows of a unit of outputs, channels last.

use onestep_engine::ops::ConvWindow;

use super::geometry::{Unit, Units};
use super::problem::Problem;
use crate::simd::{Simd, transpose};
use crate::stores::zeros;

/// A unit's rows of pictures, with those beyond the border, behind one pixel of zeros, which stands
/// for all that lies beside a picture. As border rows are kept, one table of places serves strips of
/// all heights within a picture, other than in a [`Grid`](super::grid::Grid).
#[derive(Debug)]
pub(super) struct Pixels {
    /// Height and width of a picture.
    pub(super) size: [usize; 2],
    /// Rows that are kept of a picture.
    pub(super) rows: usize,
    /// Rows under a window, and from one row of outputs to the next, of those that are kept.
    pub(super) reach: usize,
    pub(super) step: usize,
    /// The same in the picture, and the rows before it.
    stride: usize,
    pad: usize,
    /// Elements of a pixel: whole vectors, and an odd number of them, so that pixels spread over the
    /// sets of a cache.
    pixel: usize,
}

impl Pixels {
    /// Those of the windows of one row of outputs.
    pub(super) fn new(problem: &Problem, window: &ConvWindow, lanes: usize) -> Pixels {
        let reach = (problem.kernel[0] - 1) * window.dilation[0] + 1;
        Pixels {
            size: problem.input,
            rows: reach,
            reach,
            step: reach.min(window.stride[0]),
            stride: window.stride[0],
            pad: window.pad_low[0],
            pixel: (problem.in_channels.div_ceil(lanes) | 1) * lanes,
        }
    }

    /// Rows that are kept for so many rows of outputs.
    pub(super) fn under(&self, rows: usize) -> usize {
        (rows - 1) * self.step + self.reach
    }

    /// Elements of the pixels of a whole unit.
    pub(super) fn elements(&self, units: &Units) -> usize {
        (1 + units.images * self.rows * self.size[1]) * self.pixel
    }

    /// For each window element and each output of a whole unit (by picture, row and column), where
    /// its pixel begins.
    pub(super) fn places(
        &self,
        problem: &Problem,
        window: &ConvWindow,
        units: &Units,
    ) -> Vec<usize> {
        let width = self.size[1];
        let mut places = Vec::new();
        for element in 0..problem.kernel[0] * problem.kernel[1] {
            let (qy, qx) = (element / problem.kernel[1], element % problem.kernel[1]);
            for row in 0..units.images * units.rows {
                let (image, row) = (row / units.rows, row % units.rows);
                let row = image * self.rows + row * self.step + qy * window.dilation[0];
                places.extend((0..problem.output[1]).map(|column| {
                    let column = column * window.stride[1] + qx * window.dilation[1];
                    match column.checked_sub(window.pad_low[1]).filter(|&x| x < width) {
                        Some(column) => (1 + row * width + column) * self.pixel,
                        None => 0,
                    }
                }));
            }
        }
        places
    }

    /// Transposes the rows of one of a unit's pictures, which has so many channels.
    ///
    /// # Safety
    /// The machine has `S`, the picture is there, and `to` has room for [`Pixels::elements`].
    #[inline(always)]
    pub(super) unsafe fn fill<S: Simd>(
        &self,
        (picture, channels): (*const f32, usize),
        unit: &Unit,
        image: usize,
        to: *mut f32,
    ) {
        let [height, width] = self.size;
        let size = height * width;
        // Rows between those under windows are left out.
        let (runs, length) = match self.step < self.stride {
            true => (unit.rows, self.reach),
            false => (1, self.under(unit.rows)),
        };
        // SAFETY: the caller vouches for the memory; rows are those of the picture, or zeros.
        unsafe {
            zeros(to, self.pixel);
            let line = |row: usize| to.add((1 + (image * self.rows + row) * width) * self.pixel);
            for run in 0..runs {
                // In rows behind the first of the padded picture.
                let first = (unit.first_row + run) * self.stride;
                let clamp = |row: usize| row.clamp(self.pad, self.pad + height);
                let (from, end) = (clamp(first), clamp(first + length));
                let (before, inside) = (from - first.min(from), end - from);
                let before = before.min(length);
                let rest = length - before - inside;
                let out = line(run * length);
                zeros(out, before * width * self.pixel);
                let out = out.add(before * width * self.pixel);
                let source = picture.wrapping_add((from - self.pad) * width);
                transpose::<S>((source, size), (channels, inside * width), (out, self.pixel));
                let out = out.add(inside * width * self.pixel);
                zeros(out, rest * width * self.pixel);
            }
        }
    }
}
