//! Pools: recycling, caps, budget, faults, statistics and the leak report.

use std::sync::Arc;

use onestep_memory::{
    DType, HostDevice, MemoryError, MemoryManager, PoolLimits, Tensor, Tier, TierStatistics,
};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

fn host() -> (Arc<HostDevice>, MemoryManager) {
    let device = Arc::new(HostDevice::new());
    (Arc::clone(&device), MemoryManager::new(device))
}

fn bytes(memory: &MemoryManager, bytes: usize) -> Result<Tensor, MemoryError> {
    memory.allocate([bytes], DType::U8)
}

#[test]
fn each_tier_counts_for_itself_and_for_the_total() {
    let (_, memory) = host();
    let tensors = [10 * KIB, 100 * KIB, 5 * MIB, 65 * MIB].map(|n| bytes(&memory, n).unwrap());
    let live = [16 * KIB, 128 * KIB, 8 * MIB, 65 * MIB];
    let statistics = memory.statistics();
    for (tier, live) in Tier::ALL.into_iter().zip(live) {
        assert_eq!(statistics.tier(tier).live, live, "{tier}");
        assert_eq!(statistics.tier(tier).device_allocations, 1);
    }
    assert_eq!(statistics.total.live, live.iter().sum());

    drop(tensors);
    let total = memory.statistics().total;
    assert_eq!((total.live, total.pooled), (0, live.iter().sum()));
    assert_eq!((total.peak, total.peak_reserved), (total.pooled, total.pooled));
    assert!(memory.statistics().to_string().contains("huge"));
}

#[test]
fn a_buffer_is_recycled_within_its_class_only() {
    let (device, memory) = host();
    for (first, second, recycled) in [
        (3 * KIB, 4 * KIB, true),
        (3 * KIB, 2 * KIB, false),
        (65 * MIB, 65 * MIB - 5, true),
        (66 * MIB, 67 * MIB, false),
    ] {
        memory.trim(0);
        drop(bytes(&memory, first).unwrap());
        let before = device.allocations();
        drop(bytes(&memory, second).unwrap());
        assert_eq!(device.allocations() == before, recycled, "{first} then {second}");
    }
}

#[test]
fn a_full_tier_gives_buffers_back_to_the_device() {
    let (device, memory) = host();
    let memory = memory.with_limits(PoolLimits { small: 8 * KIB, ..PoolLimits::default() });
    let tensors: Vec<_> = (0..5).map(|_| bytes(&memory, 4 * KIB).unwrap()).collect();
    drop(tensors);
    let small = *memory.statistics().tier(Tier::Small);
    assert_eq!((small.pooled, small.pooled_buffers, small.device_frees), (8 * KIB, 2, 3));
    assert_eq!(device.bytes_in_use(), 8 * KIB);

    let memory = memory.with_limits(PoolLimits::NONE);
    assert_eq!(device.bytes_in_use(), 0);
    drop(bytes(&memory, 1).unwrap());
    assert_eq!(device.bytes_in_use(), 0);
}

#[test]
fn trimming_frees_the_largest_first() {
    let (device, memory) = host();
    drop([KIB, 128 * KIB, 8 * MIB].map(|n| bytes(&memory, n).unwrap()));
    assert_eq!(memory.trim(200 * KIB), 8 * MIB);
    assert_eq!(memory.statistics().total.pooled, 129 * KIB);
    assert_eq!(memory.trim(200 * KIB), 0);
    assert_eq!(memory.trim(0), 129 * KIB);
    assert_eq!(device.bytes_in_use(), 0);
}

#[test]
fn the_budget_trims_idle_buffers_before_it_refuses() {
    let (device, memory) = host();
    let memory = memory.with_budget(64 * KIB);
    drop(bytes(&memory, 32 * KIB).unwrap());
    let kept = bytes(&memory, 16 * KIB).unwrap();
    let large = bytes(&memory, 33 * KIB);
    // 64 KiB would be needed beside the 16 that live; the idle 32 would not help and stay.
    assert_eq!(
        large.unwrap_err(),
        MemoryError::BudgetExceeded { requested: 64 * KIB, live: 16 * KIB, budget: 64 * KIB }
    );
    assert_eq!(memory.statistics().total.pooled, 32 * KIB);
    let small = [(); 3].map(|()| bytes(&memory, 16 * KIB).unwrap());
    assert_eq!(device.bytes_in_use(), 64 * KIB);
    assert_eq!(memory.statistics().total.pooled, 0);
    drop((kept, small));
    assert!(bytes(&memory, 64 * KIB).is_ok());
}

#[test]
fn the_refusal_says_what_was_wanted_and_what_there_is() {
    let memory = MemoryManager::host().with_budget(100 * MIB);
    let _held = bytes(&memory, 65 * MIB).unwrap();
    let error = bytes(&memory, 40 * MIB).unwrap_err().to_string();
    assert_eq!(
        error,
        "memory budget exceeded: requested 64 MiB, 65 MiB are live, the budget is 100 MiB; \
         use a smaller batch (`--batch-size`) or a larger budget (`--memory-budget`)"
    );
}

#[test]
fn a_lowered_budget_counts_at_once_and_a_lifted_one_no_more() {
    let (device, memory) = host();
    let held = bytes(&memory, 16 * KIB).unwrap();
    drop(bytes(&memory, 32 * KIB).unwrap());
    memory.set_budget(Some(8 * KIB));
    assert_eq!(device.bytes_in_use(), 16 * KIB);
    assert!(bytes(&memory, 1).is_err());
    drop(held);
    assert_eq!(device.bytes_in_use(), 0);
    memory.set_budget(None);
    assert!(bytes(&memory, MIB).is_ok());
}

#[test]
fn a_full_device_gets_its_idle_buffers_back_and_is_asked_again() {
    let device = Arc::new(HostDevice::with_memory_limit(100 * KIB));
    let memory = MemoryManager::new(device.clone());
    drop(bytes(&memory, 64 * KIB).unwrap());
    let held = bytes(&memory, 32 * KIB).unwrap();
    drop(bytes(&memory, 64 * KIB).unwrap());
    let wanted = [(); 2].map(|()| bytes(&memory, 32 * KIB).unwrap());
    let error = bytes(&memory, 32 * KIB).unwrap_err();
    assert_eq!(
        error.to_string(),
        "device cpu is out of memory: requested 32 KiB, 96 KiB are in use of 100 KiB"
    );
    drop((held, wanted));
}

#[test]
fn a_failed_allocation_leaves_no_trace() {
    let (device, memory) = host();
    device.fail_nth_allocation(1);
    let error = memory.zeros([4], DType::F32).unwrap_err();
    assert_eq!(error, MemoryError::InjectedFault { device: "cpu".into(), ordinal: 1 });
    let expected = TierStatistics { misses: 1, ..TierStatistics::default() };
    assert_eq!(memory.statistics().total, expected);
    assert!(memory.leak_report().is_empty());
    assert!(memory.zeros([4], DType::F32).is_ok());
}

#[test]
fn the_leak_report_names_the_line_that_made_each_tensor() {
    let memory = MemoryManager::host();
    let line = line!() + 1;
    let weights = memory.zeros([3, 4], DType::F32).unwrap();
    let labels = memory.from_slice([2], &[1i32, 2]).unwrap();
    let _view = weights.view(0, [4]).unwrap();

    let report = memory.leak_report();
    assert_eq!(report.len(), 2);
    assert_eq!((report[0].bytes, report[1].bytes), (48, 8));
    if cfg!(debug_assertions) {
        let location = report[0].location.unwrap();
        assert_eq!((location.file(), location.line()), (file!(), line));
        let shown = report[1].to_string();
        assert!(shown.starts_with("i32 [2] (8 B) made at "), "{shown}");
        assert!(shown.contains(&format!("pools.rs:{}:", line + 1)), "{shown}");
    }
    drop(labels);
    assert_eq!(memory.leak_report(), report[..1]);
}

#[test]
fn peaks_start_again_when_asked() {
    let (_, memory) = host();
    drop(bytes(&memory, MIB).unwrap());
    let _held = bytes(&memory, KIB).unwrap();
    memory.reset_peaks();
    let total = memory.statistics().total;
    assert_eq!((total.peak, total.peak_reserved), (KIB, MIB + KIB));
}

#[test]
fn tensors_outlive_their_manager_and_still_free_their_memory() {
    let (device, memory) = host();
    let tensor = memory.from_slice([2], &[1u8, 2]).unwrap();
    drop(memory);
    assert_eq!(tensor.read::<u8>().unwrap(), [1, 2]);
    drop(tensor);
    assert_eq!(device.bytes_in_use(), 0);
}
