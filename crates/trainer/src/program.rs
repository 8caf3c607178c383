//! What is trained: a model with its loss, its optimizer and what is measured of it.

use std::sync::Arc;

use onestep_engine::ops::{LeafKind, Op};
use onestep_engine::{
    DType, EngineError, Feeds, Mode, Named, ParameterGroup, ParameterInfo, Program, ProgramSource,
    Shape, Signature, StateInfo, StateLayout, Type, UpdateGraph,
};
use onestep_layers::{LayerError, LossSpec, Model};
use onestep_optimizer::Optimizer;

use crate::TrainerError;
use crate::metrics::Figures;

/// The output of the model in every program that has it.
pub const OUTPUT: &str = "output";

/// The name that the gradient of a parameter is read by.
pub fn gradient_name(parameter: &str) -> String {
    format!("grad.{parameter}")
}

/// What the loss wants to be told, for each sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TargetKind {
    /// Integer labels of this shape (rank 0: one a sample), below the number of classes.
    Labels { shape: Shape, classes: usize },
    /// Numbers of this shape.
    Values { shape: Shape },
}

/// The one description behind training, single steps, evaluation, prediction and benchmarks: from
/// it come the layout of the state and the program of every mode and batch size, so that what is
/// measured is what trains.
///
/// ```
/// use onestep_engine::Mode;
/// use onestep_layers::ModelBuilder;
/// use onestep_optimizer::{Optimizer, OptimizerSpec};
/// use onestep_trainer::TrainingProgram;
///
/// let model = ModelBuilder::new([4]).dense(3, true, "fc").build()?;
/// let optimizer = Optimizer::from_spec("adam".parse::<OptimizerSpec>()?)?;
/// let program = TrainingProgram::new(model, "cross_entropy".parse()?, optimizer)?;
/// let train = program.program(Mode::Train, 8)?;
/// assert!(train.loss.is_some() && train.update.is_some());
/// assert!(program.program(Mode::Predict, 8)?.loss.is_none());
/// # Ok::<(), onestep_trainer::TrainerError>(())
/// ```
#[derive(Clone, Debug)]
pub struct TrainingProgram {
    model: Model,
    loss: LossSpec,
    optimizer: Optimizer,
    keep: bool,
    groups: Arc<[ParameterGroup]>,
    update: Arc<UpdateGraph>,
    layout: StateLayout,
    figures: Figures,
    target: TargetKind,
    /// The names of the input and the target.
    fields: [String; 2],
}

impl TrainingProgram {
    /// Puts a model, a loss and an optimizer together.
    ///
    /// # Errors
    /// A loss that is not defined for the model's output, or groups of parameters that the
    /// optimizer cannot make.
    pub fn new(model: Model, loss: LossSpec, optimizer: Optimizer) -> Result<Self, TrainerError> {
        let parameters: Vec<ParameterInfo> =
            model.parameters().iter().map(|parameter| parameter.info.clone()).collect();
        let groups = optimizer.groups(&parameters)?;
        let update = optimizer.update_graph(&groups)?;
        let states: Vec<StateInfo> = model.states().iter().map(state_info).collect();
        let layout = StateLayout::new(&groups, &states, Some(&update))?;
        let (figures, target, fields) = describe(&model, &loss)?;
        Ok(TrainingProgram {
            model,
            loss,
            optimizer,
            keep: false,
            groups: groups.into(),
            update: Arc::new(update),
            layout,
            figures,
            target,
            fields,
        })
    }

    /// Whether the output and the gradients of a training step can be read after it, which costs
    /// memory; default false.
    #[must_use]
    pub fn keep(mut self, keep: bool) -> Self {
        self.keep = keep;
        self
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// What is minimised.
    pub fn loss(&self) -> &LossSpec {
        &self.loss
    }

    /// How parameters change.
    pub fn optimizer(&self) -> &Optimizer {
        &self.optimizer
    }

    /// Whether the output and the gradients of a training step can be read.
    pub fn keeps(&self) -> bool {
        self.keep
    }

    /// Where parameters, optimizer state and running statistics lie.
    pub fn layout(&self) -> &StateLayout {
        &self.layout
    }

    /// What a step reports.
    pub(crate) fn figures(&self) -> Figures {
        self.figures
    }

    /// What the loss wants to be told.
    pub(crate) fn target(&self) -> &TargetKind {
        &self.target
    }

    /// The same program with an optimizer that starts at another learning rate, which is an input of
    /// the step: nothing is compiled anew.
    pub(crate) fn set_learning_rate(&mut self, lr: f64) -> Result<(), TrainerError> {
        self.optimizer = self.optimizer.clone().with_lr(lr)?;
        Ok(())
    }

    /// The names of the fields of a batch: the input, then the target.
    pub fn fields(&self) -> &[String] {
        &self.fields
    }

    /// Feeds with the names of the fields, where the caller gave none.
    pub(crate) fn named<'a>(&'a self, feeds: Feeds<'a>) -> Feeds<'a> {
        match feeds.names {
            [] => {
                let given = feeds.tensors.len().min(self.fields.len());
                Feeds { names: &self.fields[..given], ..feeds }
            }
            _ => feeds,
        }
    }

    /// What a batch of so many samples is: to predict, its input alone.
    ///
    /// # Errors
    /// No samples, or more than a shape can hold.
    pub fn signature(&self, mode: Mode, batch: usize) -> Result<Signature, TrainerError> {
        let of = |shape: &Shape, dtype| {
            Ok::<_, TrainerError>(Type { shape: shape.with_batch(batch)?, dtype })
        };
        let [input_name, target_name] = &self.fields;
        let dtype = self.model.spec().input.dtype.dtype();
        let input = (input_name, of(self.model.input_shape(), dtype)?);
        let (shape, dtype) = match &self.target {
            TargetKind::Labels { shape, .. } => (shape, DType::I32),
            TargetKind::Values { shape } => (shape, DType::F32),
        };
        let target = (target_name, of(shape, dtype)?);
        let used = if mode == Mode::Predict { 1 } else { 2 };
        Ok(Signature::new([input, target].into_iter().take(used))?)
    }

    /// The program of a mode for batches of so many samples.
    ///
    /// # Errors
    /// A batch that the model cannot be run with.
    pub fn program(&self, mode: Mode, batch: usize) -> Result<Program, TrainerError> {
        Ok(self.build(mode, batch)?)
    }

    /// The engine's way of asking for programs.
    pub fn source(&self) -> ProgramSource {
        let program = self.clone();
        Box::new(move |mode, signature| {
            let batch = signature.batch();
            program.build(mode, batch).map_err(|error| EngineError::Source {
                mode,
                batch,
                reason: error.to_string(),
            })
        })
    }

    fn build(&self, mode: Mode, batch: usize) -> Result<Program, LayerError> {
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
        let readable = !training || self.keep;
        let outputs = readable.then(|| Named::new(OUTPUT, forward.output));
        Ok(Program {
            mode,
            loss,
            outputs: outputs.into_iter().collect(),
            reports,
            state_updates: if training { forward.state_updates } else { Vec::new() },
            groups: Arc::clone(&self.groups),
            update: training.then(|| Arc::clone(&self.update)),
            weights: None,
            keep_gradients: training && self.keep,
            accumulation: None,
            graph: forward.graph,
        })
    }
}

type Described = (Figures, TargetKind, [String; 2]);

/// Builds the loss once, for two samples, to learn what it reports and wants to be told.
fn describe(model: &Model, loss: &LossSpec) -> Result<Described, TrainerError> {
    let mut forward = model.forward(Mode::Evaluate, 2)?;
    let graph = &mut forward.graph;
    let values = loss.build(graph, forward.output)?;
    let (figures, _) = Figures::build(loss, graph, forward.output, &values)?;
    let name = match graph.op(values.target) {
        Op::Leaf(leaf) => leaf.name.clone(),
        _ => String::new(),
    };
    let input = graph.leaves(LeafKind::Input).next().map(|(name, _)| name.to_owned());
    let fields = [input.unwrap_or_default(), name];
    let target = graph.type_of(values.target);
    let shape = Shape::new(target.shape.dims().get(1..).unwrap_or_default())?;
    let target = match target.dtype {
        DType::I32 => {
            let classes = model.output_shape().dims().first().copied().unwrap_or(0);
            TargetKind::Labels { shape, classes }
        }
        _ => TargetKind::Values { shape },
    };
    Ok((figures, target, fields))
}

fn state_info(state: &onestep_layers::StateSpec) -> StateInfo {
    StateInfo { name: state.name.clone(), shape: state.shape.clone(), initial: state.initial }
}
