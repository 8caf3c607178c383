//! Pictures with their borders, so that a window's element is at a fixed distance.
//!
//! With a stride of `s` a picture is dealt out to `s * s` planes, one for each phase: then
//! neighbouring outputs read neighbouring elements, whatever the stride, and no window has to be
//! copied. The pictures of a batch lie one behind the other, and each row borrows the border of
//! its successor where both are zeros anyway.

use crate::simd::Simd;
use crate::stores::{check, zeros};

/// How pictures lie in planes. Row `j` of phase `f` shows the picture's row
/// `(j + first) * phases + f - pad`; columns likewise, without `first`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PlaneLayout {
    /// The picture's height and width.
    pub(super) source: [usize; 2],
    pub(super) phases: [usize; 2],
    /// The phases that windows use, counted row by row.
    pub(super) used: Vec<usize>,
    pub(super) pad: [isize; 2],
    /// Rows and columns of a plane for each picture.
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// Pictures side by side.
    pub(super) images: usize,
    /// The furthest that a window reaches behind its first element.
    pub(super) reach: usize,
}

/// Planes are rounded up to whole vectors of any instruction set.
const VECTOR: usize = crate::simd::MAX_LANES;

/// Pictures to be laid out.
#[derive(Clone, Copy)]
pub(super) struct Pictures {
    /// The first channel of the first picture.
    pub(super) data: *const f32,
    /// Elements from one picture to the next.
    pub(super) image: usize,
    pub(super) channels: usize,
    /// How many there are.
    pub(super) count: usize,
    /// The output row that the first plane row is for.
    pub(super) first: usize,
}

impl PlaneLayout {
    /// Elements of one picture in a plane.
    pub(super) fn image(&self) -> usize {
        self.rows * self.columns
    }

    /// Elements of a plane.
    pub(super) fn plane(&self) -> usize {
        (self.images * self.image()).next_multiple_of(VECTOR)
    }

    /// Elements of all planes of a channel.
    pub(super) fn channel(&self) -> usize {
        self.used.len() * self.plane()
    }

    /// Zeros behind the last plane: windows and whole vectors reach into them.
    fn slack(&self) -> usize {
        (self.reach + 4 * VECTOR).next_multiple_of(VECTOR)
    }

    /// Elements in all.
    pub(super) fn elements(&self, channels: usize) -> usize {
        channels * self.channel() + self.slack()
    }

    /// The phase of a window element.
    pub(super) fn phase(&self, offset: [usize; 2]) -> usize {
        offset[0] % self.phases[0] * self.phases[1] + offset[1] % self.phases[1]
    }

    /// Where the window element at `offset` of the padded picture lies, relative to the window's
    /// first.
    pub(super) fn tap(&self, offset: [usize; 2]) -> usize {
        let [sy, sx] = self.phases;
        let phase = self.phase(offset);
        let slot = self.used.iter().position(|&used| used == phase).unwrap_or(0);
        slot * self.plane() + offset[0] / sy * self.columns + offset[1] / sx
    }

    /// Lays out pictures.
    ///
    /// # Safety
    /// The pictures are there, and `out` has room for [`PlaneLayout::elements`].
    #[inline(always)]
    pub(super) unsafe fn fill<S: Simd>(&self, pictures: Pictures, out: *mut f32) {
        // SAFETY: the caller vouches for the memory.
        unsafe { self.fill_rows::<S>(pictures, self.rows, out) }
    }

    /// The same, but planes have zeros behind their first `rows` rows.
    ///
    /// # Safety
    /// As for [`PlaneLayout::fill`].
    #[inline(always)]
    pub(super) unsafe fn fill_rows<S: Simd>(&self, pictures: Pictures, rows: usize, out: *mut f32) {
        let (size, mut at) = (self.source[0] * self.source[1], out);
        // SAFETY: the caller vouches for the memory; planes follow each other.
        unsafe {
            for channel in 0..pictures.channels {
                let source = pictures.data.add(channel * size);
                for &phase in &self.used {
                    let phase = [phase / self.phases[1], phase % self.phases[1]];
                    for image in 0..self.images {
                        let source = source.wrapping_add(image * pictures.image);
                        if image < pictures.count {
                            self.fill_image::<S>(source, phase, (pictures.first, rows), at);
                        } else {
                            zeros(at, self.image());
                        }
                        at = at.add(self.image());
                    }
                    let gap = self.plane() - self.images * self.image();
                    zeros(at, gap);
                    at = at.add(gap);
                }
            }
            zeros(at, self.slack());
        }
    }

    /// Lays out one phase of one channel of one picture.
    #[inline(always)]
    unsafe fn fill_image<S: Simd>(
        &self,
        source: *const f32,
        phase: [usize; 2],
        (first, rows): (usize, usize),
        out: *mut f32,
    ) {
        let [height, width] = self.source.map(|n| n as isize);
        let stride = self.phases[1] as isize;
        // The columns whose source column `column * stride + shift` is inside.
        let shift = phase[1] as isize - self.pad[1];
        let ceil = |n: isize| (n + stride - 1).div_euclid(stride).clamp(0, self.columns as isize);
        let (from, to) = (ceil(-shift), ceil(width - shift).max(ceil(-shift)));
        for j in 0..self.rows {
            let row = ((j + first) * self.phases[0] + phase[0]) as isize - self.pad[0];
            // SAFETY: the picture has the row and columns, as checked. Whole vectors are written: what
            // they reach beyond the row is written after it.
            unsafe {
                let out = out.add(j * self.columns);
                if row < 0 || row >= height || j >= rows {
                    zeros(out, self.columns);
                    continue;
                }
                let first = source.wrapping_offset(row * width + from * stride + shift);
                zero_vectors::<S>(out, from as usize);
                copy::<S>(first, stride as usize, out.offset(from), (to - from) as usize);
                zero_vectors::<S>(out.offset(to), self.columns - to as usize);
            }
        }
    }
}

/// Copies elements that lie `stride` apart, in whole vectors. Rows are so short that a call to the C
/// library takes longer than the copy.
#[inline(always)]
unsafe fn copy<S: Simd>(from: *const f32, stride: usize, to: *mut f32, count: usize) {
    check(to, count);
    // SAFETY: the caller vouches for the elements, and for a vector's more to write to.
    unsafe {
        match stride {
            1 => {
                let whole = count / S::LANES * S::LANES;
                for i in (0..whole).step_by(S::LANES) {
                    S::store(to.add(i), S::load(from.add(i)));
                }
                if whole < count {
                    let rest = S::load_lanes(from.add(whole), count - whole, S::splat(0.0));
                    S::store(to.add(whole), rest);
                }
            }
            // By itself, as compilers know how to take every second element of a vector.
            2 => (0..count).for_each(|i| *to.add(i) = *from.add(2 * i)),
            _ => (0..count).for_each(|i| *to.add(i) = *from.add(i * stride)),
        }
    }
}

/// Zeros in whole vectors.
#[inline(always)]
unsafe fn zero_vectors<S: Simd>(to: *mut f32, count: usize) {
    for i in (0..count).step_by(S::LANES) {
        // SAFETY: the caller vouches for the elements, and for a vector's more.
        unsafe { S::store(to.add(i), S::splat(0.0)) };
    }
}
