//! From flags and a configuration file to the settings of a training run.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use onestep::layers::{LossSpec, ModelSpec};
use onestep::optimizer::{Clip, OptimizerSpec, ScheduleSpec};
use onestep::trainer::TrainerConfig;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::device::DeviceFlags;
use super::files::{read_model_spec, read_text};
use super::size::MemorySize;

/// The flags that have a counterpart in the configuration file.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct TrainingFlags {
    /// The model, a JSON specification [default: a network that suits the data]
    #[arg(long, value_name = "SPEC.json")]
    pub(crate) model: Option<PathBuf>,
    /// The data: digits, mnist:DIR, cifar10:DIR, images:DIR or csv:FILE [default: digits]
    #[arg(long, value_name = "DATA")]
    pub(crate) data: Option<String>,
    /// Passes through the training data, in all
    #[arg(long, value_name = "N")]
    pub(crate) epochs: Option<usize>,
    /// Samples in a batch
    #[arg(long, value_name = "N")]
    pub(crate) batch_size: Option<usize>,
    /// What is minimised: a name (cross_entropy, bce_with_logits, mse, mae, huber) or a JSON object
    #[arg(long, value_name = "LOSS")]
    pub(crate) loss: Option<LossSpec>,
    /// How parameters change: a name (sgd, adam, adamw, rmsprop, adagrad) or a JSON object such as
    /// '{"type": "sgd", "momentum": 0.9}'
    #[arg(long, value_name = "OPTIMIZER", value_parser = parse_optimizer)]
    pub(crate) optimizer: Option<OptimizerSpec>,
    /// The learning rate, in place of the optimizer's own
    #[arg(long, value_name = "X")]
    pub(crate) lr: Option<f64>,
    /// How the learning rate changes, such as cosine, step:10:0.5, one_cycle or warmup:2+cosine, or
    /// a JSON object
    #[arg(long, value_name = "SCHEDULE", value_parser = parse_schedule)]
    pub(crate) schedule: Option<ScheduleSpec>,
    /// The weight decay (biases and normalisations are spared)
    #[arg(long, value_name = "X")]
    pub(crate) weight_decay: Option<f64>,
    /// The most that the norm of all gradients together may be
    #[arg(long, value_name = "X")]
    pub(crate) clip_norm: Option<f64>,
    #[command(flatten)]
    pub(crate) device: DeviceFlags,
    /// Determines initial values, orders, augmentation and dropout
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Threads that prepare batches
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<usize>,
    /// Batches prepared ahead
    #[arg(long, value_name = "N")]
    pub(crate) prefetch: Option<usize>,
    /// The folder for everything that is saved [default: runs/MODEL-N, the first N that is free]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

/// An optimizer from its name or its JSON form.
pub(crate) fn parse_optimizer(text: &str) -> Result<OptimizerSpec, String> {
    let spec: OptimizerSpec = name_or_json(text)?;
    spec.validate().map_err(|error| error.to_string())?;
    Ok(spec)
}

fn parse_schedule(text: &str) -> Result<ScheduleSpec, String> {
    name_or_json(text)
}

fn name_or_json<T>(text: &str) -> Result<T, String>
where
    T: std::str::FromStr + DeserializeOwned,
    T::Err: std::fmt::Display,
{
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).map_err(|error| error.to_string());
    }
    text.parse().map_err(|error: T::Err| error.to_string())
}

/// A model in the configuration file: the path of a specification, or the specification.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum ModelKey {
    Path(PathBuf),
    Spec(Value),
}

/// A configuration file: what only the command knows, and the settings of the trainer.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConfigFile {
    path: PathBuf,
    model: Option<ModelKey>,
    data: Option<String>,
    out: Option<PathBuf>,
    lr: Option<f64>,
    clip_norm: Option<f64>,
    memory_budget: Option<MemorySize>,
    trainer: Map<String, Value>,
}

impl ConfigFile {
    /// Reads a TOML or a JSON file, by its extension.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = read_text(path)?;
        let place = || format!("{}", path.display());
        let extension = path.extension().and_then(|extension| extension.to_str());
        let values: Map<String, Value> = match extension {
            Some("toml") => toml::from_str(&text).with_context(place)?,
            Some("json") => serde_json::from_str(&text).with_context(place)?,
            _ => bail!("{}: expected a file that ends in .toml or .json", path.display()),
        };
        Self::from_values(path, values).with_context(place)
    }

    fn from_values(path: &Path, mut values: Map<String, Value>) -> Result<Self> {
        Ok(ConfigFile {
            path: path.to_path_buf(),
            model: take(&mut values, "model")?,
            data: take(&mut values, "data")?,
            out: take(&mut values, "out")?,
            lr: take(&mut values, "lr")?,
            clip_norm: take(&mut values, "clip_norm")?,
            memory_budget: take(&mut values, "memory_budget")?,
            trainer: values,
        })
    }

    fn model(&self) -> Result<Option<ModelSpec>> {
        match &self.model {
            None => Ok(None),
            Some(ModelKey::Path(path)) => read_model_spec(path).map(Some),
            Some(ModelKey::Spec(value)) => ModelSpec::from_json(&value.to_string())
                .map(Some)
                .with_context(|| format!("{}: model", self.path.display())),
        }
    }

    /// The settings with those that the file names in place of the ones in `base`.
    fn apply(&self, base: TrainerConfig) -> Result<TrainerConfig> {
        let Value::Object(mut values) = serde_json::to_value(base)? else {
            bail!("the trainer's settings are no JSON object");
        };
        values.extend(self.trainer.clone());
        let mut config: TrainerConfig =
            serde_json::from_value(Value::Object(values)).map_err(|error| {
                anyhow!(
                    "{}: {error} (and besides those: model, data, out, lr, clip_norm)",
                    self.path.display()
                )
            })?;
        set_learning_rate(&mut config, self.lr);
        set_clip(&mut config, self.clip_norm);
        if let Some(size) = self.memory_budget {
            config.memory_budget = Some(size.0);
        }
        Ok(config)
    }
}

fn take<T: DeserializeOwned>(values: &mut Map<String, Value>, key: &str) -> Result<Option<T>> {
    let value = values.remove(key).map(serde_json::from_value).transpose();
    value.with_context(|| format!("key `{key}`"))
}

fn set_learning_rate(config: &mut TrainerConfig, lr: Option<f64>) {
    if let Some(lr) = lr {
        config.optimizer = config.optimizer.clone().with_lr(lr);
    }
}

fn set_clip(config: &mut TrainerConfig, norm: Option<f64>) {
    if let Some(norm) = norm {
        config.clip = Some(Clip::Norm(norm));
    }
}

/// Flags and file together; flags win.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    flags: TrainingFlags,
    file: ConfigFile,
}

impl Settings {
    pub(crate) fn new(flags: TrainingFlags, file: Option<&Path>) -> Result<Self> {
        let file = file.map(ConfigFile::read).transpose()?.unwrap_or_default();
        Ok(Settings { flags, file })
    }

    /// The data that was asked for.
    pub(crate) fn data(&self) -> Option<&str> {
        self.flags.data.as_deref().or(self.file.data.as_deref())
    }

    /// The folder that was asked for.
    pub(crate) fn out(&self) -> Option<&Path> {
        self.flags.out.as_deref().or(self.file.out.as_deref())
    }

    /// The model that was asked for.
    pub(crate) fn model(&self) -> Result<Option<ModelSpec>> {
        match &self.flags.model {
            Some(path) => read_model_spec(path).map(Some),
            None => self.file.model(),
        }
    }

    /// The trainer's settings: those of `base`, unless the file or a flag says otherwise.
    pub(crate) fn apply(&self, base: TrainerConfig) -> Result<TrainerConfig> {
        let mut config = self.file.apply(base)?;
        let flags = self.flags.clone();
        replace(&mut config.epochs, flags.epochs);
        replace(&mut config.batch_size, flags.batch_size);
        replace(&mut config.loss, flags.loss);
        replace(&mut config.optimizer, flags.optimizer);
        replace(&mut config.schedule, flags.schedule);
        replace(&mut config.device, flags.device.device);
        replace(&mut config.threads, flags.device.threads);
        replace(&mut config.seed, flags.seed);
        replace(&mut config.workers, flags.workers);
        set_learning_rate(&mut config, flags.lr);
        set_clip(&mut config, flags.clip_norm);
        config.weight_decay = flags.weight_decay.or(config.weight_decay);
        config.prefetch = flags.prefetch.or(config.prefetch);
        let budget = flags.device.memory_budget.map(|size| size.0);
        config.memory_budget = budget.or(config.memory_budget);
        config.validate()?;
        Ok(config)
    }
}

fn replace<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Result<ConfigFile> {
        ConfigFile::from_values(Path::new("run.json"), serde_json::from_str(text)?)
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_the_base() {
        let file = file(
            r#"{"epochs": 7, "batch_size": 16, "optimizer": "sgd", "lr": 0.5,
                "memory_budget": "1MiB", "data": "mnist:DIR"}"#,
        );
        let flags = TrainingFlags { batch_size: Some(8), ..TrainingFlags::default() };
        let settings = Settings { flags, file: file.unwrap() };
        let base = TrainerConfig { threads: 3, ..TrainerConfig::default() };
        let config = settings.apply(base).unwrap();
        assert_eq!((config.epochs, config.batch_size, config.threads), (7, 8, 3));
        assert_eq!((config.optimizer.name(), config.optimizer.lr()), ("sgd", 0.5));
        assert_eq!(config.memory_budget, Some(1 << 20));
        assert_eq!(settings.data(), Some("mnist:DIR"));
    }

    #[test]
    fn unknown_keys_are_refused() {
        let file = file(r#"{"epoch": 7}"#).unwrap();
        let settings = Settings { flags: TrainingFlags::default(), file };
        let error = settings.apply(TrainerConfig::default()).unwrap_err().to_string();
        assert!(error.contains("run.json") && error.contains("unknown field `epoch`"), "{error}");
    }

    #[test]
    fn toml_and_json_say_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.toml");
        std::fs::write(&path, "epochs = 2\n[optimizer]\ntype = \"sgd\"\nmomentum = 0.9\n").unwrap();
        let settings = Settings::new(TrainingFlags::default(), Some(&path)).unwrap();
        let config = settings.apply(TrainerConfig::default()).unwrap();
        let sgd = parse_optimizer(r#"{"type": "sgd", "momentum": 0.9}"#).unwrap();
        assert_eq!((config.epochs, config.optimizer), (2, sgd));
    }
}
