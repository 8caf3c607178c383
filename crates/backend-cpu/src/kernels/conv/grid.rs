//! Pictures as pixels, whose channels lie side by side: then vectors run along channels, and no lane
//! falls on a border however small the pictures are. And tiles of such pictures.

use super::geometry::{Unit, Units};
use super::moments::Pixels;
use crate::cache::cached;
use crate::simd::{Simd, transpose};
use crate::stores::zeros;

/// Elements of a unit's transformed tiles: most of a second-level cache.
const UNIT: usize = 3 << 16;
/// Fewer tiles would not make up for reading all transformed weights.
const FEW_TILES: usize = 32;
/// The place of what is outside of a picture: the zeros before all others.
pub(super) const OUTSIDE: usize = usize::MAX;

/// Cuts a batch of pictures of `height` x `columns` tiles into units that fit a cache, of which
/// there are a multiple of `tasks` where that is possible. A tile has so many `elements`.
pub(super) fn units(
    batch: usize,
    [height, columns]: [usize; 2],
    elements: usize,
    tasks: usize,
) -> Units {
    let (height, columns) = (height.max(1), columns.max(1));
    let wanted = (cached(UNIT) / elements.max(1)).max(FEW_TILES);
    let in_picture = height * columns;
    if in_picture > wanted {
        let rows = (wanted / columns).max(1);
        let rows = height.div_ceil(height.div_ceil(rows));
        return Units { batch, images: 1, rows, height };
    }
    let groups = batch.div_ceil((wanted / in_picture).max(1)).next_multiple_of(tasks.max(1));
    Units { batch, images: batch.div_ceil(groups).max(1), rows: height, height }
}

/// Pictures under a grid of tiles of `E` x `E` elements.
#[derive(Debug)]
pub(super) struct Grid<const E: usize> {
    /// Height and width of a picture.
    size: [usize; 2],
    /// From one tile to the next, which may overlap it; a tile's rows; and rows and columns before
    /// the picture.
    step: usize,
    reach: usize,
    pad: [usize; 2],
    /// Tiles in a row.
    columns: usize,
    /// For each tile of a picture, where its elements lie, or [`OUTSIDE`].
    places: Vec<[[usize; E]; E]>,
}

/// Channels of pictures in memory.
#[derive(Clone, Copy)]
pub(super) struct Channels {
    /// The first of them, in the first picture of the batch.
    pub(super) data: *mut f32,
    /// How many there are, and elements from one picture to the next.
    pub(super) count: usize,
    pub(super) image: usize,
}

impl<const E: usize> Grid<E> {
    pub(super) fn new(
        size: [usize; 2],
        pad: [usize; 2],
        [height, columns]: [usize; 2],
        step: usize,
    ) -> Self {
        let place = |tile: usize, i: usize, j: usize| {
            let row = (tile / columns * step + i).checked_sub(pad[0]).filter(|y| *y < size[0]);
            let column = (tile % columns * step + j).checked_sub(pad[1]).filter(|x| *x < size[1]);
            row.zip(column).map_or(OUTSIDE, |(y, x)| y * size[1] + x)
        };
        let tile = |t| std::array::from_fn(|i| std::array::from_fn(|j| place(t, i, j)));
        let places = (0..height * columns).map(tile).collect();
        Grid { size, step, reach: E, pad, columns, places }
    }

    /// Whole pictures, one tile each.
    pub(super) fn whole(size: [usize; 2]) -> Self {
        Grid { size, step: 1, reach: size[0], pad: [0; 2], columns: 1, places: Vec::new() }
    }

    /// The rows of a picture that a unit's tiles reach.
    fn rows(&self, unit: &Unit) -> (usize, usize) {
        let first = (unit.first_row * self.step).saturating_sub(self.pad[0]);
        let end =
            ((unit.first_row + unit.rows - 1) * self.step + self.reach).saturating_sub(self.pad[0]);
        (first.min(self.size[0]), end.min(self.size[0]))
    }

    /// Elements of a unit's transposed pictures, behind as many zeros as a pixel has.
    pub(super) fn elements(&self, units: &Units, pixel: usize) -> usize {
        let rows = ((units.rows - 1) * self.step + self.reach).min(self.size[0]);
        (units.images * rows * self.size[1] + 1) * pixel
    }

    /// Transposes a unit's pictures to pixels of `pixel` elements, behind one of zeros.
    ///
    /// # Safety
    /// The machine has `S`, the channels have the unit's pictures, and `pixels` has room for
    /// [`Grid::elements`].
    #[inline(always)]
    pub(super) unsafe fn load<S: Simd>(
        &self,
        channels: Channels,
        unit: &Unit,
        pixels: *mut f32,
        pixel: usize,
    ) {
        let (rows, width) = (self.rows(unit), self.size[1]);
        let (size, count) = (self.size[0] * width, (rows.1 - rows.0) * width);
        // SAFETY: the caller vouches for the memory.
        unsafe {
            zeros(pixels, pixel);
            for image in 0..unit.images {
                let at = (unit.first_image + image) * channels.image + rows.0 * width;
                let from = (channels.data.add(at).cast_const(), size);
                let to = pixels.add((1 + image * count) * pixel);
                transpose::<S>(from, (channels.count, count), (to, pixel));
            }
        }
    }

    /// Calls `f` for each tile of a unit, with its number and where its elements lie among the
    /// unit's pixels, the first of which is one of zeros.
    #[inline(always)]
    fn each_tile(&self, unit: &Unit, pixel: usize, mut f: impl FnMut(usize, [[usize; E]; E])) {
        let (rows, width) = (self.rows(unit), self.size[1]);
        let (first, in_unit) = (unit.first_row * self.columns, unit.rows * self.columns);
        for image in 0..unit.images {
            // The pixel where the picture's first row would be.
            let before = (1 + image * (rows.1 - rows.0) * width).wrapping_sub(rows.0 * width);
            let offset = |place: usize| match place {
                OUTSIDE => 0,
                place => before.wrapping_add(place) * pixel,
            };
            for index in 0..in_unit {
                let offsets = self.places[first + index].map(|row| row.map(offset));
                f(image * in_unit + index, offsets);
            }
        }
    }

    /// Transforms each tile of a unit, vector by vector of the channels. A tile's channels lie
    /// `tile` elements from those of the next, and a frequency's tiles `frequency` from those of
    /// the next.
    ///
    /// # Safety
    /// The machine has `S`. `pixels` holds the unit, and `out` has room for all frequencies.
    #[inline(always)]
    pub(super) unsafe fn transform<S: Simd, const N: usize>(
        &self,
        unit: &Unit,
        (pixels, pixel): (*const f32, usize),
        (out, tile, frequency): (*mut f32, usize, usize),
        transform: impl Fn([[S::V; E]; E]) -> [[S::V; N]; N],
    ) {
        self.each_tile(unit, pixel, |index, offsets| {
            for channel in (0..pixel).step_by(S::LANES) {
                // SAFETY: the caller vouches for the memory.
                unsafe {
                    let from = pixels.add(channel);
                    let d = load_square::<S, E>(|i, j| from.add(offsets[i][j]));
                    let to = out.add(index * tile + channel);
                    store_square::<S, N>(transform(d), |i, j| to.add((i * N + j) * frequency));
                }
            }
        });
    }

    /// The reverse: transforms each tile back to pixels.
    ///
    /// # Safety
    /// As for [`Grid::transform`], with the two memories exchanged.
    #[inline(always)]
    pub(super) unsafe fn transform_back<S: Simd, const N: usize>(
        &self,
        unit: &Unit,
        (from, tile, frequency): (*const f32, usize, usize),
        (pixels, pixel): (*mut f32, usize),
        transform: impl Fn([[S::V; N]; N]) -> [[S::V; E]; E],
    ) {
        self.each_tile(unit, pixel, |index, offsets| {
            for channel in (0..pixel).step_by(S::LANES) {
                // SAFETY: the caller vouches for the memory. What is outside goes to the pixel of
                // zeros, which nobody reads here.
                unsafe {
                    let from = from.add(index * tile + channel);
                    let m = load_square::<S, N>(|i, j| from.add((i * N + j) * frequency));
                    let to = pixels.add(channel);
                    store_square::<S, E>(transform(m), |i, j| to.add(offsets[i][j]));
                }
            }
        });
    }

    /// A unit's pixels, without that of zeros.
    pub(super) fn pixels(&self, unit: &Unit, pixels: *const f32, pixel: usize) -> Pixels {
        let (from, to) = self.rows(unit);
        let count = unit.images * (to - from) * self.size[1];
        Pixels { at: pixels.wrapping_add(pixel), pixel, count }
    }

    /// Transposes a unit's pixels back to its pictures.
    ///
    /// # Safety
    /// As for [`Grid::load`].
    #[inline(always)]
    pub(super) unsafe fn store<S: Simd>(
        &self,
        (pixels, pixel): (*const f32, usize),
        unit: &Unit,
        channels: Channels,
    ) {
        let (rows, width) = (self.rows(unit), self.size[1]);
        let (size, count) = (self.size[0] * width, (rows.1 - rows.0) * width);
        for image in 0..unit.images {
            // SAFETY: the caller vouches for the memory.
            unsafe {
                let at = (unit.first_image + image) * channels.image + rows.0 * width;
                let from = (pixels.add((1 + image * count) * pixel), pixel);
                let to = (channels.data.add(at), size);
                transpose::<S>(from, (count, channels.count), to);
            }
        }
    }
}

/// Loads `N` x `N` vectors. Loops over constants, here and below, are unrolled, so that squares
/// stay in registers; iterators over arrays of vectors would go through memory.
#[inline(always)]
pub(super) unsafe fn load_square<S: Simd, const N: usize>(
    at: impl Fn(usize, usize) -> *const f32,
) -> [[S::V; N]; N] {
    // SAFETY: the caller vouches for the elements.
    unsafe {
        let mut square = [[S::splat(0.0); N]; N];
        let mut i = 0;
        while i < N {
            let mut j = 0;
            while j < N {
                square[i][j] = S::load(at(i, j));
                j += 1;
            }
            i += 1;
        }
        square
    }
}

/// Stores `N` x `N` vectors.
#[inline(always)]
pub(super) unsafe fn store_square<S: Simd, const N: usize>(
    square: [[S::V; N]; N],
    at: impl Fn(usize, usize) -> *mut f32,
) {
    let mut i = 0;
    while i < N {
        let mut j = 0;
        while j < N {
            // SAFETY: the caller vouches for the elements.
            unsafe { S::store(at(i, j), square[i][j]) };
            j += 1;
        }
        i += 1;
    }
}
