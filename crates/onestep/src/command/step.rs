//! `onestep step`: training steps on given tensors, to compare with another framework.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use clap::Args;
use onestep::engine::{DType, Mode, StateKind};
use onestep::layers::{LossSpec, Model};
use onestep::memory::{MemoryManager, Tensor};
use onestep::optimizer::{Clip, Optimizer, OptimizerSpec};
use onestep::runner::{OUTPUT, RunnerOptions, StepRunner};

use crate::cli::console::Console;
use crate::cli::device::DeviceFlags;
use crate::cli::files::read_model;
use crate::cli::settings::parse_optimizer;
use crate::cli::tensors::{Elements, HostTensor, TensorFile, write_tensors};

/// Run training steps on given tensors and write down everything that comes of them
///
/// This is how results are compared with another framework's: the parameters, the batch and the
/// number of steps are given, nothing is random unless the model has dropout, and the losses, the
/// output, the gradients, the new parameters and the optimizer's state are written.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct StepCommand {
    /// The model, a JSON specification
    #[arg(long, value_name = "SPEC.json")]
    model: PathBuf,
    /// The parameters (and perhaps the running statistics) before the first step
    #[arg(long, value_name = "P.safetensors")]
    params: PathBuf,
    /// The batch: `input` [N, ...] and `target` (labels [N], or values)
    #[arg(long, value_name = "B.safetensors")]
    batch: PathBuf,
    /// The loss: a name such as cross_entropy or mse, or a JSON object
    #[arg(long, value_name = "LOSS", default_value = "cross_entropy")]
    loss: LossSpec,
    /// The optimizer: a name such as sgd or adam, or a JSON object with its options
    #[arg(long, value_name = "OPTIMIZER", default_value = "sgd", value_parser = parse_optimizer)]
    optimizer: OptimizerSpec,
    /// The learning rate, in place of the optimizer's own
    #[arg(long, value_name = "X")]
    lr: Option<f64>,
    /// The weight decay of all parameters, in place of the optimizer's own
    #[arg(long, value_name = "X")]
    weight_decay: Option<f64>,
    /// The most that the norm of all gradients together may be
    #[arg(long, value_name = "X")]
    clip_norm: Option<f64>,
    /// How many steps to run
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    steps: u64,
    /// Determines the masks of dropout
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// The file to write
    #[arg(long, value_name = "O.safetensors")]
    out: PathBuf,
    #[command(flatten)]
    device: DeviceFlags,
    /// Print one JSON object with the losses on standard output
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  onestep step --model net.json --params p.safetensors --batch b.safetensors \\
      --loss cross_entropy --optimizer sgd --lr 0.1 --out o.safetensors
  onestep step ... --optimizer '{\"type\": \"adam\", \"betas\": [0.9, 0.99]}' --lr 0.001 --steps 20

Tensors of the output file, all f32:
  loss                 [steps], the loss of each step, before its update
  output               the output of the model in the last step
  grad.NAME            the gradient of each parameter in the last step, before clipping
  param.NAME           each parameter after the last step
  state.NAME           each running statistic after the last step
  optimizer.KIND.NAME  the optimizer's state after the last step, such as optimizer.exp_avg.fc.weight

Names and layouts are those of docs/model-spec.md: convolutions [out, in, height, width], dense
weights [in, out].";

impl StepCommand {
    pub(crate) fn run(self) -> Result<()> {
        let console = Console::new(self.json);
        let model = read_model(&self.model)?;
        let optimizer = self.optimizer()?;
        let executor = self.device.executor()?;
        let batch = self.read_batch(&model, executor.memory())?;
        let options = RunnerOptions { seed: self.seed, keep_outputs: true };
        let mut runner =
            StepRunner::new(&model, &self.loss, &optimizer, executor, batch, &options)?;
        self.read_parameters(&model, &runner)?;
        let losses = self.steps(&mut runner)?;
        let tensors = results(&model, &mut runner, &losses)?;
        write_tensors(&self.out, &tensors)?;
        let last = losses.last().copied().unwrap_or(f32::NAN);
        console.say(format_args!("loss {} -> {last} in {} steps", losses[0], losses.len()));
        console.say(format_args!("{} tensors written to {}", tensors.len(), self.out.display()));
        console.object(&serde_json::json!({
            "device": runner.device_name(),
            "steps": losses.len(),
            "loss": losses,
            "tensors": tensors.len(),
            "out": self.out,
        }))
    }

    fn optimizer(&self) -> Result<Optimizer> {
        let mut spec = self.optimizer.clone();
        if let Some(lr) = self.lr {
            spec = spec.with_lr(lr);
        }
        if let Some(weight_decay) = self.weight_decay {
            spec = spec.with_weight_decay(weight_decay);
        }
        Ok(Optimizer::from_spec(spec)?.with_clip(self.clip_norm.map(Clip::Norm))?)
    }

    fn read_batch(&self, model: &Model, memory: &MemoryManager) -> Result<[Tensor; 2]> {
        let mut file = TensorFile::read(&self.batch)?;
        let sample = model.input_shape();
        let input = file.take("input", &format!("[N, ...] with samples of {sample}"))?;
        let target = file.take("target", "labels [N] or values [N, ...]")?;
        file.finish("a batch (input, target)")?;
        let input = convert(input, model.spec().input.dtype.dtype());
        check_batch(&self.batch, model, &self.loss, &input, &target)?;
        Ok([input.upload(memory)?, target.upload(memory)?])
    }

    fn read_parameters(&self, model: &Model, runner: &StepRunner) -> Result<()> {
        let mut file = TensorFile::read(&self.params)?;
        for parameter in model.parameters() {
            let (name, shape) = (&parameter.info.name, parameter.info.shape.dims());
            let tensor = file.take(name, &format!("f32{shape:?}"))?;
            runner.state().write(name, &file.expect(name, shape, tensor)?)?;
        }
        for state in model.states() {
            let (name, shape) = (&state.name, state.shape.dims());
            if let Some(tensor) = file.take_optional(name) {
                runner.state().write(name, &file.expect(name, shape, tensor)?)?;
            }
        }
        file.finish(&format!("the model `{}`", model.spec().name))
    }

    fn steps(&self, runner: &mut StepRunner) -> Result<Vec<f32>> {
        let mut losses = Vec::new();
        for _ in 0..self.steps {
            let reports = runner.step()?.wait()?;
            losses.push(reports.loss().context("the step has reported no loss")?);
        }
        Ok(losses)
    }
}

/// Whole numbers as the dtype that the model takes.
fn convert(tensor: HostTensor, to: DType) -> HostTensor {
    match (tensor.elements, to) {
        (Elements::I32(data), DType::F32) => {
            HostTensor::f32(&tensor.shape, data.into_iter().map(|x| x as f32).collect())
        }
        (elements, _) => HostTensor { shape: tensor.shape, elements },
    }
}

/// Checks a batch before it reaches the device, which trusts its shapes and labels.
fn check_batch(
    path: &Path,
    model: &Model,
    loss: &LossSpec,
    input: &HostTensor,
    target: &HostTensor,
) -> Result<()> {
    let count = input.shape.first().copied().unwrap_or(0);
    let sample = model.input_shape().dims();
    let path = path.display();
    if count == 0 || input.shape[1..] != *sample {
        let wanted = format!("[N, {}] with N at least 1", join(sample));
        return Err(anyhow!("{path}: tensor `input`: expected {wanted}, got {input}"));
    }
    if let (Elements::I32(indices), Some(limit)) = (&input.elements, model.index_limit()) {
        limit.check(indices, sample).map_err(|error| anyhow!("{path}: {error}"))?;
    }
    if let Elements::F32(values) = &target.elements {
        let each = target.shape.get(1..).unwrap_or_default();
        loss.check_values(values, each).map_err(|error| anyhow!("{path}: {error}"))?;
    }
    let mut forward = model.forward(Mode::Evaluate, count)?;
    let wanted = loss.build(&mut forward.graph, forward.output)?.target;
    let wanted = forward.graph.type_of(wanted);
    if target.to_string() != wanted.to_string() {
        return Err(anyhow!("{path}: tensor `target`: expected {wanted}, got {target}"));
    }
    let classes = model.output_shape().first().copied().unwrap_or(0);
    let Elements::I32(labels) = &target.elements else { return Ok(()) };
    match labels.iter().position(|&label| label < 0 || label as usize >= classes) {
        None => Ok(()),
        Some(at) => Err(anyhow!(
            "{path}: tensor `target`: sample {at}: expected a label from 0 to {}, got {}",
            classes.saturating_sub(1),
            labels[at]
        )),
    }
}

fn join(dims: &[usize]) -> String {
    dims.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
}

/// Everything that came of the steps, by the names of the output file.
fn results(
    model: &Model,
    runner: &mut StepRunner,
    losses: &[f32],
) -> Result<BTreeMap<String, HostTensor>> {
    let mut tensors = BTreeMap::new();
    tensors.insert("loss".to_owned(), HostTensor::f32(&[losses.len()], losses.to_vec()));
    let shape = model.output_shape().with_batch(runner.batch_size())?;
    tensors.insert(OUTPUT.to_owned(), HostTensor::f32(&shape, runner.read_output(OUTPUT)?));
    for parameter in model.parameters() {
        let name = format!("grad.{}", parameter.info.name);
        let gradient = runner.read_output(&name)?;
        tensors.insert(name, HostTensor::f32(&parameter.info.shape, gradient));
    }
    for entry in runner.state().layout().entries() {
        let prefix = match entry.kind {
            StateKind::Parameter => "param",
            StateKind::Model => "state",
            StateKind::Optimizer => "optimizer",
        };
        let data = runner.state().read(&entry.name)?;
        let tensor = HostTensor::f32(&entry.shape, data);
        tensors.insert(format!("{prefix}.{}", entry.name), tensor);
    }
    Ok(tensors)
}
