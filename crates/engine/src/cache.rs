//! Compiled steps by mode and signature, the most recently used of them.

use onestep_memory::Tensor;

use crate::executor::Step;
use crate::mode::Mode;
use crate::signature::Signature;

/// A compiled program, and where its feeds are among a batch's fields.
pub(crate) struct Compiled {
    pub(crate) mode: Mode,
    pub(crate) signature: Signature,
    pub(crate) step: Box<dyn Step>,
    /// For each feed of the step the position of its field.
    pub(crate) order: Box<[usize]>,
    /// The step's feeds in its own order, while it is submitted.
    pub(crate) feeds: Vec<Tensor>,
    /// When it was used last.
    used: u64,
}

impl Compiled {
    pub(crate) fn new(
        mode: Mode,
        signature: Signature,
        step: Box<dyn Step>,
        order: Box<[usize]>,
    ) -> Self {
        let feeds = Vec::with_capacity(order.len());
        Compiled { mode, signature, step, order, feeds, used: 0 }
    }
}

/// A bounded number of compiled programs. There are few, and the one asked for is mostly the one
/// used last, so that they are searched one by one.
pub(crate) struct PlanCache {
    entries: Vec<Compiled>,
    last: usize,
    limit: usize,
    clock: u64,
}

impl PlanCache {
    pub(crate) fn new(limit: usize) -> Self {
        PlanCache { entries: Vec::new(), last: 0, limit, clock: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Drops what is beyond the new limit.
    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.limit = limit.max(1);
        self.make_room(self.limit);
    }

    /// Drops all.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.last = 0;
    }

    /// The entry that `is` is true of, which then counts as used. Does not allocate.
    pub(crate) fn find(&mut self, mut is: impl FnMut(&Compiled) -> bool) -> Option<&mut Compiled> {
        let at_last = self.entries.get(self.last).is_some_and(&mut is);
        let index = match at_last {
            true => self.last,
            false => self.entries.iter().position(is)?,
        };
        self.last = index;
        self.clock += 1;
        let entry = &mut self.entries[index];
        entry.used = self.clock;
        Some(entry)
    }

    /// Drops the entries that were not used for longest, so that there is room for one more.
    pub(crate) fn make_room_for_one(&mut self) {
        self.make_room(self.limit - 1);
    }

    fn make_room(&mut self, most: usize) {
        while self.entries.len() > most {
            let oldest = self.entries.iter().enumerate().min_by_key(|(_, entry)| entry.used);
            let Some((oldest, _)) = oldest else { return };
            self.entries.swap_remove(oldest);
        }
    }

    pub(crate) fn insert(&mut self, compiled: Compiled) -> &mut Compiled {
        self.make_room_for_one();
        self.clock += 1;
        self.last = self.entries.len();
        self.entries.push(compiled);
        let entry = &mut self.entries[self.last];
        entry.used = self.clock;
        entry
    }
}
