//! `onestep evaluate`: how good a trained model is.

use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use clap::{Args, ValueEnum};
use onestep::data::{ConcatDataset, DataSplits, Dataset, open_as};
use onestep::trainer::{ConfusionMatrix, Evaluation};
use serde_json::json;

use crate::cli::checkpoint::ModelFlags;
use crate::cli::console::Console;
use crate::cli::flags::data_help;
use crate::cli::progress::metrics_text;

/// Measure a trained model: loss, accuracy, top-k accuracy and the confusion matrix
///
/// The matrix is printed for at most 30 classes; for more, the 20 pairs that were confused most. In
/// JSON, `confusion` has its rows for at most 100 classes and is null for more, and `most_confused`
/// always lists the worst pairs, at most 50.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Evaluate {
    #[command(flatten)]
    model: ModelFlags,
    #[arg(long, value_name = "DATA", help = data_help("those that the model was trained on"))]
    data: Option<String>,
    /// Which part of the data
    #[arg(long, value_enum, default_value_t = Part::Validation)]
    part: Part,
    /// Samples in a batch [default: as in training]
    #[arg(long, value_name = "N")]
    batch_size: Option<usize>,
    /// Print one JSON object on standard output
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  onestep evaluate --checkpoint runs/digits-cnn-1
  onestep evaluate --checkpoint runs/mnist-cnn-1 --data mnist:DIR --part train --json
  onestep evaluate --checkpoint runs/fruit-mlp-1 --data csv:new.csv --part all";

/// A part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// What the model has never learned from, but may have been chosen by.
    Validation,
    /// What it has not even been chosen by, where the data has a third part.
    Test,
    /// What it has learned from.
    Train,
    /// All samples, for data that the model has never seen.
    All,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Part::Validation => "validation",
            Part::Test => "test",
            Part::Train => "train",
            Part::All => "all",
        }
    }

    fn of(self, data: DataSplits, spec: &str) -> Result<Arc<dyn Dataset>> {
        match self {
            Part::Validation => Ok(data.validation),
            Part::Train => Ok(data.train),
            Part::All => {
                let parts = [Some(data.train), Some(data.validation), data.test];
                Ok(Arc::new(ConcatDataset::new(parts.into_iter().flatten().collect())?))
            }
            Part::Test => data.test.ok_or_else(|| {
                anyhow!("--part test: {spec} has no third part; there are validation and train")
            }),
        }
    }
}

impl Evaluate {
    pub(crate) fn run(self) -> Result<()> {
        let console = Console::new(self.json);
        let mut trainer = self.model.load(self.batch_size)?;
        let record = trainer.record();
        let spec = self.data.as_ref().or(record.source.as_ref()).cloned();
        let spec =
            spec.context("the checkpoint does not say what it was trained on; add --data")?;
        let data = open_as(&spec, record)?;
        console.notes(&data.notes);
        if self.data.is_some() && self.part == Part::Validation && data.test.is_none() {
            let (part, all) = (data.validation.len(), data.train.len() + data.validation.len());
            console.notes(&[format!(
                "{part} of {all} samples are measured, those held out; `--part all` measures all"
            )]);
        }
        let evaluation = trainer.evaluate(self.part.of(data, &spec)?)?;
        say(&console, &format!("{spec} ({})", self.part.name()), &evaluation);
        let mut result = json!({
            "device": trainer.device_name(),
            "data": spec,
            "part": self.part.name(),
            "samples": evaluation.samples,
            "loss": evaluation.metrics.loss,
            "accuracy": evaluation.metrics.accuracy(),
            "mean_absolute_error": evaluation.metrics.mean_absolute_error(),
            "top_k": evaluation.top_k.map(|top| json!({"k": top.k, "accuracy": top.accuracy()})),
            "confusion": evaluation.confusion.as_ref().and_then(counts),
            "most_confused": evaluation.confusion.as_ref().map(most_confused),
            "classes": evaluation.confusion.as_ref().map(|matrix| matrix.names()),
        });
        for (name, value) in evaluation.metrics.iter() {
            result[name] = value.into();
        }
        console.object(&result)
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
