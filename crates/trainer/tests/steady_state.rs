//! In the steady state of the whole path (loader threads, shuffling, augmentation, training, a
//! progress callback, running metrics) a step is one call into the executor, without an allocation
//! on any thread and without a wait.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

use libtest_mimic::{Arguments, Trial};
use onestep_data::open;
use onestep_engine::StepCounters;
use onestep_layers::{InputSpec, ModelBuilder};
use onestep_optimizer::Clip;
use onestep_trainer::{
    Callback, Flow, HostData, PredictorOptions, Progress, ProgressEvent, RunView, Sampling,
    StepEvent, Trainer, TrainerConfig, TrainerError,
};

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

/// Takes the counts at two batches of the second epoch.
#[derive(Default)]
struct Probe {
    first: Option<(usize, StepCounters)>,
    last: Option<(usize, StepCounters)>,
}

const FIRST: usize = 10;
const LAST: usize = 80;

impl Callback for Probe {
    fn name(&self) -> &str {
        "probe"
    }

    fn on_step(&mut self, run: &mut RunView<'_>, step: &StepEvent) -> Result<Flow, TrainerError> {
        let counts = || Some((ALLOCATIONS.load(Ordering::SeqCst), run.counters()));
        match (step.epoch, step.batch) {
            (2, FIRST) => self.first = counts(),
            (2, LAST) => self.last = counts(),
            _ => {}
        }
        Ok(Flow::Continue)
    }
}

/// On the one thread that is there: the usual harness has a thread of its own, which allocates while a test
/// begins.
fn main() {
    let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    let step = || {
        a_step_is_one_call_without_allocation_or_wait();
        Ok(())
    };
    let answer = || {
        an_answer_of_a_predictor_allocates_nothing();
        Ok(())
    };
    let answers = || {
        threads_that_share_a_predictor_of_two_inputs_allocate_nothing();
        Ok(())
    };
    let token = || {
        a_token_is_one_call_without_allocation();
        Ok(())
    };
    let tests = vec![
        Trial::test("a_token_is_one_call_without_allocation", token),
        Trial::test("a_step_is_one_call_without_allocation_or_wait", step),
        Trial::test("an_answer_of_a_predictor_allocates_nothing", answer),
        Trial::test("threads_that_share_a_predictor_of_two_inputs_allocate_nothing", answers),
    ];
    libtest_mimic::run(&arguments, tests).exit();
}

fn a_token_is_one_call_without_allocation() {
    let spec = onestep_layers::presets::find("char_gpt").unwrap().build(&[32], 11);
    let mut trainer =
        Trainer::new(spec, TrainerConfig { threads: 1, ..Default::default() }).unwrap();
    let mut generator = trainer.generator(&PredictorOptions::default()).unwrap();
    assert_eq!(generator.uncached(), None);
    let sampling = Sampling { temperature: 1.0, ..Sampling::default() };
    let mut tokens = generator.tokens(&[1], 20, &sampling).unwrap();
    // The first is of the whole context.
    tokens.next().unwrap().unwrap();
    tokens.next().unwrap().unwrap();
    let before = ALLOCATIONS.load(Ordering::SeqCst);
    for _ in 0..10 {
        tokens.next().unwrap().unwrap();
    }
    assert_eq!(ALLOCATIONS.load(Ordering::SeqCst) - before, 0);
    drop(tokens);
    let before = generator.counters().unwrap();
    let count = generator.tokens(&[1], 20, &sampling).unwrap().count() as u64;
    let after = generator.counters().unwrap();
    assert_eq!(after.native_calls - before.native_calls, count);
}

fn an_answer_of_a_predictor_allocates_nothing() {
    let model = ModelBuilder::new([1, 8, 8])
        .conv2d(8, 3, 1, 1, false, "conv1")
        .batch_norm("bn1")
        .relu("relu1")
        .flatten("flatten")
        .dense(10, true, "fc1")
        .spec();
    let mut trainer =
        Trainer::new(model, TrainerConfig { threads: 1, ..Default::default() }).unwrap();
    let options = PredictorOptions { batch: 4, lanes: 2, ..Default::default() };
    let predictor = trainer.predictor(&options).unwrap();
    let input: Vec<f32> = (0..6 * 64).map(|i| (i % 17) as f32 / 16.0).collect();
    let wanted = trainer.predict(&input).unwrap();
    let mut out = vec![0.0; 60];
    // Each lane is warm after its first answer.
    for _ in 0..2 {
        predictor.predict_into(&input, &mut out).unwrap();
    }
    let before = ALLOCATIONS.load(Ordering::SeqCst);
    for _ in 0..10 {
        predictor.predict_into(&input, &mut out).unwrap();
    }
    assert_eq!(ALLOCATIONS.load(Ordering::SeqCst) - before, 0);
    let close = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-5 * b.abs().max(1.0);
    assert!(out.iter().zip(&wanted.values).all(close), "{out:?} {wanted:?}");
}

/// The counts are taken between barriers, while all threads are there and none begins or ends.
fn threads_that_share_a_predictor_of_two_inputs_allocate_nothing() {
    const THREADS: usize = 3;
    let model = ModelBuilder::with_inputs([
        ("picture", InputSpec::new([1, 4, 4])),
        ("words", InputSpec::indices([3])),
    ])
    .flatten("pixels")
    .taking(["picture"])
    .dense(12, true, "look")
    .embedding(5, 4, "embed")
    .taking(["words"])
    .flatten("read")
    .multiply(["look", "read"], "both")
    .dense(2, true, "fc")
    .spec();
    let config = TrainerConfig {
        threads: 1,
        augmentation: "+normalise@picture=0.5:2".into(),
        ..Default::default()
    };
    let mut trainer = Trainer::new(model, config).unwrap();
    let options = PredictorOptions { batch: 2, lanes: 2, ..Default::default() };
    let predictor = trainer.predictor(&options).unwrap();
    let pictures: Vec<f32> = (0..5 * 16).map(|i| (i % 13) as f32).collect();
    let words: Vec<i32> = (0..5 * 3).map(|i| i % 5).collect();
    let fields = [("picture", HostData::from(&pictures)), ("words", HostData::from(&words))];
    let wanted = trainer.predict(&fields).unwrap();
    let close = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-5 * b.abs().max(1.0);
    // Each lane is warm after its first answer, and callers take them in turns.
    let mut out = vec![0.0; 10];
    for _ in 0..2 {
        predictor.predict_into(&fields, &mut out).unwrap();
    }
    let barrier = Barrier::new(THREADS + 1);
    let (predictor, barrier, fields) = (&predictor, &barrier, &fields);
    let allocated = std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let mut out = [0.0; 10];
                // Before the counts: what a thread takes when it first waits.
                predictor.predict_into(fields, &mut out).unwrap();
                barrier.wait();
                barrier.wait();
                for _ in 0..20 {
                    predictor.predict_into(fields, &mut out).unwrap();
                }
                barrier.wait();
                barrier.wait();
                assert!(out.iter().zip(&wanted.values).all(close), "{out:?} {wanted:?}");
            });
        }
        barrier.wait();
        let before = ALLOCATIONS.load(Ordering::SeqCst);
        barrier.wait();
        barrier.wait();
        let allocated = ALLOCATIONS.load(Ordering::SeqCst) - before;
        barrier.wait();
        allocated
    });
    assert_eq!(allocated, 0);
}

fn a_step_is_one_call_without_allocation_or_wait() {
    let data = open("digits").unwrap();
    let model = ModelBuilder::new([1, 8, 8])
        .conv2d(8, 3, 1, 1, false, "conv1")
        .batch_norm("bn1")
        .relu("relu1")
        .max_pool2d(2, "pool1")
        .flatten("flatten")
        .dropout(0.2, "dropout1")
        .dense(10, true, "fc1")
        .spec();
    let config = TrainerConfig {
        epochs: 2,
        batch_size: 16,
        optimizer: "adamw".parse().unwrap(),
        schedule: "one-cycle".parse().unwrap(),
        clip: Some(Clip::Norm(5.0)),
        augmentation: "crop=1".into(),
        workers: 2,
        threads: 2,
        ..TrainerConfig::default()
    };
    let mut trainer = Trainer::new(model, config).unwrap();
    let mut shown = (0, 0.0);
    let mut bar = Progress::new(|event| {
        if let ProgressEvent::Step(step) = event {
            shown = (shown.0 + step.samples, step.running.loss);
        }
    });
    let mut probe = Probe::default();
    let history =
        trainer.fit(data.train, Some(data.validation), &mut [&mut bar, &mut probe]).unwrap();

    let ((allocations, before), (allocations_then, after)) =
        (probe.first.unwrap(), probe.last.unwrap());
    let counters = after - before;
    assert_eq!(allocations_then - allocations, 0, "heap allocations on all threads");
    assert_eq!(counters.native_calls, (LAST - FIRST) as u64);
    assert_eq!((counters.allocations, counters.host_syncs), (0, 0));
    assert_eq!(history.per_step.native_calls, 1.0);
    assert_eq!((history.per_step.allocations, history.per_step.host_syncs), (0.0, 0.0));
    assert_eq!(shown.0, 2 * 1439);
    assert!(history.epochs[1].train.loss < history.epochs[0].train.loss);
}
