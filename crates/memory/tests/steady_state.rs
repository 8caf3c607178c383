//! In the steady state nothing is allocated: not on the device, and not on the heap.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use onestep_memory::{DType, HostDevice, MemoryManager, Shape, Staged, StagingPool};

/// Counts the allocations of each thread by itself, so that tests do not disturb each other.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    // During the end of a thread the counter is gone, and nobody asks for it.
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are the ones `System` needs.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Heap allocations of this thread during `work`.
fn allocations(work: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

fn ring(slots: usize) -> Arc<StagingPool> {
    let layout = [(Shape::from([8, 3]), DType::F32), (Shape::from([8]), DType::I32)];
    StagingPool::new(&MemoryManager::host(), slots, &layout).unwrap()
}

fn fill(ring: &StagingPool, value: i32) -> Staged {
    let mut slot = ring.acquire_timeout(Duration::from_secs(30)).unwrap();
    slot.slice_mut::<f32>(0).unwrap().fill(value as f32);
    slot.slice_mut::<i32>(1).unwrap().fill(value);
    slot.freeze()
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(1)))), 1);
}

#[test]
fn staging_takes_no_heap() {
    let ring = ring(2);
    drop(fill(&ring, 0));
    let heap = allocations(|| {
        for value in 0..1000 {
            let batch = fill(&ring, value);
            let clone = batch.clone();
            drop(batch);
            assert_eq!(clone.tensors()[1].view(0, []).unwrap().item(), Ok(value));
            drop(ring.try_acquire());
        }
    });
    assert_eq!(heap, 0);
}

/// A place for one batch on its way from the producer to the consumer, without heap memory.
#[derive(Default)]
struct Handover {
    batch: Mutex<Option<Staged>>,
    changed: Condvar,
}

impl Handover {
    fn put(&self, batch: Staged) {
        let deadline = Duration::from_secs(30);
        let place = self.batch.lock().unwrap();
        let (mut place, timeout) =
            self.changed.wait_timeout_while(place, deadline, |place| place.is_some()).unwrap();
        assert!(!timeout.timed_out());
        *place = Some(batch);
        self.changed.notify_all();
    }

    fn take(&self) -> Staged {
        let deadline = Duration::from_secs(30);
        let place = self.batch.lock().unwrap();
        let (mut place, _) =
            self.changed.wait_timeout_while(place, deadline, |place| place.is_none()).unwrap();
        self.changed.notify_all();
        place.take().expect("the producer has put one in time")
    }
}

#[test]
fn staging_between_threads_takes_no_heap() {
    const BATCHES: i32 = 2000;
    let (ring, handover) = (ring(2), Handover::default());
    thread::scope(|scope| {
        let producer = scope.spawn(|| {
            handover.put(fill(&ring, 0)); // the first wait may set up the platform's locks
            allocations(|| (1..BATCHES).for_each(|value| handover.put(fill(&ring, value))))
        });
        drop(handover.take());
        let heap = allocations(|| {
            for value in 1..BATCHES {
                let mut labels = [0; 8];
                handover.take().tensors()[1].read_into(&mut labels).unwrap();
                assert_eq!(labels, [value; 8]);
            }
        });
        assert_eq!((heap, producer.join().unwrap()), (0, 0));
    });
}

#[test]
fn a_pool_hit_takes_neither_device_memory_nor_heap() {
    let device = Arc::new(HostDevice::new());
    let memory = MemoryManager::new(device.clone());
    let shapes = [[100, 10], [64, 1000], [2, 3]];
    let cycle = || {
        let tensors = shapes.map(|shape| memory.zeros(shape, DType::F32).unwrap());
        let view = tensors[0].view(10, [10]).unwrap();
        assert_eq!(view.clone().reference_count(), 3);
    };
    cycle();
    let before = (device.allocations(), memory.statistics().total);
    let heap = allocations(|| (0..100).for_each(|_| cycle()));
    assert_eq!(heap, 0);
    assert_eq!(device.allocations(), before.0);
    let total = memory.statistics().total;
    assert_eq!((total.hits, total.misses), (before.1.hits + 300, before.1.misses));
}
