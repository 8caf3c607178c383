//! From a model, a loss and an update rule to programs for each mode and batch size.

use std::sync::Arc;

use onestep_engine::{
    DType, EngineError, Mode, Named, ParameterGroup, Program, ProgramSource, Shape, UpdateGraph,
};
use onestep_layers::{LayerError, LossSpec, Model};

use crate::TrainerError;
use crate::metrics::Figures;

/// The output of the model in every program that has it.
pub(crate) const OUTPUT: &str = "output";

/// What the loss wants to be told, for each sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TargetKind {
    /// Integer labels of this shape (rank 0: one a sample), below the number of classes.
    Labels { shape: Shape, classes: usize },
    /// Numbers of this shape.
    Values { shape: Shape },
}

/// What a loss of a model turns out to be.
pub(super) struct Description {
    pub(super) figures: Figures,
    pub(super) target: TargetKind,
}

/// Everything that programs are made of.
pub(super) struct Programs {
    pub(super) model: Model,
    pub(super) loss: LossSpec,
    pub(super) groups: Arc<[ParameterGroup]>,
    pub(super) update: Arc<UpdateGraph>,
    pub(super) keep_gradients: bool,
}

impl Programs {
    /// Builds the loss once, for two samples, to learn what it wants.
    pub(super) fn describe(&self) -> Result<Description, TrainerError> {
        let mut forward = self.model.forward(Mode::Evaluate, 2)?;
        let graph = &mut forward.graph;
        let values = self.loss.build(graph, forward.output)?;
        let (figures, _) = Figures::build(&self.loss, graph, forward.output, &values)?;
        let target = graph.type_of(values.target);
        let shape = Shape::new(target.shape.dims().get(1..).unwrap_or_default())?;
        let target = match target.dtype {
            DType::I32 => {
                let classes = self.model.output_shape().dims().first().copied().unwrap_or(0);
                TargetKind::Labels { shape, classes }
            }
            _ => TargetKind::Values { shape },
        };
        Ok(Description { figures, target })
    }

    /// The engine's way of asking for programs.
    pub(super) fn source(self) -> ProgramSource {
        Box::new(move |mode, batch| {
            self.program(mode, batch).map_err(|error| EngineError::Source {
                mode,
                batch,
                reason: error.to_string(),
            })
        })
    }

    fn program(&self, mode: Mode, batch: usize) -> Result<Program, LayerError> {
        let mut forward = self.model.forward(mode, batch)?;
        let (mut loss, mut reports) = (None, Vec::new());
        if mode != Mode::Predict {
            let graph = &mut forward.graph;
            let values = self.loss.build(graph, forward.output)?;
            reports = Figures::build(&self.loss, graph, forward.output, &values)?.1;
            loss = Some(values.loss);
        }
        let training = mode == Mode::Train;
        // In training the output would only keep memory from being shared.
        let readable = !training || self.keep_gradients;
        let outputs = readable.then(|| Named::new(OUTPUT, forward.output));
        Ok(Program {
            mode,
            loss,
            outputs: outputs.into_iter().collect(),
            reports,
            state_updates: if training { forward.state_updates } else { Vec::new() },
            groups: Arc::clone(&self.groups),
            update: training.then(|| Arc::clone(&self.update)),
            keep_gradients: training && self.keep_gradients,
            graph: forward.graph,
        })
    }
}
