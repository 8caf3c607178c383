//! Where the time of a step goes.

use std::time::{Duration, Instant};

use onestep_engine::{
    Cost, DType, EngineError, Executor, Feeds, Graph, KernelTime, Named, Program, Scalars,
    StateLayout, StateTable,
};
use onestep_memory::{HostTensor, HostValues, StagingPool};
use serde::Serialize;

use crate::runner::{RunnerError, StepRunner};

/// A kernel of a step, or the copy of its batch.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProfileRow {
    /// `data`, `forward`, `backward` or `update`.
    pub phase: String,
    /// The op, or `elementwise` or `reduction` for a fused kernel.
    pub kind: String,
    /// How the device does it, where it has several ways.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ways: Vec<String>,
    /// The layers or ops that it comes from.
    pub label: String,
    /// Microseconds a step: the median of the profiled steps.
    pub microseconds: f64,
    /// Floating-point operations of a step.
    pub flops: u64,
    /// Bytes of operands and results of a step, each counted once.
    pub bytes: u64,
}

impl ProfileRow {
    /// Billions of floating-point operations a second.
    pub fn gflops(&self) -> f64 {
        self.flops as f64 / self.microseconds.max(1e-3) / 1e3
    }

    /// Gigabytes a second.
    pub fn gbytes(&self) -> f64 {
        self.bytes as f64 / self.microseconds.max(1e-3) / 1e3
    }

    /// The share of what the machine could do: by arithmetic or by traffic, whichever binds.
    pub fn roof(&self, ceilings: &Ceilings) -> f64 {
        (self.gflops() / ceilings.gflops).max(self.gbytes() / ceilings.gbytes)
    }
}

/// The steps of one profile.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// Every kernel in order, behind the copy of the batch.
    pub rows: Vec<ProfileRow>,
    /// The kernels of one step with their times.
    pub step: Vec<KernelTime>,
}

/// What the machine can do, measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ceilings {
    /// Billions of floating-point operations a second: a product of two square matrices.
    pub gflops: f64,
    /// Gigabytes a second to and from memory: `a = b + 3 c` over vectors beyond any cache.
    pub gbytes: f64,
}

/// Elements of the vectors that show the ceiling of memory.
const VECTOR: usize = 1 << 24;
/// Of so many runs the best is a ceiling.
const RUNS: usize = 12;

impl Ceilings {
    /// Rows and columns of the matrices that show the ceiling of arithmetic.
    pub const MATRIX: usize = 1152;

    /// Measures them with the executor's own kernels.
    ///
    /// # Errors
    /// Out of memory, or a device that does not run kernel by kernel.
    pub fn measure(executor: &mut dyn Executor) -> Result<Ceilings, RunnerError> {
        let product = rate(executor, &[Self::MATRIX; 2], |g, [a, b]| g.matmul(a, b))?;
        let triad = rate(executor, &[VECTOR], |g, [b, c]| {
            let three = g.constant(3.0)?;
            let c = g.mul(c, three)?;
            g.add(b, c)
        })?;
        let per_second = |amount: u64, time: Duration| amount as f64 / time.as_secs_f64() / 1e9;
        Ok(Ceilings {
            gflops: per_second(product.0.flops, product.1),
            gbytes: per_second(triad.0.bytes, triad.1),
        })
    }
}

/// The cost of a function of two tensors and the least time that it took.
fn rate(
    executor: &mut dyn Executor,
    shape: &[usize],
    function: impl FnOnce(
        &mut Graph,
        [onestep_engine::Value; 2],
    ) -> Result<onestep_engine::Value, onestep_engine::GraphError>,
) -> Result<(Cost, Duration), RunnerError> {
    let mut graph = Graph::new();
    let a = graph.input("a", shape, DType::F32).map_err(EngineError::from)?;
    let b = graph.input("b", shape, DType::F32).map_err(EngineError::from)?;
    let result = function(&mut graph, [a, b]).map_err(EngineError::from)?;
    let program = Program::predict(graph, vec![Named::new("result", result)]);
    let layout = StateLayout::new(&program.groups, &[], None)?;
    let state = StateTable::new(layout, executor.memory())?;
    let mut step = executor.compile(&program, &state)?;
    let ones = vec![1.0f32; shape.iter().product()];
    let shape = onestep_memory::Shape::new(shape)?;
    let memory = executor.memory();
    let feeds = [memory.from_slice(shape.clone(), &ones)?, memory.from_slice(shape, &ones)?];
    let (mut cost, mut best) = (Cost::default(), Duration::MAX);
    for _ in 0..RUNS {
        for kernel in step.profile(Feeds::new(&feeds), &Scalars::new(0))? {
            (cost, best) = (kernel.cost, best.min(kernel.duration));
        }
    }
    Ok((cost, best))
}

impl StepRunner {
    /// Profiles steps for about `time`, at least three, after a few that are not counted.
    ///
    /// # Errors
    /// A step failed, or the device does not run kernel by kernel.
    pub fn profile_steps(&mut self, time: Duration) -> Result<Profile, RunnerError> {
        for _ in 0..3 {
            self.profile()?;
        }
        let mut batch = BatchCopy::new(self)?;
        let (mut copies, mut steps) = (Vec::new(), Vec::new());
        let start = Instant::now();
        while steps.len() < 3 || start.elapsed() < time {
            copies.push(batch.run()?);
            steps.push(self.profile()?);
        }
        let mut rows = vec![ProfileRow {
            phase: "data".into(),
            kind: "copy".into(),
            ways: Vec::new(),
            label: "batch into a staging slot".into(),
            microseconds: median(copies),
            flops: 0,
            bytes: 2 * batch.bytes() as u64,
        }];
        let last = steps.last().cloned().unwrap_or_default();
        for (i, kernel) in last.iter().enumerate() {
            let times = steps.iter().filter_map(|step| step.get(i));
            rows.push(ProfileRow {
                phase: kernel.phase.to_string(),
                kind: kernel.kind.to_owned(),
                ways: kernel.ways.iter().map(|&way| way.to_owned()).collect(),
                label: kernel.label.clone(),
                microseconds: median(times.map(|k| k.duration.as_secs_f64() * 1e6).collect()),
                flops: kernel.cost.flops,
                bytes: kernel.cost.bytes,
            });
        }
        Ok(Profile { rows, step: last })
    }
}

/// The last that a loader does for a step: the batch goes into a staging slot.
struct BatchCopy {
    fields: Vec<HostTensor>,
    slots: std::sync::Arc<StagingPool>,
}

impl BatchCopy {
    fn new(runner: &StepRunner) -> Result<BatchCopy, RunnerError> {
        let batch = runner.batch().iter();
        let layout: Vec<_> = batch.clone().map(|t| (t.shape().clone(), t.dtype())).collect();
        let slots = StagingPool::new(runner.memory(), 2, &layout)?;
        Ok(BatchCopy { fields: batch.map(HostTensor::read).collect::<Result<_, _>>()?, slots })
    }

    fn bytes(&self) -> usize {
        self.fields.iter().map(|field| field.shape().elements() * field.dtype().size()).sum()
    }

    /// Microseconds of one copy.
    fn run(&mut self) -> Result<f64, RunnerError> {
        let start = Instant::now();
        let mut slot = self.slots.acquire()?;
        for (place, field) in self.fields.iter().enumerate() {
            match field.values() {
                HostValues::F32(data) => slot.slice_mut::<f32>(place)?.copy_from_slice(data),
                HostValues::I32(data) => slot.slice_mut::<i32>(place)?.copy_from_slice(data),
                HostValues::U8(data) => slot.slice_mut::<u8>(place)?.copy_from_slice(data),
            }
        }
        Ok(start.elapsed().as_secs_f64() * 1e6)
    }
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(0.0)
}
