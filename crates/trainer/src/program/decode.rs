//! The programs of a text that is written a position at a time.

use std::sync::Arc;

use onestep_engine::{
    DType, EngineError, Mode, Program, ProgramSource, Shape, Signature, StateInfo, StateLayout,
    Type,
};
use onestep_layers::{Decoding, LayerError, POSITION};

use super::TrainingProgram;
use super::frozen::state_info;
use crate::TrainerError;

impl TrainingProgram {
    /// Where parameters, running statistics, and what layers keep of earlier positions lie.
    pub(crate) fn decoding_layout(&self) -> Result<StateLayout, TrainerError> {
        let step = self.model().decoder(Decoding::Step, 1)?;
        let states = self.model().states().iter().chain(&step.caches);
        let states: Vec<StateInfo> = states.map(state_info).collect();
        Ok(StateLayout::new(&self.groups, &states, None)?)
    }

    /// Both programs that decode one text: that of a batch with a position is a step.
    pub(crate) fn decoding_source(&self) -> ProgramSource {
        let program = self.clone();
        Box::new(move |mode, signature| {
            let decoding = match signature.field(POSITION) {
                Some(_) => Decoding::Step,
                None => Decoding::Prefill,
            };
            program.decoding(decoding, signature.batch()).map_err(|error| EngineError::Source {
                mode,
                batch: signature.batch(),
                reason: error.to_string(),
            })
        })
    }

    fn decoding(&self, decoding: Decoding, batch: usize) -> Result<Program, LayerError> {
        let forward = self.model().decoder(decoding, batch)?.forward;
        Ok(Program {
            mode: Mode::Predict,
            loss: None,
            outputs: forward.outputs,
            reports: Vec::new(),
            state_updates: forward.state_updates,
            groups: Arc::clone(&self.groups),
            update: None,
            weights: None,
            keep_gradients: false,
            accumulation: None,
            graph: forward.graph,
        })
    }

    /// What a step of decoding takes: a token and its position.
    pub(crate) fn step_signature(&self) -> Result<Signature, TrainerError> {
        let of = |shape: Shape| Type { shape, dtype: DType::I32 };
        let input = self.asked(Mode::Predict)[0].name.clone();
        let fields =
            [(input, of(Shape::from([1, 1]))), (POSITION.to_owned(), of(Shape::from([1])))];
        Ok(Signature::new(fields)?)
    }
}
