//! The iteration space of a fused kernel: axes that all operands walk alike are merged.

use onestep_memory::MAX_RANK;

/// Elements between neighbours along each axis.
pub(crate) type Strides = [usize; MAX_RANK];

/// A multi-index.
pub(crate) type Index = [usize; MAX_RANK];

/// Sizes of axes, none of them 1 unless it is the only one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Domain {
    dims: [usize; MAX_RANK],
    rank: usize,
}

impl Domain {
    /// Merges the axes of `dims` where all of `strides` allow it, and rewrites them to match.
    pub(crate) fn collapse(dims: &[usize], strides: &mut [Strides]) -> Domain {
        let mut merged = Domain { dims: [1; MAX_RANK], rank: 0 };
        for (axis, &size) in dims.iter().enumerate() {
            if size == 1 {
                continue;
            }
            let last = merged.rank.wrapping_sub(1);
            let joins = merged.rank > 0 && strides.iter().all(|s| s[last] == s[axis] * size);
            let target = if joins { last } else { merged.rank };
            for s in strides.iter_mut() {
                s[target] = s[axis];
            }
            merged.dims[target] = if joins { merged.dims[last] * size } else { size };
            merged.rank = target + 1;
        }
        if merged.rank == 0 {
            merged.rank = 1;
            for s in strides.iter_mut() {
                s[0] = 0;
            }
        }
        for s in strides.iter_mut() {
            s[merged.rank..].fill(0);
        }
        merged
    }

    pub(crate) fn rank(&self) -> usize {
        self.rank
    }

    pub(crate) fn dims(&self) -> &[usize] {
        &self.dims[..self.rank]
    }

    pub(crate) fn elements(&self) -> usize {
        self.dims().iter().product()
    }

    /// The size of the innermost axis.
    pub(crate) fn inner(&self) -> usize {
        self.dims[self.rank - 1]
    }

    /// Whether an operand lies in row-major order without gaps.
    pub(crate) fn is_contiguous(&self, strides: &Strides) -> bool {
        let mut wanted = 1;
        (0..self.rank).rev().all(|axis| {
            let fits = self.dims[axis] == 1 || strides[axis] == wanted;
            wanted *= self.dims[axis];
            fits
        })
    }

    /// The multi-index of a row-major position.
    pub(crate) fn index_of(&self, mut position: usize) -> Index {
        let mut index = [0; MAX_RANK];
        for axis in (0..self.rank).rev() {
            index[axis] = position % self.dims[axis];
            position /= self.dims[axis];
        }
        index
    }

    /// Moves a multi-index on by `steps` along the innermost axis, with carries.
    #[inline(always)]
    pub(crate) fn advance(&self, index: &mut Index, steps: usize) {
        let mut axis = self.rank - 1;
        index[axis] += steps;
        while index[axis] >= self.dims[axis] && axis > 0 {
            let carry = index[axis] / self.dims[axis];
            index[axis] -= carry * self.dims[axis];
            axis -= 1;
            index[axis] += carry;
        }
    }

    /// The offset of a multi-index in elements.
    #[inline(always)]
    pub(crate) fn offset(&self, index: &Index, strides: &Strides) -> usize {
        let mut offset = 0;
        for axis in 0..self.rank {
            offset += index[axis] * strides[axis];
        }
        offset
    }

    /// Calls `f(start, length, offset)` for each stretch of `0..length` from `index` on that lies
    /// within one row of the innermost axis: `offset` is that of its first element.
    #[inline(always)]
    pub(crate) fn for_each_run(
        &self,
        index: &Index,
        length: usize,
        strides: &Strides,
        mut f: impl FnMut(usize, usize, usize),
    ) {
        let last = self.rank - 1;
        let (mut at, mut start, mut offset) = (*index, 0, self.offset(index, strides));
        loop {
            let run = (self.inner() - at[last]).min(length - start);
            // The only call, so that it is inlined whatever its size.
            f(start, run, offset);
            start += run;
            if start == length {
                return;
            }
            offset -= at[last] * strides[last];
            at[last] = 0;
            let mut axis = last;
            while axis > 0 {
                axis -= 1;
                at[axis] += 1;
                offset += strides[axis];
                if at[axis] < self.dims[axis] {
                    break;
                }
                offset -= at[axis] * strides[axis];
                at[axis] = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strides(values: &[usize]) -> Strides {
        let mut strides = [0; MAX_RANK];
        strides[..values.len()].copy_from_slice(values);
        strides
    }

    #[test]
    fn contiguous_axes_become_one() {
        let mut s = [strides(&[12, 4, 1]), strides(&[12, 4, 1])];
        let domain = Domain::collapse(&[2, 3, 4], &mut s);
        assert_eq!(domain.dims(), [24]);
        assert!(domain.is_contiguous(&s[0]));
    }

    #[test]
    fn a_channel_splits_the_axes() {
        let mut s = [strides(&[60, 20, 5, 1]), strides(&[0, 1, 0, 0])];
        let domain = Domain::collapse(&[2, 3, 4, 5], &mut s);
        assert_eq!(domain.dims(), [2, 3, 20]);
        assert_eq!(s[1], strides(&[0, 1, 0]));
        assert!(domain.is_contiguous(&s[0]) && !domain.is_contiguous(&s[1]));
    }

    #[test]
    fn runs_follow_the_rows() {
        let s = strides(&[10, 1]);
        let domain = Domain::collapse(&[3, 4], &mut [s, strides(&[1, 0])]);
        let mut runs = Vec::new();
        domain.for_each_run(&domain.index_of(2), 7, &s, |a, n, o| runs.push((a, n, o)));
        assert_eq!(runs, [(0, 2, 2), (2, 4, 10), (6, 1, 20)]);
    }

    #[test]
    fn advancing_is_counting() {
        let domain = Domain::collapse(&[3, 4, 5], &mut [strides(&[1, 0, 1])]);
        for (from, by) in [(0, 1), (3, 17), (7, 40), (19, 1)] {
            let mut index = domain.index_of(from);
            domain.advance(&mut index, by);
            assert_eq!(index, domain.index_of(from + by));
        }
    }
}
