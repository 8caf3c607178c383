//! What is trained: a model with its loss, its optimizer and what is measured of it.

use std::sync::Arc;

use onestep_data::Role;
use onestep_engine::ops::LeafKind;
use onestep_engine::{
    DType, EngineError, Feeds, Mode, Named, ParameterGroup, ParameterInfo, Program, ProgramSource,
    Shape, Signature, StateInfo, StateLayout, UpdateGraph,
};
use onestep_layers::{Averaging, LayerError, LossSpec, Model};
use onestep_optimizer::Optimizer;

use crate::TrainerError;
use crate::metrics::{Accuracy, Figures, MeanAbsoluteError, Metric, MetricSpec, Task};
use crate::pattern::name_matches;

/// The output of the model in every program that has it.
pub const OUTPUT: &str = "output";

/// The name that the gradient of a parameter is read by.
pub fn gradient_name(parameter: &str) -> String {
    format!("grad.{parameter}")
}

/// A field that a program takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) name: String,
    pub(crate) role: Role,
    /// Of one sample, without the batch.
    pub(crate) shape: Shape,
    pub(crate) dtype: DType,
    /// How many different labels or indices there may be, from 0.
    pub(crate) limit: Option<usize>,
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
#[derive(Clone)]
pub struct TrainingProgram {
    model: Model,
    loss: LossSpec,
    optimizer: Optimizer,
    metrics: Arc<[Arc<dyn Metric>]>,
    frozen: Frozen,
    keep: bool,
    /// Paths of layers whose values can be read after a step.
    readable: Arc<[String]>,
    groups: Arc<[ParameterGroup]>,
    update: Arc<UpdateGraph>,
    layout: StateLayout,
    figures: Figures,
    target: TargetKind,
    fields: Fields,
    /// Their names, for feeds without any.
    names: Arc<[String]>,
    /// The same, as a data set is asked for them.
    asked: Arc<[Asked]>,
    /// Batches whose gradients make one update.
    accumulate: usize,
}

impl TrainingProgram {
    /// Puts a model, a loss and an optimizer together.
    ///
    /// # Errors
    /// A loss that is not defined for the model's output, or groups of parameters that the
    /// optimizer cannot make.
    pub fn new(model: Model, loss: LossSpec, optimizer: Optimizer) -> Result<Self, TrainerError> {
        let frozen = Frozen::default();
        let (groups, update, layout) = groups(&model, &optimizer, &frozen)?;
        let metrics = Arc::from(default_metrics());
        let (figures, target, fields) = describe(&model, &loss, &metrics)?;
        let asked = asked(&model, &fields, &target)?;
        Ok(TrainingProgram {
            model,
            loss,
            optimizer,
            metrics,
            frozen,
            keep: false,
            readable: Arc::default(),
            groups,
            update,
            layout,
            figures,
            target,
            names: fields.all.fields().iter().map(|(name, _)| name.clone()).collect(),
            asked: asked.into(),
            fields,
            accumulate: 1,
        })
    }

    /// Whether the output and the gradients of a training step can be read after it, which costs
    /// memory; default false.
    #[must_use]
    pub fn keep(mut self, keep: bool) -> Self {
        self.keep = keep;
        self
    }

    /// Measures these besides the loss, in place of what suits it: accuracy of classes, the mean
    /// absolute error of values.
    ///
    /// # Errors
    /// A metric that is not defined for the loss, by its name.
    pub fn with_metrics(mut self, metrics: &[MetricSpec]) -> Result<Self, TrainerError> {
        let all = metrics.iter().map(|metric| Arc::new(metric.clone()) as Arc<dyn Metric>);
        self.metrics = all.collect();
        self.figures = describe(&self.model, &self.loss, &self.metrics)?.0;
        let reported = self.figures.names();
        match metrics.iter().find(|metric| !reported.contains(&metric.name())) {
            None => Ok(self),
            Some(missing) => {
                let loss = self.loss.type_name();
                let wanted = format!("metrics that are defined for the loss {loss}");
                Err(TrainerError::option("metrics", wanted, missing))
            }
        }
    }

    /// Leaves the parameters of these patterns as they are: no gradient is computed or kept for them,
    /// and the optimizer has no state of them. `*` stands for any characters: `conv*`. With
    /// `statistics` the running statistics of these names stay as they are too.
    ///
    /// # Errors
    /// A pattern that no parameter has, and nothing left to learn.
    pub fn freeze(mut self, patterns: &[String], statistics: bool) -> Result<Self, TrainerError> {
        let names = || self.model.parameters().iter().map(|p| p.info.name.as_str());
        if let Some(pattern) = patterns.iter().find(|p| !names().any(|name| name_matches(p, name)))
        {
            let known = names().collect::<Vec<_>>().join(", ");
            let wanted = format!("patterns of parameters ({known})");
            return Err(TrainerError::option("freeze", wanted, format!("`{pattern}`")));
        }
        self.frozen = Frozen { patterns: patterns.into(), statistics };
        if names().all(|name| self.frozen.holds(name)) {
            let wanted = "patterns that leave something to learn";
            return Err(TrainerError::option("freeze", wanted, patterns.join(", ")));
        }
        self.arrange()?;
        Ok(self)
    }

    /// The names of the parameters that stay as they are.
    pub fn frozen(&self) -> impl Iterator<Item = &str> {
        let names = self.model.parameters().iter().map(|p| p.info.name.as_str());
        names.filter(|name| self.frozen.holds(name))
    }

    /// Lets the f32 values that these layers give be read after a step by the layers' paths, as
    /// `block1.conv1`; it costs memory.
    ///
    /// # Errors
    /// A path that no layer has.
    pub fn readable(mut self, layers: &[String]) -> Result<Self, TrainerError> {
        let known = || self.model.layers().iter().map(|row| row.name.as_str());
        if let Some(unknown) = layers.iter().find(|path| !known().any(|name| name == **path)) {
            let wanted = format!("layers ({})", known().collect::<Vec<_>>().join(", "));
            return Err(TrainerError::option("read", wanted, format!("`{unknown}`")));
        }
        self.readable = layers.into();
        Ok(self)
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
    pub(crate) fn figures(&self) -> &Figures {
        &self.figures
    }

    /// What the model is asked to do.
    pub fn task(&self) -> Task {
        self.figures.task()
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

    /// The names of the fields of a batch: the inputs, then what the loss wants to be told.
    pub fn fields(&self) -> &[String] {
        &self.names
    }

    /// Feeds with the names of the fields, where the caller gave none.
    pub(crate) fn named<'a>(&'a self, feeds: Feeds<'a>) -> Feeds<'a> {
        match feeds.names {
            [] => {
                Feeds { names: &self.names[..feeds.tensors.len().min(self.names.len())], ..feeds }
            }
            _ => feeds,
        }
    }

    /// What a data set is asked for: to predict, the inputs alone.
    pub(crate) fn asked(&self, mode: Mode) -> &[Asked] {
        match mode {
            Mode::Predict => &self.asked[..self.fields.inputs],
            _ => &self.asked,
        }
    }

    /// Makes one update from the gradients of so many batches, each counted by its weight: equal to
    /// one batch of all of them but for rounding. Norms, clipping and schedules count updates.
    ///
    /// # Errors
    /// None of 0 batches.
    pub fn accumulate(mut self, batches: usize) -> Result<Self, TrainerError> {
        if batches == 0 {
            return Err(TrainerError::option("accumulate", "at least 1", batches));
        }
        self.accumulate = batches;
        self.arrange()?;
        Ok(self)
    }

    /// Batches whose gradients make one update.
    pub fn accumulates(&self) -> usize {
        self.accumulate
    }

    /// Lays out the state anew.
    fn arrange(&mut self) -> Result<(), TrainerError> {
        let (groups, update, layout) = groups(&self.model, &self.optimizer, &self.frozen)?;
        self.layout = match self.accumulate {
            1 => layout,
            _ => layout.accumulating(&groups, &update)?,
        };
        (self.groups, self.update) = (groups, update);
        Ok(())
    }

    /// What a batch of so many samples is: to predict, its inputs alone.
    ///
    /// # Errors
    /// No samples, or more than a shape can hold.
    pub fn signature(&self, mode: Mode, batch: usize) -> Result<Signature, TrainerError> {
        let whole = self.fields.all.with_batch(batch)?;
        match mode {
            Mode::Predict => Ok(whole.only(&self.names[..self.fields.inputs])?),
            _ => Ok(whole),
        }
    }

    /// The program of a mode for batches of so many samples.
    ///
    /// # Errors
    /// A batch that the model cannot be run with.
    pub fn program(&self, mode: Mode, batch: usize) -> Result<Program, TrainerError> {
        Ok(self.build(mode, batch)?)
    }

    /// How many inputs the model has.
    pub(crate) fn model_inputs(&self) -> usize {
        self.fields.inputs
    }

    /// Where parameters and running statistics lie by themselves, without the optimizer's state.
    pub(crate) fn inference_layout(&self) -> Result<StateLayout, TrainerError> {
        let states: Vec<StateInfo> = self.model.states().iter().map(state_info).collect();
        Ok(StateLayout::new(&self.groups, &states, None)?)
    }

    /// Programs that read parameters and running statistics alone.
    pub(crate) fn inference_source(&self) -> ProgramSource {
        let program = TrainingProgram { readable: Arc::default(), ..self.clone() };
        program.source()
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
        let output = forward.output();
        let (mut loss, mut weight, mut reports) = (None, None, Vec::new());
        if mode != Mode::Predict {
            let graph = &mut forward.graph;
            let values = self.loss.build(graph, output)?;
            let metrics = &self.metrics;
            reports = Figures::build(&self.loss, metrics, graph, output, &values)?.1;
            loss = Some(values.loss);
            if mode.trains() && self.accumulate > 1 {
                weight = Some(match self.loss.averaging(graph, &values)? {
                    Averaging::Samples => graph.constant(batch as f32)?,
                    Averaging::Weight(weight) => weight,
                    Averaging::Sum => graph.constant(1.0)?,
                });
            }
        }
        let training = mode.trains();
        // In training the output would only keep memory from being shared.
        let readable = !training || self.keep;
        let mut outputs: Vec<Named> =
            readable.then(|| Named::new(OUTPUT, output)).into_iter().collect();
        let last = |path: &String| {
            let mut values = forward
                .graph
                .values()
                .filter(|&value| forward.graph.node(value).label.as_deref() == Some(path.as_str()));
            values.next_back().map(|value| Named::new(path.clone(), value))
        };
        outputs.extend(self.readable.iter().filter_map(last));
        Ok(Program {
            mode,
            loss,
            outputs,
            reports,
            state_updates: if training {
                self.frozen.updates(forward.state_updates)
            } else {
                Vec::new()
            },
            groups: Arc::clone(&self.groups),
            update: training.then(|| Arc::clone(&self.update)),
            weights: None,
            keep_gradients: mode == Mode::Train && self.keep,
            accumulation: weight,
            graph: forward.graph,
        })
    }
}

type Described = (Figures, TargetKind, Fields);

/// The samples that a model is built for to learn what it wants: what needs statistics over a batch
/// gets them.
const SAMPLES: usize = 2;

/// What a batch is made of.
#[derive(Clone)]
struct Fields {
    /// All fields to train on: the inputs first.
    all: Signature,
    inputs: usize,
}

/// Builds the loss once, for two samples, to learn what it reports and wants to be told.
fn describe(
    model: &Model,
    loss: &LossSpec,
    metrics: &[Arc<dyn Metric>],
) -> Result<Described, TrainerError> {
    let mut forward = model.forward(Mode::Evaluate, SAMPLES)?;
    let output = forward.output();
    let graph = &mut forward.graph;
    let input = graph.leaves(LeafKind::Input).count();
    let values = loss.build(graph, output)?;
    let (figures, _) = Figures::build(loss, metrics, graph, output, &values)?;
    let fields = graph
        .leaves(LeafKind::Input)
        .map(|(name, value)| (name.to_owned(), graph.type_of(value).clone()));
    let fields = Fields { all: Signature::new(fields)?, inputs: input };
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

/// What a data set is asked for.
fn asked(model: &Model, fields: &Fields, target: &TargetKind) -> Result<Vec<Asked>, TrainerError> {
    let all = fields.all.fields().iter().enumerate().map(|(place, (name, ty))| {
        let input = place < fields.inputs;
        let limit = match (input, target) {
            (true, _) => model.index_limit().map(|limit| limit.rows),
            (false, TargetKind::Labels { classes, .. }) => Some(*classes),
            (false, TargetKind::Values { .. }) => None,
        };
        Ok(Asked {
            name: name.clone(),
            role: if input { Role::Input } else { Role::Target },
            shape: Shape::new(ty.shape.dims().get(1..).unwrap_or_default())?,
            dtype: ty.dtype,
            limit,
        })
    });
    all.collect()
}

/// What suits a loss is defined for it.
fn default_metrics() -> [Arc<dyn Metric>; 2] {
    [Arc::new(Accuracy {}), Arc::new(MeanAbsoluteError {})]
}

impl std::fmt::Debug for TrainingProgram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrainingProgram")
            .field("model", &self.model.spec().name)
            .field("loss", &self.loss)
            .field("optimizer", &self.optimizer)
            .field("figures", &self.figures)
            .field("keep", &self.keep)
            .finish_non_exhaustive()
    }
}

/// What stays as it is.
#[derive(Clone, Default)]
struct Frozen {
    patterns: Arc<[String]>,
    statistics: bool,
}

impl Frozen {
    fn holds(&self, name: &str) -> bool {
        self.patterns.iter().any(|pattern| name_matches(pattern, name))
    }

    /// The updates of states that go on.
    fn updates(&self, mut updates: Vec<Named>) -> Vec<Named> {
        updates.retain(|update| !(self.statistics && self.holds(&update.name)));
        updates
    }
}

/// The name of the group of what stays as it is.
const FROZEN: &str = "frozen";

type Groups = (Arc<[ParameterGroup]>, Arc<UpdateGraph>, StateLayout);

/// Where parameters and state lie: a group without an update is neither differentiated nor written.
fn groups(model: &Model, optimizer: &Optimizer, held: &Frozen) -> Result<Groups, TrainerError> {
    let parameters = model.parameters().iter().map(|parameter| parameter.info.clone());
    let (frozen, learned): (Vec<ParameterInfo>, Vec<ParameterInfo>) =
        parameters.partition(|parameter| held.holds(&parameter.name));
    let mut groups = optimizer.groups(&learned)?;
    let update = optimizer.update_graph(&groups)?;
    if !frozen.is_empty() {
        groups.push(ParameterGroup::new(FROZEN, frozen));
    }
    let states: Vec<StateInfo> = model.states().iter().map(state_info).collect();
    let layout = StateLayout::new(&groups, &states, Some(&update))?;
    Ok((groups.into(), Arc::new(update), layout))
}

fn state_info(state: &onestep_layers::StateSpec) -> StateInfo {
    StateInfo { name: state.name.clone(), shape: state.shape.clone(), initial: state.initial }
}
