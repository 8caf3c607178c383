//! Networks of any size, for curves of the time of a step: `cnn-b32-w32-d4` has batches of 32
//! pictures and 4 convolutions to 32 channels, `mlp-b64-w256-d3` batches of 64 and 3 hidden layers
//! of 256, `gpt-b4-w128-d2-t64` batches of 4 texts of 64 characters and 2 layers 128 wide.

use anyhow::{Context, Result, bail};
use onestep::data::SampleRng;
use onestep::layers::presets::reference;
use onestep::layers::{LossSpec, ModelBuilder, ModelSpec};
use onestep::memory::{MemoryManager, Shape, Tensor};
use onestep::optimizer::Optimizer;
use onestep::prelude::Executor;
use onestep::runner::{RunnerOptions, StepRunner};

/// Classes of the targets.
const CLASSES: usize = 10;

/// The runner of a member such as `mlp-b64-w256-d3`; Adam with PyTorch's constants.
pub(crate) fn runner(name: &str, cpu: Box<dyn Executor>, seed: u64) -> Result<StepRunner> {
    let (family, sizes) = parse(name).with_context(|| format!("unknown workload {name}"))?;
    let [batch, width, depth, length] = sizes;
    let model = match family {
        "gpt" if length > 0 => reference::gpt(length, depth, width),
        "mlp" => mlp(width, depth),
        "cnn" => cnn(width, depth),
        _ => bail!("unknown workload {name}"),
    };
    let data = data(&model, batch, cpu.memory(), seed)?;
    let rule = if family == "gpt" { "adamw" } else { "adam" };
    let optimizer = Optimizer::from_spec(rule.parse()?)?;
    let options = RunnerOptions { seed, ..RunnerOptions::default() };
    let loss = LossSpec::default();
    Ok(StepRunner::new(&model.compile()?, &loss, &optimizer, cpu, data, &options)?)
}

/// The family and its sizes; without a length that is 0.
fn parse(name: &str) -> Option<(&str, [usize; 4])> {
    let mut parts = name.split('-');
    let family = parts.next()?;
    let mut size = |letter: char| parts.next()?.strip_prefix(letter)?.parse().ok();
    Some((family, [size('b')?, size('w')?, size('d')?, size('t').unwrap_or(0)]))
}

fn mlp(width: usize, depth: usize) -> ModelSpec {
    let mut model = ModelBuilder::new([784]);
    for i in 1..=depth {
        model = model.dense(width, true, &format!("fc{i}")).relu(&format!("relu{i}"));
    }
    model.dense(CLASSES, true, "head").spec()
}

fn cnn(width: usize, depth: usize) -> ModelSpec {
    let mut model = ModelBuilder::new([3, 32, 32]);
    for i in 1..=depth {
        model = model.conv2d(width, 3, 1, 1, true, &format!("conv{i}")).relu(&format!("relu{i}"));
    }
    model.adaptive_avg_pool2d(1, "pool").flatten("flat").dense(CLASSES, true, "head").spec()
}

/// Inputs of mean 0 and variance 1, or characters, and labels of equal probability.
fn data(model: &ModelSpec, batch: usize, memory: &MemoryManager, seed: u64) -> Result<[Tensor; 2]> {
    let model = model.compile()?;
    let shape = model.input_shape().with_batch(batch)?;
    let mut rng = SampleRng::new(seed, 0, 0);
    let input = match model.index_limit() {
        Some(limit) => {
            let indices: Vec<i32> =
                (0..shape.elements()).map(|_| rng.below(limit.rows) as i32).collect();
            memory.from_slice(shape, &indices)?
        }
        None => {
            let range = 3f32.sqrt();
            let inputs: Vec<f32> =
                (0..shape.elements()).map(|_| (2.0 * rng.uniform() - 1.0) * range).collect();
            memory.from_slice(shape, &inputs)?
        }
    };
    // The output is [classes] or [classes, positions].
    let output = model.output_shape().dims();
    let (classes, positions) = output.split_first().context("an output without classes")?;
    let shape = Shape::new(positions)?.with_batch(batch)?;
    let labels: Vec<i32> = (0..shape.elements()).map(|_| rng.below(*classes) as i32).collect();
    Ok([input, memory.from_slice(shape, &labels)?])
}
