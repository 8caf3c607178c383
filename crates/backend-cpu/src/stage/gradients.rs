//! Both gradients of a convolution as one kernel. The gradient in the weight has few large tasks, since
//! each has sums of its own; a thread that is done with its own goes on with the gradient in the
//! input, which has many small ones, instead of waiting for the others.

use onestep_engine::EngineError;
use onestep_engine::plan::ConvGradients;

use super::alone;
use crate::cpu_kernel::{Context, CpuKernel, Regions, ScratchNeed, part};
use crate::machine::Machine;
use crate::pool::Turn;
use crate::stores::Windows;

/// Lowers both gradients to one kernel.
pub(super) fn lower(
    work: &ConvGradients,
    regions: Regions,
    machine: Machine,
) -> Result<Box<dyn CpuKernel>, EngineError> {
    let [input, weight] = work.parts();
    let small = alone::lower(&input, regions, machine)?;
    let large = alone::lower(&weight, regions, machine)?;
    let large_scratch = small.scratch().max(ScratchNeed::default()).shared;
    Ok(Box::new(Both { small, large, large_scratch, threads: machine.threads }))
}

/// Two kernels that do not need each other. The jobs of the one with large tasks run beside those of the
/// other from its second one on: its first prepares what its small tasks share.
struct Both {
    small: Box<dyn CpuKernel>,
    large: Box<dyn CpuKernel>,
    /// Where the shared scratch memory of the large tasks begins, in bytes.
    large_scratch: usize,
    threads: usize,
}

impl Both {
    /// The tasks of a job: small ones and large ones. `None` where a kernel has no such job.
    fn of_each(&self, job: usize) -> (Option<usize>, Option<usize>) {
        (self.small.tasks(job), job.checked_sub(1).and_then(|job| self.large.tasks(job)))
    }

    /// Whether a task of a job is a large one, and its turn among those of its kernel.
    fn turn(&self, job: usize, turn: Turn) -> (bool, Turn) {
        let (small, large) = self.of_each(job);
        let counts = (small.unwrap_or(0), large.unwrap_or(0));
        let (is_large, task) = pick(counts, self.threads, turn.task);
        (is_large, Turn { task, ..turn })
    }
}

impl CpuKernel for Both {
    fn scratch(&self) -> ScratchNeed {
        let (small, large) = (self.small.scratch(), self.large.scratch());
        ScratchNeed { shared: self.large_scratch + large.shared, ..small.max(large) }
    }

    fn tasks(&self, job: usize) -> Option<usize> {
        match self.of_each(job) {
            (None, None) => None,
            (small, large) => Some(small.unwrap_or(0) + large.unwrap_or(0)),
        }
    }

    fn windows(&self, job: usize, context: &Context<'_>, turn: Turn, windows: &mut Windows) {
        let (is_large, turn) = self.turn(job, turn);
        match is_large {
            false => self.small.windows(job, context, turn, windows),
            true => {
                self.large.windows(job - 1, &context.behind(self.large_scratch), turn, windows);
            }
        }
    }

    unsafe fn task(&self, job: usize, context: &Context<'_>, turn: Turn) {
        let (is_large, turn) = self.turn(job, turn);
        // SAFETY: the caller vouches for the context, in which each kernel has shared scratch memory of
        // its own; what one writes the other does not touch.
        unsafe {
            match is_large {
                false => self.small.task(job, context, turn),
                true => self.large.task(job - 1, &context.behind(self.large_scratch), turn),
            }
        }
    }
}

/// Which task of two kernels' is number `task`: whether it is a large one, and its number there. Each
/// thread's share begins with large ones.
fn pick((small, large): (usize, usize), threads: usize, task: usize) -> (bool, usize) {
    let mut first = 0;
    for thread in 0..threads {
        let [(small, small_end), (large, large_end)] =
            [small, large].map(|count| part(count, threads, thread, 1));
        let (at, larges) = (task - first, large_end - large);
        if at < larges {
            return (true, large + at);
        }
        if at - larges < small_end - small {
            return (false, small + at - larges);
        }
        first += larges + small_end - small;
    }
    // Not reached: there are as many tasks as both kernels have.
    (false, task)
}

#[cfg(test)]
mod tests {
    use onestep_engine::DType;
    use onestep_engine::ops::ConvWindow;
    use onestep_engine::plan::{Composite, Place, Plan, Work};

    use super::super::Stage;
    use super::super::tests::{PADDED, REGIONS, STRIDED, in_parts, kernel, plan_of, run};
    use super::*;
    use crate::simd::Level;
    use crate::testing::{Memory, numbers};

    /// Both gradients of a convolution as a plan.
    struct Example {
        memory: Memory,
        dx: Place,
        dw: Place,
        plan: Plan,
    }

    fn example(window: ConvWindow, x: [usize; 4], w: [usize; 4]) -> Example {
        let mut memory = Memory::default();
        let size = |axis: usize| window.output_size(axis, x[2 + axis], w[2 + axis]).unwrap();
        let y = [x[0], w[0], size(0), size(1)];
        let mut operand =
            |dims: [usize; 4], seed| memory.push_f32(&dims, &numbers(dims.iter().product(), seed));
        let [dy, weight, input] = [operand(y, 1), operand(w, 2), operand(x, 3)];
        let dx = memory.room(&x, DType::F32);
        let dw = memory.room(&w, DType::F32);
        let (inputs, results) = ([input, weight], (dx.clone(), dw.clone()));
        let work = ConvGradients { window, inputs, dy, dx: results.0, dw: results.1 };
        let work = Work::Composite(Composite::ConvGradients(work.into()));
        Example { memory, dx, dw, plan: plan_of(vec![kernel(work)]) }
    }

    #[test]
    fn both_gradients_are_one_kernel_with_the_same_bits() {
        for (window, x, w) in [
            (PADDED, [3, 20, 9, 7], [24, 20, 3, 3]),
            // By blocks of channels.
            (PADDED, [1, 72, 4, 4], [80, 72, 3, 3]),
            (STRIDED, [5, 24, 9, 8], [40, 24, 3, 3]),
            // Few channels.
            (PADDED, [2, 3, 16, 16], [8, 3, 5, 5]),
            (ConvWindow { groups: 2, ..STRIDED }, [2, 6, 8, 8], [10, 3, 3, 3]),
        ] {
            let e = example(window, x, w);
            for level in Level::available() {
                for threads in [1, 2, 3] {
                    let machine = Machine { threads, level };
                    let way = format!("{x:?} by {w:?} on {level} with {threads} threads");
                    let one = Stage::all(&e.plan, REGIONS(), machine).unwrap();
                    let kind = "conv_input_grad + conv_weight_grad";
                    assert_eq!((one.len(), one[0].kind), (1, kind), "{way}");
                    let got = run(&e.memory, &one, level, threads);
                    let alone = run(&e.memory, &in_parts(&e.plan, machine), level, threads);
                    for place in [&e.dx, &e.dw] {
                        let got = got.f32s(place);
                        assert!(got.iter().all(|x| x.is_finite()), "{way}");
                        assert_eq!(got, alone.f32s(place), "{way}");
                    }
                }
            }
        }
    }

    #[test]
    fn each_task_is_picked_once_and_large_ones_begin_each_share() {
        for threads in [1, 2, 3, 5] {
            for (small, large) in [(0, 0), (7, 0), (0, 4), (32, 2), (12, 3), (1, 5), (11, 7)] {
                let tasks = small + large;
                let picked: Vec<_> =
                    (0..tasks).map(|task| pick((small, large), threads, task)).collect();
                let mut sorted = picked.clone();
                sorted.sort_unstable();
                let all = (0..small).map(|t| (false, t)).chain((0..large).map(|t| (true, t)));
                assert_eq!(sorted, all.collect::<Vec<_>>(), "{small} and {large} by {threads}");
            }
        }
        let begins = |task| pick((32, 2), 2, task);
        assert_eq!(
            [begins(0), begins(1), begins(17), begins(18)],
            [(true, 0), (false, 0), (true, 1), (false, 16)]
        );
    }
}
