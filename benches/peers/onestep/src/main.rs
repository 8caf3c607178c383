//! onestep's worker of the comparison. `--write WORKLOAD FILE SEED` writes the parameters and the
//! batch that all workers start from.

mod families;

use std::path::Path;

use anyhow::{Context, Result, bail};
use onestep::engine::{StateKind, Ticket};
use onestep::memory::DType;
use onestep::prelude::{Element, ExecutorOptions, Tensor, executor};
use onestep::runner::StepRunner;
use onestep::workloads;
use peer_worker::{INPUT, Job, TARGET, Tensors, Trainer, serve};
use safetensors::tensor::{Dtype, TensorView};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--write", workload, file, seed] => write(workload, file, seed.parse()?),
        _ => {
            let job = Job::from_arguments()?;
            let mut worker = Worker(load(&job)?);
            let name = format!("onestep on {}", worker.0.device_name());
            serve(&name, &mut worker)
        }
    }
}

struct Worker(StepRunner);

impl Trainer for Worker {
    type Loss = Ticket;

    fn step(&mut self) -> Result<Ticket> {
        Ok(self.0.step()?)
    }

    fn loss(&mut self, ticket: Ticket) -> Result<f32> {
        ticket.wait()?.loss().context("a step without a loss")
    }
}

fn runner(workload: &str, seed: u64) -> Result<StepRunner> {
    let threads = std::env::var("PEER_THREADS").context("PEER_THREADS")?.parse()?;
    let cpu = executor("cpu", &ExecutorOptions { threads, memory_budget: None })?;
    match workloads::find(workload) {
        Ok(found) => Ok(found.runner(cpu, seed)?),
        Err(_) => families::runner(workload, cpu, seed),
    }
}

/// What the workloads are given: pictures or tokens, and labels or masks.
fn batch(runner: &StepRunner) -> Result<[&Tensor; 2]> {
    match runner.batch() {
        [input, target] => Ok([input, target]),
        other => bail!("{} tensors in a batch, where 2 are wanted", other.len()),
    }
}

/// A runner whose parameters and batch are those of the file.
fn load(job: &Job) -> Result<StepRunner> {
    let runner = runner(&job.workload, 0)?;
    let mut file = Tensors::open(&job.file)?;
    for name in parameters(&runner) {
        runner.state().write(&name, &file.read::<f32>(&name)?.1)?;
    }
    let [input, target] = batch(&runner)?;
    for (tensor, name) in [(input, INPUT), (target, TARGET)] {
        match tensor.dtype() {
            DType::I32 => tensor.write(&file.read::<i32>(name)?.1)?,
            _ => tensor.write(&file.read::<f32>(name)?.1)?,
        }
    }
    Ok(runner)
}

/// Writes what the seed gives: PyTorch's default initialisation and a random batch.
fn write(workload: &str, path: &str, seed: u64) -> Result<()> {
    let runner = runner(workload, seed)?;
    let [input, target] = batch(&runner)?;
    let mut tensors = Vec::new();
    for (tensor, name) in [(input, INPUT), (target, TARGET)] {
        let (dtype, elements) = match tensor.dtype() {
            DType::I32 => (Dtype::I32, bytes(&tensor.read::<i32>()?)),
            _ => (Dtype::F32, bytes(&tensor.read::<f32>()?)),
        };
        tensors.push((name.to_owned(), dtype, dims(tensor), elements));
    }
    for name in parameters(&runner) {
        let shape = runner.state().layout().entry(&name)?.shape.dims().to_vec();
        let values = bytes(&runner.state().read(&name)?);
        tensors.push((name, Dtype::F32, shape, values));
    }
    let views = tensors.iter().map(|(name, dtype, shape, values)| {
        Ok((name, TensorView::new(*dtype, shape.clone(), values)?))
    });
    let views = views.collect::<Result<Vec<_>>>()?;
    Ok(safetensors::serialize_to_file(views, None, Path::new(path))?)
}

/// The names of the learned parameters.
fn parameters(runner: &StepRunner) -> Vec<String> {
    let entries = runner.state().layout().entries().iter();
    let learned = entries.filter(|entry| entry.kind == StateKind::Parameter);
    learned.map(|entry| entry.name.clone()).collect()
}

fn dims(tensor: &Tensor) -> Vec<usize> {
    tensor.shape().dims().to_vec()
}

fn bytes<T: Element>(elements: &[T]) -> Vec<u8> {
    bytemuck::cast_slice(elements).to_vec()
}
