//! The engine around an executor that only counts: caching, checks and poisoning.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use onestep_engine::*;
use onestep_memory::{MemoryManager, Tensor};

#[derive(Default)]
struct Log {
    compiled: AtomicU64,
    submitted: AtomicU64,
    /// The submission, counted from 1, that fails.
    fail_at: AtomicU64,
}

struct CountingExecutor {
    memory: MemoryManager,
    log: Arc<Log>,
}

struct CountingStep {
    log: Arc<Log>,
    ring: Arc<TicketRing>,
}

impl Executor for CountingExecutor {
    fn name(&self) -> String {
        "counting".into()
    }

    fn memory(&self) -> &MemoryManager {
        &self.memory
    }

    fn compile(&mut self, _: &Program, _: &StateTable) -> Result<Box<dyn Step>, EngineError> {
        self.log.compiled.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(CountingStep { log: Arc::clone(&self.log), ring: TicketRing::new(4) }))
    }

    fn counters(&self) -> StepCounters {
        let native_calls = self.log.submitted.load(Ordering::Relaxed);
        StepCounters { native_calls, ..StepCounters::default() }
    }
}

impl Step for CountingStep {
    fn submit(&mut self, _: Feeds<'_>, _: &Scalars) -> Result<Ticket, EngineError> {
        let number = self.log.submitted.fetch_add(1, Ordering::Relaxed) + 1;
        if number == self.log.fail_at.load(Ordering::Relaxed) {
            return Err(EngineError::Unsupported {
                backend: "counting",
                op: "step".into(),
                reason: "asked to fail".into(),
            });
        }
        let ticket = self.ring.issue(number);
        self.ring.complete(number, Ok(Reports::new(&[number as f32])));
        Ok(ticket)
    }

    fn read_output(&mut self, name: &str) -> Result<Vec<f32>, EngineError> {
        Err(EngineError::UnknownOutput { name: name.into(), known: String::new() })
    }

    fn reports(&self) -> &[String] {
        &[]
    }

    fn footprint(&self) -> Footprint {
        Footprint::default()
    }

    fn dump(&self) -> String {
        "nothing".into()
    }
}

fn source(mode: Mode, signature: &Signature) -> Result<Program, EngineError> {
    let mut g = Graph::new();
    let batch = signature.batch();
    let x = g.input("input", &[batch, 2], DType::F32)?;
    let mut y = g.relu(x)?;
    if mode != Mode::Predict {
        let target = g.input("target", &[batch, 2], DType::F32)?;
        y = g.sub(y, target)?;
    }
    let program = Program::predict(g, vec![Named::new("output", y)]);
    Ok(Program { mode, ..program })
}

fn engine() -> (Engine, Arc<Log>, MemoryManager) {
    let log = Arc::new(Log::default());
    let memory = MemoryManager::host();
    let executor = CountingExecutor { memory: memory.clone(), log: Arc::clone(&log) };
    let layout = StateLayout::default();
    (Engine::new(Box::new(executor), layout, Box::new(source)).unwrap(), log, memory)
}

fn names<const N: usize>(names: [&str; N]) -> [String; N] {
    names.map(String::from)
}

fn zeros<const N: usize>(memory: &MemoryManager, shapes: [[usize; 2]; N]) -> [Tensor; N] {
    shapes.map(|shape| memory.zeros(shape, DType::F32).unwrap())
}

#[test]
fn a_plan_is_compiled_once_for_each_signature_and_mode() {
    let (mut engine, log, memory) = engine();
    let input = names(["input"]);
    let (full, short) = (zeros(&memory, [[8, 2]]), zeros(&memory, [[3, 2]]));
    for feeds in [&full, &full, &short, &full, &short] {
        let feeds = Feeds::named(&input, feeds);
        engine.submit(Mode::Predict, feeds, &Scalars::default()).unwrap();
    }
    assert_eq!(log.compiled.load(Ordering::Relaxed), 2);
    assert_eq!(engine.counters().native_calls, 5);
    let (both, pair) = (names(["target", "input"]), zeros(&memory, [[8, 2], [8, 2]]));
    engine.submit(Mode::Evaluate, Feeds::named(&both, &pair), &Scalars::default()).unwrap();
    assert_eq!(log.compiled.load(Ordering::Relaxed), 3);
    assert_eq!(engine.plans(), 3);
}

#[test]
fn only_the_plans_used_last_are_kept() {
    let (mut engine, log, memory) = engine();
    let input = names(["input"]);
    let predict = |engine: &mut Engine, batch| {
        let feeds = zeros(&memory, [[batch, 2]]);
        engine.submit(Mode::Predict, Feeds::named(&input, &feeds), &Scalars::default()).unwrap();
        log.compiled.load(Ordering::Relaxed)
    };
    for batch in 1..=PLANS {
        assert_eq!(predict(&mut engine, batch), batch as u64);
    }
    assert_eq!(predict(&mut engine, 1), PLANS as u64, "the first is still there");
    assert_eq!(predict(&mut engine, 100), PLANS as u64 + 1);
    assert_eq!(predict(&mut engine, 1), PLANS as u64 + 1, "it was used after the second");
    assert_eq!(predict(&mut engine, 2), PLANS as u64 + 2, "the second had to go");
    assert_eq!(engine.plans(), PLANS);
    engine.set_plan_limit(1);
    assert_eq!(engine.plans(), 1);
    assert_eq!(predict(&mut engine, 2), PLANS as u64 + 2, "the one used last stays");
    engine.set_plan_limit(0);
    assert_eq!(engine.plans(), 1, "one is always kept");
}

#[test]
fn a_batch_without_names_is_found_by_its_types() {
    let (mut engine, log, memory) = engine();
    let feeds = zeros(&memory, [[8, 2]]);
    let submit =
        |engine: &mut Engine| engine.submit(Mode::Predict, Feeds::new(&feeds), &Scalars::default());
    let error = submit(&mut engine).unwrap_err().to_string();
    assert!(error.contains("the names of its fields") && error.contains("f32[8, 2]"), "{error}");
    let signature = Signature::of(&names(["input"]), &feeds).unwrap();
    engine.prepare(Mode::Predict, &signature).unwrap();
    submit(&mut engine).unwrap();
    assert_eq!(log.compiled.load(Ordering::Relaxed), 1);
}

#[test]
fn an_output_of_a_step_that_never_ran_is_refused_and_nothing_is_compiled() {
    let (mut engine, log, memory) = engine();
    let feeds = zeros(&memory, [[8, 2]]);
    let signature = Signature::of(&names(["input"]), &feeds).unwrap();
    let error = engine.read_output(Mode::Predict, &signature, "output").unwrap_err();
    assert!(matches!(error, EngineError::OutputGone { .. }), "{error}");
    assert_eq!(log.compiled.load(Ordering::Relaxed), 0);
}

#[test]
fn a_program_may_use_some_of_the_fields_but_one_that_trains_all() {
    let (mut engine, _, memory) = engine();
    let three = names(["input", "weight", "target"]);
    let feeds = zeros(&memory, [[8, 2], [8, 1], [8, 2]]);
    let submit = |engine: &mut Engine, mode| {
        engine.submit(mode, Feeds::named(&three, &feeds), &Scalars::default())
    };
    submit(&mut engine, Mode::Predict).unwrap();
    submit(&mut engine, Mode::Evaluate).unwrap();
    let error = submit(&mut engine, Mode::Train).unwrap_err().to_string();
    assert!(error.starts_with("feed `weight`: expected only fields that"), "{error}");
    let feeds = Feeds::named(&three[..1], &feeds[..1]);
    let error = engine.submit(Mode::Evaluate, feeds, &Scalars::default()).unwrap_err();
    let wanted = "feed `target`: expected f32[8, 2], got a batch without it: input f32[8, 2]";
    assert_eq!(error.to_string(), wanted);
}

#[test]
fn a_feed_that_does_not_fit_is_refused_by_name_before_the_step() {
    let (mut engine, log, memory) = engine();
    let input = names(["input"]);
    let mut refused = |feeds: &[Tensor]| {
        let feeds = Feeds::named(&input, feeds);
        engine.submit(Mode::Predict, feeds, &Scalars::default()).unwrap_err().to_string()
    };
    let error = refused(&zeros(&memory, [[8, 3]]));
    assert_eq!(error, "feed `input`: expected f32[8, 2], got f32[8, 3]");
    let error = refused(&[memory.zeros([8, 2], DType::I32).unwrap()]);
    assert_eq!(error, "feed `input`: expected f32[8, 2], got i32[8, 2]");
    let error = refused(&zeros(&memory, [[0, 2]]));
    assert_eq!(error, "feed `input`: expected at least one sample, got none");
    let error = refused(&zeros(&memory, [[8, 2], [8, 2]]));
    assert_eq!(error, "feed `batch`: expected 1 tensors: input, got 2");
    assert_eq!(log.submitted.load(Ordering::Relaxed), 0);
}

#[test]
fn a_failed_step_poisons_until_recovery() {
    let (mut engine, log, memory) = engine();
    log.fail_at.store(2, Ordering::Relaxed);
    let (input, feeds) = (names(["input"]), zeros(&memory, [[1, 2]]));
    let submit = |engine: &mut Engine| {
        engine.submit(Mode::Predict, Feeds::named(&input, &feeds), &Scalars::default())
    };
    assert_eq!(submit(&mut engine).unwrap().wait().unwrap().loss(), Some(1.0));
    assert!(submit(&mut engine).is_err());
    let error = submit(&mut engine).unwrap_err();
    assert!(matches!(&error, EngineError::Poisoned { reason } if reason.contains("asked to fail")));
    assert_eq!(log.submitted.load(Ordering::Relaxed), 2, "a poisoned engine submits nothing");
    engine.recover();
    assert_eq!(submit(&mut engine).unwrap().wait().unwrap().loss(), Some(3.0));
}

#[test]
fn a_device_without_profiles_says_so_and_goes_on() {
    let (mut engine, log, memory) = engine();
    let (input, feeds) = (names(["input"]), zeros(&memory, [[1, 2]]));
    let feeds = Feeds::named(&input, &feeds);
    let error = engine.profile(Mode::Predict, feeds, &Scalars::default());
    assert!(error.unwrap_err().to_string().contains("profile"));
    assert_eq!(log.submitted.load(Ordering::Relaxed), 0);
    engine.submit(Mode::Predict, feeds, &Scalars::default()).unwrap();
}
