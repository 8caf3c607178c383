//! The list of what is alive, and where it was made.

use std::fmt;
use std::panic::Location;

use crate::{DType, Shape, format_bytes};

/// A buffer that is still in use, as the tensor it was allocated for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leak {
    /// Shape of the tensor.
    pub shape: Shape,
    /// Element type of the tensor.
    pub dtype: DType,
    /// Size of the content, in bytes.
    pub bytes: usize,
    /// The call that made the tensor; known in debug builds only.
    pub location: Option<&'static Location<'static>>,
}

impl Leak {
    /// A record of an allocation made by `caller`.
    pub(crate) fn new(
        shape: Shape,
        dtype: DType,
        bytes: usize,
        caller: &'static Location<'static>,
    ) -> Leak {
        Leak { shape, dtype, bytes, location: cfg!(debug_assertions).then_some(caller) }
    }
}

impl fmt::Display for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({})", self.dtype, self.shape, format_bytes(self.bytes))?;
        match self.location {
            Some(location) => write!(f, " made at {location}"),
            None => f.write_str(" made at an unknown place (release build)"),
        }
    }
}

#[derive(Debug)]
struct Entry {
    generation: u64,
    record: Leak,
}

/// Records of live buffers in reusable slots, so that a steady state needs no heap memory.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    slots: Vec<Option<Entry>>,
    vacant: Vec<usize>,
}

impl Registry {
    /// Records a buffer; the slot is what [`Registry::remove`] wants.
    pub(crate) fn insert(&mut self, generation: u64, record: Leak) -> usize {
        let slot = self.vacant.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[slot] = Some(Entry { generation, record });
        slot
    }

    pub(crate) fn remove(&mut self, slot: usize) {
        debug_assert!(self.slots[slot].is_some(), "a buffer was released twice");
        self.slots[slot] = None;
        self.vacant.push(slot);
    }

    /// The generation that lives in a slot; 0 if none does.
    pub(crate) fn generation(&self, slot: usize) -> u64 {
        self.slots.get(slot).and_then(Option::as_ref).map_or(0, |entry| entry.generation)
    }

    /// The records, oldest first.
    pub(crate) fn records(&self) -> Vec<Leak> {
        let mut entries: Vec<&Entry> = self.slots.iter().flatten().collect();
        entries.sort_unstable_by_key(|entry| entry.generation);
        entries.into_iter().map(|entry| entry.record.clone()).collect()
    }
}
