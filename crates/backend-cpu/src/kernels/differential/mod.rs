//! Kernels against the engine's f64 evaluation on drawn shapes: sizes below, at and above those of
//! vectors, tiles and units, so that each way of each kernel meets what it must cut, fill up or leave
//! out. Operands are small whole numbers: sums of their products are exact in f32, so a result is
//! right to the last bit or wrong.
//!
//! `ONESTEP_DRAWS=COUNT` or `COUNT:SEED` in the environment draws other numbers of them: the long form.

mod attention;
mod convolutions;
mod others;
mod programs;
mod recurrence;
mod table;

use std::ops::Range;

use onestep_engine::ops::Op;
use onestep_engine::plan::Place;
use onestep_engine::{DType, Shape};

use crate::cpu_kernel::{CpuKernel, Regions};
use crate::machine::Machine;
use crate::simd::Level;
use crate::testing::{Memory, evaluate, with_smaller_caches};

/// Reproducible draws.
pub(super) struct Draw {
    seed: u64,
    next: u64,
}

impl Draw {
    pub(super) fn new(seed: u64) -> Draw {
        Draw { seed, next: 0 }
    }

    /// A number below `end`.
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.next += 1;
        let uniform = onestep_engine::philox::uniform(self.seed, 0, 0, self.next);
        ((f64::from(uniform) * end as f64) as usize).min(end.saturating_sub(1))
    }

    pub(super) fn within(&mut self, from: usize, to: usize) -> usize {
        from + self.below(to - from + 1)
    }

    pub(super) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// A size around those of vectors and of a few of them.
    pub(super) fn around_vectors(&mut self, most: usize) -> usize {
        let near = [4, 8, 16, 24, 32, 48, 64];
        match self.below(3) {
            0 => self.within(1, 7),
            1 => self.within(1, most),
            _ => (self.pick(&near) + self.below(3)).saturating_sub(1),
        }
        .clamp(1, most)
    }

    /// A number in `[-2, 2)`.
    pub(super) fn around_zero(&mut self) -> f32 {
        self.below(1 << 20) as f32 / (1 << 18) as f32 - 2.0
    }

    /// Whole numbers of at most this size, none of which is zero.
    pub(super) fn whole(&mut self, count: usize, most: usize) -> Vec<f32> {
        let mut number = || {
            let size = self.within(1, most) as f32;
            if self.below(2) == 0 { size } else { -size }
        };
        (0..count).map(|_| number()).collect()
    }
}

/// Runs `test` on so many draws, or on as many as the environment wants, each with a seed of its own, by
/// which it can be told and drawn again.
pub(super) fn each_draw(name: &str, count: usize, test: impl FnMut(&mut Draw)) {
    let wanted = std::env::var("ONESTEP_DRAWS").ok();
    let (count, first) = match &wanted {
        None => (count, 0),
        Some(wanted) => {
            let (count, seed) = wanted.split_once(':').unwrap_or((wanted, "0"));
            let parsed = count.parse().ok().zip(seed.parse().ok());
            parsed.unwrap_or_else(|| panic!("ONESTEP_DRAWS is COUNT or COUNT:SEED, got {wanted}"))
        }
    };
    draws(name, first..first + count as u64, test);
}

/// Runs `test` on the draws of some seeds.
fn draws(name: &str, seeds: Range<u64>, mut test: impl FnMut(&mut Draw)) {
    for seed in seeds {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut draw = Draw::new(seed);
            let smaller = draw.pick(&[0, 4, 7, 9, 11]);
            with_smaller_caches(smaller, || test(&mut draw));
        }));
        if let Err(panic) = result {
            eprintln!("{name}: draw {seed}; again with ONESTEP_DRAWS=1:{seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

/// An op with its operands in memory.
pub(super) struct Case {
    pub(super) memory: Memory,
    pub(super) op: Op,
    pub(super) inputs: Vec<Place>,
    pub(super) out: Place,
}

impl Case {
    pub(super) fn new(
        mut memory: Memory,
        op: Op,
        inputs: &[Place],
        out: (&[usize], DType),
    ) -> Case {
        let out = memory.room(out.0, out.1);
        Case { memory, op, inputs: inputs.to_vec(), out }
    }

    pub(super) fn lower(&self, threads: usize, level: Level) -> Box<dyn CpuKernel> {
        let regions = Regions::new(0, 0, 0);
        crate::kernels::lower(
            &self.op,
            &self.inputs,
            &self.out,
            regions,
            Machine { threads, level },
        )
        .unwrap()
    }

    /// Runs it on each level with a number of threads. `error` is what a result may be off by, as a
    /// part of the largest, or of 1: nothing where sums are exact.
    pub(super) fn check(&self, draw: &mut Draw, error: impl Fn(&str) -> f64) {
        let want = evaluate(&self.memory, &self.op, &self.inputs);
        let largest = want.iter().filter(|x| x.is_finite()).fold(0f64, |a, x| a.max(x.abs()));
        for level in Level::available() {
            let threads = draw.within(1, 4);
            let kernel = self.lower(threads, level);
            let after = self.memory.run_apart(&*kernel, level, threads, &self.out);
            let way = format!("{level}, {threads} threads, {}", kernel.way());
            let unchanged = self.out.offset / 4;
            assert!(after.words[..unchanged] == self.memory.words[..unchanged], "{way}: operands");
            let allowed = error(kernel.way()) * largest.max(1.0);
            for (i, (got, want)) in self.numbers(&after).zip(&want).enumerate() {
                let close = (got - want).abs() <= allowed;
                let same = close || got == *want || got.is_nan() && want.is_nan();
                let shapes: Vec<&Shape> = self.inputs.iter().map(|place| &place.shape).collect();
                assert!(
                    same,
                    "{} of {shapes:?} to {}: {way}: element {i} is {got}, wanted {want}",
                    self.op, self.out.shape
                );
            }
        }
    }

    fn numbers(&self, after: &Memory) -> Box<dyn Iterator<Item = f64>> {
        match self.out.dtype {
            DType::I32 => Box::new(after.i32s(&self.out).into_iter().map(f64::from)),
            _ => Box::new(after.f32s(&self.out).into_iter().map(f64::from)),
        }
    }
}
