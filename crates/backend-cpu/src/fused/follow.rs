//! A fused program that takes one of its operands in blocks, from the kernel that computes it.

use onestep_engine::plan::{Fused, Place};
use onestep_engine::{DType, EngineError};

use super::lower::lower;
use super::program::{Program, Step};
use super::tile::{Interpreter, Workspace};
use crate::cpu_kernel::{ALIGNMENT, Address, Context, Regions};
use crate::simd::Simd;
use crate::stores::Windows;

/// A fused program without reductions whose operand `moved` is never in memory as a whole: each
/// worker computes a block of it, and the program runs on that block while it is in the cache.
#[derive(Debug)]
pub(crate) struct Follower {
    program: Program,
    /// The regions of the plan. Behind them the program finds the block.
    regions: usize,
}

impl Follower {
    /// Lowers a program that reads `moved`, which is f32 and contiguous, element by element.
    ///
    /// # Errors
    /// The program breaks the plan's rules.
    pub(crate) fn new(fused: &Fused, moved: &Place, regions: Regions) -> Result<Self, EngineError> {
        let mut program = lower(fused, regions)?;
        let (from, base) = (regions.address(moved)?, regions.count());
        for (_, step) in &mut program.steps {
            if let Step::Load { view, .. } = step
                && view.address == from
                && view.dtype == DType::F32
            {
                view.address = Address { base, offset: 0 };
            }
        }
        Ok(Follower { program, regions: base })
    }

    /// Bytes of the addresses that a worker sees.
    fn bases(&self) -> usize {
        ((self.regions + 1) * size_of::<*mut u8>()).next_multiple_of(ALIGNMENT)
    }

    /// Bytes of memory of a worker.
    pub(crate) fn scratch(&self) -> usize {
        (self.bases() + Workspace::bytes(&self.program)).next_multiple_of(ALIGNMENT)
    }

    /// Adds where the program may write for the elements `from..to` of its domain.
    pub(crate) fn windows(
        &self,
        context: &Context<'_>,
        range: (usize, usize),
        windows: &mut Windows,
    ) {
        for store in &self.program.stores {
            windows.add(store.view.window(&self.program.domain, range, context));
        }
    }

    /// Runs the program on the elements `from..to` of its domain, which lie at `block`.
    ///
    /// # Safety
    /// The machine has `S`, the context is that of the plan, `memory` has [`Follower::scratch`]
    /// bytes, and nothing else uses these elements of the program's results meanwhile.
    #[inline(always)]
    pub(crate) unsafe fn run<S: Simd>(
        &self,
        context: &Context<'_>,
        memory: *mut u8,
        (from, to): (usize, usize),
        block: *mut f32,
    ) {
        let bases = memory.cast::<*mut u8>();
        // SAFETY: the caller vouches for the memory and the context.
        unsafe {
            bases.copy_from_nonoverlapping(context.bases.as_ptr(), self.regions);
            *bases.add(self.regions) = block.wrapping_sub(from).cast();
            let bases = std::slice::from_raw_parts(bases, self.regions + 1);
            let context = Context { bases, ..*context };
            let workspace = Workspace::new(memory.add(self.bases()), &self.program);
            let interpreter = Interpreter { program: &self.program, context: &context, workspace };
            interpreter.start::<S>();
            let mut index = self.program.domain.index_of(from);
            interpreter.range::<S>((from, to), &mut index, |_| ());
        }
    }
}
