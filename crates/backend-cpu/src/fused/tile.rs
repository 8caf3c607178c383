//! Runs a fused program on one tile.

use super::TILE;
use onestep_engine::DType;

use super::convert::{load_one, load_run, round_run, store_run};
use super::domain::Index;
use super::maps::{self, Operand, Target};
use super::program::{Compute, Home, Program, Reading, Source, Step, UniformStep, View};
use super::quads;
use crate::cpu_kernel::Context;
use crate::simd::{MAX_LANES, Simd, fill_uniform, prefetch};
use crate::stores::elements;

/// The memory that one worker interprets in.
#[derive(Clone, Copy)]
pub(super) struct Workspace {
    /// For each register, where its elements of the current tile are; null where the tile repeats
    /// its number.
    pub(super) pointers: *mut *mut f32,
    /// For each register, its number.
    pub(super) uniforms: *mut f32,
    /// Tiles.
    pub(super) slots: *mut f32,
}

impl Workspace {
    /// Bytes for a program.
    pub(super) fn bytes(program: &Program) -> usize {
        program.registers() * (size_of::<*mut f32>() + size_of::<f32>())
            + 2 * crate::cpu_kernel::ALIGNMENT
            + program.slots * TILE * size_of::<f32>()
    }

    /// Lays it out in scratch memory.
    ///
    /// # Safety
    /// There are [`Workspace::bytes`] bytes at `memory`.
    pub(super) unsafe fn new(memory: *mut u8, program: &Program) -> Workspace {
        let align = crate::cpu_kernel::ALIGNMENT;
        let uniforms = (program.registers() * size_of::<*mut f32>()).next_multiple_of(align);
        let slots = (uniforms + program.registers() * size_of::<f32>()).next_multiple_of(align);
        // SAFETY: the caller vouches for the memory.
        unsafe {
            Workspace {
                pointers: memory.cast(),
                uniforms: memory.add(uniforms).cast(),
                slots: memory.add(slots).cast(),
            }
        }
    }
}

/// A stretch of the domain.
#[derive(Clone, Copy)]
pub(super) struct Stretch<'a> {
    /// The row-major position of its first element.
    pub(super) position: usize,
    /// The multi-index of its first element, where the program walks.
    pub(super) index: &'a Index,
    /// At most a tile.
    pub(super) length: usize,
}

/// A program at work in one worker.
#[derive(Clone, Copy)]
pub(super) struct Interpreter<'a> {
    pub(super) program: &'a Program,
    pub(super) context: &'a Context<'a>,
    pub(super) workspace: Workspace,
}

impl Interpreter<'_> {
    /// Computes the uniform numbers and puts registers into their tiles.
    ///
    /// # Safety
    /// The machine has `S` and the context fits the program; so for all methods.
    #[inline(always)]
    pub(super) unsafe fn start<S: Simd>(&self) {
        let workspace = self.workspace;
        for (register, step) in &self.program.uniforms {
            // SAFETY: the caller vouches for the context; a tail of one lane is computed.
            unsafe {
                let number = workspace.uniforms.add(*register);
                match *step {
                    UniformStep::Number(x) => *number = x,
                    UniformStep::Load(address, dtype) => {
                        *number = load_one(dtype, self.context.at(address));
                    }
                    UniformStep::Compute(compute) => {
                        // In whole vectors, so that the bits are those of a tile's elements.
                        let mut lanes = [0.0f32; MAX_LANES];
                        let to = Target { out: lanes.as_mut_ptr(), length: S::LANES };
                        self.compute::<S>(&compute, to);
                        *number = lanes[0];
                    }
                }
            }
        }
        for (register, home) in self.program.homes.iter().enumerate() {
            if let Some(Home::Slot(slot)) = home {
                // SAFETY: the workspace has that many registers and tiles.
                unsafe {
                    *workspace.pointers.add(register) = workspace.slots.add(slot * TILE);
                }
            }
        }
    }

    /// Runs the program from a position and its multi-index to another position, and calls `each`
    /// behind each tile.
    #[inline(always)]
    pub(super) unsafe fn range<S: Simd>(
        &self,
        (from, to): (usize, usize),
        index: &mut Index,
        mut each: impl FnMut(Stretch<'_>),
    ) {
        let mut position = from;
        while position < to {
            let length = self.program.tile_from(index).min(to - position);
            let stretch = Stretch { position, index, length };
            // SAFETY: the caller vouches for the context.
            unsafe { self.tile::<S>(stretch) };
            each(stretch);
            position += length;
            if self.program.walks {
                self.program.domain.advance(index, length);
            }
        }
    }

    /// Where a register's elements of the current tile are.
    #[inline(always)]
    pub(super) unsafe fn pointer(&self, register: usize) -> *mut f32 {
        // SAFETY: the program has that register.
        unsafe { *self.workspace.pointers.add(register) }
    }

    #[inline(always)]
    unsafe fn operand(&self, source: Source) -> Operand {
        // SAFETY: the program has the register.
        unsafe {
            match source {
                Source::Tile(register) if !self.pointer(register).is_null() => {
                    Operand::Elements(self.pointer(register))
                }
                Source::Tile(register) | Source::Uniform(register) => {
                    Operand::Number(*self.workspace.uniforms.add(register))
                }
            }
        }
    }

    /// Runs all steps and stores.
    #[inline(always)]
    pub(super) unsafe fn tile<S: Simd>(&self, at: Stretch<'_>) {
        // SAFETY: the caller vouches for the context; the plan for its places.
        unsafe {
            for (register, step) in &self.program.steps {
                if let Some(Home::Store(index)) = self.program.homes[*register] {
                    let store = &self.program.stores[index];
                    let to = self.context.floats(store.view.address).add(at.position);
                    // What a load reads was asked for by the load.
                    if store.fresh {
                        ask_for_next::<S>(to.cast(), at.length * size_of::<f32>());
                    }
                    *self.workspace.pointers.add(*register) = to;
                }
                match step {
                    Step::Load { view, how } => self.load::<S>(*register, view, *how, at),
                    Step::Random { stream } => {
                        let to = self.pointer(*register);
                        let out = elements(to, at.length);
                        fill_uniform::<S>(self.context.key, *stream, at.position as u64, out);
                    }
                    Step::Compute(compute) => {
                        let to = Target { out: self.pointer(*register), length: at.length };
                        self.compute::<S>(compute, to);
                    }
                }
            }
            for store in self.program.stores.iter().filter(|s| !s.in_place) {
                self.store(self.pointer(store.register), &store.view, at);
            }
        }
    }

    #[inline(always)]
    unsafe fn compute<S: Simd>(&self, compute: &Compute, to: Target) {
        // SAFETY: the operands have as many elements as the target.
        unsafe {
            match *compute {
                Compute::Fill(a) => match self.operand(a) {
                    Operand::Number(x) => maps::fill::<S>(x, to),
                    Operand::Elements(a) => std::ptr::copy(a, to.out, to.length),
                },
                Compute::Unary(op, a) => maps::unary::<S>(op, self.operand(a), to),
                Compute::Binary(op, a, b) => {
                    maps::binary::<S>(op, self.operand(a), self.operand(b), to);
                }
                Compute::Compare(op, a, b) => {
                    maps::compare::<S>(op, self.operand(a), self.operand(b), to);
                }
                Compute::Ternary(op, [a, b, c]) => {
                    let operands = [self.operand(a), self.operand(b), self.operand(c)];
                    maps::ternary::<S>(op, operands, to);
                }
                Compute::Quaternary(op, sources) => {
                    quads::quaternary::<S>(op, sources.map(|s| self.operand(s)), to);
                }
                Compute::Round(dtype, a) => match self.operand(a) {
                    Operand::Elements(a) => round_run(dtype, a, to.out, to.length),
                    Operand::Number(x) => {
                        maps::fill::<S>(x, to);
                        round_run(dtype, to.out, to.out, to.length);
                    }
                },
            }
        }
    }

    /// Finds the elements of a view where they lie side by side, or copies them to the tile. Of
    /// those side by side a tile more is asked for: the hardware does not follow them beyond a page.
    #[inline(always)]
    unsafe fn load<S: Simd>(&self, register: usize, view: &View, how: Reading, at: Stretch<'_>) {
        // SAFETY: the plan keeps the view within its region.
        unsafe {
            let base = self.context.at(view.address);
            let size = view.dtype.size();
            let pointer = self.workspace.pointers.add(register);
            if view.contiguous {
                // Wrapping, since a block stands for a place far in front of it: see `Follower`.
                let from = base.wrapping_add(at.position * size);
                ask_for_next::<S>(from, at.length * size);
                if how != Reading::Copied {
                    *pointer = from.cast();
                } else {
                    load_run(view.dtype, from, 1, *pointer, at.length);
                }
                return;
            }
            let domain = &self.program.domain;
            let stride = view.strides[domain.rank() - 1];
            let one_run = at.index[domain.rank() - 1] + at.length <= domain.inner();
            if one_run && stride == 1 && how != Reading::Copied {
                let from = base.add(domain.offset(at.index, &view.strides) * size);
                ask_for_next::<S>(from, at.length * size);
                *pointer = from.cast();
                return;
            }
            if one_run && stride == 0 && how == Reading::AsNumber {
                let offset = domain.offset(at.index, &view.strides);
                *self.workspace.uniforms.add(register) = *base.cast::<f32>().add(offset);
                *pointer = std::ptr::null_mut();
                return;
            }
            let tile = match self.program.homes[register] {
                Some(Home::Slot(slot)) => self.workspace.slots.add(slot * TILE),
                _ => *pointer,
            };
            *pointer = tile;
            if stride == 1 && !one_run && view.strides[..domain.rank() - 1].iter().all(|&s| s == 0)
            {
                repeat(view.dtype, base, domain.inner(), at, tile);
                return;
            }
            domain.for_each_run(at.index, at.length, &view.strides, |start, length, offset| {
                load_run(view.dtype, base.add(offset * size), stride, tile.add(start), length);
            });
        }
    }

    #[inline(always)]
    unsafe fn store(&self, from: *const f32, view: &View, at: Stretch<'_>) {
        // SAFETY: the plan keeps the view within its region.
        unsafe {
            let base = self.context.at(view.address);
            let size = view.dtype.size();
            if view.contiguous {
                store_run(view.dtype, from, base.add(at.position * size), 1, at.length);
                return;
            }
            let domain = &self.program.domain;
            let stride = view.strides[domain.rank() - 1];
            domain.for_each_run(at.index, at.length, &view.strides, |start, length, offset| {
                store_run(view.dtype, from.add(start), base.add(offset * size), stride, length);
            });
        }
    }
}

/// Has as many bytes prefetched as are used at an address, a tile of f32 further on.
#[inline(always)]
fn ask_for_next<S: Simd>(from: *const u8, bytes: usize) {
    prefetch::<S>(from.cast::<f32>().wrapping_add(TILE), bytes.div_ceil(size_of::<f32>()));
}

/// Fills a tile with a row that repeats: the row once, then what is there again and again.
///
/// # Safety
/// There are `period` elements at `base`, and the tile has room.
#[inline(always)]
unsafe fn repeat(dtype: DType, base: *const u8, period: usize, at: Stretch<'_>, tile: *mut f32) {
    let phase = at.position % period;
    // SAFETY: the caller vouches for the row; what is copied was written before.
    unsafe {
        let head = (period - phase).min(at.length);
        load_run(dtype, base.add(phase * dtype.size()), 1, tile, head);
        load_run(dtype, base, 1, tile.add(head), phase.min(at.length - head));
        let mut filled = period.min(at.length);
        while filled < at.length {
            let count = filled.min(at.length - filled);
            std::ptr::copy_nonoverlapping(tile, tile.add(filled), count);
            filled += count;
        }
    }
}
