//! Random programs of allocations, clones, views, drops and trims, run by several threads on one
//! manager: live tensors never overlap, the statistics add up, nothing is lost.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;

use onestep_memory::{
    DType, HostDevice, MemoryError, MemoryManager, PoolLimits, Tensor, TierStatistics,
};
use proptest::prelude::*;

const KIB: usize = 1 << 10;
const BUDGET: usize = 12 << 20;
const THREADS: usize = 3;

#[derive(Clone, Debug)]
enum Action {
    Allocate { bytes: usize },
    Clone { which: usize },
    View { which: usize, from: usize, length: usize },
    Drop { which: usize },
    Trim { to_bytes: usize },
}

fn action() -> impl Strategy<Value = Action> {
    let sizes = prop_oneof![
        8 => 0..70 * KIB,
        3 => 60 * KIB..600 * KIB,
        1 => 4000 * KIB..4200 * KIB,
    ];
    prop_oneof![
        5 => sizes.prop_map(|bytes| Action::Allocate { bytes }),
        2 => any::<usize>().prop_map(|which| Action::Clone { which }),
        3 => any::<[usize; 3]>()
            .prop_map(|[which, from, length]| Action::View { which, from, length }),
        5 => any::<usize>().prop_map(|which| Action::Drop { which }),
        1 => (0..BUDGET).prop_map(|to_bytes| Action::Trim { to_bytes }),
    ]
}

fn programs() -> impl Strategy<Value = Vec<Vec<Action>>> {
    prop::collection::vec(prop::collection::vec(action(), 0..50), THREADS)
}

/// A tensor and what it must hold: `start`, `start + 1`, … modulo 251.
struct Held {
    tensor: Tensor,
    start: usize,
}

impl Held {
    fn filled(tensor: Tensor, start: usize) -> Held {
        let content: Vec<u8> = Held::content(start).take(tensor.elements()).collect();
        tensor.write(&content).unwrap();
        Held { tensor, start }
    }

    fn content(start: usize) -> impl Iterator<Item = u8> {
        (start..).map(|value| (value % 251) as u8)
    }

    /// Fails if anything else has written here.
    fn verify(&self) {
        let bytes = self.tensor.read::<u8>().unwrap();
        assert!(bytes.into_iter().zip(Held::content(self.start)).all(|(got, want)| got == want));
    }
}

/// Runs one thread's program; `seed` makes its contents differ from the other threads'.
fn run(memory: &MemoryManager, program: &[Action], seed: usize) -> Vec<Held> {
    let mut held: Vec<Held> = Vec::new();
    for (step, action) in program.iter().enumerate() {
        let pick = |which: &usize| which.checked_rem(held.len()).map(|index| &held[index]);
        let made = match action {
            Action::Allocate { bytes } => match memory.allocate([*bytes], DType::U8) {
                Ok(tensor) => Some(Held::filled(tensor, seed + 7 * step)),
                Err(MemoryError::BudgetExceeded { budget: BUDGET, .. }) => None,
                Err(error) => panic!("{error}"),
            },
            Action::Clone { which } => {
                pick(which).map(|held| Held { tensor: held.tensor.clone(), start: held.start })
            }
            Action::View { which, from, length } => pick(which).map(|held| {
                let from = from % (held.tensor.elements() + 1);
                let length = length % (held.tensor.elements() - from + 1);
                let tensor = held.tensor.view(from, [length]).unwrap();
                Held { tensor, start: held.start + from }
            }),
            Action::Drop { which } => {
                if let Some(index) = which.checked_rem(held.len()) {
                    held.swap_remove(index).verify();
                }
                None
            }
            Action::Trim { to_bytes } => {
                memory.trim(*to_bytes);
                None
            }
        };
        held.extend(made);
    }
    held
}

/// The buffers below the tensors that are held: start address and capacity.
fn buffers(held: &[Held]) -> BTreeMap<usize, usize> {
    let buffers = held.iter().map(|held| held.tensor.buffer());
    buffers.map(|buffer| (buffer.host_pointer().unwrap().addr().get(), buffer.capacity())).collect()
}

fn check_sums(memory: &MemoryManager, device: &HostDevice) {
    let statistics = memory.statistics();
    let total = statistics.total;
    let sum = |field: fn(&TierStatistics) -> u64| statistics.tiers.iter().map(field).sum::<u64>();
    assert_eq!(total.live as u64, sum(|tier| tier.live as u64));
    assert_eq!(total.pooled as u64, sum(|tier| tier.pooled as u64));
    assert_eq!(total.hits, sum(|tier| tier.hits));
    assert_eq!(total.misses, sum(|tier| tier.misses));
    assert_eq!(total.reserved(), device.bytes_in_use());
    assert_eq!(total.device_allocations, device.allocations());
    let buffers = (total.live_buffers + total.pooled_buffers) as u64;
    assert_eq!(total.device_allocations - total.device_frees, buffers);
    assert!(total.peak >= total.live && total.peak_reserved <= BUDGET);
}

fn check_program(programs: &[Vec<Action>]) {
    let device = Arc::new(HostDevice::new());
    let limits = PoolLimits { small: 256 * KIB, medium: 1024 * KIB, ..PoolLimits::default() };
    let memory = MemoryManager::new(device.clone()).with_budget(BUDGET).with_limits(limits);
    let held: Vec<Held> = thread::scope(|scope| {
        let memory = &memory;
        let threads = programs.iter().enumerate();
        let threads: Vec<_> = threads
            .map(|(seed, program)| scope.spawn(move || run(memory, program, 83 * seed)))
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });

    held.iter().for_each(Held::verify);
    let buffers = buffers(&held);
    for ((address, capacity), (next, _)) in buffers.iter().zip(buffers.iter().skip(1)) {
        assert!(address + capacity <= *next, "live buffers overlap");
    }
    check_sums(&memory, &device);
    let total = memory.statistics().total;
    assert_eq!((total.live_buffers, total.live), (buffers.len(), buffers.values().sum()));
    assert_eq!(memory.leak_report().len(), buffers.len());

    // Other threads than those that made them drop the last handles.
    thread::scope(|scope| {
        held.into_iter().for_each(|held| drop(scope.spawn(move || drop(held))));
    });
    check_sums(&memory, &device);
    assert_eq!(memory.statistics().total.live_buffers, 0);
    assert!(memory.leak_report().is_empty());
    drop(memory);
    assert_eq!(device.bytes_in_use(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn threads_share_a_manager_without_overlap_or_loss(programs in programs()) {
        check_program(&programs);
    }
}

/// All threads hold handles on the same few buffers, so that last drops collide.
#[test]
fn the_last_drop_is_the_last_whoever_makes_it() {
    let device = Arc::new(HostDevice::new());
    let memory = MemoryManager::new(device.clone());
    for round in 0..200 {
        let tensor = memory.from_slice([64], &[round as u8; 64]).unwrap();
        thread::scope(|scope| {
            for _ in 0..THREADS {
                let handle = tensor.clone();
                scope.spawn(move || {
                    let view = handle.view(8, [8]).unwrap();
                    drop(handle);
                    assert_eq!(view.read::<u8>().unwrap(), [round as u8; 8]);
                });
            }
            drop(tensor);
        });
        assert_eq!(memory.statistics().total.live_buffers, 0);
    }
    assert_eq!(device.allocations(), 1);
}
