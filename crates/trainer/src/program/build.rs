//! The programs of all modes and batches.

use std::sync::Arc;

use onestep_engine::{
    EngineError, Mode, Named, Program, ProgramSource, Signature, StateInfo, StateLayout,
};
use onestep_layers::{Forward, LayerError, WEIGHT};

use super::frozen::state_info;
use super::scored::score;
use super::{Asked, TrainingProgram};
use crate::TrainerError;

impl TrainingProgram {
    /// The program of a mode for batches of so many samples.
    ///
    /// # Errors
    /// A batch that the model cannot be run with.
    pub fn program(&self, mode: Mode, batch: usize) -> Result<Program, TrainerError> {
        Ok(self.build(mode, &self.signature(mode, batch)?)?)
    }

    /// Where parameters and running statistics lie by themselves, without the optimizer's state.
    pub(crate) fn inference_layout(&self) -> Result<StateLayout, TrainerError> {
        let states: Vec<StateInfo> = self.model.states().iter().map(state_info).collect();
        Ok(StateLayout::new(&self.groups, &states, None)?)
    }

    /// Programs that read parameters and running statistics alone.
    pub(crate) fn inference_source(&self) -> ProgramSource {
        let program = TrainingProgram { readable: Arc::default(), inference: true, ..self.clone() };
        program.source()
    }

    /// The engine's way of asking for programs.
    pub fn source(&self) -> ProgramSource {
        let program = self.clone();
        Box::new(move |mode, signature| {
            program.build(mode, signature).map_err(|error| EngineError::Source {
                mode,
                batch: signature.batch(),
                reason: error.to_string(),
            })
        })
    }

    fn build(&self, mode: Mode, signature: &Signature) -> Result<Program, LayerError> {
        let mut forward = self.forward(mode, signature)?;
        let (mut loss, mut weight, mut reports) = (None, None, Vec::new());
        if mode != Mode::Predict {
            let scoring = self.scoring.of_batch(signature);
            let weighted = signature.field(WEIGHT).is_some();
            let scores = score(&mut forward, &scoring, weighted)?;
            (loss, reports) = (Some(scores.loss), scores.reports);
            weight = (mode.trains() && self.accumulate > 1).then_some(scores.weight);
        }
        let training = mode.trains();
        let outputs = self.outputs(&forward, mode)?;
        // What is trained is not always what is used: an average of it may be.
        let averaged = self.optimizer.weights().filter(|_| !training && !self.inference);
        let Forward { graph, state_updates, .. } = forward;
        Ok(Program {
            mode,
            loss,
            outputs,
            reports,
            state_updates: if training { state_updates } else { Vec::new() },
            groups: Arc::clone(&self.groups),
            update: training.then(|| Arc::clone(&self.update)),
            weights: averaged.map(str::to_owned),
            keep_gradients: mode == Mode::Train && self.keep,
            accumulation: weight,
            graph,
        })
    }

    /// The model for batches of a signature, whose samples may be of other shapes than usual: shorter
    /// texts, for example.
    fn forward(&self, mode: Mode, signature: &Signature) -> Result<Forward, LayerError> {
        let other = |asked: &'_ &Asked| {
            let ty = signature.field(&asked.name);
            ty.is_some_and(|ty| ty.shape.dims().get(1..) != Some(asked.shape.dims()))
        };
        let shapes: Vec<(&str, &[usize])> = self.asked[..self.model_inputs()]
            .iter()
            .filter(other)
            .filter_map(|asked| {
                let ty = signature.field(&asked.name)?;
                Some((asked.name.as_str(), ty.shape.dims().get(1..)?))
            })
            .collect();
        self.model.forward_holding(mode, signature.batch(), &shapes, &self.frozen.held)
    }

    /// What can be read after a step.
    fn outputs(&self, forward: &Forward, mode: Mode) -> Result<Vec<Named>, LayerError> {
        // In training the outputs would only keep memory from being shared.
        let all = !mode.trains() || self.keep;
        let mut outputs = if all { forward.outputs.clone() } else { Vec::new() };
        let graph = &forward.graph;
        let last = |path: &String| {
            let mut values = graph
                .values()
                .filter(|&value| graph.node(value).label.as_deref() == Some(path.as_str()));
            values.next_back().map(|value| Named::new(path.clone(), value))
        };
        outputs.extend(self.readable.iter().filter_map(last));
        Ok(outputs)
    }
}
