//! In the steady state a batch costs no heap allocation, on any thread.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use libtest_mimic::{Arguments, Trial};
use onestep_data::{DataError, DataLoader, Dataset, Field, Fields, IGNORED, SampleMut, digits};
use onestep_memory::MemoryManager;

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every method passes its arguments on to the system's allocator, unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::SeqCst);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`, and `pointer` came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::SeqCst);
        // SAFETY: the caller keeps the contract of `realloc`, and `pointer` came from `System`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// On the one thread that is there: every allocation between the marks is the loader's. The usual harness
/// has a thread of its own, which allocates while a test begins.
fn main() {
    let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    let tests = [
        ("a_batch_allocates_nothing", a_batch_allocates_nothing as fn()),
        ("any_fields_allocate_nothing", any_fields_allocate_nothing),
    ];
    let trial = |(name, test): (&str, fn())| {
        let run = move || {
            test();
            Ok(())
        };
        Trial::test(name, run)
    };
    libtest_mimic::run(&arguments, tests.into_iter().map(trial).collect()).exit();
}

/// A picture, tokens, a mask, a label for each position and a weight.
struct Many;

impl Dataset for Many {
    fn name(&self) -> &str {
        "many"
    }

    fn len(&self) -> usize {
        103
    }

    fn fields(&self) -> Fields {
        [
            Field::f32("image", [1, 4, 4]),
            Field::indices("tokens", [5], 200),
            Field::u8("mask", [5]),
            Field::labels("next", [5], ["a", "b"]).ignoring(),
            Field::weight("weight"),
        ]
        .into()
    }

    fn read(&self, index: usize, sample: &mut SampleMut<'_>) -> Result<(), DataError> {
        sample.f32("image")?.fill(index as f32);
        sample.i32("tokens")?.fill(index as i32);
        sample.u8("mask")?.fill(1);
        sample.put("next", &[0, 1, IGNORED, 1, 0])?;
        sample.put("weight", &[0.5f32])
    }
}

fn any_fields_allocate_nothing() {
    for workers in [0, 2] {
        let mut loader = DataLoader::builder(Arc::new(Many))
            .batch_size(10)
            .workers(workers)
            .shuffle(true)
            .training(true)
            .pipeline("crop=1".parse().unwrap())
            .build(&MemoryManager::host())
            .unwrap();
        let mut epoch = loader.epoch(0);
        drop(epoch.next().unwrap().unwrap());
        let before = ALLOCATIONS.load(Ordering::SeqCst);
        let mut tokens = 0;
        for batch in epoch {
            let batch = batch.unwrap();
            let mut first = [0; 1];
            batch.tensor("tokens").unwrap().view(0, [1]).unwrap().read_into(&mut first).unwrap();
            assert_eq!(first[0], batch.samples()[0] as i32);
            tokens += batch.tensors()[1].elements();
        }
        let allocations = ALLOCATIONS.load(Ordering::SeqCst) - before;
        assert_eq!((tokens, allocations), (93 * 5, 0), "{workers} workers");
    }
}

fn a_batch_allocates_nothing() {
    for workers in [0, 1, 3] {
        let mut loader = DataLoader::builder(Arc::new(digits().unwrap()))
            .batch_size(16)
            .workers(workers)
            .shuffle(true)
            .training(true)
            .pipeline("crop=1,flip,+normalise=0.3:0.4".parse().unwrap())
            .build(&MemoryManager::host())
            .unwrap();
        // An epoch draws its order when it begins; from its first batch on there is nothing left.
        let mut epoch = loader.epoch(0);
        let mut ink = 0.0;
        drop(epoch.next().unwrap().unwrap());
        let before = ALLOCATIONS.load(Ordering::SeqCst);
        let mut batches = 0;
        for batch in epoch {
            let batch = batch.unwrap();
            let mut first = [0.0f32; 1];
            let view = batch.input().view(0, [1]).unwrap();
            view.read_into(&mut first).unwrap();
            ink += first[0];
            batches += 1;
        }
        let allocations = ALLOCATIONS.load(Ordering::SeqCst) - before;
        // The last of them is short: 1797 = 112 * 16 + 5.
        assert_eq!(batches, 112);
        assert!(ink.is_finite());
        assert_eq!(allocations, 0, "{workers} workers");
    }
}
