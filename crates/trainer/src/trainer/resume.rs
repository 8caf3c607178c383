//! Which settings may change when a run goes on.

use onestep_data::Mixing;
use onestep_optimizer::{Optimizer, OptimizerSpec, ScheduleState};

use super::schedule::refuse_own_lr;
use crate::TrainerError;
use crate::callback::{BestCheckpoint, EarlyStopping};
use crate::checkpoint::{OwnCode, Progress, Record};
use crate::config::TrainerConfig;
use crate::metrics::Monitor;

/// Refuses, by their names, changes of settings that cannot apply any more. All others apply from
/// the next step on.
pub(super) fn refuse_changes(
    before: &TrainerConfig,
    now: &TrainerConfig,
    progress: &Progress,
) -> Result<(), TrainerError> {
    if now.seed != progress.seed {
        let wanted = format!(
            "{}, with which the run began (its orders and its noise follow from it; another seed \
             is another run)",
            progress.seed
        );
        return Err(TrainerError::option("seed", wanted, now.seed));
    }
    if now.epochs < progress.epoch && now.epochs != before.epochs {
        let wanted = format!("at least {}, which are done", progress.epoch);
        return Err(TrainerError::option("epochs", wanted, now.epochs));
    }
    let done = progress.step + u64::from(progress.accumulated > 0);
    if let Some(steps) = now.steps.filter(|&steps| steps < done && now.steps != before.steps) {
        return Err(TrainerError::option(
            "steps",
            format!("at least {done}, which are done"),
            steps,
        ));
    }
    if (now.accumulate > 1) != (before.accumulate > 1) {
        let wanted = match before.accumulate {
            1 => "1, since the run's state has no room for more gradients".to_owned(),
            _ => "at least 2, as the run's state was made for".to_owned(),
        };
        return Err(TrainerError::option("accumulate", wanted, now.accumulate));
    }
    let kind = |config: &TrainerConfig| config.averaging.map_or("none", |average| average.kind());
    if kind(now) != kind(before) {
        let wanted = format!("{}, as the run's state was made for", kind(before));
        return Err(TrainerError::option("averaging", wanted, kind(now)));
    }
    if now.freeze != before.freeze {
        let list = |patterns: &[String]| match patterns {
            [] => "none".to_owned(),
            patterns => patterns.join(", "),
        };
        let wanted = format!(
            "{}, with which the run's state was made (start a new run from its weights with \
             --init-from for another)",
            list(&before.freeze)
        );
        return Err(TrainerError::option("freeze", wanted, list(&now.freeze)));
    }
    if progress.batch > 0 {
        refuse_in_epoch(before, now)?;
    }
    let lr = now.optimizer.lr();
    if lr != before.optimizer.lr() {
        refuse_own_lr(&now.schedule, lr)?;
    }
    Ok(())
}

/// Refuses what the rest of an epoch's batches depends on.
fn refuse_in_epoch(before: &TrainerConfig, now: &TrainerConfig) -> Result<(), TrainerError> {
    let whole = |setting: &dyn std::fmt::Display| {
        format!("{setting} until the epoch that was interrupted is complete")
    };
    if now.batch_size != before.batch_size {
        let wanted = whole(&before.batch_size);
        return Err(TrainerError::option("batch_size", wanted, now.batch_size));
    }
    if now.accumulate != before.accumulate {
        let wanted = whole(&before.accumulate);
        return Err(TrainerError::option("accumulate", wanted, now.accumulate));
    }
    if now.steps_per_epoch != before.steps_per_epoch {
        let text = |steps: Option<usize>| steps.map_or("none".to_owned(), |n| n.to_string());
        let (wanted, got) = (whole(&text(before.steps_per_epoch)), text(now.steps_per_epoch));
        return Err(TrainerError::option("steps_per_epoch", wanted, got));
    }
    if now.shuffle != before.shuffle {
        return Err(TrainerError::option("shuffle", whole(&before.shuffle), now.shuffle));
    }
    if now.buckets != before.buckets {
        let text = |config: &TrainerConfig| match &config.buckets {
            Some(buckets) => serde_json::to_string(buckets).unwrap_or_default(),
            None => "none".to_owned(),
        };
        return Err(TrainerError::option("buckets", whole(&text(before)), text(now)));
    }
    if now.mix != before.mix {
        let text = |mix: Option<Mixing>| mix.map_or("none".to_owned(), |mix| mix.to_string());
        return Err(TrainerError::option("mix", whole(&text(before.mix)), text(now.mix)));
    }
    if now.drop_last != before.drop_last {
        return Err(TrainerError::option("drop_last", whole(&before.drop_last), now.drop_last));
    }
    Ok(())
}

/// Refuses an optimizer that cannot go on from the state of the one that a checkpoint is of.
pub(super) fn refuse_optimizer(
    before: &TrainerConfig,
    own: &OwnCode,
    now: &Optimizer,
) -> Result<(), TrainerError> {
    let refuse = |wanted: String| Err(TrainerError::option("optimizer", wanted, now.name()));
    if let Some(rule) = &own.optimizer {
        return match rule == now.name() {
            true => Ok(()),
            false => refuse(format!(
                "`{rule}`, the run's own update rule: it is code, so give it again with \
                 TrainerBuilder::optimizer"
            )),
        };
    }
    // The code of a custom one is known by its name, and only now: its state is compared when it is read.
    let same = match &before.optimizer {
        OptimizerSpec::Custom(custom) => custom.optimizer == now.name(),
        _ => before.optimizer()?.rule().states() == now.rule().states(),
    };
    match same {
        true => Ok(()),
        false => refuse(format!(
            "{} with options that keep the same state, which the checkpoint holds (start a new run \
             from its weights for another)",
            before.optimizer.name()
        )),
    }
}

/// Refuses to go on without transforms that were code.
pub(super) fn refuse_pipeline(own: &OwnCode) -> Result<(), TrainerError> {
    match &own.pipeline {
        None => Ok(()),
        Some(text) => {
            let wanted = format!(
                "the run's own transforms ({text}): they are code, so give them again with \
                 TrainerBuilder::pipeline"
            );
            Err(TrainerError::option("augmentation", wanted, "none"))
        }
    }
}

/// Forgets the best figures so far where another figure is watched from now on.
pub(super) fn forget_figures(before: &TrainerConfig, now: &TrainerConfig, record: &mut Record) {
    // By what is written: a loss of one's own is code in one of them and a name in the other.
    let written = |config: &TrainerConfig| serde_json::to_value(&config.loss).ok();
    let same_loss = written(before) == written(now);
    let changed =
        |figure: fn(&TrainerConfig) -> Monitor| !same_loss || figure(before) != figure(now);
    if changed(|config| config.monitor.clone()) {
        if let Some(ScheduleState::ReduceOnPlateau(state)) = &mut record.progress.schedule {
            state.forget_metric();
        }
        record.callbacks.remove(BestCheckpoint::NAME);
    }
    if changed(TrainerConfig::early_stopping_monitor) {
        record.callbacks.remove(EarlyStopping::NAME);
    }
}
