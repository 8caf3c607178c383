//! Whether settings make sense by themselves.

use onestep_data::{MOST_SLOTS, MOST_WORKERS};

use super::TrainerConfig;
use crate::TrainerError;
use crate::device::MOST_THREADS;
use crate::metrics::{MOST_METRICS, Metric, MetricSpec};
use crate::program::of_probabilities;

/// The most steps in flight: tickets of older ones would expire.
const MOST_IN_FLIGHT: usize = 16;

impl TrainerConfig {
    /// Checks the settings by themselves; whether they suit a model and data shows later.
    ///
    /// # Errors
    /// [`TrainerError::Option`] for the first setting out of its range, and the errors of the
    /// optimizer, the schedule and the transforms.
    pub fn validate(&self) -> Result<(), TrainerError> {
        self.check_counts()?;
        if let Some(stopping) = &self.early_stopping {
            stopping.validate()?;
        }
        if self.freeze_statistics && self.freeze.is_empty() {
            let wanted = "false without `freeze`, which names what is held";
            return Err(TrainerError::option("freeze_statistics", wanted, true));
        }
        self.check_mix()?;
        self.check_metrics()?;
        self.schedule.validate()?;
        self.optimizer()?;
        self.pipeline()?;
        Ok(())
    }

    fn check_counts(&self) -> Result<(), TrainerError> {
        let counts = [
            ("epochs", self.epochs),
            ("steps", self.steps.map_or(1, |steps| steps.min(1) as usize)),
            ("steps_per_epoch", self.steps_per_epoch.unwrap_or(1)),
            ("batch_size", self.batch_size),
            ("steps_in_flight", self.steps_in_flight),
            ("prefetch", self.prefetch.unwrap_or(1)),
            ("evaluation_batch_size", self.evaluation_batch_size()),
            ("top_k", self.top_k),
            ("accumulate", self.accumulate),
            ("save_every_steps", self.save_every_steps.map_or(1, |n| n.min(1) as usize)),
            ("memory_budget", self.memory_budget.unwrap_or(1)),
        ];
        if let Some((option, got)) = counts.into_iter().find(|&(_, count)| count == 0) {
            return Err(TrainerError::option(option, "at least 1", got));
        }
        let bounds = [
            ("steps_in_flight", self.steps_in_flight, MOST_IN_FLIGHT),
            ("threads", self.threads, MOST_THREADS),
            ("workers", self.workers, MOST_WORKERS),
            ("prefetch", self.prefetch.unwrap_or(1), MOST_SLOTS),
        ];
        if let Some((option, got, most)) = bounds.into_iter().find(|(_, got, most)| got > most) {
            return Err(TrainerError::option(option, format!("at most {most}"), got));
        }
        Ok(())
    }

    fn check_mix(&self) -> Result<(), TrainerError> {
        let Some(mixing) = self.mix else { return Ok(()) };
        mixing.check()?;
        if of_probabilities(&self.loss).is_some() {
            return Ok(());
        }
        // With a weight a class or a label that does not count a batch of labels would be divided by
        // something else than one of probabilities.
        let wanted = "none, or the loss cross_entropy of labels, without weight and ignore_index: mixed \
                      labels are probabilities of classes";
        let got = format!("{mixing} with the loss {}", self.loss.type_name());
        Err(TrainerError::option("mix", wanted, got))
    }

    fn check_metrics(&self) -> Result<(), TrainerError> {
        self.metrics.iter().try_for_each(MetricSpec::check)?;
        let names: Vec<String> = self.metrics.iter().map(Metric::name).collect();
        if names.len() > MOST_METRICS {
            let wanted = format!("at most {MOST_METRICS}");
            return Err(TrainerError::option("metrics", wanted, names.len()));
        }
        let twice = names.iter().enumerate().find(|(place, name)| names[..*place].contains(name));
        match twice {
            Some((_, name)) => {
                Err(TrainerError::option("metrics", "each name once", format!("{name} twice")))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::EarlyStoppingConfig;
    use super::*;
    use onestep_data::Mixing;
    use onestep_optimizer::Clip;

    #[test]
    fn settings_survive_json() {
        let config = TrainerConfig {
            clip: Some(Clip::Norm(0.5)),
            early_stopping: Some(EarlyStoppingConfig::default()),
            augmentation: "crop=1".into(),
            mix: Some("mixup=0.2".parse().unwrap()),
            ..TrainerConfig::default()
        };
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<TrainerConfig>(&text).unwrap(), config);
    }

    #[test]
    fn bad_settings_are_named() {
        let default = TrainerConfig::default;
        let mix = |text: &str| text.parse::<Mixing>().unwrap();
        let stopping = EarlyStoppingConfig { min_delta: f64::NAN, ..Default::default() };
        for (config, wanted) in [
            (
                TrainerConfig { batch_size: 0, ..default() },
                "batch_size: expected at least 1, got 0",
            ),
            (TrainerConfig { epochs: 0, ..default() }, "epochs: expected at least 1, got 0"),
            (TrainerConfig { steps: Some(0), ..default() }, "steps: expected at least 1, got 0"),
            (TrainerConfig { steps_in_flight: 99, ..default() }, "steps_in_flight: expected at"),
            (TrainerConfig { workers: 100_000, ..default() }, "workers: expected at most"),
            (
                TrainerConfig { threads: 100_000, ..default() },
                "threads: expected at most 1024, got",
            ),
            (TrainerConfig { prefetch: Some(1 << 60), ..default() }, "prefetch: expected at most"),
            (TrainerConfig { weight_decay: Some(-1.0), ..default() }, "weight_decay"),
            (TrainerConfig { clip: Some(Clip::Norm(0.0)), ..default() }, "norm"),
            (TrainerConfig { augmentation: "spin".into(), ..default() }, "spin"),
            (
                TrainerConfig {
                    mix: Some(mix("cutmix")),
                    loss: "mse".parse().unwrap(),
                    ..default()
                },
                "mix: expected none, or the loss cross_entropy of labels",
            ),
            (TrainerConfig { mix: Some(mix("mixup=0")), ..default() }, "alpha of the mixing"),
            (TrainerConfig { early_stopping: Some(stopping), ..default() }, "min_delta"),
            (TrainerConfig { save_every_steps: Some(0), ..default() }, "save_every_steps"),
        ] {
            let error = config.validate().unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
        let error = serde_json::from_str::<TrainerConfig>(r#"{"epoch": 3}"#).unwrap_err();
        assert!(error.to_string().contains("unknown field `epoch`"), "{error}");
    }
}
