//! `onestep train`: from data to a trained model on disk.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use onestep::data::{DataSplits, open, open_as};
use onestep::engine::{Footprint, Mode};
use onestep::memory::format_bytes;
use onestep::trainer::{
    Callback, Checkpoints, CurvePlot, EarlyStopping, EpochRecord, History, MetricsCsv, MetricsJson,
    Stop, Trainer, TrainerBuilder, TrainerConfig, Weights, write_atomically,
};
use serde_json::{Value, json};

use super::Outcome;
use super::summary::memory_text;
use crate::cli::checkpoint::{self, LAST};
use crate::cli::console::Console;
use crate::cli::flags::{TrainingFlags, settings_help};
use crate::cli::interrupt::Interrupt;
use crate::cli::progress::{ProgressDisplay, figure, metrics_text};
use crate::cli::run_folder::RunFolder;
use crate::cli::settings::Settings;
use crate::cli::weights::BeginFlags;
use crate::cli::{adapters, defaults};

/// Train a model and save it
///
/// Without flags it trains a small convolutional network on 1,797 handwritten digits that are part
/// of the program. Each setting comes from its flag, else from the configuration file, else from
/// defaults that follow from the data.
#[derive(Debug, Default, Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{SETTINGS}{}", settings_help()))]
pub(crate) struct Train {
    #[command(flatten)]
    settings: TrainingFlags,
    /// Go on from the checkpoint of a run, exactly as if it had not been interrupted; its model,
    /// data and settings count unless flags say otherwise
    #[arg(long, value_name = "DIR", conflicts_with_all = ["weights", "init_from"])]
    resume: Option<PathBuf>,
    #[command(flatten)]
    begin: BeginFlags,
    /// A TOML or JSON file with settings; flags win over it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Replace the run that is in the folder of --out, which is refused otherwise
    #[arg(long)]
    overwrite: bool,
    /// Print one JSON object as the last line of standard output, and all else on standard error
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  onestep train
  onestep train --data mnist:DIR --epochs 5 --batch-size 64 --optimizer adamw --lr 0.003
  onestep train --data images:DIR?size=64 --model net.json --schedule warmup:2+cosine --out runs/a
  onestep train --data cifar10:DIR --model resnet18 --epochs 20
  onestep train --model net.json --init-from runs/a --lora 'fc*:rank=4' --out runs/tuned
  onestep train --resume runs/a --epochs 40
  onestep train --config run.toml

The configuration file has the settings of the trainer by their names, and model (a path or a
specification), data, out, lr, clip_norm and lora (a list):
  data = \"mnist:DIR\"
  epochs = 5
  augmentation = \"crop=2\"
  early_stopping = { patience = 3 }
  [optimizer]
  type = \"sgd\"
  lr = 0.05
  momentum = 0.9

What is saved in the folder of the run:
  weights.safetensors  parameters and running statistics
  model.json           the model's specification
  trainer.json         the settings
  metrics.csv, .json   the figures of each epoch
  curves.svg           loss and accuracy over the epochs
  last/                the last checkpoint: the whole state, for --resume, evaluate and predict

Ctrl-C finishes the step, saves a checkpoint and ends with code 130; so do SIGTERM (143) and SIGHUP
(129), unless nohup keeps the latter away. A second one ends at once.


onestep help train lists all settings; onestep train -h is the short form.";

const SETTINGS: &str = "\
All settings of the trainer, as the configuration file has them (where no default is said for a
flag above, these count):";

/// A trainer with its data and the folder of its run.
struct Run {
    trainer: Trainer,
    data: DataSplits,
    folder: RunFolder,
    console: Console,
}

impl Train {
    pub(crate) fn run(self) -> Result<Outcome> {
        let settings = Settings::new(self.settings, self.config.as_deref())?;
        let console = Console::new(self.json);
        let mut run = match &self.resume {
            Some(folder) => Run::resume(&settings, folder, self.overwrite, console)?,
            None => Run::fresh(&settings, &self.begin, self.overwrite, console)?,
        };
        run.announce()?;
        let mut interrupt = Interrupt::listen();
        let history = run.fit(&mut interrupt)?;
        run.finish(&history, interrupt.asked().is_some())?;
        Ok(interrupt.asked().map_or(Outcome::Done, Outcome::Interrupted))
    }
}

impl Run {
    fn fresh(
        settings: &Settings,
        begin: &BeginFlags,
        overwrite: bool,
        console: Console,
    ) -> Result<Self> {
        let spec = settings.data().unwrap_or("digits");
        let data = open(spec)?;
        let mut model = match settings.model()? {
            Some(choice) => {
                let (model, taken) = defaults::sized(choice, &data)?;
                if !taken.is_empty() {
                    let (name, taken) = (&model.name, taken.join(", "));
                    console
                        .say(format_args!("model           {name} with {taken}, as {}", data.name));
                }
                model
            }
            None => defaults::model(&data)?,
        };
        let mut config = settings.apply(defaults::config(&data)?)?;
        for said in adapters::add(&mut model, settings.adapters())? {
            console.say(format_args!("adapters        {said}"));
        }
        if !settings.adapters().is_empty() && config.freeze.is_empty() {
            config.freeze = adapters::all_others(&model)?;
            console.say("adapters        all else is frozen; --freeze says otherwise");
        }
        let config = defaults::normalised(config, &data.augmentation.to_string());
        let builder = Trainer::builder(model).config(config).record(data.record.clone());
        let mut trainer = builder.build()?;
        for said in begin.apply(&mut trainer)? {
            console.say(said);
        }
        plan(&mut trainer, &data)?;
        let folder = match settings.out() {
            Some(path) => RunFolder::at(path)?,
            None => RunFolder::fresh(&trainer.model().spec().name)?,
        };
        folder.make_room(overwrite)?;
        Ok(Run { trainer, data, folder, console })
    }

    fn resume(settings: &Settings, run: &Path, overwrite: bool, console: Console) -> Result<Self> {
        let from = checkpoint::folder(run)?;
        let own = checkpoint::home(run, &from);
        // Locked before it is read, so that nobody goes on with the same run meanwhile.
        let asked = settings.out().or(own).map(RunFolder::at).transpose()?;
        let mut applied = Ok(());
        let loaded =
            TrainerBuilder::load(&from)?.configure(|config| match settings.apply(config.clone()) {
                Ok(changed) => *config = defaults::normalised(changed, &config.augmentation),
                Err(error) => applied = Err(error),
            });
        applied?;
        let mut trainer = loaded.build()?;
        if let Some(choice) = settings.model()? {
            // Refuses a checkpoint of another model.
            let own = trainer.model();
            let classes = own.output_shape().first().copied().unwrap_or(1);
            let counts = (classes, None);
            let (mut model, _) = choice.for_data("the run", own.input_shape().dims(), counts)?;
            // A preset of a run may have been called by its old name.
            if model.name == own.spec().name.replace('-', "_") {
                model.name.clone_from(&own.spec().name);
            }
            let config = trainer.config().clone();
            trainer = Trainer::builder(model).config(config).checkpoint(&from).build()?;
        }
        let record = trainer.record();
        let spec = settings.data().or(record.source.as_deref());
        let spec =
            spec.context("the checkpoint does not say what it was trained on; add --data")?;
        let data = open_as(spec, record)?;
        trainer.set_record(data.record.clone())?;
        let folder = match asked {
            Some(folder) => folder,
            None => RunFolder::fresh(&trainer.model().spec().name)?,
        };
        if !own.is_some_and(|own| folder.is(own)) {
            folder.make_room(overwrite)?;
        }
        console.say(format_args!(
            "resuming from {}: {} epochs and {} steps are done",
            from.display(),
            trainer.progress().epoch,
            trainer.progress().step
        ));
        Ok(Run { trainer, data, folder, console })
    }

    /// Says what will be trained, with the memory it needs, before the first step.
    fn announce(&mut self) -> Result<()> {
        let (batch_size, plan) = plan(&mut self.trainer, &self.data)?;
        self.console.say(self.trainer.model().summary(batch_size));
        self.console.say(format_args!("planned memory  {}", memory_text(&plan)));
        let test = self.data.test.as_ref().map(|test| format!(", {} to test on", test.len()));
        self.console.say(format_args!(
            "data            {}: {} samples to learn from, {} to validate on{}",
            self.data.name,
            self.data.train.len(),
            self.data.validation.len(),
            test.unwrap_or_default()
        ));
        self.console.notes(&self.data.notes);
        self.console.say(format_args!("training        {}", describe(self.trainer.config())));
        self.console.say(format_args!("device          {}\n", self.trainer.device_name()));
        Ok(())
    }

    fn fit(&mut self, interrupt: &mut Interrupt) -> Result<History> {
        let mut progress = ProgressDisplay::new(self.console);
        let mut csv = MetricsCsv::new(self.folder.file("metrics.csv"));
        let mut json = MetricsJson::new(self.folder.file("metrics.json"));
        let mut curves = CurvePlot::new(self.folder.file("curves.svg"));
        let mut checkpoints = Checkpoints::new(self.folder.file(LAST));
        let callbacks: &mut [&mut dyn Callback] =
            &mut [&mut progress, &mut checkpoints, &mut csv, &mut json, &mut curves, interrupt];
        let (train, validation) = (self.data.train.clone(), self.data.validation.clone());
        Ok(self.trainer.fit(train, Some(validation), callbacks)?)
    }

    /// Saves the model and tells what came of it all.
    fn finish(&mut self, history: &History, interrupted: bool) -> Result<()> {
        if interrupted {
            self.trainer.save(self.folder.file(LAST))?;
        }
        self.trainer.save_weights(self.folder.file("weights.safetensors"))?;
        let model = self.trainer.model().spec().to_json()?;
        let config = serde_json::to_string_pretty(self.trainer.config())?;
        for (name, text) in [("model.json", model), ("trainer.json", config)] {
            write_atomically(&self.folder.file(name), |file| writeln!(file, "{text}"))?;
        }
        self.say_rates(history);
        self.say_files(interrupted);
        self.console.object(&self.report(history, interrupted))
    }

    fn say_rates(&self, history: &History) {
        let say = |line: std::fmt::Arguments<'_>| self.console.say(line);
        say(format_args!(
            "\n{} steps in {:.2} s: {:.0} steps/s, {:.0} samples/s; {:.3} s of waiting for data",
            history.steps,
            history.train_seconds,
            history.steps_per_second(),
            history.samples_per_second(),
            history.loader_stall_seconds
        ));
        let per_step = history.per_step;
        // Where gradients of several batches make a step it has a call for each.
        let rounded = |mean: f64| (mean * 100.0).round() / 100.0;
        say(format_args!(
            "a step: {} native calls, {} allocations, {} host synchronisations",
            rounded(per_step.native_calls),
            rounded(per_step.allocations),
            rounded(per_step.host_syncs)
        ));
        let resident = history.peak_resident_bytes.map(|bytes| format_bytes(bytes as usize));
        say(format_args!(
            "memory: {} planned, {} of device memory at most{}",
            format_bytes(history.planned_bytes),
            format_bytes(history.peak_device_bytes),
            resident.map(|bytes| format!(", {bytes} resident")).unwrap_or_default()
        ));
        if let (Stop::EarlyStopping, Some(last)) = (&history.stop, history.last()) {
            say(format_args!(
                "stopped early after epoch {}: nothing better for {} epochs",
                last.epoch,
                self.trainer.config().early_stopping.as_ref().map_or(0, |early| early.patience)
            ));
        }
        if let Some(saved) = self.saved_epoch(history) {
            let metrics = saved.validation.as_ref().unwrap_or(&saved.train);
            let first = figure(history.first_loss.map_or(f64::NAN, f64::from));
            let best = if self.trainer.weights() == Weights::Best { ", the best" } else { "" };
            say(format_args!(
                "first loss {first}; after epoch {}{best}: {}",
                saved.epoch,
                metrics_text(metrics)
            ));
        }
    }

    /// The epoch whose weights are saved: the best where early stopping has put it back, else the last.
    fn saved_epoch<'a>(&self, history: &'a History) -> Option<&'a EpochRecord> {
        let best = match self.trainer.weights() {
            Weights::Best => EarlyStopping::best_epoch_of(&self.trainer).ok().flatten(),
            Weights::Last => None,
        };
        let found = history.epochs.iter().find(|epoch| Some(epoch.epoch) == best);
        found.or(history.last())
    }

    fn say_files(&self, interrupted: bool) {
        let folder = self.folder.path().display();
        self.console.say(format_args!(
            "saved in {folder}:\n  weights.safetensors, model.json, trainer.json, metrics.csv, \
             metrics.json,\n  curves.svg, {LAST}/ (checkpoint)"
        ));
        let next = match interrupted {
            true => format!("train --resume {folder}"),
            false => format!("evaluate --checkpoint {folder}"),
        };
        self.console.say(format_args!("next: onestep {next}"));
    }

    fn report(&self, history: &History, interrupted: bool) -> Value {
        let saved = self.saved_epoch(history);
        let validation = saved.and_then(|epoch| epoch.validation.as_ref());
        let planned = history.planned_bytes as u64;
        let mut report = json!({
            "device": self.trainer.device_name(),
            "model": self.trainer.model().spec().name,
            "data": self.data.name,
            "epochs": self.trainer.epochs().len(),
            "steps": history.steps,
            "samples": history.samples,
            "steps_per_second": history.steps_per_second(),
            "samples_per_second": history.samples_per_second(),
            "train_seconds": history.train_seconds,
            "first_loss": history.first_loss,
            "saved_epoch": saved.map(|epoch| epoch.epoch),
            "train_loss": saved.map(|epoch| epoch.train.loss),
            "train_accuracy": saved.and_then(|epoch| epoch.train.accuracy()),
            "validation_loss": validation.map(|metrics| metrics.loss),
            "validation_accuracy": validation.and_then(|metrics| metrics.accuracy()),
            "validation_mean_absolute_error":
                validation.and_then(|metrics| metrics.mean_absolute_error()),
            "native_calls_per_step": history.per_step.native_calls,
            "allocations_per_step": history.per_step.allocations,
            "host_syncs_per_step": history.per_step.host_syncs,
            "peak_memory_bytes": history.peak_resident_bytes.unwrap_or(planned),
            "planned_memory_bytes": planned,
            "peak_device_bytes": history.peak_device_bytes,
            "loader_stall_seconds": history.loader_stall_seconds,
            "compile_seconds": history.compile_seconds,
            "parameters": self.trainer.model().parameter_count(),
            "interrupted": interrupted,
            // A path need not be text.
            "out": self.folder.path().display().to_string(),
        });
        let parts = [("train", saved.map(|epoch| &epoch.train)), ("validation", validation)];
        for (part, metrics) in parts {
            for (name, value) in metrics.into_iter().flat_map(|metrics| metrics.iter()) {
                report[format!("{part}_{name}")] = value.into();
            }
        }
        report
    }
}

/// The size of a batch, and the memory that a step on it takes. Refuses what will not fit.
fn plan(trainer: &mut Trainer, data: &DataSplits) -> Result<(usize, Footprint)> {
    let batch_size = trainer.config().batch_size.min(data.train.len());
    Ok((batch_size, trainer.footprint(Mode::Train, batch_size)?))
}

/// The settings in lines that a terminal of 80 columns has room for.
fn describe(config: &TrainerConfig) -> String {
    let optimizer = &config.optimizer;
    let mut lines = vec![
        match config.steps {
            Some(steps) => {
                format!("{steps} steps of batches of {}, seed {}", config.batch_size, config.seed)
            }
            None => format!(
                "{} epochs of batches of {}, seed {}",
                config.epochs, config.batch_size, config.seed
            ),
        },
        format!("loss {}, {} with lr {}", config.loss, optimizer, optimizer.lr()),
        format!("schedule {}", config.schedule.name()),
    ];
    if !config.augmentation.is_empty() {
        lines.push(format!("augmentation {}", config.augmentation));
    }
    if let Some(mixing) = config.mix {
        lines.push(format!("mixing of samples {mixing}"));
    }
    lines.join("\n                ")
}
