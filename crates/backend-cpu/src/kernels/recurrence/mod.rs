//! Recurrent cells. All workers pack the recurrent weights together; then each takes some of the samples and walks
//! through all their steps by itself, so that no step waits for another worker.

mod backward;
mod cells;
mod forward;
mod packed;

use onestep_engine::ops::{Recurrence, RecurrenceGrad, RecurrenceSizes};
use onestep_engine::plan::Place;
use onestep_engine::{DType, EngineError};

use self::backward::Backward;
use self::forward::Forward;
use self::packed::Packed;
use crate::cpu_kernel::{Address, Context, CpuKernel, Regions, ScratchNeed, broken, expect, part};
use crate::pool::Turn;
use crate::simd::{MAX_LANES, Simd, Task};

/// Lowers the op.
pub(super) fn lower(
    op: &Recurrence,
    inputs: &[Place],
    output: &Place,
    (regions, threads): (Regions, usize),
) -> Result<Box<dyn CpuKernel>, EngineError> {
    expect("recurrence", output, DType::F32)?;
    let problem = Problem::new(op, inputs, regions, threads)?;
    Ok(Box::new(Forward { problem, out: regions.address(output)? }))
}

/// Lowers the gradient.
pub(super) fn lower_gradient(
    op: &RecurrenceGrad,
    inputs: &[Place],
    output: &Place,
    (regions, threads): (Regions, usize),
) -> Result<Box<dyn CpuKernel>, EngineError> {
    let [own @ .., y, dy] = inputs else {
        return Err(broken("recurrence_grad needs a result and its gradient"));
    };
    for place in [y, dy, output] {
        expect("recurrence_grad", place, DType::F32)?;
    }
    let problem = Problem::new(&op.of, own, regions, threads)?;
    let [y, dy, out] = [regions.address(y)?, regions.address(dy)?, regions.address(output)?];
    Ok(Box::new(Backward { problem, y, dy, out }))
}

/// What a recurrence and its gradient share.
#[derive(Clone, Copy, Debug)]
struct Problem {
    op: Recurrence,
    sizes: RecurrenceSizes,
    x: Address,
    weight: Address,
    first: Address,
    cell: Option<Address>,
    bias: Option<Address>,
    projection: Option<Address>,
    lengths: Option<Address>,
    threads: usize,
}

impl Problem {
    fn new(
        op: &Recurrence,
        inputs: &[Place],
        regions: Regions,
        threads: usize,
    ) -> Result<Problem, EngineError> {
        let sizes = RecurrenceSizes::of(op, inputs.iter().map(|place| place.shape.dims()));
        let at = op.at();
        let address = |at: usize| -> Result<Address, EngineError> {
            let place = inputs.get(at).ok_or_else(|| broken("recurrence lacks an operand"))?;
            expect(
                "recurrence",
                place,
                if op.at().lengths == Some(at) { DType::I32 } else { DType::F32 },
            )?;
            regions.address(place)
        };
        let some = |at: Option<usize>| at.map(address).transpose();
        Ok(Problem {
            op: *op,
            sizes,
            x: address(0)?,
            weight: address(1)?,
            first: address(2)?,
            cell: some(at.cell)?,
            bias: some(at.bias)?,
            projection: some(at.projection)?,
            lengths: some(at.lengths)?,
            threads,
        })
    }

    /// Tasks that samples are shared among.
    fn tasks(&self) -> usize {
        self.threads.clamp(1, self.sizes.batch.max(1))
    }

    /// Those of packing, and those of the steps.
    fn tasks_of(&self, job: usize) -> Option<usize> {
        [self.threads.max(1), self.tasks()].get(job).copied()
    }

    /// Room for the packed matrices, and for so many pieces of a worker that have `row` elements a sample
    /// together.
    fn scratch(&self, matrices: [Packed; 2], row: usize, pieces: usize) -> ScratchNeed {
        let packed: usize = matrices.into_iter().map(Packed::elements).sum();
        ScratchNeed {
            shared: packed * size_of::<f32>(),
            worker: (self.rows() * row + pieces * roomy(0)) * size_of::<f32>(),
        }
    }

    /// The most samples of a task.
    fn rows(&self) -> usize {
        self.sizes.batch.div_ceil(self.tasks())
    }

    /// The samples of a task.
    fn samples(&self, task: usize) -> (usize, usize) {
        part(self.sizes.batch, self.tasks(), task, 1)
    }

    /// Room for the sums of a sample, or for what is projected of them.
    fn sums(&self) -> usize {
        roomy(self.sizes.wide.max(self.sizes.out))
    }

    /// The step that is taken as the `turn`-th.
    fn step(&self, turn: usize) -> usize {
        if self.op.reverse { self.sizes.steps - 1 - turn } else { turn }
    }

    /// Whether a sample has a step.
    ///
    /// # Safety
    /// The context is that of the op's plan, and there is such a sample.
    unsafe fn has(&self, context: &Context<'_>, sample: usize, step: usize) -> bool {
        match self.lengths {
            // SAFETY: the caller vouches for the sample.
            Some(at) => unsafe {
                let length = *context.at(at).cast::<i32>().add(sample);
                (step as i64) < i64::from(length)
            },
            None => true,
        }
    }
}

/// The first job: the recurrent weights and the projection as panels.
struct Packing<'a> {
    problem: &'a Problem,
    matrices: [Packed; 2],
    context: &'a Context<'a>,
    turn: Turn,
}

impl Task for Packing<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Packing { problem, matrices: [weight, projection], context, turn } = self;
        let to = context.shared_scratch().cast::<f32>();
        let part = (turn.task, problem.threads.max(1));
        // SAFETY: the caller vouches for the context, and the scratch memory is as large as was asked for.
        unsafe {
            weight.pack::<S>(context.floats(problem.weight), to, part);
            if let Some(at) = problem.projection {
                projection.pack::<S>(context.floats(at), to.add(weight.elements()), part);
            }
        }
    }
}

/// At most so many, for any instruction set, with a vector behind them.
fn roomy(elements: usize) -> usize {
    elements.next_multiple_of(MAX_LANES) + MAX_LANES
}

/// Hands out scratch memory piece by piece.
struct Scratch(*mut f32);

impl Scratch {
    /// So many elements, in whole cache lines.
    fn take(&mut self, elements: usize) -> *mut f32 {
        let at = self.0;
        self.0 = at.wrapping_add(roomy(elements));
        at
    }
}
