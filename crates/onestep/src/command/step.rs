//! `onestep step`: training steps on given tensors, to compare with another framework.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use onestep::engine::StateKind;
use onestep::layers::{Layout, LossSpec, Model, StateTensor, WeightLayout};
use onestep::memory::{HostTensor, Shape};
use onestep::optimizer::{Clip, Optimizer, OptimizerSpec};
use onestep::runner::{OUTPUT, RunnerOptions, StepBatch, StepRunner};
use onestep::trainer::{TrainingProgram, weights};

use crate::cli::batch;
use crate::cli::console::Console;
use crate::cli::device::DeviceFlags;
use crate::cli::files::read_model;
use crate::cli::flags::{loss_help, optimizer_help, parse_optimizer};
use crate::cli::tensors::write_tensors;
use crate::cli::weights::LayoutFlag;

/// Run training steps on given tensors and write down everything that comes of them
///
/// This is how results are compared with another framework's: the parameters, the batch and the
/// number of steps are given, nothing is random unless the model has dropout, and the losses, the
/// output, the gradients, the new parameters and the optimizer's state are written.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct StepCommand {
    /// The model: a JSON specification, or a name that `onestep models` lists
    #[arg(long, value_name = "SPEC.json")]
    model: PathBuf,
    /// The parameters (and perhaps the running statistics) before the first step: tensors of this
    /// program, or a PyTorch state dict
    #[arg(long, value_name = "P.safetensors")]
    params: PathBuf,
    #[command(flatten)]
    layout: LayoutFlag,
    /// The batch: a tensor for each input and each target, by name; in a model with one of each these
    /// are `input` [N, ...] and `target` (labels [N], or values). `weight` [N], where it is there, is
    /// how much each sample counts
    #[arg(long, value_name = "B.safetensors")]
    batch: PathBuf,
    #[arg(long, value_name = "LOSS", default_value = LOSS, hide_default_value = true,
          help = loss_help(LOSS))]
    loss: LossSpec,
    #[arg(long, value_name = "OPTIMIZER", default_value = "sgd", value_parser = parse_optimizer,
          help = optimizer_help())]
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

const LOSS: &str = "cross_entropy";

const EXAMPLES: &str = "\
Examples:
  onestep step --model net.json --params p.safetensors --batch b.safetensors \\
      --loss cross_entropy --optimizer sgd --lr 0.1 --out o.safetensors
  onestep step ... --optimizer '{\"type\": \"adam\", \"betas\": [0.9, 0.99]}' --lr 0.001 --steps 20

Tensors of the output file, all f32:
  loss                 [steps], the loss of each step, before its update
  output               the output of the model in the last step; output.NAME of several
  grad.NAME            the gradient of each parameter in the last step, before clipping
  param.NAME           each parameter after the last step
  state.NAME           each running statistic after the last step
  optimizer.KIND.NAME  the optimizer's state after the last step, such as optimizer.exp_avg.fc.weight

Names and layouts are those of docs/model-spec.md: convolutions [out, in, height, width], dense
weights [in, out]. Where the parameters are in PyTorch's layout, the results are too: dense weights
[out, in].";

impl StepCommand {
    pub(crate) fn run(self) -> Result<()> {
        let console = Console::new(self.json);
        let model = read_model(&self.model)?;
        let optimizer = self.optimizer()?;
        let executor = self.device.executor()?;
        let program = TrainingProgram::new(model.clone(), self.loss.clone(), optimizer)?;
        let batch = batch::read(&self.batch, &program)?;
        let tensors =
            batch.into_iter().map(|(name, tensor)| Ok((name, tensor.upload(executor.memory())?)));
        let batch: StepBatch = tensors.collect::<Result<_>>()?;
        let options = RunnerOptions { seed: self.seed, keep_outputs: true };
        let mut runner = StepRunner::of(program, executor, batch, &options)?;
        let layout = self.read_parameters(&model, &runner)?;
        let losses = self.steps(&mut runner)?;
        let tensors = results(&model, &mut runner, &losses, layout)?;
        write_tensors(&self.out, &tensors)?;
        let last = losses.last().copied().unwrap_or(f32::NAN);
        console.say(format_args!("loss {} -> {last} in {} steps", losses[0], losses.len()));
        let (count, out) = (tensors.len(), self.out.display());
        console.say(format_args!("{count} tensors written to {out} in the layout of {layout}"));
        console.object(&serde_json::json!({
            "device": runner.device_name(),
            "steps": losses.len(),
            "loss": losses,
            "tensors": tensors.len(),
            "layout": layout.name(),
            // A path need not be text.
            "out": self.out.display().to_string(),
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

    /// Puts the parameters in place, and tells which layout they were in.
    fn read_parameters(&self, model: &Model, runner: &StepRunner) -> Result<WeightLayout> {
        let (tensors, layout) = weights::read(&self.params, model, self.layout.layout)?;
        for tensor in &tensors {
            runner.state().write(&tensor.name, &tensor.data)?;
        }
        Ok(layout)
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

/// Everything that came of the steps, by the names of the output file.
fn results(
    model: &Model,
    runner: &mut StepRunner,
    losses: &[f32],
    layout: WeightLayout,
) -> Result<BTreeMap<String, HostTensor>> {
    let turned: Vec<&str> = match layout {
        WeightLayout::Onestep => Vec::new(),
        WeightLayout::Pytorch => turned(model),
    };
    // A name of the state is the parameter's or ends with it: `exp_avg.fc.weight`.
    let tensor = |name: &str, shape: &[usize], data: Vec<f32>| -> Result<HostTensor> {
        let is = |of: &&str| name.strip_suffix(of).is_some_and(is_kind);
        let tensor = StateTensor::new(name, shape, data);
        let tensor = if turned.iter().any(is) { tensor.transposed() } else { tensor };
        Ok(HostTensor::new(Shape::new(&tensor.shape)?, tensor.data)?)
    };
    let mut tensors = BTreeMap::new();
    tensors.insert("loss".to_owned(), HostTensor::new([losses.len()], losses.to_vec())?);
    for output in model.outputs() {
        let name = match model.outputs() {
            [_] => OUTPUT.to_owned(),
            _ => format!("{OUTPUT}.{}", output.name),
        };
        let shape = output.shape.with_batch(runner.batch_size())?;
        tensors.insert(name, HostTensor::new(shape, runner.read_output(&output.name)?)?);
    }
    for parameter in model.parameters() {
        let name = format!("grad.{}", parameter.info.name);
        let gradient = runner.read_output(&name)?;
        tensors.insert(name, tensor(&parameter.info.name, &parameter.info.shape, gradient)?);
    }
    for entry in runner.state().layout().entries() {
        let prefix = match entry.kind {
            StateKind::Parameter => "param",
            StateKind::Model => "state",
            StateKind::Optimizer => "optimizer",
        };
        let data = runner.state().read(&entry.name)?;
        let tensor = tensor(&entry.name, &entry.shape, data)?;
        tensors.insert(format!("{prefix}.{}", entry.name), tensor);
    }
    Ok(tensors)
}

/// Whether what stands before a parameter's name makes it that parameter or its optimizer state.
fn is_kind(before: &str) -> bool {
    before.is_empty() || before.strip_suffix('.').is_some_and(|kind| !kind.contains('.'))
}

/// The parameters that PyTorch stores with their axes swapped.
fn turned(model: &Model) -> Vec<&str> {
    let parameters = model.parameters().iter();
    let swapped = parameters.filter(|p| p.layout == Layout::Transposed);
    swapped.map(|p| p.info.name.as_str()).collect()
}
