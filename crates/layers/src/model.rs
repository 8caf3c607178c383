//! A model with all shapes inferred.

use onestep_engine::{Graph, GraphError, Mode, Named, ParameterInfo, Shape, Value};
use serde::Serialize;

use crate::context::BuildContext;
use crate::error::LayerError;
use crate::host_checks::{IndexLimit, index_limit};
use crate::initializer::{Fan, Initializer};
use crate::layer::Shapes;
use crate::spec::ModelSpec;
use crate::summary::Summary;

/// How PyTorch stores a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// As here.
    Same,
    /// With its two axes swapped: dense weights are `[in, out]` here and `[out, in]` there.
    Transposed,
}

/// A learned tensor of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterSpec {
    /// Its name (such as `block1.body.conv1.weight`) and shape.
    pub info: ParameterInfo,
    /// The path of its layer.
    pub layer: String,
    /// How it begins.
    pub init: Initializer,
    /// The fans that the initialiser scales with.
    pub fan: Fan,
    /// How PyTorch stores it.
    pub layout: Layout,
}

/// A tensor that a layer keeps between steps without learning it.
#[derive(Clone, Debug, PartialEq)]
pub struct StateSpec {
    /// Its name, such as `bn1.running_mean`.
    pub name: String,
    /// Its shape.
    pub shape: Shape,
    /// The path of its layer.
    pub layer: String,
    /// What all its elements are before the first step.
    pub initial: f32,
}

/// One layer of a compiled model. Containers such as `residual` have a row of their own, followed
/// by those of their layers; each row counts only what is its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LayerRow {
    /// The path.
    pub name: String,
    /// The type, such as `conv2d`.
    #[serde(rename = "type")]
    pub kind: String,
    /// How deep the path is, from 1.
    pub depth: usize,
    /// The shape of a sample that goes in.
    pub input: Vec<usize>,
    /// The shape of a sample that comes out.
    pub output: Vec<usize>,
    /// Learned numbers.
    pub parameters: usize,
    /// Numbers kept between steps without being learned.
    pub states: usize,
    /// Floating-point operations forward for one sample, a multiply-add as two.
    pub flops: u64,
}

impl LayerRow {
    pub(crate) fn new(path: &str, kind: &str, names: usize) -> Self {
        LayerRow {
            name: path.to_owned(),
            kind: kind.to_owned(),
            depth: names,
            input: Vec::new(),
            output: Vec::new(),
            parameters: 0,
            states: 0,
            flops: 0,
        }
    }

    pub(crate) fn fill(&mut self, shapes: Shapes, parameters: usize, states: usize, flops: u64) {
        self.input = shapes.input;
        self.output = shapes.output;
        (self.parameters, self.states, self.flops) = (parameters, states, flops);
    }
}

/// The forward graph of a model for one batch size.
#[derive(Clone, Debug)]
pub struct Forward {
    /// The graph. Values carry the path of their layer as label.
    pub graph: Graph,
    /// The leaf called `input`, `[batch, ...]`.
    pub input: Value,
    /// What the last layer gives, `[batch, ...]`.
    pub output: Value,
    /// New values of the states by name; only in training.
    pub state_updates: Vec<Named>,
}

/// A model with all shapes inferred, made by [`ModelSpec::compile`] or
/// [`crate::ModelBuilder::build`].
#[derive(Clone, Debug)]
pub struct Model {
    spec: ModelSpec,
    input: Shape,
    output: Shape,
    parameters: Vec<ParameterSpec>,
    states: Vec<StateSpec>,
    rows: Vec<LayerRow>,
    index_limit: Option<IndexLimit>,
}

impl Model {
    pub(crate) fn new(spec: ModelSpec) -> Result<Self, LayerError> {
        let shape = &spec.input.shape;
        if shape.is_empty() || shape.contains(&0) {
            let wanted = "one or more sizes of at least 1";
            return Err(LayerError::option("input", "shape", wanted, format!("{shape:?}")));
        }
        let input = Shape::new(shape).map_err(within_input)?;
        // Two samples: what needs statistics over a batch gets them.
        let (cx, forward) = build(&spec, Mode::Train, 2)?;
        let output = forward.graph.shape(forward.output);
        let output = Shape::new(&output.dims()[1..]).map_err(within_input)?;
        Ok(Model {
            input,
            output,
            parameters: cx.parameters,
            states: cx.states,
            rows: cx.rows,
            index_limit: index_limit(&forward.graph),
            spec,
        })
    }

    /// The configuration it was made from.
    pub fn spec(&self) -> &ModelSpec {
        &self.spec
    }

    /// The shape of a sample that goes in, without the batch.
    pub fn input_shape(&self) -> &Shape {
        &self.input
    }

    /// The shape of a sample that comes out, without the batch.
    pub fn output_shape(&self) -> &Shape {
        &self.output
    }

    /// The learned tensors in the order of the layers.
    pub fn parameters(&self) -> &[ParameterSpec] {
        &self.parameters
    }

    /// The tensors kept between steps, such as running statistics.
    pub fn states(&self) -> &[StateSpec] {
        &self.states
    }

    /// One row a layer, containers before their contents.
    pub fn layers(&self) -> &[LayerRow] {
        &self.rows
    }

    /// The indices that the model's input may have, where it is that of an embedding. Kernels make
    /// NaN of others.
    pub fn index_limit(&self) -> Option<&IndexLimit> {
        self.index_limit.as_ref()
    }

    /// The number of learned numbers.
    pub fn parameter_count(&self) -> usize {
        total(self.parameters.iter().map(|p| p.info.shape.elements()))
    }

    /// A table of the layers for a batch size.
    pub fn summary(&self, batch: usize) -> Summary {
        Summary::new(self, batch)
    }

    /// The forward graph for `batch` samples.
    ///
    /// # Errors
    /// A batch of no samples, or one too small for a layer in training: batch normalisation needs
    /// more than one value a channel.
    pub fn forward(&self, mode: Mode, batch: usize) -> Result<Forward, LayerError> {
        Ok(build(&self.spec, mode, batch)?.1)
    }

    /// The parameters before the first step, by name, in the order of [`Self::parameters`]. Each
    /// depends on the seed and its own name only.
    pub fn initial_parameters(&self, seed: u64) -> impl Iterator<Item = (&str, Vec<f32>)> {
        self.parameters.iter().map(move |p| {
            let name = p.info.name.as_str();
            (name, p.init.fill(p.info.shape.elements(), p.fan, seed, name))
        })
    }

    /// The states before the first step, by name, in the order of [`Self::states`].
    pub fn initial_states(&self) -> impl Iterator<Item = (&str, Vec<f32>)> {
        self.states.iter().map(|s| (s.name.as_str(), vec![s.initial; s.shape.elements()]))
    }
}

fn within_input(error: impl Into<GraphError>) -> LayerError {
    LayerError::from(error.into()).within("input")
}

/// A sum that stays at the largest number instead of overflowing: such a model does not fit into
/// any memory, which is for the plan to say.
pub(crate) fn total(counts: impl Iterator<Item = usize>) -> usize {
    counts.fold(0, usize::saturating_add)
}

fn build(
    spec: &ModelSpec,
    mode: Mode,
    batch: usize,
) -> Result<(BuildContext, Forward), LayerError> {
    if batch == 0 {
        return Err(LayerError::option("input", "the batch size", "at least 1", 0));
    }
    let mut cx = BuildContext::new(mode, batch);
    let dims = [&[batch], &spec.input.shape[..]].concat();
    let input = cx
        .graph
        .input("input", &dims, spec.input.dtype.dtype())
        .map_err(|error| LayerError::from(error).within("input"))?;
    cx.graph.label(input, "input");
    let output = cx.sequence(&spec.layers, input)?;
    let graph = std::mem::take(&mut cx.graph);
    let state_updates = std::mem::take(&mut cx.state_updates);
    Ok((cx, Forward { graph, input, output, state_updates }))
}
