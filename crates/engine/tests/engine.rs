//! The engine around an executor that only counts: caching, checks and poisoning.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use onestep_engine::*;
use onestep_memory::MemoryManager;

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

fn source(_: Mode, batch: usize) -> Result<Program, EngineError> {
    let mut g = Graph::new();
    let x = g.input("input", &[batch, 2], DType::F32)?;
    let y = g.relu(x)?;
    Ok(Program::predict(g, vec![Named::new("output", y)]))
}

fn engine() -> (Engine, Arc<Log>, MemoryManager) {
    let log = Arc::new(Log::default());
    let memory = MemoryManager::host();
    let executor = CountingExecutor { memory: memory.clone(), log: Arc::clone(&log) };
    let layout = StateLayout::default();
    (Engine::new(Box::new(executor), layout, Box::new(source)).unwrap(), log, memory)
}

#[test]
fn a_plan_is_compiled_once_for_each_batch_size_and_mode() {
    let (mut engine, log, memory) = engine();
    let full = [memory.zeros([8, 2], DType::F32).unwrap()];
    let short = [memory.zeros([3, 2], DType::F32).unwrap()];
    for feeds in [&full, &full, &short, &full, &short] {
        engine.submit(Mode::Predict, Feeds::new(feeds), &Scalars::default()).unwrap();
    }
    assert_eq!(log.compiled.load(Ordering::Relaxed), 2);
    assert_eq!(engine.counters().native_calls, 5);
    engine.submit(Mode::Evaluate, Feeds::new(&full), &Scalars::default()).unwrap();
    assert_eq!(log.compiled.load(Ordering::Relaxed), 3);
}

#[test]
fn a_feed_that_does_not_fit_is_refused_by_name_before_the_step() {
    let (mut engine, log, memory) = engine();
    let wide = [memory.zeros([8, 3], DType::F32).unwrap()];
    let error = engine.submit(Mode::Predict, Feeds::new(&wide), &Scalars::default()).unwrap_err();
    assert_eq!(error.to_string(), "feed `input`: expected f32[8, 2], got f32[8, 3]");
    let integers = [memory.zeros([8, 2], DType::I32).unwrap()];
    let error = engine.submit(Mode::Predict, Feeds::new(&integers), &Scalars::default());
    assert!(error.unwrap_err().to_string().contains("got i32[8, 2]"));
    let empty = [memory.zeros([0, 2], DType::F32).unwrap()];
    let error = engine.submit(Mode::Predict, Feeds::new(&empty), &Scalars::default());
    assert!(error.unwrap_err().to_string().contains("at least one sample"));
    assert_eq!(log.submitted.load(Ordering::Relaxed), 0);
}

#[test]
fn a_failed_step_poisons_until_recovery() {
    let (mut engine, log, memory) = engine();
    log.fail_at.store(2, Ordering::Relaxed);
    let feeds = [memory.zeros([1, 2], DType::F32).unwrap()];
    let submit =
        |engine: &mut Engine| engine.submit(Mode::Predict, Feeds::new(&feeds), &Scalars::default());
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
    let feeds = [memory.zeros([1, 2], DType::F32).unwrap()];
    let error = engine.profile(Mode::Predict, Feeds::new(&feeds), &Scalars::default());
    assert!(error.unwrap_err().to_string().contains("profile"));
    assert_eq!(log.submitted.load(Ordering::Relaxed), 0);
    engine.submit(Mode::Predict, Feeds::new(&feeds), &Scalars::default()).unwrap();
}
