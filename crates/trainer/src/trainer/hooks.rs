//! Calling callbacks: with what they keep, with the checkpoints they ask for, and whatever becomes of
//! them.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::Trainer;
use crate::TrainerError;
use crate::callback::{Callback, EarlyStopping, Flow, RunView};
use crate::history::Stop;

/// The callbacks of a run, and the first of them that asked for an end.
pub(super) struct Callbacks<'a> {
    all: Vec<&'a mut dyn Callback>,
    pub(super) stop: Option<Stop>,
}

impl<'a> Callbacks<'a> {
    pub(super) fn new(all: Vec<&'a mut dyn Callback>) -> Self {
        Callbacks { all, stop: None }
    }

    /// Gives each what it kept in the run so far.
    pub(super) fn restore(&mut self, trainer: &Trainer) -> Result<(), TrainerError> {
        for callback in &mut self.all {
            let Some(state) = trainer.remembered.get(callback.name()) else { continue };
            guarded(&mut **callback, |callback| callback.restore(state.clone()))?;
        }
        Ok(())
    }

    /// Has the trainer know what each keeps by now.
    pub(super) fn remember(&mut self, trainer: &mut Trainer) -> Result<(), TrainerError> {
        for callback in &mut self.all {
            let state = guarded(&mut **callback, |callback| Ok(callback.state()))?;
            match state {
                Some(state) => trainer.remembered.insert(callback.name().to_owned(), state),
                None => trainer.remembered.remove(callback.name()),
            };
        }
        Ok(())
    }

    /// Calls a hook of each, also of those behind one that asks for an end. A checkpoint is written
    /// as soon as the hook that asked for it has returned.
    pub(super) fn each(
        &mut self,
        trainer: &mut Trainer,
        mut hook: impl FnMut(&mut dyn Callback, &mut RunView<'_>) -> Result<Flow, TrainerError>,
    ) -> Result<(), TrainerError> {
        for place in 0..self.all.len() {
            let mut run = RunView::new(trainer);
            let flow = guarded(&mut *self.all[place], |callback| hook(callback, &mut run));
            let (save, stop) = run.asked();
            if flow? == Flow::Stop || stop {
                self.stop.get_or_insert_with(|| match self.all[place].name() {
                    EarlyStopping::NAME => Stop::EarlyStopping,
                    name => Stop::Callback { name: name.to_owned() },
                });
            }
            if let Some(folder) = save {
                self.remember(trainer)?;
                trainer.save(folder)?;
            }
        }
        Ok(())
    }

    /// Tells all of a failure. What goes wrong meanwhile is logged.
    pub(super) fn fail(&mut self, trainer: &mut Trainer, error: &TrainerError) {
        for place in 0..self.all.len() {
            let mut run = RunView::new(trainer);
            let told =
                guarded(&mut *self.all[place], |callback| callback.on_failure(&mut run, error));
            let (save, _) = run.asked();
            let saved = match save {
                Some(folder) => self.remember(trainer).and_then(|()| trainer.save(folder)),
                None => Ok(()),
            };
            if let Err(other) = told.and(saved) {
                log::warn!("{}: after a failure: {other}", self.all[place].name());
            }
        }
        if let Err(other) = self.remember(trainer) {
            log::warn!("what the callbacks keep is not known: {other}");
        }
    }
}

/// Makes an error of a panic.
fn guarded<T>(
    callback: &mut dyn Callback,
    call: impl FnOnce(&mut dyn Callback) -> Result<T, TrainerError>,
) -> Result<T, TrainerError> {
    // What a callback has left half done is its own; the trainer is looked after by `fit`.
    match catch_unwind(AssertUnwindSafe(|| call(&mut *callback))) {
        Ok(result) => result,
        Err(panic) => {
            let name = callback.name();
            let message = message(panic.as_ref());
            Err(TrainerError::callback(format!("the callback `{name}` panicked: {message}")))
        }
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
