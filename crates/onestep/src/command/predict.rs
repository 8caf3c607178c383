//! `onestep predict`: what a trained model says of files.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;
use comfy_table::{Table, presets};
use onestep::trainer::{Prediction, Task, Trainer};
use serde::Serialize;

use crate::cli::checkpoint::ModelFlags;
use crate::cli::console::Console;
use crate::cli::inputs::{self, Input};
use crate::cli::progress::figure;

/// Apply a trained model to pictures or tensors
///
/// Files are read as the training data was: pictures are turned upright and brought to the size and the
/// colours that the model takes, a .csv file may have the same header, delimiter and columns (that of
/// the target may be left out). A .safetensors file has a tensor `input` of one or more samples. What
/// the model does to its inputs, such as a normalisation, is done here too, and predicted values are in
/// their own units.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Predict {
    #[command(flatten)]
    model: ModelFlags,
    /// The files
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// How many of the most probable classes to show
    #[arg(long, value_name = "K", default_value_t = 3)]
    top_k: usize,
    /// Print one JSON object on standard output
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  onestep predict --checkpoint runs/digits-cnn-1 three.png seven.png
  onestep predict --checkpoint runs/digits-cnn-1 batch.safetensors --top-k 1 --json";

/// What the model says of one sample.
#[derive(Debug, Serialize)]
struct Answer {
    /// The file, with the sample's number where there are several.
    input: String,
    /// The most probable classes, the best first; none for regression.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    top: Vec<Class>,
    /// The output as it is.
    output: Vec<f32>,
}

#[derive(Debug, Serialize)]
struct Class {
    class: usize,
    name: String,
    probability: f32,
}

impl Predict {
    pub(crate) fn run(self) -> Result<()> {
        let console = Console::new(self.json);
        let mut trainer = self.model.load(None)?;
        let shape = trainer.model().input_shape().clone();
        let mut samples = Vec::new();
        for file in &self.files {
            samples.extend(inputs::read(file, &shape, trainer.record())?);
        }
        let answers = answers(&mut trainer, samples, self.top_k)?;
        let target = trainer.record().columns.as_ref().map(|columns| columns.target.as_str());
        console.say(table(&answers, target.unwrap_or("output")));
        console.object(&serde_json::json!({ "predictions": answers }))
    }
}

fn answers(trainer: &mut Trainer, samples: Vec<Input>, top_k: usize) -> Result<Vec<Answer>> {
    let values: Vec<f32> =
        samples.iter().flat_map(|sample| sample.values.iter().copied()).collect();
    let prediction: Prediction = trainer.predict(&values)?;
    for (sample, output) in samples.iter().zip(prediction.rows()) {
        let finite = output.iter().all(|value| value.is_finite());
        ensure!(finite, "{}: the model's output is no finite number: {output:?}", sample.name);
    }
    let classifies = matches!(trainer.learner().program().task(), Task::Classify { .. });
    let classes = trainer.record().classes.as_deref().unwrap_or_default();
    let answer = |((sample, output), probabilities): ((Input, &[f32]), &Vec<f32>)| Answer {
        input: sample.name,
        top: if classifies { best(probabilities, classes, top_k) } else { Vec::new() },
        output: output.to_vec(),
    };
    let probabilities = prediction.probabilities();
    Ok(samples.into_iter().zip(prediction.rows()).zip(&probabilities).map(answer).collect())
}

/// The most probable classes, the best first.
fn best(probabilities: &[f32], names: &[String], count: usize) -> Vec<Class> {
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
    let name = |class: usize| names.get(class).cloned().unwrap_or_else(|| class.to_string());
    let class = |class| Class { class, name: name(class), probability: probabilities[class] };
    order.into_iter().take(count.max(1)).map(class).collect()
}

fn table(answers: &[Answer], target: &str) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    if answers.iter().all(|answer| answer.top.is_empty()) {
        table.set_header(["input", target]);
        for answer in answers {
            table.add_row([answer.input.clone(), numbers(&answer.output)]);
        }
        return table;
    }
    table.set_header(["input", "class", "probability", "next"]);
    for answer in answers {
        let Some((first, rest)) = answer.top.split_first() else { continue };
        let rest: Vec<String> = rest.iter().map(|c| format!("{} {}", c.name, percent(c))).collect();
        table.add_row([answer.input.clone(), first.name.clone(), percent(first), rest.join(", ")]);
    }
    table
}

fn percent(class: &Class) -> String {
    format!("{:.1} %", class.probability * 100.0)
}

fn numbers(values: &[f32]) -> String {
    let shown: Vec<String> = values.iter().take(8).map(|&value| figure(f64::from(value))).collect();
    let more = if values.len() > 8 { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}
