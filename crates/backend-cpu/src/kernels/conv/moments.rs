//! The mean of each channel of a convolution's result, and the mean of its squared deviations from
//! it, which a batch normalisation takes: each task adds up the pixels that it has just computed,
//! while they are in a cache, so that they need not be read for it again, let alone twice.
//!
//! The mean of a block of pixels is taken in f32, then the sums of the deviations from it and of their
//! squares, which are small. Blocks are added up in f64 as sums of `v` and of `v * v`, from which the
//! deviations from the common mean follow: f64 has digits enough for the difference, however far the
//! mean is from zero.

use onestep_engine::EngineError;

use super::geometry::Units;
use super::problem::Operands;
use crate::cpu_kernel::{ALIGNMENT, Address, Context, Regions, part, tasks_for};
use crate::pool::Turn;
use crate::simd::{MAX_LANES, Simd, Task};
use crate::stores::{Window, Windows, copy, put};

/// Pixels of a block.
const BLOCK: usize = 32;

/// The moments of a convolution's result.
pub(super) struct Moments {
    mean: Address,
    deviations: Address,
    /// Units of the batch, each of which has sums of its own.
    units: usize,
    /// Channels, also as whole vectors, and elements of each in the batch.
    channels: usize,
    padded: usize,
    elements: usize,
    /// Where the sums begin in the shared scratch memory, in bytes.
    offset: usize,
    finishers: usize,
}

/// Pixels that were just computed.
#[derive(Clone, Copy)]
pub(super) struct Pixels {
    /// The first of them, and elements from one to the next.
    pub(super) at: *const f32,
    pub(super) pixel: usize,
    pub(super) count: usize,
}

impl Moments {
    /// Where the operands ask for moments of the result. Its sums are kept behind `offset` bytes of
    /// shared scratch memory.
    pub(super) fn new(
        operands: &Operands<'_>,
        units: &Units,
        offset: usize,
        regions: Regions,
        (threads, lanes): (usize, usize),
    ) -> Result<Option<Moments>, EngineError> {
        let Some([mean, deviations]) = operands.moments else { return Ok(None) };
        let (shape, units) = (&operands.out.shape, units.count());
        Ok(Some(Moments {
            mean: regions.address(mean)?,
            deviations: regions.address(deviations)?,
            units,
            channels: shape[1],
            padded: shape[1].next_multiple_of(lanes),
            elements: shape[0] * shape[2] * shape[3],
            offset: offset.next_multiple_of(ALIGNMENT),
            finishers: tasks_for(2 * units * shape[1], threads)
                .min(shape[1].div_ceil(lanes).max(1)),
        }))
    }

    /// Bytes of shared scratch memory, those before the sums included.
    pub(super) fn shared(&self) -> usize {
        let sums = self.units * 2 * self.padded * size_of::<f64>();
        self.offset + sums.next_multiple_of(ALIGNMENT)
    }

    /// The sums of a unit: those of `v` of all channels, then those of `v * v`.
    fn sums(&self, context: &Context<'_>, unit: usize) -> *mut f64 {
        let all = context.shared_scratch().wrapping_add(self.offset).cast::<f64>();
        all.wrapping_add(unit * 2 * self.padded)
    }

    /// The tasks of the job that writes the moments, where some are asked for, counted from the job
    /// behind that of the units.
    pub(super) fn tasks(moments: Option<&Moments>, job: usize) -> Option<usize> {
        moments.filter(|_| job == 0).map(|moments| moments.finishers)
    }

    /// Where [`Moments::finish`] writes.
    pub(super) fn finish_windows(
        moments: Option<&Moments>,
        context: &Context<'_>,
        turn: Turn,
        windows: &mut Windows,
    ) {
        let Some(moments) = moments else { return };
        let (from, to) = moments.of_task(context, turn);
        for address in [moments.mean, moments.deviations] {
            windows.add(context.window(address, from, to - from));
        }
    }

    /// Where [`Moments::take`] writes for some units: the first and how many.
    pub(super) fn take_windows(
        &self,
        context: &Context<'_>,
        (unit, units): (usize, usize),
        (first, count): (usize, usize),
        windows: &mut Windows,
    ) {
        let lanes = context.level.tile().lanes;
        let sums = self.sums(context, unit).wrapping_add(first);
        let floats = self.padded * size_of::<f64>() / size_of::<f32>();
        let run = Window::run(sums, count.next_multiple_of(lanes));
        windows.add(run.times(2, floats).times(units, 2 * floats));
    }

    /// The channels of a task that finishes.
    fn of_task(&self, context: &Context<'_>, turn: Turn) -> (usize, usize) {
        part(self.channels, self.finishers, turn.task, context.level.tile().lanes)
    }

    /// Adds up all units in order, and writes the moments of some channels.
    ///
    /// # Safety
    /// All units were taken, and nothing else uses these moments meanwhile.
    pub(super) unsafe fn finish(moments: Option<&Moments>, context: &Context<'_>, turn: Turn) {
        let Some(moments) = moments else { return };
        let (from, to) = moments.of_task(context, turn);
        // SAFETY: the caller vouches for the sums; each channel belongs to one task.
        unsafe { context.level.run(Finish { moments, context, from, to }) };
    }

    /// Adds up the pixels of a unit, which hold `count` channels from `first` on, whole vectors
    /// before it.
    ///
    /// # Safety
    /// The machine has `S`, the pixels are there, whole vectors each, and no other task has these
    /// channels of this unit.
    #[inline(always)]
    pub(super) unsafe fn take<S: Simd>(
        &self,
        context: &Context<'_>,
        unit: usize,
        (first, count): (usize, usize),
        pixels: Pixels,
    ) {
        for channel in (0..count).step_by(S::LANES) {
            let (mut sums, mut squares) = ([0.0f64; MAX_LANES], [0.0f64; MAX_LANES]);
            for block in (0..pixels.count).step_by(BLOCK) {
                let count = BLOCK.min(pixels.count - block);
                let at = pixels.at.wrapping_add(block * pixels.pixel + channel);
                let block = Pixels { at, count, ..pixels };
                // SAFETY: the caller vouches for the pixels.
                unsafe { add_block::<S>(block, &mut sums, &mut squares) };
            }
            let to = self.sums(context, unit).wrapping_add(first + channel);
            // SAFETY: the unit has room for whole vectors of all channels.
            unsafe {
                copy(sums.as_ptr(), to, S::LANES);
                copy(squares.as_ptr(), to.add(self.padded), S::LANES);
            }
        }
    }
}

/// Adds a block of pixels to the sums of a vector of channels.
#[inline(always)]
unsafe fn add_block<S: Simd>(
    pixels: Pixels,
    sums: &mut [f64; MAX_LANES],
    squares: &mut [f64; MAX_LANES],
) {
    let (mut centre, mut sum, mut square) =
        ([0.0f32; MAX_LANES], [0.0f32; MAX_LANES], [0.0f32; MAX_LANES]);
    // SAFETY: the caller vouches for the pixels; the arrays hold a vector.
    unsafe {
        let load = |i: usize| S::load(pixels.at.wrapping_add(i * pixels.pixel));
        let mut total = S::splat(0.0);
        for i in 0..pixels.count {
            total = S::add(total, load(i));
        }
        let mean = S::mul(total, S::splat(1.0 / pixels.count as f32));
        let (mut deviations, mut squared) = (S::splat(0.0), S::splat(0.0));
        for i in 0..pixels.count {
            let deviation = S::sub(load(i), mean);
            deviations = S::add(deviations, deviation);
            squared = S::fma(deviation, deviation, squared);
        }
        S::store(centre.as_mut_ptr(), mean);
        S::store(sum.as_mut_ptr(), deviations);
        S::store(square.as_mut_ptr(), squared);
    }
    let count = pixels.count as f64;
    for lane in 0..S::LANES {
        // With `v = centre + d`, which holds for any centre near the values.
        let (centre, sum) = (f64::from(centre[lane]), f64::from(sum[lane]));
        sums[lane] += count * centre + sum;
        squares[lane] += f64::from(square[lane]) + centre * (2.0 * sum + count * centre);
    }
}

/// Writes the moments of channels `from..to`.
struct Finish<'a> {
    moments: &'a Moments,
    context: &'a Context<'a>,
    from: usize,
    to: usize,
}

impl Task for Finish<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (m, elements) = (self.moments, self.moments.elements as f64);
        let (mean, deviations) = (self.context.floats(m.mean), self.context.floats(m.deviations));
        for first in (self.from..self.to).step_by(S::LANES) {
            let (mut sums, mut squares) = ([0.0f64; MAX_LANES], [0.0f64; MAX_LANES]);
            // SAFETY: the units' sums are there, whole vectors; so are the results.
            unsafe {
                for unit in 0..m.units {
                    let from = m.sums(self.context, unit).add(first);
                    for lane in 0..S::LANES {
                        sums[lane] += *from.add(lane);
                        squares[lane] += *from.add(m.padded + lane);
                    }
                }
                for lane in 0..S::LANES.min(self.to - first) {
                    let (sum, square) = (sums[lane], squares[lane]);
                    put(mean.add(first + lane), (sum / elements) as f32);
                    // Rounding may leave less than nothing. NaN stays.
                    let rest = square - sum * sum / elements;
                    let rest = rest / elements;
                    let rest = if rest < 0.0 { 0.0 } else { rest as f32 };
                    put(deviations.add(first + lane), rest);
                }
            }
        }
    }
}
