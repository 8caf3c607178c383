//! `onestep predict`: what a trained model says of files.

use std::path::PathBuf;

use anyhow::{Result, bail, ensure};
use clap::Args;
use comfy_table::{Table, presets};
use onestep::trainer::{Prediction, Task, Trainer};
use serde::Serialize;

use crate::cli::checkpoint::ModelFlags;
use crate::cli::console::Console;
use crate::cli::inputs::{self, NamedFile, Samples};
use crate::cli::progress::figure;

/// Apply a trained model to pictures, tables, texts or tensors
///
/// Files are read as the training data was: pictures are turned upright and brought to the size and the
/// colours that the model takes, a .csv file may have the same header, delimiter and columns (that of
/// the target may be left out), and of a text, for a model that was trained on one, the answer is the
/// character that follows its end. For a model of texts with a class each a .csv file has its column of
/// them, and any other file is one text. A .safetensors file has a tensor `input` of one or more samples, or a
/// tensor for each input of a model with several, whose inputs may also be given one by one. What
/// the model does to its inputs, such as a normalisation, is done here too, and predicted values are in
/// their own units.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Predict {
    #[command(flatten)]
    model: ModelFlags,
    /// The files
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A file with samples of one input, for a model with several; again for each other input, and for
    /// more files of the same one
    #[arg(long = "input", value_name = "NAME=FILE")]
    inputs: Vec<NamedFile>,
    /// A text as it is, for a model that was trained on texts with a class each; again for more
    #[arg(long = "text", value_name = "TEXT", conflicts_with_all = ["files", "inputs"])]
    texts: Vec<String>,
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
  onestep predict --checkpoint runs/digits-cnn-1 batch.safetensors --top-k 1 --json
  onestep predict --checkpoint runs/reviews-1 --text 'A film without a plot.'
  onestep predict --checkpoint runs/siamese-1 --input a=one.png --input b=other.png";

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
        ensure!(
            !(self.files.is_empty() && self.inputs.is_empty() && self.texts.is_empty()),
            "there is nothing to predict: name a FILE, or --input NAME=FILE for each input, or --text TEXT"
        );
        let mut trainer = self.model.load(None)?;
        let answers = match trainer.record().text {
            Some(_) if self.inputs.is_empty() && self.texts.is_empty() => {
                continuations(&mut trainer, &self.files, self.top_k)?
            }
            _ => {
                let (model, record) = (trainer.model(), trainer.record());
                let samples = match &self.texts[..] {
                    [] => inputs::read(&self.files, &self.inputs, model, record)?,
                    texts => inputs::said(texts, model, record)?,
                };
                answers(&mut trainer, samples, self.top_k)?
            }
        };
        let target = trainer.record().columns.as_ref().map(|columns| columns.target.as_str());
        console.say(table(&answers, target.unwrap_or("output")));
        console.object(&serde_json::json!({ "predictions": answers }))
    }
}

fn answers(trainer: &mut Trainer, samples: Samples, top_k: usize) -> Result<Vec<Answer>> {
    let prediction: Prediction = trainer.predict(&samples.fields())?;
    for (name, output) in samples.names.iter().zip(prediction.rows()) {
        let finite = output.iter().all(|value| value.is_finite());
        ensure!(finite, "{name}: the model's output is no finite number: {output:?}");
    }
    let classifies = matches!(trainer.learner().program().task(), Task::Classify { .. });
    let classes = trainer.record().classes.as_deref().unwrap_or_default();
    let answer = |((input, output), probabilities): ((String, &[f32]), &Vec<f32>)| Answer {
        input,
        top: if classifies { best(probabilities, classes, top_k) } else { Vec::new() },
        output: output.to_vec(),
    };
    let probabilities = prediction.probabilities();
    Ok(samples.names.into_iter().zip(prediction.rows()).zip(&probabilities).map(answer).collect())
}

/// What follows the last characters of each text, as many as the model looks at.
fn continuations(trainer: &mut Trainer, files: &[PathBuf], top_k: usize) -> Result<Vec<Answer>> {
    let length = trainer.model().input_shape().elements();
    let mut windows = Vec::new();
    for file in files {
        let tokens = trainer.record().read_text(file)?;
        let (name, got) = (file.display(), tokens.len());
        ensure!(
            got >= length,
            "{name}: expected a text of at least {length} characters, as many as the model looks at, \
             got {got}"
        );
        windows.extend_from_slice(&tokens[got - length..]);
    }
    let prediction = trainer.predict(&windows)?;
    let [classes, positions] = *prediction.shape.dims() else {
        bail!("model: expected an output of [characters, positions], got {}", prediction.shape);
    };
    let last = |row: &[f32]| -> Vec<f32> {
        (0..classes).map(|class| row[(class + 1) * positions - 1]).collect()
    };
    let values = prediction.rows().flat_map(last).collect();
    let prediction = Prediction { shape: [classes].into(), values };
    let names = trainer.record().classes.as_deref().unwrap_or_default();
    let answer = |((file, output), probabilities): ((&PathBuf, &[f32]), &Vec<f32>)| {
        let name = file.display();
        ensure!(
            output.iter().all(|value| value.is_finite()),
            "{name}: the model's output is no finite number: {output:?}"
        );
        let top = best(probabilities, names, top_k);
        Ok(Answer { input: name.to_string(), top, output: output.to_vec() })
    };
    files.iter().zip(prediction.rows()).zip(&prediction.probabilities()).map(answer).collect()
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
        let rest: Vec<String> =
            rest.iter().map(|c| format!("{} {}", shown(&c.name), percent(c))).collect();
        table.add_row([answer.input.clone(), shown(&first.name), percent(first), rest.join(", ")]);
    }
    table
}

/// A class by its name; in quotes where that is a space or the end of a line, as in a text.
fn shown(name: &str) -> String {
    match name.chars().all(|character| character.is_whitespace() || character.is_control()) {
        true => format!("{name:?}"),
        false => name.to_owned(),
    }
}

fn percent(class: &Class) -> String {
    format!("{:.1} %", class.probability * 100.0)
}

fn numbers(values: &[f32]) -> String {
    let shown: Vec<String> = values.iter().take(8).map(|&value| figure(f64::from(value))).collect();
    let more = if values.len() > 8 { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}
