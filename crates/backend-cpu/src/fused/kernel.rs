//! The native kernel of a fused program: how its domain is cut into chunks for the workers.

use onestep_engine::EngineError;
use onestep_engine::plan::Fused;

use super::TILE;
use super::lower::lower;
use super::program::{Compute, Program, Step};
use super::reduce::{Accumulator, Keeping, combine_partials, identity};
use super::tile::{Interpreter, Workspace};
use crate::cpu_kernel::{ALIGNMENT, Context, CpuKernel, Regions, ScratchNeed, part, tasks_for};
use crate::pool::Turn;
use crate::simd::{Simd, Task};
use crate::stores::Windows;

/// A fused program, cut for a number of threads.
#[derive(Debug)]
pub(crate) struct FusedKernel {
    program: Program,
    threads: usize,
    /// Chunks for the workers. Where there are reductions they are ranges of units.
    chunks: usize,
    /// Elements of a unit: what lies below the outermost axes.
    unit: usize,
    /// Units after which windows are written.
    block: usize,
    /// One entry a reduction.
    keeping: Vec<Keeping>,
    need: ScratchNeed,
}

impl FusedKernel {
    /// Lowers a fused program.
    ///
    /// # Errors
    /// The program breaks the plan's rules.
    pub(crate) fn new(
        fused: &Fused,
        regions: Regions,
        threads: usize,
    ) -> Result<Self, EngineError> {
        let program = lower(fused, regions)?;
        let chunks = tasks_for(cost(&program), threads);
        let mut kernel = FusedKernel {
            program,
            threads,
            chunks,
            unit: 1,
            block: usize::MAX,
            keeping: Vec::new(),
            need: ScratchNeed::default(),
        };
        if !kernel.program.reductions.is_empty() {
            kernel.cut();
        }
        kernel.lay_out();
        Ok(kernel)
    }

    /// Chooses units so that there are enough for the chunks.
    fn cut(&mut self) {
        let dims = self.program.domain.dims();
        let mut outer_axes = 1;
        while outer_axes < dims.len() && dims[..outer_axes].iter().product::<usize>() < self.chunks
        {
            outer_axes += 1;
        }
        let units: usize = dims[..outer_axes].iter().product();
        self.unit = dims[outer_axes..].iter().product();
        // A single axis has single elements as units: whole tiles are better.
        let kept_outside = |kept: &[usize]| kept[..outer_axes].iter().all(|&k| k != 0);
        let windows: Vec<bool> =
            self.program.reductions.iter().map(|r| kept_outside(&r.kept)).collect();
        if windows.contains(&true) {
            self.block = TILE.div_ceil(self.unit.max(1)).min(units.max(1));
        }
        self.chunks = self.chunks.min(units.max(1));
        for (reduction, window) in self.program.reductions.iter().zip(windows) {
            let each = reduction.count / units.max(1);
            self.keeping.push(if window {
                Keeping::Window { each, offset: 0 }
            } else {
                Keeping::Partial { offset: 0 }
            });
        }
    }

    /// Places workspaces and accumulators in scratch memory.
    fn lay_out(&mut self) {
        let mut worker = Workspace::bytes(&self.program).next_multiple_of(ALIGNMENT);
        let mut shared = 0;
        let block = self.block;
        for (reduction, keeping) in self.program.reductions.iter().zip(&mut self.keeping) {
            match keeping {
                Keeping::Window { each, offset } => {
                    *offset = worker;
                    worker += (block * *each * size_of::<f64>()).next_multiple_of(ALIGNMENT);
                }
                Keeping::Partial { offset } => {
                    *offset = shared;
                    let bytes = self.chunks * reduction.count * size_of::<f64>();
                    shared += bytes.next_multiple_of(ALIGNMENT);
                }
            }
        }
        self.need = ScratchNeed { shared, worker };
    }

    /// The range of positions of a chunk.
    fn range(&self, chunk: usize) -> (usize, usize) {
        let elements = self.program.domain.elements();
        if self.program.reductions.is_empty() {
            return part(elements, self.chunks, chunk, TILE);
        }
        let units = elements / self.unit.max(1);
        // Units of one element are cut at whole tiles.
        let grain = if self.block == usize::MAX && self.unit == 1 { TILE } else { 1 };
        let (from, to) = part(units, self.chunks, chunk, grain);
        (from * self.unit, to * self.unit)
    }

    /// The accumulator of reduction `index` for the chunk and the block from `position` on.
    ///
    /// # Safety
    /// The context has the scratch memory that was asked for.
    unsafe fn accumulator(
        &self,
        context: &Context<'_>,
        turn: Turn,
        index: usize,
        positions: (usize, usize),
    ) -> Accumulator {
        let count = self.program.reductions[index].count;
        // SAFETY: see `lay_out`.
        unsafe {
            match self.keeping[index] {
                Keeping::Window { each, offset } => Accumulator {
                    data: context.worker_scratch(turn.worker).add(offset).cast(),
                    first: positions.0 / self.unit * each,
                    count: (positions.1 - positions.0) / self.unit * each,
                },
                Keeping::Partial { offset } => Accumulator {
                    data: context.shared_scratch().add(offset).cast::<f64>().add(turn.task * count),
                    first: 0,
                    count,
                },
            }
        }
    }

    /// Writes the results of reductions of nothing.
    unsafe fn reduce_nothing(&self, context: &Context<'_>) {
        for reduction in &self.program.reductions {
            let mut start = identity(reduction.kind);
            for first in 0..reduction.count {
                let one = Accumulator { data: &raw mut start, first, count: 1 };
                // SAFETY: the caller vouches for the context.
                unsafe { one.finish(&self.program.domain, reduction, context) };
            }
        }
    }

    /// How many tasks combine the partial results of a reduction.
    fn combiners(&self, index: usize) -> usize {
        match self.keeping[index] {
            Keeping::Partial { .. } if self.program.domain.elements() > 0 => {
                tasks_for(self.program.reductions[index].count * self.chunks, self.threads)
            }
            _ => 0,
        }
    }

    /// Combines some of the partial results of a reduction.
    unsafe fn combine(&self, index: usize, context: &Context<'_>, turn: Turn) {
        let Keeping::Partial { offset } = self.keeping[index] else { return };
        let reduction = &self.program.reductions[index];
        let range = part(reduction.count, self.combiners(index), turn.task, 1);
        // SAFETY: see `lay_out`; the chunks are done.
        unsafe {
            let data = context.shared_scratch().add(offset).cast::<f64>();
            let partials = (data, self.chunks);
            combine_partials(&self.program, reduction, context, partials, range);
        }
    }
}

impl CpuKernel for FusedKernel {
    fn scratch(&self) -> ScratchNeed {
        self.need
    }

    /// The chunks, then the partial results of each reduction.
    fn tasks(&self, job: usize) -> Option<usize> {
        match job {
            0 => Some(self.chunks),
            _ => (job <= self.keeping.len()).then(|| self.combiners(job - 1)),
        }
    }

    fn windows(&self, job: usize, context: &Context<'_>, turn: Turn, windows: &mut Windows) {
        let program = &self.program;
        windows.add(context.shared_window(self.need.shared));
        let chunk = if job == 0 { self.range(turn.task) } else { (0, 0) };
        for store in program.stores.iter().filter(|_| job == 0) {
            windows.add(store.view.window(&program.domain, chunk, context));
        }
        for reduction in &program.reductions {
            let all = (0, program.domain.elements());
            windows.add(reduction.view.window(&program.domain, all, context));
        }
    }

    unsafe fn task(&self, job: usize, context: &Context<'_>, turn: Turn) {
        // SAFETY: the executor made sure of the level; the caller vouches for the context.
        unsafe {
            match job {
                0 if self.program.domain.elements() == 0 => self.reduce_nothing(context),
                0 => context.level.run(Chunk { kernel: self, context, turn }),
                _ => self.combine(job - 1, context, turn),
            }
        }
    }
}

/// What one worker does.
struct Chunk<'a> {
    kernel: &'a FusedKernel,
    context: &'a Context<'a>,
    turn: Turn,
}

impl Task for Chunk<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Chunk { kernel, context, turn } = self;
        let program = &kernel.program;
        let (from, to) = kernel.range(turn.task);
        // SAFETY: the caller vouches for the context and the level.
        unsafe {
            let workspace = Workspace::new(context.worker_scratch(turn.worker), program);
            let interpreter = Interpreter { program, context, workspace };
            interpreter.start::<S>();
            self.reset_partials();
            let block = kernel.block.saturating_mul(kernel.unit.max(1)).max(1);
            let mut index = program.domain.index_of(from);
            let mut position = from;
            while position < to {
                let end = to.min(position.saturating_add(block));
                self.windows((position, end), |reduction, a| a.reset(reduction.kind));
                interpreter.range::<S>((position, end), &mut index, |stretch| {
                    for (i, reduction) in program.reductions.iter().enumerate() {
                        let from = interpreter.pointer(reduction.register);
                        let a = kernel.accumulator(context, turn, i, (position, end));
                        a.take::<S>(&program.domain, reduction, from, stretch);
                    }
                });
                self.windows((position, end), |r, a| a.finish(&program.domain, r, context));
                position = end;
            }
        }
    }
}

impl Chunk<'_> {
    /// Calls `f` for each reduction that has a window.
    #[inline(always)]
    unsafe fn windows(
        &self,
        positions: (usize, usize),
        f: impl Fn(&super::program::Reduction, Accumulator),
    ) {
        for (i, reduction) in self.kernel.program.reductions.iter().enumerate() {
            if matches!(self.kernel.keeping[i], Keeping::Window { .. }) {
                // SAFETY: the caller vouches for the context.
                f(reduction, unsafe {
                    self.kernel.accumulator(self.context, self.turn, i, positions)
                });
            }
        }
    }

    unsafe fn reset_partials(&self) {
        for (i, reduction) in self.kernel.program.reductions.iter().enumerate() {
            if matches!(self.kernel.keeping[i], Keeping::Partial { .. }) {
                // SAFETY: the caller vouches for the context.
                unsafe {
                    let a = self.kernel.accumulator(self.context, self.turn, i, (0, 0));
                    a.reset(reduction.kind);
                }
            }
        }
    }
}

/// The work of a program in simple operations on single elements.
fn cost(program: &Program) -> usize {
    let each: usize = program
        .steps
        .iter()
        .map(|(_, step)| match step {
            Step::Compute(Compute::Unary(..)) => 4,
            Step::Random { .. } => 8,
            _ => 1,
        })
        .sum();
    let outputs = program.stores.len() + program.reductions.len();
    program.domain.elements().saturating_mul(each + outputs)
}
