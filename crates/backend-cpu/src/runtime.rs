//! What the steps of one executor share.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use onestep_engine::{DType, EngineError, TicketRing};
use onestep_memory::{MemoryError, MemoryManager, Shape, Tensor};

use crate::cpu_kernel::ScratchNeed;
use crate::pool::Pool;

/// Results of the last so many steps can be asked of their tickets.
const TICKETS: usize = 256;

/// What the steps of one executor share. They run one at a time.
#[derive(Debug)]
pub(crate) struct Runtime {
    workspace: Mutex<Workspace>,
    pub(crate) ring: Arc<TicketRing>,
    /// Steps submitted, and outputs read.
    pub(crate) calls: AtomicU64,
    pub(crate) reads: AtomicU64,
}

/// The part of a [`Runtime`] that a running step has to itself: threads and memory.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) pool: Pool,
    /// Intermediate values, as large as the largest step needs.
    pub(crate) arena: Option<Tensor>,
    pub(crate) scratch: Option<Tensor>,
    /// The number of the next step that runs.
    pub(crate) serial: u64,
    /// The compiled step that ran last, whose outputs are still there.
    pub(crate) last: u64,
    need: ScratchNeed,
}

impl Runtime {
    pub(crate) fn new(pool: Pool) -> Runtime {
        let need = ScratchNeed::default();
        let workspace = Workspace { pool, arena: None, scratch: None, serial: 0, last: 0, need };
        Runtime {
            workspace: Mutex::new(workspace),
            ring: TicketRing::new(TICKETS),
            calls: AtomicU64::new(0),
            reads: AtomicU64::new(0),
        }
    }

    /// Uncontended unless steps of one executor are submitted from several threads.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Workspace> {
        // What a panic leaves behind is scratch memory, which every step overwrites.
        self.workspace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Workspace {
    /// Makes room for a step.
    pub(crate) fn grow(
        &mut self,
        memory: &MemoryManager,
        arena: usize,
        need: ScratchNeed,
    ) -> Result<(), EngineError> {
        enlarge(memory, &mut self.arena, arena)?;
        self.need = self.need.max(need);
        enlarge(memory, &mut self.scratch, self.need.bytes(self.pool.threads()))?;
        Ok(())
    }

    /// The scratch memory's parts.
    pub(crate) fn need(&self) -> ScratchNeed {
        self.need
    }
}

/// Replaces a buffer by a larger one, if it is too small. Nothing in it is kept.
fn enlarge(
    memory: &MemoryManager,
    buffer: &mut Option<Tensor>,
    bytes: usize,
) -> Result<(), MemoryError> {
    let has = buffer.as_ref().map_or(0, Tensor::bytes);
    if has >= bytes && buffer.is_some() {
        return Ok(());
    }
    let allocate = |bytes: usize| memory.allocate(Shape::new(&[bytes.max(1)])?, DType::U8);
    let new = allocate(bytes).or_else(|_| {
        // Both at once may be over the budget.
        *buffer = None;
        allocate(bytes)
    });
    if new.is_err() && buffer.is_none() && has > 0 {
        *buffer = Some(allocate(has)?);
    }
    *buffer = Some(new?);
    Ok(())
}
