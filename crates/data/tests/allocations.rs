//! In the steady state a batch costs no heap allocation, on any thread.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use libtest_mimic::{Arguments, Trial};
use onestep_data::{
    Collation, DataError, DataLoader, Dataset, Field, Fields, IGNORED, SampleMut, digits,
};
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

/// A picture, tokens, a mask, a label for each position and a weight. They vary in length or do not.
struct Many {
    vary: bool,
}

impl Dataset for Many {
    fn name(&self) -> &str {
        "many"
    }

    fn len(&self) -> usize {
        103
    }

    fn fields(&self) -> Fields {
        let vary = |field: Field| if self.vary { field.varying() } else { field };
        [
            Field::f32("image", [1, 4, 4]),
            vary(Field::indices("tokens", [5], 200)),
            vary(Field::u8("mask", [5])),
            vary(Field::labels("next", [5], ["a", "b"]).ignoring()),
            Field::weight("weight"),
        ]
        .into()
    }

    fn length(&self, index: usize) -> Option<usize> {
        self.vary.then_some(1 + index % 5)
    }

    fn read(&self, index: usize, sample: &mut SampleMut<'_>) -> Result<(), DataError> {
        sample.f32("image")?.fill(index as f32);
        sample.i32("tokens")?.fill(index as i32);
        sample.u8("mask")?.fill(1);
        sample.i32("next")?.fill(if index.is_multiple_of(2) { 1 } else { IGNORED });
        sample.put("weight", &[0.5f32])
    }
}

fn any_fields_allocate_nothing() {
    for (workers, vary) in [(0, false), (2, false), (0, true), (2, true)] {
        let collation = if vary { Collation::buckets([2]) } else { Collation::default() };
        let mut loader = DataLoader::builder(Arc::new(Many { vary }))
            .collate(collation)
            .batch_size(10)
            .workers(workers)
            .shuffle(true)
            .training(true)
            .pipeline("crop=1".parse().unwrap())
            .build(&MemoryManager::host())
            .unwrap();
        let mut epoch = loader.epoch(0);
        let first = epoch.next().unwrap().unwrap().size();
        let before = ALLOCATIONS.load(Ordering::SeqCst);
        let mut samples = 0;
        for batch in epoch {
            let batch = batch.unwrap();
            let mut first = [0; 1];
            batch.tensor("tokens").unwrap().view(0, [1]).unwrap().read_into(&mut first).unwrap();
            assert_eq!(first[0], batch.samples()[0] as i32);
            samples += batch.size();
        }
        let allocations = ALLOCATIONS.load(Ordering::SeqCst) - before;
        assert_eq!((samples, allocations), (103 - first, 0), "{workers} workers");
    }
}

fn a_batch_allocates_nothing() {
    let mixings = [None, Some("mixup=0.4"), Some("cutmix")];
    for (workers, mixing) in [0, 1, 3].into_iter().zip(mixings.into_iter().cycle()) {
        batches_allocate_nothing(workers, None);
        batches_allocate_nothing(workers, mixing);
    }
}

fn batches_allocate_nothing(workers: usize, mixing: Option<&str>) {
    let mut builder = DataLoader::builder(Arc::new(digits().unwrap()));
    if let Some(mixing) = mixing {
        builder = builder.mix(mixing.parse().unwrap());
    }
    let mut loader = builder
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
