//! The staging ring: order, back-pressure, closing, and misuse.

mod common;

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use common::OpaqueDevice;
use onestep_memory::{
    DType, MemoryError, MemoryManager, Shape, SliceMut, Staged, StagingPool, StagingSlot,
};

/// Long enough never to be reached by a test that passes.
const DEADLINE: Duration = Duration::from_secs(30);

fn ring(slots: usize) -> Arc<StagingPool> {
    let layout = [(Shape::from([4]), DType::F32), (Shape::from([2]), DType::I32)];
    StagingPool::new(&MemoryManager::host(), slots, &layout).unwrap()
}

/// Returns when this many producers have begun to wait, so that what follows happens meanwhile.
fn until_waiting(ring: &StagingPool, producers: u64) {
    let start = Instant::now();
    while ring.statistics().waits < producers {
        assert!(start.elapsed() < DEADLINE, "no producer waits");
        thread::yield_now();
    }
}

#[test]
fn slots_are_distinct_and_go_round() {
    let ring = ring(2);
    let (first, second) = (ring.acquire().unwrap(), ring.acquire().unwrap());
    let address = |slot: &StagingSlot| slot.tensors()[0].host_pointer().unwrap();
    let (at_first, at_second) = (address(&first), address(&second));
    assert_ne!(at_first, at_second);
    assert!(ring.try_acquire().is_none());
    drop(first);
    drop(second);
    assert_eq!(address(&ring.acquire().unwrap()), at_first);
    assert_eq!(address(&ring.acquire().unwrap()), at_second);
}

#[test]
fn a_slot_returns_with_the_last_clone_of_its_batch() {
    let ring = ring(1);
    let batch = ring.acquire().unwrap().freeze();
    let clone = batch.clone();
    drop(batch);
    assert!(ring.try_acquire().is_none());
    drop(clone);
    assert!(ring.try_acquire().is_some());
    assert_eq!(ring.statistics().in_use, 0);
}

#[test]
fn a_full_ring_holds_the_producer_until_a_batch_is_done() {
    let ring = ring(1);
    let batch = ring.acquire().unwrap().freeze();
    thread::scope(|scope| {
        let producer = scope.spawn(|| ring.acquire_timeout(DEADLINE).map(drop));
        until_waiting(&ring, 1);
        assert!(!producer.is_finished());
        assert_eq!(ring.statistics().waiting, 1);
        drop(batch);
        assert_eq!(producer.join().unwrap(), Ok(()));
    });
    let statistics = ring.statistics();
    assert_eq!((statistics.waits, statistics.acquired, statistics.waiting), (1, 2, 0));
    assert!(statistics.waited > Duration::ZERO);
}

#[test]
fn waiting_ends_at_the_timeout() {
    let ring = ring(1);
    let _slot = ring.acquire().unwrap();
    let timeout = Duration::from_millis(10);
    match ring.acquire_timeout(timeout) {
        Err(MemoryError::TimedOut { waited }) => assert!(waited >= timeout),
        other => panic!("{other:?}"),
    }
}

#[test]
fn closing_wakes_every_waiting_producer_with_an_error() {
    let ring = ring(1);
    let batch = ring.acquire().unwrap().freeze();
    let (sender, results) = mpsc::channel();
    for _ in 0..3 {
        let (ring, sender) = (Arc::clone(&ring), sender.clone());
        thread::spawn(move || sender.send(ring.acquire().map(drop)));
    }
    until_waiting(&ring, 3);
    ring.close();
    for _ in 0..3 {
        assert_eq!(results.recv_timeout(DEADLINE), Ok(Err(MemoryError::Closed)));
    }
    // What was frozen stays readable; nothing new is handed out.
    assert_eq!(batch.tensors()[1].read::<i32>().unwrap(), [0, 0]);
    drop(batch);
    assert!(ring.is_closed() && ring.try_acquire().is_none());
    assert_eq!(ring.acquire().map(drop), Err(MemoryError::Closed));
}

#[test]
fn every_batch_arrives_once_and_intact() {
    const BATCHES: i32 = 500;
    let ring = ring(3);
    let (sender, receiver) = mpsc::channel::<Staged>();
    thread::scope(|scope| {
        for producer in 0..2 {
            let (ring, sender) = (&ring, sender.clone());
            scope.spawn(move || {
                for number in (producer..BATCHES).step_by(2) {
                    let mut slot = ring.acquire_timeout(DEADLINE).unwrap();
                    slot.slice_mut::<f32>(0).unwrap().fill(number as f32);
                    slot.slice_mut::<i32>(1).unwrap().fill(number);
                    sender.send(slot.freeze()).unwrap();
                }
            });
        }
        drop(sender);
        let mut seen = vec![false; BATCHES as usize];
        for batch in receiver {
            let number = batch.tensors()[1].read::<i32>().unwrap()[0];
            assert_eq!(batch.tensors()[0].read::<f32>().unwrap(), [number as f32; 4]);
            assert!(!std::mem::replace(&mut seen[number as usize], true), "{number} came twice");
        }
        assert!(seen.into_iter().all(|seen| seen));
    });
    assert_eq!(ring.statistics().in_use, 0);
}

#[test]
fn a_tensor_kept_beyond_its_batch_is_noticed_before_it_is_overwritten() {
    let ring = ring(1);
    let batch = ring.acquire().unwrap().freeze();
    let kept = batch.tensors()[0].clone();
    drop(batch);
    let mut slot = ring.acquire().unwrap();
    let error = slot.slice_mut::<f32>(0).unwrap_err();
    assert_eq!(error, MemoryError::StillShared { references: 2 });
    drop(kept);
    assert!(slot.slice_mut::<f32>(0).is_ok());
}

#[test]
fn all_tensors_of_a_slot_are_filled_side_by_side() {
    let ring = ring(1);
    let mut slot = ring.acquire().unwrap();
    let mut parts: Vec<_> = slot.slices_mut().map(Result::unwrap).collect();
    let [SliceMut::F32(floats), SliceMut::I32(labels)] = &mut parts[..] else {
        panic!("{parts:?}")
    };
    floats.fill(0.5);
    labels.fill(3);
    floats[0] = 1.5;
    let batch = slot.freeze();
    assert_eq!(batch.tensors()[0].read::<f32>().unwrap(), [1.5, 0.5, 0.5, 0.5]);
    assert_eq!(batch.tensors()[1].read::<i32>().unwrap()[0], 3);
    let kept = batch.tensors()[0].clone();
    drop(batch);
    let shared = ring.acquire().unwrap().slices_mut().next().unwrap().map(|_| ());
    assert_eq!(shared, Err(MemoryError::StillShared { references: 2 }));
    drop(kept);
}

#[test]
fn wrong_use_is_named() {
    let ring = ring(1);
    let mut slot = ring.acquire().unwrap();
    let missing = slot.slice_mut::<f32>(2).unwrap_err();
    assert_eq!(missing.to_string(), "staging slot has 2 tensors, asked for index 2");
    let mistyped = slot.slice_mut::<f32>(1).unwrap_err();
    let expected = MemoryError::DTypeMismatch { expected: DType::I32, got: DType::F32 };
    assert_eq!(mistyped, expected);

    let memory = MemoryManager::host();
    let layout = [(Shape::from([4]), DType::F32)];
    for (slots, layout) in [(0, &layout[..]), (2, &[])] {
        let error = StagingPool::new(&memory, slots, layout).unwrap_err();
        assert_eq!(error, MemoryError::EmptyStaging { slots, tensors: layout.len() });
    }
    let hidden = MemoryManager::new(Arc::new(OpaqueDevice::default()));
    let error = StagingPool::new(&hidden, 2, &layout).unwrap_err();
    assert_eq!(error, MemoryError::NotHostVisible { device: "opaque".into() });
}

#[test]
fn a_ring_that_does_not_fit_the_budget_leaves_nothing_behind() {
    let memory = MemoryManager::host().with_budget(5 << 10);
    let layout = [(Shape::from([512]), DType::F32)];
    assert!(StagingPool::new(&memory, 3, &layout).is_err());
    assert!(memory.leak_report().is_empty());
    let ring = StagingPool::new(&memory, 2, &layout).unwrap();
    let batch = ring.acquire().unwrap().freeze();
    drop(ring);
    assert_eq!(memory.leak_report().len(), 2, "a batch keeps its ring");
    drop(batch);
    assert!(memory.leak_report().is_empty());
}
