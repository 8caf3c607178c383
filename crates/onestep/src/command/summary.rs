//! `onestep summary`: what a model is made of.

use std::path::PathBuf;

use anyhow::{Result, anyhow};
use clap::Args;
use onestep::engine::{Footprint, Mode};
use onestep::layers::{LossSpec, Model};
use onestep::memory::format_bytes;
use onestep::trainer::{Trainer, TrainerConfig};
use serde_json::json;

use crate::cli::console::Console;
use crate::cli::files::read_model;

/// Show the layers of a model, their shapes and parameters, and the memory it needs
///
/// FLOPs are those of the forward pass for one sample, a multiply-add counted as two. The planned
/// memory is what the compiler found before any step was run.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SummaryCommand {
    /// The model: a JSON specification, or a name that `onestep models` lists
    #[arg(value_name = "SPEC.json")]
    model: PathBuf,
    /// Samples in a batch
    #[arg(long, value_name = "N", default_value_t = 32)]
    batch_size: usize,
    /// Print one JSON object on standard output
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  onestep summary net.json
  onestep summary net.json --batch-size 256 --json";

impl SummaryCommand {
    pub(crate) fn run(self) -> Result<()> {
        if self.batch_size == 0 {
            return Err(anyhow!("--batch-size: expected at least 1, got 0"));
        }
        let console = Console::new(self.json);
        let model = read_model(&self.model)?;
        let summary = model.summary(self.batch_size);
        console.say(&summary);
        let [train, predict] = plans(&model, self.batch_size)?;
        console.say("planned memory");
        console.say(format_args!("  training    {}", memory_text(&train)));
        console.say(format_args!("  prediction  {}", memory_text(&predict)));
        let mut object = serde_json::to_value(&summary)?;
        if let Some(fields) = object.as_object_mut() {
            fields.insert("training_memory".into(), memory_json(&train));
            fields.insert("prediction_memory".into(), memory_json(&predict));
        }
        console.object(&object)
    }
}

/// What training (with Adam, PyTorch's options) and prediction need.
fn plans(model: &Model, batch_size: usize) -> Result<[Footprint; 2]> {
    let config = TrainerConfig { loss: loss_for(model)?, ..TrainerConfig::default() };
    let builder = Trainer::builder(model.clone()).config(config);
    Ok(builder.footprints([Mode::Train, Mode::Predict], batch_size)?)
}

/// A loss that any output has: cross-entropy where there are classes, else squares.
pub(crate) fn loss_for(model: &Model) -> Result<LossSpec> {
    let classes = model.output_shape().rank() == 1 && model.output_shape()[0] > 1;
    Ok(if classes { LossSpec::default() } else { "mse".parse()? })
}

/// The memory of a plan in words.
pub(crate) fn memory_text(plan: &Footprint) -> String {
    format!(
        "{} ({} of activations, {} of parameters and state, {} of batch)",
        format_bytes(plan.peak()),
        format_bytes(plan.arena),
        format_bytes(plan.state),
        format_bytes(plan.feeds),
    )
}

pub(crate) fn memory_json(plan: &Footprint) -> serde_json::Value {
    json!({
        "peak_bytes": plan.peak(),
        "activation_bytes": plan.arena,
        "activation_bytes_without_sharing": plan.unshared,
        "state_bytes": plan.state,
        "batch_bytes": plan.feeds,
        "constant_bytes": plan.constants,
    })
}
