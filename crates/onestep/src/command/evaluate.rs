//! `onestep evaluate`: how good a trained model is.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use clap::{Args, ValueEnum};
use onestep::data::{Dataset, open};
use onestep::trainer::{ConfusionMatrix, Evaluation};
use serde_json::json;

use crate::cli::checkpoint;
use crate::cli::console::Console;
use crate::cli::device::DeviceFlags;
use crate::cli::progress::metrics_text;

/// Measure a trained model: loss, accuracy, top-k accuracy and the confusion matrix
///
/// The matrix is printed for at most 30 classes; for more, the 20 pairs that were confused most. In
/// JSON, `confusion` has its rows for at most 100 classes and is null for more, and `most_confused`
/// always lists the worst pairs, at most 50.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Evaluate {
    /// The folder of a training run or of a checkpoint
    #[arg(long, value_name = "DIR")]
    checkpoint: PathBuf,
    /// The data: digits, mnist:DIR, cifar10:DIR, images:DIR or csv:FILE [default: those that the
    /// model was trained on]
    #[arg(long, value_name = "DATA")]
    data: Option<String>,
    /// Which part of the data
    #[arg(long, value_enum, default_value_t = Part::Validation)]
    part: Part,
    /// Samples in a batch [default: as in training]
    #[arg(long, value_name = "N")]
    batch_size: Option<usize>,
    #[command(flatten)]
    device: DeviceFlags,
    /// Print one JSON object on standard output
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  onestep evaluate --checkpoint runs/digits-cnn-1
  onestep evaluate --checkpoint runs/mnist-cnn-1 --data mnist:DIR --part train --json";

/// A part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// What the model has never learned from.
    Validation,
    /// What it has learned from.
    Train,
}

impl Evaluate {
    pub(crate) fn run(self) -> Result<()> {
        let console = Console::new(self.json);
        let mut run = checkpoint::load(&self.checkpoint, &self.device, self.batch_size)?;
        let spec = self.data.or(run.data.take()).unwrap_or_else(|| "digits".to_owned());
        let data = open(&spec)?;
        let part: Arc<dyn Dataset> = match self.part {
            Part::Validation => data.validation,
            Part::Train => data.train,
        };
        let evaluation = run.trainer.evaluate(part)?;
        say(&console, &spec, &evaluation);
        console.object(&json!({
            "device": run.trainer.device_name(),
            "data": spec,
            "samples": evaluation.samples,
            "loss": evaluation.metrics.loss,
            "accuracy": evaluation.metrics.accuracy,
            "mean_absolute_error": evaluation.metrics.mean_absolute_error,
            "top_k": evaluation.top_k.map(|top| json!({"k": top.k, "accuracy": top.accuracy()})),
            "confusion": evaluation.confusion.as_ref().and_then(counts),
            "most_confused": evaluation.confusion.as_ref().map(most_confused),
            "classes": evaluation.confusion.as_ref().map(|matrix| matrix.names()),
        }))
    }
}

fn say(console: &Console, data: &str, evaluation: &Evaluation) {
    let samples = evaluation.samples;
    console.say(format_args!("{samples} samples of {data}: {}", metrics_text(&evaluation.metrics)));
    if let Some(top) = &evaluation.top_k {
        console.say(format_args!("top-{} accuracy {:.2} %", top.k, top.accuracy() * 100.0));
    }
    if let Some(matrix) = &evaluation.confusion {
        console.say(matrix);
    }
}

/// With more classes than this there is no `confusion` in the JSON object.
const MOST_CLASSES: usize = 100;

/// The most pairs in `most_confused`.
const MOST_PAIRS: usize = 50;

/// The counts row by row, a row a true class, unless those are too many.
fn counts(matrix: &ConfusionMatrix) -> Option<Vec<Vec<u64>>> {
    let classes = 0..matrix.names().len();
    let row = |truth| classes.clone().map(|predicted| matrix.count(truth, predicted)).collect();
    (classes.len() <= MOST_CLASSES).then(|| classes.clone().map(row).collect())
}

/// The pairs of classes that were confused most, by name.
fn most_confused(matrix: &ConfusionMatrix) -> Vec<serde_json::Value> {
    let name = |class: usize| matrix.names()[class].as_str();
    let pairs = matrix.most_confused(MOST_PAIRS).into_iter();
    pairs
        .map(|(truth, predicted, count)| {
            json!({"true": name(truth), "predicted": name(predicted), "samples": count})
        })
        .collect()
}
