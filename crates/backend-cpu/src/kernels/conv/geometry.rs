//! What a convolution comes down to: for each window element a distance in the planes, and vectors
//! of outputs.

use super::planes::PlaneLayout;
use crate::cache::cached;

/// Elements of the planes of a unit of work: half of a second-level cache.
const UNIT: usize = 1 << 17;
/// Outputs of a channel in a unit beyond which more pictures do not help.
const ENOUGH: usize = 1024;

/// How a batch is cut into units: several pictures, or strips of rows of one picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Units {
    pub(super) batch: usize,
    /// Pictures of a unit.
    pub(super) images: usize,
    /// Output rows of a unit.
    pub(super) rows: usize,
    /// Output rows in all.
    pub(super) height: usize,
}

/// One unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) first_image: usize,
    pub(super) images: usize,
    pub(super) first_row: usize,
    pub(super) rows: usize,
}

impl Units {
    /// Cuts a batch into units of which a row of outputs takes `line` elements, and a picture those of
    /// `spread` rows more. A unit has at least so many outputs of a channel, where the batch has,
    /// whatever it takes.
    pub(super) fn new(
        batch: usize,
        grid: [usize; 2],
        (spread, line): (usize, usize),
        least: usize,
        threads: usize,
    ) -> Units {
        let height = grid[0].max(1);
        let line = line.max(1);
        let image = (height + spread) * line;
        let outputs = (height * grid[1]).max(1);
        if image > cached(UNIT) && outputs >= least {
            let rows = (cached(UNIT) / line).saturating_sub(spread).clamp(1, height);
            // Strips of almost equal height.
            let rows = height.div_ceil(height.div_ceil(rows));
            return Units { batch, images: 1, rows, height };
        }
        let share = batch.div_ceil(threads.max(1));
        let enough = ENOUGH.div_ceil(outputs);
        let fit = (cached(UNIT) / image.max(1)).max(least.div_ceil(outputs));
        let images = fit.min(enough).min(share).max(1);
        Units { batch, images, rows: height, height }
    }

    /// Strips of a picture.
    pub(super) fn strips(&self) -> usize {
        self.height.div_ceil(self.rows)
    }

    /// The strips, and whether the last has fewer rows.
    #[cfg(test)]
    pub(super) fn cut(&self) -> (usize, bool) {
        (self.strips(), !self.height.is_multiple_of(self.rows))
    }

    pub(super) fn count(&self) -> usize {
        self.batch.div_ceil(self.images) * self.strips()
    }

    pub(super) fn unit(&self, index: usize) -> Unit {
        let (group, strip) = (index / self.strips(), index % self.strips());
        let (first_image, first_row) = (group * self.images, strip * self.rows);
        Unit {
            first_image,
            images: self.images.min(self.batch - first_image),
            first_row,
            rows: self.rows.min(self.height - first_row),
        }
    }
}

/// One pass over the planes: outputs on a grid, each the sum over channels and taps.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pass {
    /// Window elements by row and column of the padded picture.
    pub(super) offsets: Vec<[usize; 2]>,
    /// Their distances in the planes.
    pub(super) taps: Vec<usize>,
    /// For each tap, the kernel element.
    pub(super) elements: Vec<usize>,
    /// Rows and columns of outputs.
    pub(super) grid: [usize; 2],
    /// The picture's position of output `[0, 0]`, and the steps between outputs.
    pub(super) origin: [usize; 2],
    pub(super) step: [usize; 2],
    pub(super) vectors: Vec<Vector>,
    pub(super) segments: Vec<Segment>,
}

/// A vector of outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Vector {
    /// Where it starts in the planes.
    pub(super) at: usize,
    /// Its segments in [`Pass::segments`].
    pub(super) segments: (usize, usize),
    /// Whether it is a single segment of all lanes.
    pub(super) whole: bool,
}

/// Lanes of a vector that go to one row of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) from: usize,
    pub(super) end: usize,
    /// The picture within the unit, and the row of the grid.
    pub(super) image: usize,
    pub(super) row: usize,
    /// The column of the grid of lane `from`.
    pub(super) column: usize,
    /// Where that lane goes, from the unit's first result on: see [`Pass::place`].
    pub(super) to: usize,
}

impl Pass {
    /// Says where segments go in results of so many columns, whose pictures lie `picture` elements
    /// apart.
    pub(super) fn place(&mut self, picture: usize, columns: usize) {
        let ([y0, x0], [dy, dx]) = (self.origin, self.step);
        for segment in &mut self.segments {
            let (y, x) = (segment.row * dy + y0, segment.column * dx + x0);
            segment.to = segment.image * picture + y * columns + x;
        }
    }

    /// Puts the outputs of `images` pictures and `rows` rows into vectors of `lanes`.
    pub(super) fn make_vectors(&mut self, layout: &PlaneLayout, rows: usize, lanes: usize) {
        let (width, rows) = (self.grid[1], rows.min(self.grid[0]));
        let by_row = width >= lanes && 8 * width >= 7 * width.next_multiple_of(lanes);
        for image in 0..layout.images {
            if by_row {
                (0..rows).for_each(|row| self.row_vectors(layout, image, row, lanes));
            }
        }
        if !by_row {
            self.flat_vectors(layout, rows, lanes);
        }
    }

    /// Vectors along a row; the last overlaps its neighbour.
    fn row_vectors(&mut self, layout: &PlaneLayout, image: usize, row: usize, lanes: usize) {
        let width = self.grid[1];
        for start in (0..width).step_by(lanes) {
            let column = start.min(width - lanes);
            let at = image * layout.image() + row * layout.columns + column;
            let first = self.segments.len();
            self.segments.push(Segment { from: 0, end: lanes, image, row, column, to: 0 });
            self.vectors.push(Vector { at, segments: (first, first + 1), whole: true });
        }
    }

    /// Vectors along the planes, across the ends of rows; what is no output is dropped.
    fn flat_vectors(&mut self, layout: &PlaneLayout, rows: usize, lanes: usize) {
        let place = |p: usize| {
            let (image, rest) = (p / layout.image().max(1), p % layout.image().max(1));
            (image, rest / layout.columns.max(1), rest % layout.columns.max(1))
        };
        let is_output = |p: usize| {
            let (_, row, column) = place(p);
            row < rows && column < self.grid[1]
        };
        let end = layout.images * layout.image();
        let mut at = 0;
        while let Some(start) = (at..end).find(|&p| is_output(p)) {
            let first = self.segments.len();
            for lane in (0..lanes).filter(|&lane| start + lane < end && is_output(start + lane)) {
                let (image, row, column) = place(start + lane);
                match self.segments[first..].last_mut() {
                    Some(s) if s.end == lane && s.row == row && s.image == image => s.end += 1,
                    _ => {
                        let (from, end) = (lane, lane + 1);
                        let segment = Segment { from, end, image, row, column, to: 0 };
                        self.segments.push(segment);
                    }
                }
            }
            let segments = (first, self.segments.len());
            let whole = segments.1 - first == 1 && self.segments[first].end == lanes;
            self.vectors.push(Vector { at: start, segments, whole });
            at = start + lanes;
        }
    }

    /// Rows of outputs of a unit: the last may have fewer, here or in all passes.
    pub(super) fn rows_of(&self, unit: &Unit) -> usize {
        unit.rows.min(self.grid[0].saturating_sub(unit.first_row))
    }

    /// The vectors that a unit needs: the last may have fewer pictures or rows. The last of them may
    /// go on to what the unit lacks, see [`Segment::is_in`].
    pub(super) fn vectors_of(&self, unit: &Unit) -> &[Vector] {
        let size = (unit.images, self.rows_of(unit));
        let count = self.vectors.partition_point(|v| self.segments[v.segments.0].is_in(size));
        &self.vectors[..count]
    }
}

impl Segment {
    /// Whether a unit of so many pictures and rows has it.
    #[inline(always)]
    pub(super) fn is_in(&self, (images, rows): (usize, usize)) -> bool {
        self.image < images && self.row < rows
    }
}
