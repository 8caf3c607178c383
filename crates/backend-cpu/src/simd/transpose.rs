//! Transposition in registers.

use super::{MAX_LANES, Simd};
use crate::stores::put;

/// `to[c * to_row + r] = from[r * from_row + c]`
///
/// # Safety
/// The machine has `S`. `from` has the rows and columns, and `to` has room for them.
#[inline(always)]
pub(crate) unsafe fn transpose<S: Simd>(
    from: (*const f32, usize),
    (rows, columns): (usize, usize),
    to: (*mut f32, usize),
) {
    // Along the rows of the side where they lie further apart, so that it is walked along few at a
    // time: the hardware follows some, and their pages are at hand.
    let down = to.1 > from.1;
    let (outer, inner) = if down { (columns, rows) } else { (rows, columns) };
    for i in (0..outer).step_by(S::LANES) {
        for j in (0..inner).step_by(S::LANES) {
            let (row, column) = if down { (j, i) } else { (i, j) };
            let size = (S::LANES.min(rows - row), S::LANES.min(columns - column));
            // SAFETY: the caller vouches for the elements.
            unsafe {
                let from = (from.0.add(row * from.1 + column), from.1);
                transpose_block::<S>(from, size, (to.0.add(column * to.1 + row), to.1));
            }
        }
    }
}

/// At most a vector of rows and of columns.
#[inline(always)]
unsafe fn transpose_block<S: Simd>(
    from: (*const f32, usize),
    (height, width): (usize, usize),
    to: (*mut f32, usize),
) {
    // SAFETY: the caller vouches for the elements.
    unsafe {
        match (height, width) {
            (1, _) => (0..width).for_each(|c| put(to.0.add(c * to.1), *from.0.add(c))),
            (_, 1) => (0..height).for_each(|r| put(to.0.add(r), *from.0.add(r * from.1))),
            (_, 4..) if height == S::LANES => transpose_quads::<S>(from, width, to),
            size => transpose_part::<S>(from, size, to),
        }
    }
}

/// A vector of rows, of at least four columns, four columns at a time: the squares of four are put
/// side by side as they are loaded, so that two rounds within them are enough.
#[inline(always)]
unsafe fn transpose_quads<S: Simd>(
    (from, from_row): (*const f32, usize),
    width: usize,
    (to, to_row): (*mut f32, usize),
) {
    for column in (0..width).step_by(4) {
        // The last four may have been there in part.
        let column = column.min(width - 4);
        // SAFETY: the caller vouches for the elements.
        unsafe {
            let row = |r: usize| S::load_quads(from.add(r * from_row + column), 4 * from_row);
            let columns = S::transpose_quads([row(0), row(1), row(2), row(3)]);
            for (c, vector) in columns.into_iter().enumerate() {
                S::store(to.add((column + c) * to_row), vector);
            }
        }
    }
}

/// Less than a vector of rows, or few columns.
#[inline(always)]
unsafe fn transpose_part<S: Simd>(
    (from, from_row): (*const f32, usize),
    (height, width): (usize, usize),
    (to, to_row): (*mut f32, usize),
) {
    // SAFETY: the caller vouches for the elements.
    unsafe {
        let mut block = [S::splat(0.0); MAX_LANES];
        for (r, vector) in block.iter_mut().enumerate().take(height) {
            let row = from.add(r * from_row);
            *vector = if width == S::LANES {
                S::load(row)
            } else {
                S::load_lanes(row, width, S::splat(0.0))
            };
        }
        let block = transposed::<S>(block);
        for (c, vector) in block.into_iter().enumerate().take(width) {
            let to = to.add(c * to_row);
            if height == S::LANES {
                S::store(to, vector);
            } else {
                S::store_lanes(to, vector, 0, height);
            }
        }
    }
}

/// The columns of a square of as many vectors as there are lanes. Each round puts the lanes of the
/// lower half between those of the upper, which rotates the bits of (row, column) by one: after as
/// many rounds as a row number has bits, row and column have changed places.
#[inline(always)]
unsafe fn transposed<S: Simd>(mut block: [S::V; MAX_LANES]) -> [S::V; MAX_LANES] {
    let half = S::LANES / 2;
    let mut size = 1;
    while size < S::LANES {
        let before = block;
        let mut i = 0;
        while i < half {
            // SAFETY: the caller vouches for the instructions.
            (block[2 * i], block[2 * i + 1]) = unsafe { S::zip(before[i], before[i + half]) };
            i += 1;
        }
        size *= 2;
    }
    block
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Level, Task};

    struct Transpose<'a> {
        from: &'a [f32],
        size: (usize, usize),
        to: &'a mut [f32],
        to_row: usize,
    }

    impl Task for Transpose<'_> {
        type Output = ();
        #[inline(always)]
        unsafe fn run<S: Simd>(self) {
            let from = (self.from.as_ptr(), self.size.1);
            // SAFETY: the test's buffers are large enough.
            unsafe { transpose::<S>(from, self.size, (self.to.as_mut_ptr(), self.to_row)) };
        }
    }

    #[test]
    fn rows_become_columns_on_each_level() {
        for level in Level::available() {
            for size in [(1, 1), (16, 16), (5, 33), (40, 7), (17, 18)] {
                let (rows, columns): (usize, usize) = size;
                let from: Vec<f32> = (0..rows * columns).map(|i| i as f32).collect();
                let to_row = rows + 1;
                let mut to = vec![f32::NAN; columns * to_row];
                // SAFETY: the level is available.
                unsafe { level.run(Transpose { from: &from, size, to: &mut to, to_row }) };
                for c in 0..columns {
                    for r in 0..rows {
                        assert_eq!(to[c * to_row + r], from[r * columns + c], "{level} {size:?}");
                    }
                    assert!(to[c * to_row + rows].is_nan(), "{level} {size:?} writes beyond");
                }
            }
        }
    }

    struct ZipUnzip;

    impl Task for ZipUnzip {
        type Output = ();
        #[inline(always)]
        unsafe fn run<S: Simd>(self) {
            let numbers: Vec<f32> = (0..2 * S::LANES).map(|i| i as f32).collect();
            let mut out = vec![0.0; 2 * S::LANES];
            // SAFETY: both have two vectors.
            unsafe {
                let (a, b) = (S::load(numbers.as_ptr()), S::load(numbers.as_ptr().add(S::LANES)));
                let (even, odd) = S::unzip(a, b);
                S::store(out.as_mut_ptr(), even);
                S::store(out.as_mut_ptr().add(S::LANES), odd);
                for i in 0..S::LANES {
                    assert_eq!((out[i], out[S::LANES + i]), ((2 * i) as f32, (2 * i + 1) as f32));
                }
                let (low, high) = S::zip(even, odd);
                S::store(out.as_mut_ptr(), low);
                S::store(out.as_mut_ptr().add(S::LANES), high);
            }
            assert_eq!(out, numbers);
        }
    }

    #[test]
    fn zip_is_the_inverse_of_unzip() {
        for level in Level::available() {
            // SAFETY: the level is available.
            unsafe { level.run(ZipUnzip) };
        }
    }
}
