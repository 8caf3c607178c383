//! The flags of training that have a counterpart in the configuration file.

use std::path::PathBuf;

use clap::Args;
use onestep::data::Mixing;
use onestep::layers::{LossSpec, json};
use onestep::optimizer::{OptimizerSpec, Per, ScheduleSpec, Swa, schedule_forms};
use onestep::trainer::{Buckets, MetricSpec, Monitor, TrainerConfig};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::adapters::Adapter;
use super::device::DeviceFlags;

/// The flags that have a counterpart in the configuration file.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct TrainingFlags {
    /// The model: a JSON specification, or the name of one that `onestep models` lists, whose input
    /// and classes are those of the data unless they are said [default: a network that suits the data]
    #[arg(long, value_name = "SPEC.json|NAME")]
    pub(crate) model: Option<PathBuf>,
    #[arg(long, value_name = "DATA", help = data_help("digits"))]
    pub(crate) data: Option<String>,
    /// Passes through the training data, in all [default: by the size of the data]
    #[arg(long, value_name = "N", conflicts_with = "steps")]
    pub(crate) epochs: Option<usize>,
    /// Updates in all, in place of --epochs; a --schedule then counts updates where it does not say
    /// @epoch [default: as many as the epochs take]
    #[arg(long, value_name = "N")]
    pub(crate) steps: Option<u64>,
    /// Updates after which an epoch counts as done: it validates and saves, and goes on in a new order
    /// [default: all of the training data]
    #[arg(long, value_name = "N")]
    pub(crate) steps_per_epoch: Option<usize>,
    /// Samples in a batch [default: by the size of the data]
    #[arg(long, value_name = "N")]
    pub(crate) batch_size: Option<usize>,
    #[arg(long, value_name = "LOSS", help = loss_help("by the data"))]
    pub(crate) loss: Option<LossSpec>,
    #[arg(long, value_name = "OPTIMIZER", value_parser = parse_optimizer, help = optimizer_help())]
    pub(crate) optimizer: Option<OptimizerSpec>,
    /// The learning rate, in place of the optimizer's own
    #[arg(long, value_name = "X")]
    pub(crate) lr: Option<f64>,
    #[arg(long, value_name = "SCHEDULE", value_parser = parse_flag, help = schedule_help())]
    pub(crate) schedule: Option<ScheduleFlag>,
    /// How an option of the optimizer changes, as weight_decay=cosine or momentum=step:10:0.5: the forms
    /// of --schedule; may be given several times [default: not at all]
    #[arg(long, value_name = "OPTION=SCHEDULE", value_parser = parse_option_schedule)]
    pub(crate) option_schedule: Vec<(String, ScheduleFlag)>,
    /// The weight decay, in place of the optimizer's own (biases and normalisations are spared)
    #[arg(long, value_name = "X")]
    pub(crate) weight_decay: Option<f64>,
    /// The most that the norm of all gradients together may be [default: unbounded]
    #[arg(long, value_name = "X")]
    pub(crate) clip_norm: Option<f64>,
    /// The most that each number of the gradients may be [default: unbounded]
    #[arg(long, value_name = "X", conflicts_with = "clip_norm")]
    pub(crate) clip_value: Option<f64>,
    #[arg(long, value_name = "TRANSFORMS", help = augmentation_help())]
    pub(crate) augmentation: Option<String>,
    /// Mix the samples of each training batch with one another, and their labels with them:
    /// mixup=ALPHA adds a share of another sample, cutmix=ALPHA puts a rectangle of another picture
    /// in, such as mixup=0.2 or cutmix=1; the larger ALPHA, the more is mixed. For classes with
    /// cross_entropy; never done in validation [default: none]
    #[arg(long, value_name = "MIXING")]
    pub(crate) mix: Option<Mixing>,
    /// Put samples of about the same length into one batch, which is padded to the bound of their
    /// bucket: lengths in rising order, such as 16,64; what is longer goes into a last bucket. With
    /// the input mask=NAME (u8, 1 where a sample has a position) or length=NAME (i32) for the model,
    /// as 16,64,mask=mask [default: all are padded to the longest]
    #[arg(long, value_name = "LENGTHS", value_parser = parse_buckets)]
    pub(crate) buckets: Option<Buckets>,
    /// Evaluate and predict with an exponential moving average of the weights that keeps so much of
    /// itself at each step, such as 0.999 [default: none]
    #[arg(long, value_name = "DECAY", conflicts_with = "swa")]
    pub(crate) ema: Option<f64>,
    /// Evaluate and predict with the mean of the weights at the end of each epoch (or of every so many)
    /// after the first START; with @step after each step [default: none]
    #[arg(long, value_name = "START[:EVERY][@step]")]
    pub(crate) swa: Option<Swa>,
    /// Batches whose gradients make one update, as one batch of all of them would [default: 1]
    #[arg(long, value_name = "N")]
    pub(crate) accumulate: Option<usize>,
    /// Parameters that stay as they are, with commas between: names in which * stands for anything,
    /// such as conv*; no gradient is computed for them [default: none]
    #[arg(long, value_name = "PATTERNS", value_delimiter = ',')]
    pub(crate) freeze: Option<Vec<String>>,
    /// Running statistics of the names in --freeze stay as they are too, and training normalises by
    /// them
    #[arg(long)]
    pub(crate) freeze_statistics: bool,
    /// Add low-rank adapters to the dense layers of these paths (* stands for anything), of rank 8
    /// and alpha 8 unless said; again for other layers. All else stays as it is unless --freeze says
    /// what does [default: none]
    #[arg(long, value_name = "PATTERN[:rank=N,alpha=X]", conflicts_with = "resume")]
    pub(crate) lora: Vec<Adapter>,
    /// Take the samples of each epoch in their order
    #[arg(long)]
    pub(crate) no_shuffle: bool,
    /// Leave out a last batch that is not full
    #[arg(long)]
    pub(crate) drop_last: bool,
    /// Stop after so many epochs in a row without improvement and put the best one's parameters back
    /// [default: never]
    #[arg(long, value_name = "PATIENCE")]
    pub(crate) early_stopping: Option<usize>,
    /// What counts as an improvement must be larger than this [default: 0]
    #[arg(long, value_name = "X")]
    pub(crate) min_delta: Option<f64>,
    /// Keep the last epoch's parameters after early stopping, not the best one's
    #[arg(long)]
    pub(crate) no_restore_best: bool,
    #[arg(long, value_name = "METRICS", value_delimiter = ',', help = metrics_help())]
    pub(crate) metrics: Option<Vec<MetricSpec>>,
    #[arg(long, value_name = "FIGURE", help = monitor_help())]
    pub(crate) monitor: Option<Monitor>,
    #[command(flatten)]
    pub(crate) device: DeviceFlags,
    /// Determines initial values, orders, augmentation and dropout [default: 0]
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    #[arg(long, value_name = "N", help = workers_help())]
    pub(crate) workers: Option<usize>,
    /// Batches prepared ahead [default: as many as workers, at least 2]
    #[arg(long, value_name = "N")]
    pub(crate) prefetch: Option<usize>,
    /// Samples in a batch of validation [default: as in training]
    #[arg(long, value_name = "N")]
    pub(crate) evaluation_batch_size: Option<usize>,
    /// Steps between checkpoints within an epoch [default: only at its end]
    #[arg(long, value_name = "N")]
    pub(crate) save_every_steps: Option<u64>,
    /// The folder for everything that is saved [default: runs/MODEL-N, the first N that is free]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

/// The help of a flag that names data.
pub(crate) fn data_help(default: &str) -> String {
    format!("The data: {} [default: {default}]", onestep::data::data_forms())
}

/// The help of a flag that names a loss.
pub(crate) fn loss_help(default: &str) -> String {
    let names = known(LossSpec::TYPES);
    format!(
        "What is minimised: a name ({names}) or a JSON object such as \
         '{{\"type\": \"formula\", \"loss\": \"abs(y - t)^1.5\"}}' [default: {default}]"
    )
}

/// The names of a kind that say enough: not `custom`, which has code that the command does not know, nor
/// `formula`, which needs one.
fn known(types: &[&str]) -> String {
    let names: Vec<&str> =
        types.iter().copied().filter(|name| !["custom", "formula"].contains(name)).collect();
    names.join(", ")
}

/// The help of a flag that names an optimizer.
pub(crate) fn optimizer_help() -> String {
    let names = known(OptimizerSpec::TYPES);
    format!(
        "How parameters change: a name ({names}) or a JSON object such as \
         '{{\"type\": \"sgd\", \"momentum\": 0.9}}'"
    )
}

fn augmentation_help() -> String {
    let forms = onestep::data::transform_forms();
    format!(
        "Transforms of the inputs with commas between, such as crop=4,flip=0.5, or none: {forms}. \
         crop@FIELD=4 changes one input alone; a + before one keeps it in evaluation and prediction too, \
         where a normalisation always is. A table stays standardised unless that is named (or its text \
         says standardise=no) [default: what suits the data]"
    )
}

fn schedule_help() -> String {
    format!("How the learning rate changes: {}; or a JSON object", schedule_forms())
}

fn monitor_help() -> String {
    let (form, default) = (Monitor::FORM, Monitor::default());
    format!("What early stopping and reduce_on_plateau watch: {form} [default: {default}]")
}

fn metrics_help() -> String {
    // What is custom has code that the command does not know, and top_k is written with its number.
    let names = MetricSpec::TYPES.iter().filter(|name| !["custom", "top_k"].contains(name));
    let names = names.copied().collect::<Vec<_>>().join(", ");
    format!(
        "What is measured besides the loss, with commas between: {names}, and top5 or another number \
         [default: accuracy of classes, mean_absolute_error of values]"
    )
}

fn workers_help() -> String {
    let default = TrainerConfig::default().workers;
    format!("Threads that prepare batches; 0 does it in the training loop [default: {default}]")
}

/// An optimizer from its name or its JSON form.
pub(crate) fn parse_optimizer(text: &str) -> Result<OptimizerSpec, String> {
    let spec: OptimizerSpec = name_or_json(text)?;
    spec.validate().map_err(|error| error.to_string())?;
    Ok(spec)
}

/// Bounds of buckets with commas between, and the names of a mask and of a length.
fn parse_buckets(text: &str) -> Result<Buckets, String> {
    let mut buckets = Buckets::default();
    for part in text.split(',').map(str::trim) {
        let name = |name: &str| (!name.is_empty()).then(|| name.to_owned());
        match part.split_once('=') {
            None => buckets.bounds.push(
                part.parse()
                    .map_err(|_| format!("expected lengths such as 16,64, got `{part}`"))?,
            ),
            Some(("mask", mask)) if buckets.mask.is_none() => buckets.mask = name(mask),
            Some(("length", length)) if buckets.length.is_none() => buckets.length = name(length),
            Some(_) => {
                return Err(format!("expected mask=NAME or length=NAME, once, got `{part}`"));
            }
        }
    }
    Ok(buckets)
}

/// A schedule that was asked for.
#[derive(Clone, Debug)]
pub(crate) struct ScheduleFlag {
    text: String,
    spec: ScheduleSpec,
}

impl ScheduleFlag {
    /// It, which counts updates in a run of so many where its text says nothing else.
    pub(crate) fn of_run(self, steps: Option<u64>) -> ScheduleSpec {
        let by_steps = steps.and_then(|_| ScheduleSpec::parse_per(&self.text, Per::Step).ok());
        by_steps.unwrap_or(self.spec)
    }
}

fn parse_flag(text: &str) -> Result<ScheduleFlag, String> {
    Ok(ScheduleFlag { text: text.to_owned(), spec: name_or_json(text)? })
}

fn parse_option_schedule(text: &str) -> Result<(String, ScheduleFlag), String> {
    let (name, schedule) = text.split_once('=').ok_or_else(|| {
        format!("expected OPTION=SCHEDULE such as weight_decay=cosine, got `{text}`")
    })?;
    Ok((name.trim().to_owned(), parse_flag(schedule)?))
}

fn name_or_json<T>(text: &str) -> Result<T, String>
where
    T: std::str::FromStr + DeserializeOwned,
    T::Err: std::fmt::Display,
{
    if text.trim_start().starts_with('{') {
        return json::from_str(text);
    }
    text.parse().map_err(|error: T::Err| error.to_string())
}

/// The keys of the trainer's settings with what they mean and their defaults, a paragraph each: the
/// list is the settings' own schema.
pub(crate) fn settings_help() -> String {
    let schema = TrainerConfig::schema();
    let mut text = String::new();
    let mut list = |properties: Option<&Value>, prefix: &str| {
        for (name, property) in properties.and_then(Value::as_object).into_iter().flatten() {
            let said = property["description"].as_str().unwrap_or_default().replace('\n', " ");
            text.push_str(&format!("\n  {prefix}{name}\n{}", indented(&plain(&said))));
        }
    };
    list(schema.get("properties"), "");
    list(schema.pointer("/$defs/EarlyStoppingConfig/properties"), "early_stopping.");
    text
}

/// A documentation text without the marks of links and code.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    // `[name](target)` and [`name`] become name.
    while let Some(start) = rest.find('[') {
        plain.push_str(&rest[..start]);
        let inner = &rest[start + 1..];
        let Some(end) = inner.find(']') else { break };
        plain.push_str(&inner[..end]);
        rest = &inner[end + 1..];
        if let Some(target) = rest.strip_prefix('(').and_then(|target| target.find(')')) {
            rest = &rest[target + 2..];
        }
    }
    plain.push_str(rest);
    plain.replace('`', "")
}

/// Lines of at most 76 characters with a margin.
fn indented(text: &str) -> String {
    let (mut lines, mut line) = (String::new(), String::new());
    for word in text.split_whitespace() {
        if line.chars().count() + word.chars().count() > 70 {
            lines.push_str(&format!("      {}\n", line.trim_end()));
            line.clear();
        }
        line.push_str(word);
        line.push(' ');
    }
    lines + &format!("      {}", line.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_read() {
        let read = parse_buckets("16, 64,mask=m,length=n").unwrap();
        assert_eq!(
            (read.bounds, read.mask, read.length),
            (vec![16, 64], Some("m".into()), Some("n".into()))
        );
        assert!(parse_buckets("mask=m").unwrap().bounds.is_empty());
        for wrong in ["", "16,", "-1", "a", "16,pad=3", "mask=a,mask=b"] {
            assert!(parse_buckets(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_setting_is_in_the_help_with_its_default() {
        let help = settings_help();
        let fields = serde_json::to_value(TrainerConfig {
            weight_decay: Some(0.0),
            steps: Some(1),
            steps_per_epoch: Some(1),
            clip: Some(onestep::optimizer::Clip::Norm(1.0)),
            memory_budget: Some(1),
            prefetch: Some(1),
            buckets: Some(Default::default()),
            mix: Some("mixup=0.2".parse().unwrap()),
            option_schedules: [("weight_decay".to_owned(), Default::default())].into(),
            evaluation_batch_size: Some(1),
            early_stopping: Some(Default::default()),
            save_every_steps: Some(1),
            ..TrainerConfig::default()
        });
        for (name, _) in fields.unwrap().as_object().unwrap() {
            let (_, rest) = help.split_once(&format!("\n  {name}\n")).expect(name);
            let own = rest.split("\n  ").take_while(|line| line.starts_with("    "));
            let own: String = own.collect();
            assert!(own.to_lowercase().contains("default"), "{name}: {own}");
        }
        for name in ["patience", "min_delta", "monitor", "restore_best"] {
            assert!(help.contains(&format!("\n  early_stopping.{name}\n")), "{name}");
        }
        assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
        assert!(!help.contains('`') && !help.contains("]("), "{help}");
    }
}
