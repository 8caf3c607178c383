//! What is trained: a model with its loss, its optimizer and what is measured of it.

mod build;
mod decode;
mod fields;
mod frozen;
mod scored;

use std::sync::Arc;

use onestep_data::Pipeline;
use onestep_engine::{
    DType, Feeds, Mode, ParameterGroup, Shape, Signature, StateLayout, Type, UpdateGraph,
};
use onestep_layers::{LossSpec, LossTerm, Model, Reduction, WEIGHT};
use onestep_optimizer::Optimizer;

pub(crate) use fields::{Asked, TargetKind};

use crate::TrainerError;
use crate::metrics::{Accuracy, Figures, MeanAbsoluteError, Metric, MetricSpec, Task};
use crate::pattern::name_matches;
use fields::{Described, describe};
use frozen::{Frozen, groups};
use scored::Scoring;
pub(crate) use scored::of_probabilities;

/// The output of the model in every program that has it.
pub const OUTPUT: &str = "output";

/// The name that the gradient of a parameter is read by.
pub fn gradient_name(parameter: &str) -> String {
    format!("grad.{parameter}")
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
    scoring: Scoring,
    /// What was asked to be measured, in place of what suits the loss.
    metrics: Arc<[MetricSpec]>,
    optimizer: Optimizer,
    frozen: Frozen,
    keep: bool,
    /// Paths of layers whose values can be read after a step.
    readable: Arc<[String]>,
    groups: Arc<[ParameterGroup]>,
    update: Arc<UpdateGraph>,
    layout: StateLayout,
    figures: Figures,
    target: TargetKind,
    /// What a batch is made of: the inputs, then the targets.
    signature: Signature,
    /// Their names, for feeds without any.
    names: Arc<[String]>,
    /// The same, as a data set is asked for them.
    asked: Arc<[Asked]>,
    /// Batches whose gradients make one update.
    accumulate: usize,
    /// Whether there is no state but parameters and running statistics.
    inference: bool,
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
        let scoring = Scoring { terms: terms(&model, loss), metrics: default_metrics() };
        let Described { figures, target, asked, signature } = describe(&model, &scoring)?;
        Ok(TrainingProgram {
            model,
            scoring,
            metrics: Arc::default(),
            optimizer,
            frozen,
            keep: false,
            readable: Arc::default(),
            groups,
            update,
            layout,
            figures,
            target,
            names: asked.iter().map(|asked| asked.name.clone()).collect(),
            asked: asked.into(),
            signature,
            accumulate: 1,
            inference: false,
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
        self.scoring.metrics = all.collect();
        self.metrics = metrics.into();
        self.figures = describe(&self.model, &self.scoring)?.figures;
        match metrics.iter().find(|metric| !self.figures.has(&metric.name())) {
            None => Ok(self),
            Some(missing) => {
                let loss = self.loss().type_name();
                let wanted = format!("metrics that are defined for the loss {loss}");
                Err(TrainerError::option("metrics", wanted, missing))
            }
        }
    }

    /// Leaves the parameters of these patterns as they are: no gradient is computed or kept for them,
    /// and the optimizer has no state of them. `*` stands for any characters: `conv*`. With
    /// `statistics` the running statistics of these names stay as they are too, and training normalises
    /// by them, as PyTorch does after `eval()` of the layer.
    ///
    /// # Errors
    /// A pattern that no parameter has (nor, with `statistics`, a running statistic), `statistics` where
    /// no pattern has any that the model has, and nothing left to learn.
    pub fn freeze(mut self, patterns: &[String], statistics: bool) -> Result<Self, TrainerError> {
        let names = || self.model.parameters().iter().map(|p| p.info.name.as_str());
        let states = || self.model.states().iter().map(|state| state.name.as_str());
        let any = |pattern: &str| {
            let named = |name: &str| name_matches(pattern, name);
            names().any(named) || statistics && states().any(named)
        };
        if let Some(pattern) = patterns.iter().find(|pattern| !any(pattern)) {
            let known = names().collect::<Vec<_>>().join(", ");
            let wanted = format!("patterns of parameters ({known})");
            return Err(TrainerError::option("freeze", wanted, format!("`{pattern}`")));
        }
        self.frozen = Frozen::new(patterns, statistics, &self.model);
        if statistics && states().next().is_some() && self.frozen.held.is_empty() {
            let known = states().collect::<Vec<_>>().join(", ");
            let wanted = format!("patterns in `freeze` that running statistics have ({known})");
            return Err(TrainerError::option("freeze_statistics", wanted, patterns.join(", ")));
        }
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

    /// What was asked to be measured, in place of what suits the loss.
    pub fn metrics(&self) -> &[MetricSpec] {
        &self.metrics
    }

    /// The patterns of what stays as it is.
    pub fn freezes(&self) -> &[String] {
        &self.frozen.patterns
    }

    /// Whether the running statistics of those names stay as they are too.
    pub fn freezes_statistics(&self) -> bool {
        self.frozen.statistics
    }

    /// The layers whose values can be read after a step.
    pub fn readables(&self) -> &[String] {
        &self.readable
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// What is minimised; the first of several losses.
    pub fn loss(&self) -> &LossSpec {
        &self.scoring.terms[0].loss
    }

    /// All that is minimised: a loss for each output, with its weight in the sum. The model says them,
    /// or there is one on its output.
    pub fn losses(&self) -> &[LossTerm] {
        &self.scoring.terms
    }

    /// The output that the first loss is of, which predictions are.
    pub fn output(&self) -> &str {
        self.scoring.terms[0].first_output()
    }

    /// The shape of that output of a sample.
    pub(crate) fn output_shape(&self) -> &Shape {
        let outputs = self.model.outputs();
        let own = outputs.iter().find(|output| output.name == self.output());
        own.map_or_else(|| self.model.output_shape(), |output| &output.shape)
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
            Mode::Predict => &self.asked[..self.model_inputs()],
            _ => &self.asked,
        }
    }

    /// The transforms of an input: all that there are of the only one, whatever data calls it.
    pub(crate) fn pipeline_of(&self, all: &Pipeline, input: &str) -> Pipeline {
        if self.model_inputs() == 1 { all.clone() } else { all.of(input) }
    }

    /// The fields that the losses compare with, but for those that are inputs too.
    pub(crate) fn asked_targets(&self) -> &[Asked] {
        &self.asked[self.model_inputs()..]
    }

    /// Makes one update from the gradients of so many batches, each counted by its weight: equal to
    /// one batch of all of them but for rounding. Norms, clipping and schedules count updates.
    ///
    /// # Errors
    /// None of 0 batches, and a loss that is a sum, of which several batches have no common mean.
    pub fn accumulate(mut self, batches: usize) -> Result<Self, TrainerError> {
        if batches == 0 {
            return Err(TrainerError::option("accumulate", "at least 1", batches));
        }
        let sums = |term: &&LossTerm| term.loss.reduction() == Reduction::Sum;
        if let (true, Some(sum)) = (batches > 1, self.losses().iter().find(sums)) {
            let name = sum.loss.type_name();
            let wanted = format!("1 with the loss {name} as a sum (take the mean)");
            return Err(TrainerError::option("accumulate", wanted, batches));
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
        let whole = self.signature.with_batch(batch)?;
        match mode {
            Mode::Predict => Ok(whole.only(&self.names[..self.model_inputs()])?),
            _ => Ok(whole),
        }
    }

    /// The same with a weight for each sample, `weight`.
    ///
    /// # Errors
    /// As for [`TrainingProgram::signature`].
    pub fn weighted(&self, mode: Mode, batch: usize) -> Result<Signature, TrainerError> {
        let plain = self.signature(mode, batch)?;
        let weight = Type { shape: Shape::from([batch]), dtype: DType::F32 };
        let fields = plain.fields().iter().cloned().chain([(WEIGHT.to_owned(), weight)]);
        Ok(Signature::new(fields)?)
    }

    /// How many inputs the model has.
    pub(crate) fn model_inputs(&self) -> usize {
        self.model.inputs().len()
    }
}

/// What the model says, or one loss on its output.
fn terms(model: &Model, loss: LossSpec) -> Arc<[LossTerm]> {
    match (model.spec().losses.as_slice(), model.outputs()) {
        ([], [only]) => [LossTerm { output: only.name.clone(), ..LossTerm::from(loss) }].into(),
        ([], _) => [LossTerm::from(loss)].into(),
        (terms, _) => terms.into(),
    }
}

/// What suits a loss is defined for it.
fn default_metrics() -> Arc<[Arc<dyn Metric>]> {
    Arc::from([Arc::new(Accuracy {}) as Arc<dyn Metric>, Arc::new(MeanAbsoluteError {})])
}

impl std::fmt::Debug for TrainingProgram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrainingProgram")
            .field("model", &self.model.spec().name)
            .field("losses", &self.scoring.terms)
            .field("optimizer", &self.optimizer)
            .field("figures", &self.figures)
            .field("keep", &self.keep)
            .finish_non_exhaustive()
    }
}
