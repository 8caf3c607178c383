//! An executor in plain f64 arithmetic that finishes its steps on a thread of its own, later: what
//! the trainer may rely on is the contract, not that a step is done when `submit` returns.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use onestep_engine::ops::LeafKind;
use onestep_engine::reference::{Array, Context, evaluate};
use onestep_engine::{
    EngineError, Executor, Feeds, Footprint, Graph, Program, Reports, Scalars, StateTable, Step,
    StepCounters, StepGraph, Ticket, TicketRing, Value,
};
use onestep_memory::{DType, MemoryManager, Staged, Tensor};

type Outputs = Arc<Mutex<HashMap<String, Vec<f32>>>>;

struct Job {
    graph: Arc<StepGraph>,
    state: StateTable,
    // Dropped before `staged`.
    feeds: Vec<Tensor>,
    staged: Option<Staged>,
    scalars: Scalars,
    serial: u64,
    outputs: Outputs,
}

/// The executor. Its thread ends with the last of it and its steps.
pub(crate) struct Reference {
    memory: MemoryManager,
    ring: Arc<TicketRing>,
    jobs: Option<Sender<Job>>,
    worker: Option<JoinHandle<()>>,
    calls: Arc<AtomicU64>,
}

impl Reference {
    /// Steps take at least `delay`.
    pub(crate) fn boxed(delay: Duration) -> Box<dyn Executor> {
        Self::after(move || std::thread::sleep(delay))
    }

    /// The first step is not done before something is received.
    pub(crate) fn held_up(first: Receiver<()>) -> Box<dyn Executor> {
        let mut first = Some(first);
        Self::after(move || {
            if let Some(first) = first.take() {
                // A trainer that waits for the loss before it goes on fails then, and does not hang.
                let _ = first.recv_timeout(Duration::from_secs(60));
            }
        })
    }

    /// Calls `before` on the executor's thread before each step.
    fn after(mut before: impl FnMut() + Send + 'static) -> Box<dyn Executor> {
        let ring = TicketRing::new(16);
        let (jobs, queue) = channel::<Job>();
        let results = Arc::clone(&ring);
        let worker = std::thread::spawn(move || {
            for job in queue {
                before();
                let (serial, result) = (job.serial, run(&job));
                // Tensors go before the slot that they lie in, and both before the ticket says so.
                let Job { feeds, staged, .. } = job;
                drop(feeds);
                drop(staged);
                results.complete(serial, result);
            }
        });
        Box::new(Reference {
            memory: MemoryManager::host(),
            ring,
            jobs: Some(jobs),
            worker: Some(worker),
            calls: Arc::default(),
        })
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        self.jobs = None;
        // Steps may still hold senders; then the thread ends with the last of them.
        drop(self.worker.take());
    }
}

impl Executor for Reference {
    fn name(&self) -> String {
        "reference".to_owned()
    }

    fn memory(&self) -> &MemoryManager {
        &self.memory
    }

    fn compile(
        &mut self,
        program: &Program,
        state: &StateTable,
    ) -> Result<Box<dyn Step>, EngineError> {
        let graph = Arc::new(StepGraph::new(program, state.layout())?);
        Ok(Box::new(ReferenceStep {
            reports: graph.reports.iter().map(|report| report.name.clone()).collect(),
            graph,
            state: state.clone(),
            ring: Arc::clone(&self.ring),
            jobs: self.jobs.clone(),
            calls: Arc::clone(&self.calls),
            outputs: Outputs::default(),
            last: None,
        }))
    }

    fn counters(&self) -> StepCounters {
        StepCounters {
            native_calls: self.calls.load(Ordering::Relaxed),
            allocations: 0,
            host_syncs: self.ring.waits(),
        }
    }
}

struct ReferenceStep {
    graph: Arc<StepGraph>,
    state: StateTable,
    reports: Vec<String>,
    ring: Arc<TicketRing>,
    jobs: Option<Sender<Job>>,
    calls: Arc<AtomicU64>,
    outputs: Outputs,
    last: Option<Ticket>,
}

impl Step for ReferenceStep {
    fn submit(&mut self, feeds: Feeds<'_>, scalars: &Scalars) -> Result<Ticket, EngineError> {
        let serial = self.calls.fetch_add(1, Ordering::Relaxed);
        let ticket = self.ring.issue(serial);
        let job = Job {
            graph: Arc::clone(&self.graph),
            state: self.state.clone(),
            feeds: feeds.tensors.to_vec(),
            staged: feeds.staged.cloned(),
            scalars: scalars.clone(),
            serial,
            outputs: Arc::clone(&self.outputs),
        };
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        self.last = Some(ticket.clone());
        match sent {
            true => Ok(ticket),
            false => Err(EngineError::Poisoned { reason: "the worker has ended".into() }),
        }
    }

    fn read_output(&mut self, name: &str) -> Result<Vec<f32>, EngineError> {
        if let Some(last) = &self.last {
            last.wait()?;
        }
        let outputs = self.outputs.lock().unwrap();
        outputs.get(name).cloned().ok_or_else(|| EngineError::UnknownOutput {
            name: name.to_owned(),
            known: outputs.keys().cloned().collect::<Vec<_>>().join(", "),
        })
    }

    fn reports(&self) -> &[String] {
        &self.reports
    }

    fn footprint(&self) -> Footprint {
        Footprint { state: self.state.layout().bytes(), ..Footprint::default() }
    }

    fn dump(&self) -> String {
        self.graph.graph.to_string()
    }
}

fn run(job: &Job) -> Result<Reports, EngineError> {
    let StepGraph { graph, writes, reports, outputs } = &*job.graph;
    let leaves = leaves(graph, job)?;
    let all: Vec<Value> = [reports, outputs, writes]
        .into_iter()
        .flat_map(|named| named.iter().map(|n| n.value))
        .collect();
    let context = Context { seed: job.scalars.seed, step: job.scalars.step };
    let values = evaluate(graph, &leaves, &context, &all)?;
    let singles = |array: &Array| array.data.iter().map(|&x| x as f32).collect::<Vec<f32>>();
    let (first, rest) = values.split_at(reports.len());
    let (second, third) = rest.split_at(outputs.len());
    let mut room = job.outputs.lock().unwrap();
    for (output, array) in outputs.iter().zip(second) {
        room.insert(output.name.clone(), singles(array));
    }
    for (write, array) in writes.iter().zip(third) {
        buffer(&job.state, &write.name)?.write(&singles(array))?;
    }
    let scalars: Vec<f32> = first.iter().map(|array| array.data[0] as f32).collect();
    Ok(Reports::new(&scalars))
}

fn leaves(graph: &Graph, job: &Job) -> Result<HashMap<String, Array>, EngineError> {
    let mut leaves = HashMap::new();
    for ((name, value), tensor) in graph.leaves(LeafKind::Input).zip(&job.feeds) {
        let data = match tensor.dtype() {
            DType::I32 => tensor.read::<i32>()?.into_iter().map(f64::from).collect(),
            _ => doubles(tensor.read()?),
        };
        leaves.insert(name.to_owned(), Array::new(graph.shape(value).clone(), data)?);
    }
    for (name, value) in graph.leaves(LeafKind::State) {
        let data = doubles(buffer(&job.state, name)?.read()?);
        leaves.insert(name.to_owned(), Array::new(graph.shape(value).clone(), data)?);
    }
    for (name, value) in graph.leaves(LeafKind::Scalar) {
        let scalar = job.scalars.get(name);
        let scalar = scalar.ok_or_else(|| EngineError::MissingScalar { name: name.to_owned() })?;
        let array = Array::new(graph.shape(value).clone(), vec![f64::from(scalar)])?;
        leaves.insert(name.to_owned(), array);
    }
    Ok(leaves)
}

fn doubles(values: Vec<f32>) -> Vec<f64> {
    values.into_iter().map(f64::from).collect()
}

fn buffer<'a>(state: &'a StateTable, name: &str) -> Result<&'a Tensor, EngineError> {
    let place = state.layout().buffers().iter().position(|buffer| buffer.name == name);
    place
        .map(|place| &state.tensors()[place])
        .ok_or_else(|| EngineError::UnknownState { name: name.to_owned() })
}
