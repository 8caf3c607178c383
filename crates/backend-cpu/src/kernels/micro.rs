//! The inner loops of matrix products: a tile of results in registers.

use crate::cpu_kernel::part;
use crate::simd::{MAX_LANES, Simd, Task, VECTORS};
use crate::stores::put;

/// The most vectors side by side in a tile: with AVX-512, tiles of [`WIDE_ROWS`] rows may have one
/// more than [`VECTORS`], which suits channels that come in powers of two.
pub(super) const WIDEST: usize = VECTORS + 1;
const WIDE_ROWS: usize = 6;

/// Where the vectors of a tile begin that lie side by side.
#[inline(always)]
pub(super) fn side_by_side(lanes: usize) -> [usize; WIDEST] {
    std::array::from_fn(|v| v * lanes)
}

/// The rows of a tile of so many vectors.
#[inline(always)]
pub(super) fn tile_rows<S: Simd>(vectors: usize) -> usize {
    if vectors > VECTORS { WIDE_ROWS } else { S::ROWS }
}

/// Rows of the largest tile of any instruction set.
pub(super) const MAX_ROWS: usize = 8;

/// A buffer for a whole tile.
pub(super) type TileBuffer = [f32; MAX_ROWS * VECTORS * MAX_LANES];

/// Vectors in blocks for tiles, as few and as equal as can be: a tile of a single vector has too few
/// sums to keep the units for arithmetic busy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Blocks {
    vectors: usize,
    most: usize,
}

impl Blocks {
    /// For tiles of all rows.
    pub(super) fn new(vectors: usize) -> Blocks {
        Blocks { vectors, most: VECTORS }
    }

    /// For tiles of [`tile_rows`].
    pub(super) fn wide(vectors: usize, lanes: usize) -> Blocks {
        Blocks { vectors, most: if lanes == MAX_LANES { WIDEST } else { VECTORS } }
    }

    pub(super) fn count(self) -> usize {
        self.vectors.div_ceil(self.most)
    }

    /// Vectors of the largest block.
    pub(super) fn widest(self) -> usize {
        self.vectors.div_ceil(self.count())
    }

    /// The first vector of the block that a vector is in, and the block's vectors.
    #[inline(always)]
    pub(super) fn around(self, vector: usize) -> (usize, usize) {
        let index = ((vector + 1) * self.count()).div_ceil(self.vectors) - 1;
        let (from, to) = part(self.vectors, self.count(), index, 1);
        (from, to - from)
    }

    /// Part `index` of `parts` in whole blocks: from which vector to which.
    pub(super) fn part(self, parts: usize, index: usize) -> (usize, usize) {
        let (from, to) = part(self.count(), parts, index, 1);
        let bound = |block: usize| part(self.vectors, self.count(), block, 1).0;
        (bound(from), bound(to))
    }
}

/// The left-hand numbers of a tile: that of row `r` for the `i`-th right-hand row is at
/// `at + r * row + i * step`.
#[derive(Clone, Copy)]
pub(super) struct Left {
    pub(super) at: *const f32,
    pub(super) row: usize,
    pub(super) step: usize,
}

impl Left {
    /// A packed panel of `width` rows.
    pub(super) fn packed(at: *const f32, width: usize) -> Left {
        Left { at, row: 1, step: width }
    }
}

/// The right-hand rows of a tile. Row `(channel, tap)` of vector `v` starts at
/// `vectors[v] + channel * plane + taps[tap]`: packed panels, plain matrices and the windows of a
/// convolution are all of this form.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) vectors: [*const f32; WIDEST],
    pub(super) channels: usize,
    /// Elements from one channel to the next.
    pub(super) plane: usize,
    pub(super) taps: &'a [usize],
}

/// Where a tile goes: vector `v` of row `r` to `to + r * row + columns[v]`.
#[derive(Clone, Copy)]
pub(super) struct Destination {
    pub(super) to: *mut f32,
    /// Elements from one row to the next.
    pub(super) row: usize,
    pub(super) columns: [usize; WIDEST],
    /// Adds to what is there.
    pub(super) accumulate: bool,
}

/// `R` rows times `N` vectors: `to[r][v] (+)= sum over k of left[k][r] * right[k][v]`.
struct Product<'a, const R: usize, const N: usize> {
    left: Left,
    right: Rows<'a>,
    out: Destination,
}

impl<const R: usize, const N: usize> Task for Product<'_, R, N> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Product { left, right, out } = self;
        let mut at = left.at;
        // SAFETY: the caller of `product` vouches for all operands.
        unsafe {
            let mut sums = [[S::splat(0.0); N]; R];
            let mut vectors = right.vectors;
            for _ in 0..right.channels {
                for &tap in right.taps {
                    let mut row = [S::splat(0.0); N];
                    let mut v = 0;
                    while v < N {
                        row[v] = S::load(vectors[v].add(tap));
                        v += 1;
                    }
                    let mut r = 0;
                    while r < R {
                        S::fma_row(at.add(r * left.row), &row, &mut sums[r]);
                        r += 1;
                    }
                    at = at.wrapping_add(left.step);
                }
                let mut v = 0;
                while v < N {
                    vectors[v] = vectors[v].wrapping_add(right.plane);
                    v += 1;
                }
            }
            let mut r = 0;
            while r < R {
                let mut v = 0;
                while v < N {
                    let to = out.to.add(r * out.row + out.columns[v]);
                    let old = if out.accumulate { S::load(to) } else { S::splat(0.0) };
                    S::store(to, S::add(old, sums[r][v]));
                    v += 1;
                }
                r += 1;
            }
        }
    }
}

/// A tile of `rows` times `vectors` vectors.
///
/// # Safety
/// The machine has `S`. `left` holds `rows` numbers for each channel and tap; all rows of the
/// right-hand side and of the destination have whole vectors, which the destination may write in
/// any order.
#[inline(always)]
pub(super) unsafe fn product<S: Simd>(
    (rows, vectors): (usize, usize),
    left: Left,
    right: Rows<'_>,
    out: Destination,
) {
    macro_rules! wide_tiles {
        ($($r:literal)*) => {
            match (rows, vectors) {
                $(($r, 4) => S::call(Product::<$r, 4> { left, right, out }),)*
                _ => debug_assert!(false, "no tile of {rows} rows and {vectors} vectors"),
            }
        };
    }
    macro_rules! tiles {
        ($($r:literal)*) => {
            match (rows, vectors) {
                $(
                    ($r, 1) => S::call(Product::<$r, 1> { left, right, out }),
                    ($r, 2) => S::call(Product::<$r, 2> { left, right, out }),
                    ($r, 3) => S::call(Product::<$r, 3> { left, right, out }),
                )*
                _ if S::LANES == MAX_LANES => wide_tiles!(1 2 3 4 5 6),
                _ => debug_assert!(false, "no tile of {rows} rows and {vectors} vectors"),
            }
        };
    }
    // SAFETY: the caller vouches for the operands.
    unsafe { tiles!(1 2 3 4 5 6 7 8) }
}

/// The elements that dot products run over: runs of whole vectors, one of which lies `left` and
/// `right` elements behind the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Runs {
    pub(super) count: usize,
    pub(super) length: usize,
    pub(super) left: usize,
    pub(super) right: usize,
}

impl Runs {
    /// A single run.
    pub(super) fn one(length: usize) -> Runs {
        Runs { count: 1, length, left: 0, right: 0 }
    }
}

/// The dot products of `R` left-hand and `N` right-hand rows.
struct Dots<const R: usize, const N: usize> {
    left: *const f32,
    left_row: usize,
    right: [*const f32; MAX_DOTS],
    runs: Runs,
    out: Destination,
}

/// The most right-hand rows of one call of [`dots`].
pub(super) const MAX_DOTS: usize = 6;

/// Left- and right-hand rows of [`dots`] whose sums fit the register file, where tiles of products have so
/// many rows.
pub(super) const fn dot_tile(tile_rows: usize) -> (usize, usize) {
    if tile_rows == 8 { (4, 6) } else { (3, 4) }
}

impl<const R: usize, const N: usize> Task for Dots<R, N> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Dots { left, left_row, right, runs, out } = self;
        // SAFETY: the caller of `dots` vouches for all operands.
        unsafe {
            let mut sums = [[S::splat(0.0); N]; R];
            for run in 0..runs.count {
                let (mut i, mut j) = (run * runs.left, run * runs.right);
                let end = i + runs.length;
                while i < end {
                    let mut rows = [S::splat(0.0); R];
                    let mut r = 0;
                    while r < R {
                        rows[r] = S::load(left.add(r * left_row + i));
                        r += 1;
                    }
                    let mut n = 0;
                    while n < N {
                        let x = S::load(right[n].add(j));
                        let mut r = 0;
                        while r < R {
                            sums[r][n] = S::fma(rows[r], x, sums[r][n]);
                            r += 1;
                        }
                        n += 1;
                    }
                    i += S::LANES;
                    j += S::LANES;
                }
            }
            let mut r = 0;
            while r < R {
                let mut n = 0;
                while n < N {
                    let to = out.to.add(r * out.row + n);
                    put(to, *to + S::sum(sums[r][n]));
                    n += 1;
                }
                r += 1;
            }
        }
    }
}

/// `out.to[r][n] += sum over i, j of left[r * left_row + i] * right[n][j]`, where `i` and `j` go along
/// the runs.
///
/// # Safety
/// The machine has `S`. The runs' length is a multiple of its lanes, and all rows have them.
#[inline(always)]
pub(super) unsafe fn dots<S: Simd>(
    (rows, count): (usize, usize),
    (left, left_row): (*const f32, usize),
    right: [*const f32; MAX_DOTS],
    runs: Runs,
    out: Destination,
) {
    macro_rules! tiles {
        ($($r:literal)*) => {
            match (rows, count) {
                $(
                    ($r, 1) => S::call(Dots::<$r, 1> { left, left_row, right, runs, out }),
                    ($r, 2) => S::call(Dots::<$r, 2> { left, left_row, right, runs, out }),
                    ($r, 3) => S::call(Dots::<$r, 3> { left, left_row, right, runs, out }),
                    ($r, 4) => S::call(Dots::<$r, 4> { left, left_row, right, runs, out }),
                    ($r, 5) => S::call(Dots::<$r, 5> { left, left_row, right, runs, out }),
                    ($r, 6) => S::call(Dots::<$r, 6> { left, left_row, right, runs, out }),
                )*
                _ => debug_assert!(false, "no tile of {rows} times {count} products"),
            }
        };
    }
    // SAFETY: the caller vouches for the operands.
    unsafe { tiles!(1 2 3 4) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_almost_equal_and_hold_each_vector_once() {
        for vectors in 1..50 {
            for blocks in [Blocks::new(vectors), Blocks::wide(vectors, MAX_LANES)] {
                let (mut next, mut sizes) = (0, Vec::new());
                while next < vectors {
                    let (first, size) = blocks.around(next);
                    assert_eq!(first, next);
                    assert!((first..first + size).all(|v| blocks.around(v) == (first, size)));
                    sizes.push(size);
                    next += size;
                }
                assert_eq!((next, sizes.len()), (vectors, blocks.count()));
                let (least, most) = (sizes.iter().min().unwrap(), sizes.iter().max().unwrap());
                assert_eq!(*most, blocks.widest());
                assert!(*most <= blocks.most && most - least <= 1, "{vectors}: {sizes:?}");
                for parts in 1..=blocks.count() {
                    let bounds: Vec<_> = (0..parts).map(|i| blocks.part(parts, i)).collect();
                    assert_eq!((bounds[0].0, bounds[parts - 1].1), (0, vectors));
                    assert!(bounds.windows(2).all(|pair| pair[0].1 == pair[1].0));
                    assert!(bounds.iter().all(|&(from, _)| blocks.around(from).0 == from));
                }
            }
        }
    }
}
