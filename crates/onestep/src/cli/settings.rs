//! From flags and a configuration file to the settings of a training run.

use std::path::Path;

use anyhow::{Result, ensure};
use onestep::optimizer::Clip;
use onestep::optimizer::{Averaging, Ema};
use onestep::trainer::{EarlyStoppingConfig, TrainerConfig};

use super::adapters::Adapter;
use super::config_file::{ConfigFile, set_clip, set_learning_rate};
use super::files::ModelChoice;
use super::flags::TrainingFlags;

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
    pub(crate) fn model(&self) -> Result<Option<ModelChoice>> {
        match &self.flags.model {
            Some(path) => ModelChoice::read(path).map(Some),
            None => self.file.model(),
        }
    }

    /// The adapters that were asked for.
    pub(crate) fn adapters(&self) -> &[Adapter] {
        if self.flags.lora.is_empty() { &self.file.lora } else { &self.flags.lora }
    }

    /// The trainer's settings: those of `base`, unless the file or a flag says otherwise.
    pub(crate) fn apply(&self, base: TrainerConfig) -> Result<TrainerConfig> {
        let mut config = self.file.apply(base)?;
        let flags = self.flags.clone();
        if let Some(epochs) = flags.epochs {
            (config.epochs, config.steps) = (epochs, None);
        }
        config.steps = flags.steps.or(config.steps);
        config.steps_per_epoch = flags.steps_per_epoch.or(config.steps_per_epoch);
        replace(&mut config.batch_size, flags.batch_size);
        replace(&mut config.loss, flags.loss);
        replace(&mut config.optimizer, flags.optimizer);
        let steps = config.steps;
        replace(&mut config.schedule, self.file.schedule(steps)?);
        replace(&mut config.schedule, flags.schedule.map(|flag| flag.of_run(steps)));
        replace(&mut config.device, flags.device.device);
        replace(&mut config.threads, flags.device.threads);
        replace(&mut config.metrics, flags.metrics);
        replace(&mut config.accumulate, flags.accumulate);
        if let Some(decay) = flags.ema {
            config.averaging = Some(Averaging::Ema(Ema { decay, ..Ema::default() }));
        }
        if let Some(swa) = flags.swa {
            config.averaging = Some(Averaging::Swa(swa));
        }
        let schedules = flags.option_schedule.into_iter();
        config.option_schedules.extend(schedules.map(|(name, flag)| (name, flag.of_run(steps))));
        replace(&mut config.freeze, flags.freeze);
        replace(&mut config.seed, flags.seed);
        replace(&mut config.workers, flags.workers);
        set_learning_rate(&mut config, flags.lr);
        set_clip(&mut config, flags.clip_norm);
        if let Some(value) = flags.clip_value {
            config.clip = Some(Clip::Value(value));
        }
        if let Some(text) = flags.augmentation {
            config.augmentation = if text == "none" { String::new() } else { text };
        }
        config.shuffle &= !flags.no_shuffle;
        config.drop_last |= flags.drop_last;
        config.freeze_statistics |= flags.freeze_statistics;
        config.mix = flags.mix.or(config.mix);
        config.buckets = flags.buckets.or(config.buckets);
        config.weight_decay = flags.weight_decay.or(config.weight_decay);
        config.prefetch = flags.prefetch.or(config.prefetch);
        config.evaluation_batch_size = flags.evaluation_batch_size.or(config.evaluation_batch_size);
        config.save_every_steps = flags.save_every_steps.or(config.save_every_steps);
        let budget = flags.device.memory_budget.map(|size| size.0);
        config.memory_budget = budget.or(config.memory_budget);
        set_stopping(&mut config, &self.flags)?;
        config.validate()?;
        Ok(config)
    }
}

/// Early stopping and what it watches.
fn set_stopping(config: &mut TrainerConfig, flags: &TrainingFlags) -> Result<()> {
    replace(&mut config.monitor, flags.monitor.clone());
    if let Some(patience) = flags.early_stopping {
        let stopping = config.early_stopping.take().unwrap_or_default();
        config.early_stopping = Some(EarlyStoppingConfig { patience, ..stopping });
    }
    let Some(stopping) = &mut config.early_stopping else {
        for (flag, given) in [
            ("--min-delta", flags.min_delta.is_some()),
            ("--no-restore-best", flags.no_restore_best),
        ] {
            ensure!(!given, "{flag}: there is no early stopping; add --early-stopping PATIENCE");
        }
        return Ok(());
    };
    if flags.monitor.is_some() {
        stopping.monitor.clone_from(&flags.monitor);
    }
    replace(&mut stopping.min_delta, flags.min_delta);
    stopping.restore_best &= !flags.no_restore_best;
    Ok(())
}

fn replace<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

#[cfg(test)]
mod tests {
    use onestep::trainer::Monitor;

    use super::*;
    use crate::cli::flags::parse_optimizer;

    fn settings(flags: TrainingFlags, name: &str, text: &str) -> Result<Settings> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        Settings::new(flags, Some(&path))
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_the_base() {
        let flags = TrainingFlags { batch_size: Some(8), ..TrainingFlags::default() };
        let text = r#"{"epochs": 7, "batch_size": 16, "optimizer": "sgd", "lr": 0.5,
            "memory_budget": "1MiB", "data": "mnist:DIR"}"#;
        let settings = settings(flags, "run.json", text).unwrap();
        let base = TrainerConfig { threads: 3, ..TrainerConfig::default() };
        let config = settings.apply(base).unwrap();
        assert_eq!((config.epochs, config.batch_size, config.threads), (7, 8, 3));
        assert_eq!((config.optimizer.name(), config.optimizer.lr()), ("sgd", 0.5));
        assert_eq!(config.memory_budget, Some(1 << 20));
        assert_eq!(settings.data(), Some("mnist:DIR"));
    }

    #[test]
    fn toml_and_json_say_the_same() {
        let toml = "epochs = 2\n[optimizer]\ntype = \"sgd\"\nmomentum = 0.9\n";
        let json = r#"{"epochs": 2, "optimizer": {"type": "sgd", "momentum": 0.9}}"#;
        for (name, text) in [("run.toml", toml), ("run.json", json)] {
            let settings = settings(TrainingFlags::default(), name, text).unwrap();
            let config = settings.apply(TrainerConfig::default()).unwrap();
            let sgd = parse_optimizer(r#"{"type": "sgd", "momentum": 0.9}"#).unwrap();
            assert_eq!((config.epochs, config.optimizer), (2, sgd));
        }
    }

    #[test]
    fn early_stopping_has_flags() {
        let apply = |flags: TrainingFlags| {
            Settings { flags, file: ConfigFile::default() }.apply(TrainerConfig::default())
        };
        let monitor = Some(Monitor::validation("accuracy"));
        let flags = TrainingFlags {
            early_stopping: Some(3),
            monitor: monitor.clone(),
            ..TrainingFlags::default()
        };
        let config = apply(flags.clone()).unwrap();
        let stopping = config.early_stopping.unwrap();
        assert_eq!((stopping.patience, &stopping.monitor), (3, &monitor));
        assert!(stopping.restore_best && Some(config.monitor) == monitor);
        let flags = TrainingFlags { no_restore_best: true, min_delta: Some(0.5), ..flags };
        let stopping = apply(flags.clone()).unwrap().early_stopping.unwrap();
        assert!(!stopping.restore_best && stopping.min_delta == 0.5);
        let flags = TrainingFlags { early_stopping: None, ..flags };
        let error = apply(flags).unwrap_err().to_string();
        assert!(error.contains("--min-delta") && error.contains("--early-stopping"), "{error}");
    }
}
