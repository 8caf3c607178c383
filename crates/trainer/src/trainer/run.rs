//! A `fit` under way.

use std::sync::Arc;
use std::time::Instant;

use onestep_data::{Batch, DataLoader, Dataset, Sample};
use onestep_engine::{Mode, StepCounters};
use onestep_memory::HostValues;

use super::Trainer;
use super::binding::Binding;
use super::flight::Offence;
use super::hooks::Callbacks;
use crate::TrainerError;
use crate::callback::{EpochStart, Flow, StepEvent};
use crate::checkpoint::LoaderState;
use crate::history::{EpochRecord, History, PerStep, Stop};
use crate::phases::{Phases, Stopwatch, peak_resident_bytes};

/// The parts of a running `fit`.
pub(super) struct Run<'a, 'b> {
    trainer: &'a mut Trainer,
    callbacks: &'a mut Callbacks<'b>,
    train: DataLoader,
    validation: Option<DataLoader>,
    binding: Binding,
    history: History,
    used: StepCounters,
}

/// What the steps of an epoch came to.
struct Steps {
    count: u64,
    samples: u64,
    learning_rate: f64,
    phases: Phases,
}

impl<'a, 'b> Run<'a, 'b> {
    pub(super) fn new(
        trainer: &'a mut Trainer,
        train: Arc<dyn Dataset>,
        validation: Option<Arc<dyn Dataset>>,
        callbacks: &'a mut Callbacks<'b>,
    ) -> Result<Self, TrainerError> {
        let (batch_size, drop_last) = (trainer.config.batch_size, trainer.config.drop_last);
        // A set that is smaller than a batch is one batch, not an error.
        let batch_size = if drop_last { batch_size } else { batch_size.min(train.len()) };
        let binding = trainer.bind(&train, Mode::Train)?;
        let train = trainer.loader(train, batch_size, true)?;
        let validation = validation.map(|data| trainer.evaluation_loader(data)).transpose()?;
        let position = trainer.check_position(&train)?;
        trainer.start_schedule(trainer.updates_per_epoch(train.batches_per_epoch()))?;
        trainer.progress.loader = Some(position);
        let start = Instant::now();
        let mut history = History {
            planned_bytes: trainer.compile(Mode::Train, &train, &binding)?,
            ..History::default()
        };
        if let Some(validation) = &validation {
            let binding = trainer.bind(validation.dataset(), Mode::Evaluate)?;
            trainer.compile(Mode::Evaluate, validation, &binding)?;
        }
        history.compile_seconds = start.elapsed().as_secs_f64();
        let used = StepCounters::default();
        Ok(Run { trainer, callbacks, train, validation, binding, history, used })
    }

    pub(super) fn run(mut self) -> Result<History, TrainerError> {
        self.callbacks.restore(self.trainer)?;
        self.callbacks.each(self.trainer, |callback, run| {
            callback.on_fit_start(run).map(|()| Flow::Continue)
        })?;
        while self.trainer.progress.epoch < self.trainer.config.epochs {
            let batches = self.trainer.batches_now(self.train.batches_per_epoch());
            let steps = self.train_epoch(batches)?;
            self.count(&steps);
            if self.trainer.progress.batch < batches {
                // A callback asked for an end in the middle of the epoch.
                break;
            }
            self.end_epoch(&steps)?;
            if self.callbacks.stop.is_some() {
                break;
            }
        }
        self.finish()
    }

    fn train_epoch(&mut self, batches: usize) -> Result<Steps, TrainerError> {
        let progress = &self.trainer.progress;
        let start = EpochStart {
            epoch: progress.epoch + 1,
            epochs: self.trainer.config.epochs,
            batches,
            done: progress.batch,
        };
        if start.done == 0 {
            self.trainer.progress.epoch_start = Some(progress.step);
        }
        self.callbacks.each(self.trainer, |callback, run| callback.on_epoch_start(run, &start))?;
        let steps = self.steps(&start);
        match (self.trainer.flight.offence.take(), steps) {
            (Some(offence), _) => Err(self.non_finite(offence)),
            (None, steps) => steps,
        }
    }

    /// The steps of an epoch: the hot loop. It ends early when a callback asks for it or when a
    /// loss is not a number.
    fn steps(&mut self, start: &EpochStart) -> Result<Steps, TrainerError> {
        let Run { trainer, callbacks, train, used, binding, .. } = self;
        let mut watch = Stopwatch::start();
        let (mut count, mut samples, mut learning_rate) = (0, 0, trainer.learning_rate());
        let mut tensors = binding.room();
        let mut batches = train.epoch_from(trainer.progress.epoch as u64, start.done)?;
        let mut of_step = 0;
        // The epoch may end before the data does.
        for _ in start.done..start.batches {
            watch.other();
            let batch = batches.next();
            watch.data();
            let Some(batch) = batch.transpose()? else { break };
            let before = trainer.counters();
            learning_rate = trainer.set_scalars();
            let updates = trainer.completes_update(batch.index() + 1, start.batches);
            binding.take(&batch, &mut tensors);
            let submitted = trainer.submit_batch(&batch, (&binding.names, &tensors), updates);
            // They are gone before the batch gives its slot back.
            tensors.clear();
            submitted?;
            watch.step();
            trainer.collect(false)?;
            let step = trainer.counters() - before;
            used.native_calls += step.native_calls;
            used.allocations += step.allocations;
            used.host_syncs += step.host_syncs;
            samples += batch.size() as u64;
            of_step += batch.size();
            if trainer.flight.offence.is_some() {
                break;
            }
            if !updates {
                continue;
            }
            count += 1;
            let mut event = trainer.step_event(start, &batch, learning_rate, watch.seconds());
            event.samples = std::mem::take(&mut of_step);
            callbacks.each(trainer, |callback, run| callback.on_step(run, &event))?;
            if callbacks.stop.is_some() {
                break;
            }
        }
        drop(batches);
        trainer.collect(true)?;
        Ok(Steps { count, samples, learning_rate, phases: watch.phases() })
    }

    fn count(&mut self, steps: &Steps) {
        self.history.steps += steps.count;
        self.history.samples += steps.samples;
        self.history.train_seconds += steps.phases.train_seconds;
        self.history.loader_stall_seconds += steps.phases.data_seconds;
    }

    /// Validates, writes the epoch down, and lets schedule and callbacks know.
    fn end_epoch(&mut self, steps: &Steps) -> Result<(), TrainerError> {
        let trainer = &mut *self.trainer;
        let train = trainer.metrics(&trainer.progress.meter);
        let start = Instant::now();
        let validation = match &mut self.validation {
            Some(loader) => Some(trainer.validate(loader)?),
            None => None,
        };
        let validation_seconds = start.elapsed().as_secs_f64();
        if let Some(bad) = validation.as_ref().filter(|metrics| !metrics.loss.is_finite()) {
            let place = (trainer.progress.epoch, trainer.progress.batch);
            let offence = Offence { loss: bad.loss as f32, place, step: trainer.progress.step };
            return Err(trainer.non_finite(offence, Some("on the validation data".to_owned())));
        }
        let record = EpochRecord {
            epoch: trainer.progress.epoch + 1,
            step: trainer.progress.step,
            steps: steps.count,
            samples: steps.samples,
            learning_rate: steps.learning_rate,
            train,
            validation,
            phases: Phases { validation_seconds, ..steps.phases },
        };
        if let (Some(schedule), Some(value)) =
            (&mut trainer.schedule, record.figure(&trainer.config.monitor))
        {
            if schedule.observe(value) {
                log::info!("epoch {}: the learning rate was reduced", record.epoch);
            }
            trainer.progress.schedule = Some(schedule.state());
        }
        trainer.progress.end_epoch(record.clone());
        self.callbacks.each(trainer, |callback, run| callback.on_epoch_end(run, &record))
    }

    fn finish(self) -> Result<History, TrainerError> {
        let trainer = self.trainer;
        let mut history = self.history;
        history.epochs.clone_from(&trainer.progress.epochs);
        history.first_loss = trainer.progress.first_loss;
        history.stop = match self.callbacks.stop.take() {
            Some(Stop::EarlyStopping) => Stop::EarlyStopping,
            // Nothing was left to interrupt.
            Some(_) if trainer.progress.epoch >= trainer.config.epochs => Stop::Completed,
            stop => stop.unwrap_or_default(),
        };
        let each = |count: u64| count as f64 / history.steps.max(1) as f64;
        history.per_step = PerStep {
            native_calls: each(self.used.native_calls),
            allocations: each(self.used.allocations),
            host_syncs: each(self.used.host_syncs),
        };
        history.peak_device_bytes = trainer.learner.memory().statistics().total.peak;
        history.peak_resident_bytes = peak_resident_bytes();
        self.callbacks.each(trainer, |callback, run| {
            callback.on_fit_end(run, &history).map(|()| Flow::Continue)
        })?;
        self.callbacks.remember(trainer)?;
        Ok(history)
    }

    /// The error for a loss that is not a number, with the sample that caused it if it is that.
    fn non_finite(&mut self, offence: Offence) -> TrainerError {
        let (epoch, batch) = offence.place;
        let samples = self.train.samples(epoch as u64, batch);
        let dataset = self.train.dataset();
        let bad = samples.iter().find(|&&sample| {
            let read = Sample::read(dataset.as_ref(), sample);
            read.is_ok_and(|sample| {
                sample.iter().any(|(_, values)| match values {
                    HostValues::F32(values) => values.iter().any(|value| !value.is_finite()),
                    _ => false,
                })
            })
        });
        let cause = bad.map(|sample| {
            format!("sample {sample} of {} has a value that is not finite", dataset.name())
        });
        self.trainer.non_finite(offence, cause)
    }
}

impl Trainer {
    fn step_event(
        &self,
        start: &EpochStart,
        batch: &Batch,
        learning_rate: f64,
        seconds: f64,
    ) -> StepEvent {
        StepEvent {
            epoch: start.epoch,
            batch: batch.index() + 1,
            batches: start.batches,
            step: self.progress.step,
            samples: batch.size(),
            learning_rate,
            loss: self.flight.last_loss.map(|loss| self.loss_in_units(loss)),
            running: self.metrics(&self.progress.meter),
            seconds,
        }
    }

    /// The updates of an epoch whose data is so many batches.
    pub(super) fn updates_per_epoch(&self, batches: usize) -> usize {
        let all = batches.div_ceil(self.config.accumulate);
        self.config.steps_per_epoch.map_or(all, |most| all.min(most))
    }

    /// The batches that the epoch under way has of so many: the run's last may end early.
    fn batches_now(&self, batches: usize) -> usize {
        let mut updates = self.updates_per_epoch(batches);
        if let Some(steps) = self.config.steps {
            let left = steps.saturating_sub(self.epoch_start());
            updates = updates.min(usize::try_from(left).unwrap_or(usize::MAX));
        }
        batches.min(updates.saturating_mul(self.config.accumulate))
    }

    /// Whether an update is made when so many of an epoch's batches are there: the last of them make
    /// one, however few they are.
    fn completes_update(&self, done: usize, batches: usize) -> bool {
        done.is_multiple_of(self.config.accumulate) || done == batches
    }

    /// A run that goes on in the middle of an epoch must find the same batches there.
    fn check_position(&self, loader: &DataLoader) -> Result<LoaderState, TrainerError> {
        let now = LoaderState {
            dataset: loader.dataset().name().to_owned(),
            samples: loader.dataset().len(),
            batch_size: loader.batch_size(),
            shuffle: self.config.shuffle,
            drop_last: self.config.drop_last,
        };
        match &self.progress.loader {
            Some(before) if self.progress.batch > 0 && *before != now => {
                let subject = "resuming in the middle of an epoch";
                Err(TrainerError::mismatch(subject, before, now))
            }
            _ => Ok(now),
        }
    }
}
