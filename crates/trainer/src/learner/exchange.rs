//! State that comes from elsewhere and goes elsewhere: snapshots, other programs, other learners.

use onestep_engine::StateKind;

use super::{Learner, begin};
use crate::TrainerError;
use crate::pattern::name_matches;
use crate::program::TrainingProgram;
use crate::snapshot::{Snapshot, is_copy};

impl Learner {
    /// Copies the parameters and model states to the host, and what the optimizer keeps as copies of the
    /// parameters: averages that the model is used with, and where a rule stands. No step may be in flight.
    ///
    /// # Errors
    /// The device cannot be read.
    pub fn snapshot(&self) -> Result<Snapshot, TrainerError> {
        let state = self.state();
        let mut snapshot = Snapshot::default();
        for entry in state.layout().entries() {
            let place = match (entry.kind, is_copy(state.layout(), entry)) {
                (StateKind::Optimizer, false) => continue,
                (StateKind::Optimizer, true) => &mut snapshot.copies,
                _ => &mut snapshot.tensors,
            };
            place.push((entry.name.clone(), state.read(&entry.name)?));
        }
        Ok(snapshot)
    }

    /// Puts the tensors of a snapshot in their places. Copies that the optimizer keeps begin at the
    /// parameters where the snapshot is of a run without them. No step may be in flight.
    ///
    /// # Errors
    /// The snapshot is of another model.
    pub fn write(&self, snapshot: &Snapshot) -> Result<(), TrainerError> {
        let state = self.state();
        for (name, values) in &snapshot.tensors {
            state.write(name, values)?;
        }
        let layout = state.layout();
        let copies = layout.entries().iter().filter(|entry| is_copy(layout, entry));
        let known: Vec<_> = copies.map(|entry| (entry, snapshot.get(&entry.name))).collect();
        if known.iter().any(|(_, values)| values.is_none()) {
            state.start_copies()?;
        }
        for (entry, values) in known {
            values.map_or(Ok(()), |values| state.write(&entry.name, values))?;
        }
        Ok(())
    }

    /// Puts all tensors of a checkpoint's state table in their places.
    pub(crate) fn write_state(&self, state: &Snapshot) -> Result<(), TrainerError> {
        let tensors = state.tensors.iter().chain(&state.copies);
        tensors.into_iter().try_for_each(|(name, values)| Ok(self.state().write(name, values)?))
    }

    /// Goes on with another program, such as that of a grown model: what both have by the same name
    /// and shape is carried over (parameters, running statistics, the optimizer's state), all else
    /// begins as it would anew. Steps are counted on, and the device stays. Tells what was carried.
    /// No step may be in flight. What is carried over goes by the host, tensor by tensor: models are
    /// replaced rarely, and any two devices and layouts of groups fit so.
    ///
    /// ```
    /// use onestep_layers::ModelBuilder;
    /// use onestep_optimizer::{Optimizer, OptimizerSpec};
    /// use onestep_trainer::{ExecutorOptions, Learner, TrainingProgram, executor};
    ///
    /// let program = |classes: usize, head: &str| {
    ///     let model = ModelBuilder::new([4]).dense(8, true, "body").dense(classes, true, head);
    ///     let adam = Optimizer::from_spec("adam".parse::<OptimizerSpec>()?)?;
    ///     TrainingProgram::new(model.build()?, "cross_entropy".parse()?, adam)
    /// };
    /// let cpu = executor("cpu", &ExecutorOptions { threads: 1, memory_budget: None })?;
    /// let mut learner = Learner::new(program(2, "head")?, cpu, 0)?;
    /// let body = learner.state().read("body.weight")?;
    /// let carried = learner.rebuild(program(3, "wide")?)?;
    /// assert!(carried.contains(&"exp_avg.body.weight".to_owned()));
    /// assert_eq!(learner.state().read("body.weight")?, body);
    /// assert_eq!(learner.state().read("wide.weight")?.len(), 8 * 3);
    /// # Ok::<(), onestep_trainer::TrainerError>(())
    /// ```
    ///
    /// # Errors
    /// A device without room for both.
    pub fn rebuild(&mut self, program: TrainingProgram) -> Result<Vec<String>, TrainerError> {
        let before = self.engine.rebuild(program.layout().clone(), program.source())?;
        begin(self.engine.state(), program.model(), self.scalars.seed)?;
        self.engine.state().start_copies()?;
        let carried = self.engine.state().carry_over(&before)?;
        if program.accumulates() == 1 {
            // There is no room for the gradients of a part of an update.
            self.accumulated = 0;
        }
        self.fed = program.optimizer().fed(&self.horizon)?;
        self.program = program;
        (self.last, self.readings) = (Default::default(), None);
        Ok(carried)
    }

    /// Takes the tensors of another learner whose names are those of a
    /// [pattern](crate::name_matches), where it has them in the same shape; tells how many. So two
    /// learners that share a part of their models take turns. No step may be in flight.
    ///
    /// # Errors
    /// A device cannot be read or written.
    pub fn take_from(&mut self, other: &Learner, pattern: &str) -> Result<usize, TrainerError> {
        let (own, theirs) = (self.engine.state(), other.engine.state());
        let mut taken = 0;
        for entry in own.layout().entries() {
            let known = theirs.layout().entry(&entry.name).ok();
            if name_matches(pattern, &entry.name) && known.is_some_and(|e| e.shape == entry.shape) {
                own.write(&entry.name, &theirs.read(&entry.name)?)?;
                taken += 1;
            }
        }
        Ok(taken)
    }

    /// The parameters that evaluation and prediction use, where those are not the ones that are
    /// trained: their average, by the parameters' names. No step may be in flight.
    ///
    /// # Errors
    /// The device cannot be read.
    pub fn averaged(&self) -> Result<Option<Snapshot>, TrainerError> {
        let Some(kind) = self.program.optimizer().weights() else { return Ok(None) };
        let frozen: Vec<&str> = self.program.frozen().collect();
        let names = self.program.model().parameters().iter().map(|p| p.info.name.as_str());
        let tensors = names
            .filter(|name| !frozen.contains(name))
            .map(|name| Ok((name.to_owned(), self.state().read(&format!("{kind}.{name}"))?)));
        let tensors = tensors.collect::<Result<_, TrainerError>>()?;
        Ok(Some(Snapshot { tensors, copies: Vec::new() }))
    }
}
