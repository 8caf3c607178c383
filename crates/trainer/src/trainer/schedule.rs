//! The learning rate: where a run stands in its schedule, and what else changes it.

use std::sync::Arc;

use onestep_data::Dataset;
use onestep_optimizer::{Horizon, Leg, PlateauMode, Schedule, ScheduleSpec, ScheduleState};

use super::Trainer;
use crate::TrainerError;
use crate::config::TrainerConfig;

impl Trainer {
    /// The learning rate of the next step.
    pub fn learning_rate(&self) -> f64 {
        match &self.schedule {
            Some(schedule) => schedule.lr(self.progress.step),
            None => self.optimizer().lr(),
        }
    }

    /// Sets the optimizer's learning rate from the next step on, as if the settings said it: with a
    /// constant schedule or `reduce_on_plateau` it is the rate of the next step; every other
    /// schedule goes on as if it had started from it. It costs nothing and recompiles nothing.
    ///
    /// ```
    /// use onestep_trainer::{Trainer, TrainerConfig, factory};
    ///
    /// let mut trainer = Trainer::new(factory::mlp([2], &[], 2), TrainerConfig::default())?;
    /// for epoch in 0..3 {
    ///     trainer.set_learning_rate(0.1 / f64::from(1 + epoch))?;
    ///     trainer.train_batch(&[1.0, 0.0, 0.0, 1.0], &[0, 1])?;
    /// }
    /// assert_eq!(trainer.learning_rate(), 0.1 / 3.0);
    /// # Ok::<(), onestep_trainer::TrainerError>(())
    /// ```
    ///
    /// # Errors
    /// A rate that is negative or not finite, and a schedule that goes by a rate of its own.
    pub fn set_learning_rate(&mut self, lr: f64) -> Result<(), TrainerError> {
        refuse_own_lr(&self.config.schedule, lr)?;
        self.learner.set_base_learning_rate(lr)?;
        self.config.optimizer = self.config.optimizer.clone().with_lr(lr);
        if let Some(schedule) = &mut self.schedule {
            schedule.set_base_lr(lr)?;
            self.progress.schedule = Some(schedule.state());
        }
        Ok(())
    }

    /// Tells a schedule that watches a figure, such as `reduce_on_plateau`, what came of an epoch
    /// of a loop of one's own; `fit` does so itself. Returns whether the learning rate was reduced.
    ///
    /// # Errors
    /// As [`Trainer::train_batch`] for the schedule.
    pub fn observe(&mut self, figure: f64) -> Result<bool, TrainerError> {
        self.follow_schedule()?;
        let Some(schedule) = &mut self.schedule else { return Ok(false) };
        let reduced = schedule.observe(figure);
        self.progress.schedule = Some(schedule.state());
        Ok(reduced)
    }

    /// Checks everything of a [`fit`](Trainer::fit) on this data that can be known before a step:
    /// whether the data fits the model and knows no class that the model does not, whether the figures
    /// that are watched will be there. Returns warnings, with the numbers of the run, of what is allowed
    /// but hardly meant: a warm-up longer than the run, a schedule that never leaves its start. `fit` does
    /// the same, and logs them.
    ///
    /// # Errors
    /// What `fit` would return before its first step.
    pub fn check_fit(
        &self,
        train: &Arc<dyn Dataset>,
        validation: Option<&Arc<dyn Dataset>>,
    ) -> Result<Vec<String>, TrainerError> {
        let classes = self.classes_with(train.as_ref());
        for data in [Some(train), validation].into_iter().flatten() {
            self.by_name(Arc::clone(data), classes.as_deref())?;
        }
        self.check_monitors()?;
        let steps = self.steps_per_epoch(train)?;
        let legs = self.legs_of_fit(steps);
        let schedule = self.schedule_over(&legs)?;
        let mut warnings = schedule.warnings();
        let horizon = self.horizon(&legs)?;
        warnings.extend(self.optimizer().fed(&horizon)?.warnings());
        let watched = schedule.watches_metric() || self.config.early_stopping.is_some();
        let watched = self.watched().into_iter().find(|monitor| watched && monitor.validates());
        if let (Some(monitor), None) = (watched, validation) {
            warnings.push(format!(
                "monitor {monitor}: there is no validation data, so that the figure of the training \
                 batches is watched in its place"
            ));
        }
        Ok(warnings)
    }

    /// The steps of an epoch on this data. A set that is smaller than a batch is one batch.
    fn steps_per_epoch(&self, train: &Arc<dyn Dataset>) -> Result<usize, TrainerError> {
        let TrainerConfig { batch_size, drop_last, .. } = self.config;
        let samples = train.len();
        let batches = match self.config.buckets {
            // Each bucket has a last batch of its own, so that the lengths decide.
            Some(_) => self.loader(Arc::clone(train), batch_size, true)?.batches_per_epoch(),
            None if drop_last => samples / batch_size,
            None => samples.div_ceil(batch_size),
        };
        Ok(self.updates_per_epoch(batches).max(1))
    }

    /// The step that the epoch under way began with.
    pub(super) fn epoch_start(&self) -> u64 {
        let progress = &self.progress;
        match (progress.batch, progress.epoch_start) {
            (0, _) => progress.step,
            (_, Some(start)) => start,
            // A checkpoint from before it was kept: each batch was a step.
            (batch, None) => progress.step.saturating_sub(batch as u64),
        }
    }

    /// The epochs of the run: those of the settings, or as many as its steps take.
    fn epochs_of_run(&self, steps_per_epoch: u64) -> u64 {
        let Some(steps) = self.config.steps else { return self.config.epochs as u64 };
        let left = steps.saturating_sub(self.epoch_start());
        (self.progress.epoch as u64 + left.div_ceil(steps_per_epoch.max(1))).max(1)
    }

    /// How long the run is.
    fn horizon(&self, legs: &[Leg]) -> Result<Horizon, TrainerError> {
        let steps_per_epoch = legs.last().map_or(1, |leg| leg.steps_per_epoch);
        let horizon = Horizon::of_legs(self.epochs_of_run(steps_per_epoch), legs)?;
        Ok(match self.config.steps {
            Some(steps) => horizon.ending(steps),
            None => horizon,
        })
    }

    /// The schedule of a `fit` over this many steps an epoch, at the state it has reached.
    pub(super) fn start_schedule(&mut self, steps_per_epoch: usize) -> Result<(), TrainerError> {
        let legs = self.legs_of_fit(steps_per_epoch);
        self.schedule = Some(self.schedule_over(&legs)?);
        let horizon = self.horizon(&legs)?;
        self.config.epochs = usize::try_from(horizon.epochs()).unwrap_or(usize::MAX);
        self.learner.set_horizon(&horizon)?;
        self.progress.legs = legs;
        Ok(())
    }

    /// The schedule of a loop of one's own, unless it is known from before.
    pub(super) fn follow_schedule(&mut self) -> Result<(), TrainerError> {
        if self.schedule.is_some() {
            return Ok(());
        }
        let before = self.progress.legs.last().map(|leg| leg.steps_per_epoch);
        let steps = self.config.steps_per_epoch.map(|steps| steps as u64).or(before);
        let legs = match steps {
            Some(steps) => self.legs_of_loop(steps),
            None => {
                self.refuse_epochs()?;
                vec![Leg { epoch: 0, step: 0, steps_per_epoch: 1 }]
            }
        };
        self.schedule = Some(self.schedule_over(&legs)?);
        self.learner.set_horizon(&self.horizon(&legs)?)?;
        if steps.is_some() {
            self.progress.legs = legs;
        }
        Ok(())
    }

    /// Refuses what goes by epochs where nobody knows how long they are.
    fn refuse_epochs(&self) -> Result<(), TrainerError> {
        let schedule = &self.config.schedule;
        let what = match (schedule.needs_epochs(), self.optimizer().counts_epochs()) {
            (true, _) => format!("the schedule `{}` goes", schedule.name()),
            (false, Some(name)) => format!("`{name}` goes"),
            (false, None) => return Ok(()),
        };
        let wanted = format!(
            "the number of steps in an epoch, by which {what} (only `fit` knows it from its data)"
        );
        Err(TrainerError::option("steps_per_epoch", wanted, "none"))
    }

    fn schedule_over(&self, legs: &[Leg]) -> Result<Schedule, TrainerError> {
        let monitor = self.watch(&self.config.monitor)?;
        let better = match monitor.higher_is_better() {
            true => PlateauMode::Max,
            false => PlateauMode::Min,
        };
        if let Some(mode) = self.config.schedule.plateau().and_then(|plateau| plateau.mode)
            && mode != better
        {
            let wanted = format!("no mode, or the one that is better of {monitor} ({better:?})");
            return Err(TrainerError::option("schedule.mode", wanted, format!("{mode:?}")));
        }
        let horizon = self.horizon(legs)?;
        let spec = self.config.schedule.clone().with_plateau_mode(better);
        let mut schedule = spec.build(self.optimizer().lr(), horizon)?;
        match self.progress.schedule.clone() {
            // Another kind of schedule than before knows nothing of the past.
            Some(state) if watches(&state) == schedule.watches_metric() => {
                schedule.restore(state)?;
            }
            _ => {}
        }
        Ok(schedule)
    }

    /// The legs up to now and the one that begins now, where it does.
    fn legs_of_fit(&self, steps_per_epoch: usize) -> Vec<Leg> {
        let progress = &self.progress;
        let (epoch, step) = (progress.epoch as u64, self.epoch_start());
        let steps_per_epoch = steps_per_epoch as u64;
        let mut legs = progress.legs.clone();
        if let (true, true, Some(before)) = (legs.is_empty(), epoch > 0, &progress.loader) {
            // A checkpoint from before they were kept: all its epochs were alike.
            legs.push(Leg { epoch: 0, step: 0, steps_per_epoch: before.steps_per_epoch() as u64 });
        }
        let now = Leg { epoch, step, steps_per_epoch };
        let goes_on = |leg: &Leg| {
            let passed = epoch.saturating_sub(leg.epoch).saturating_mul(leg.steps_per_epoch);
            leg.steps_per_epoch == steps_per_epoch && leg.step.saturating_add(passed) == step
        };
        if !legs.last().is_some_and(goes_on) {
            legs.retain(|leg| (leg.epoch, leg.step) < (epoch, step));
            legs.push(now);
        }
        legs
    }

    /// The same for a loop of one's own, whose epochs are known by their steps alone.
    fn legs_of_loop(&self, steps_per_epoch: u64) -> Vec<Leg> {
        let mut legs = self.progress.legs.clone();
        match legs.last().copied() {
            None => legs.push(Leg { epoch: 0, step: 0, steps_per_epoch }),
            Some(leg) if leg.steps_per_epoch == steps_per_epoch => {}
            Some(leg) => {
                let done = self.progress.step.saturating_sub(leg.step);
                let epochs = done / leg.steps_per_epoch.max(1);
                let (epoch, step) = (leg.epoch + epochs, leg.step + epochs * leg.steps_per_epoch);
                legs.push(Leg { epoch, step, steps_per_epoch });
            }
        }
        legs
    }
}

fn watches(state: &ScheduleState) -> bool {
    matches!(state, ScheduleState::ReduceOnPlateau(_))
}

/// A learning rate that nobody would look at is refused.
pub(super) fn refuse_own_lr(schedule: &ScheduleSpec, lr: f64) -> Result<(), TrainerError> {
    match schedule.own_lr() {
        Some(own) => {
            let wanted = format!(
                "left as it is, since the schedule `{}` goes by its own max_lr of {own} (change \
                 that)",
                schedule.name()
            );
            Err(TrainerError::option("lr", wanted, lr))
        }
        None => Ok(()),
    }
}
