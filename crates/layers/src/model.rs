//! A model with all shapes inferred.

use onestep_engine::{DType, Graph, GraphError, Mode, Named, Shape, Value};

use crate::context::BuildContext;
use crate::derived::Derived;
use crate::error::LayerError;
use crate::host_checks::{IndexLimit, index_limits};
use crate::input::OUTPUT;
use crate::parts::{Decoding, LayerRow, ParameterSpec, StateSpec, Use, total};
use crate::spec::ModelSpec;
use crate::summary::Summary;

/// The forward graph of a model for one batch size.
#[derive(Clone, Debug)]
pub struct Forward {
    /// The graph. Values carry the path of their layer as label.
    pub graph: Graph,
    /// The leaves that are fed, by the names of the model's inputs, each `[batch, ...]`.
    pub inputs: Vec<Named>,
    /// What the model gives, by the names of its outputs, each `[batch, ...]`.
    pub outputs: Vec<Named>,
    /// New values of the states by name; only in training and in a graph that decodes.
    pub state_updates: Vec<Named>,
}

impl Forward {
    /// The input of a model that has one; the first of several.
    pub fn input(&self) -> Value {
        self.inputs[0].value
    }

    /// The output of a model that has one; the first of several.
    pub fn output(&self) -> Value {
        self.outputs[0].value
    }

    /// The output of this name.
    pub fn output_named(&self, name: &str) -> Option<Value> {
        self.outputs.iter().find(|output| output.name == name).map(|output| output.value)
    }
}

/// A graph that decodes, with the states that only decoding has.
#[derive(Clone, Debug)]
pub struct Decoder {
    /// The graph. A step takes `[batch, 1]` and [`POSITION`](crate::POSITION), and gives what a whole text gives of that
    /// position.
    pub forward: Forward,
    /// Keys and values of the positions so far, `NAME.keys` and `NAME.values`: `[batch, heads, window, d]`.
    pub caches: Vec<StateSpec>,
}

/// An input or output of a compiled model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// The shape of one sample, without the batch.
    pub shape: Shape,
    /// The type of its elements.
    pub dtype: DType,
}

/// A model with all shapes inferred, made by [`ModelSpec::compile`] or
/// [`crate::ModelBuilder::build`].
#[derive(Clone, Debug)]
pub struct Model {
    spec: ModelSpec,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    parameters: Vec<ParameterSpec>,
    states: Vec<StateSpec>,
    rows: Vec<LayerRow>,
    uses: Vec<Use>,
    index_limits: Vec<(String, IndexLimit)>,
}

impl Model {
    pub(crate) fn new(spec: ModelSpec) -> Result<Self, LayerError> {
        spec.check()?;
        // Two samples: what needs statistics over a batch gets them.
        let (cx, forward) = build(&spec, Mode::Train, 2, &[], &[], None)?;
        let ports = |values: &[Named]| {
            values.iter().map(|named| port(&forward.graph, named)).collect::<Result<Vec<_>, _>>()
        };
        Ok(Model {
            inputs: ports(&forward.inputs)?,
            outputs: ports(&forward.outputs)?,
            parameters: cx.parameters,
            states: cx.states,
            rows: cx.rows,
            uses: cx.uses,
            index_limits: index_limits(&forward.graph),
            spec,
        })
    }

    /// The configuration it was made from.
    pub fn spec(&self) -> &ModelSpec {
        &self.spec
    }

    /// What it takes, in the order of the names.
    pub fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    /// What it gives, in the order of the names.
    pub fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    /// The shape of a sample that goes in, without the batch; of the first input of several.
    pub fn input_shape(&self) -> &Shape {
        &self.inputs[0].shape
    }

    /// The shape of a sample that comes out, without the batch; of the first output of several.
    pub fn output_shape(&self) -> &Shape {
        &self.outputs[0].shape
    }

    /// The learned tensors in the order of the layers.
    pub fn parameters(&self) -> &[ParameterSpec] {
        &self.parameters
    }

    /// The tensors kept between steps, such as running statistics.
    pub fn states(&self) -> &[StateSpec] {
        &self.states
    }

    /// Every use of a parameter, in the order of the layers.
    pub(crate) fn uses(&self) -> &[Use] {
        &self.uses
    }

    /// One row a layer, containers before their contents.
    pub fn layers(&self) -> &[LayerRow] {
        &self.rows
    }

    /// The indices that the first input may have, where it is that of an embedding. Kernels make NaN
    /// of others.
    pub fn index_limit(&self) -> Option<&IndexLimit> {
        self.index_limit_of(&self.inputs[0].name)
    }

    /// The indices that an input may have, where it is that of an embedding.
    pub fn index_limit_of(&self, input: &str) -> Option<&IndexLimit> {
        self.index_limits.iter().find(|(name, _)| name == input).map(|(_, limit)| limit)
    }

    /// The number of learned numbers.
    pub fn parameter_count(&self) -> usize {
        total(self.parameters.iter().map(|p| p.info.shape.elements()))
    }

    /// A table of the layers for a batch size.
    pub fn summary(&self, batch: usize) -> Summary {
        let shapes = |ports: &[Port]| {
            ports.iter().map(|p| (p.name.clone(), p.shape.dims().to_vec())).collect()
        };
        let states = total(self.states.iter().map(|s| s.shape.elements()));
        let (inputs, outputs) = (shapes(&self.inputs), shapes(&self.outputs));
        let counts = [self.parameter_count(), states];
        Summary::new(&self.spec.name, batch, [inputs, outputs], &self.rows, counts)
    }

    /// The forward graph for `batch` samples.
    ///
    /// # Errors
    /// A batch of no samples, or one too small for a layer in training: batch normalisation needs
    /// more than one value a channel.
    pub fn forward(&self, mode: Mode, batch: usize) -> Result<Forward, LayerError> {
        self.forward_as(mode, batch, &[])
    }

    /// As [`Self::forward`] for samples of other shapes than the specification has, such as texts of
    /// another length: `(input, shape of a sample)`.
    ///
    /// # Errors
    /// As for [`Self::forward`], and shapes with which a parameter or state would be another.
    pub fn forward_as(
        &self,
        mode: Mode,
        batch: usize,
        shapes: &[(&str, &[usize])],
    ) -> Result<Forward, LayerError> {
        self.forward_holding(mode, batch, shapes, &[])
    }

    /// As [`Self::forward_as`] where the states of these names stay as they are in training too: a batch
    /// normalisation whose running statistics are held normalises by them, as PyTorch's does after
    /// `eval()`.
    ///
    /// ```
    /// use onestep_engine::Mode;
    /// use onestep_layers::ModelBuilder;
    ///
    /// let model = ModelBuilder::new([3]).batch_norm("bn").dense(2, true, "fc").build()?;
    /// let names: Vec<String> = model.states().iter().map(|state| state.name.clone()).collect();
    /// assert_eq!(model.forward(Mode::Train, 8)?.state_updates.len(), 2);
    /// assert_eq!(model.forward_holding(Mode::Train, 8, &[], &names)?.state_updates.len(), 0);
    /// # Ok::<(), onestep_layers::LayerError>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Self::forward_as`].
    pub fn forward_holding(
        &self,
        mode: Mode,
        batch: usize,
        shapes: &[(&str, &[usize])],
        held: &[String],
    ) -> Result<Forward, LayerError> {
        let (cx, forward) = build(&self.spec, mode, batch, shapes, held, None)?;
        self.check_parameters(&cx)?;
        Ok(forward)
    }

    /// The graph that decodes texts of at most as many positions as the model's input has.
    ///
    /// ```
    /// use onestep_layers::{Decoding, ModelBuilder, MultiHeadAttention};
    ///
    /// let attention = MultiHeadAttention { causal: true, ..MultiHeadAttention::new(2) };
    /// let model = ModelBuilder::indices([16]).embedding(5, 8, "embed").layer(attention).build()?;
    /// let step = model.decoder(Decoding::Step, 1)?;
    /// assert_eq!(step.caches[0].name, "multi_head_attention1.keys");
    /// assert_eq!(step.caches[0].shape.dims(), &[1, 2, 16, 4]);
    /// # Ok::<(), onestep_layers::LayerError>(())
    /// ```
    ///
    /// # Errors
    /// A model with several inputs or one of more axes, and a layer, by its name, that cannot work on
    /// one position after the other.
    pub fn decoder(&self, decoding: Decoding, batch: usize) -> Result<Decoder, LayerError> {
        let ([input], &[_]) = (self.inputs(), self.input_shape().dims()) else {
            let got = format!("{} of them, the first {}", self.inputs().len(), self.input_shape());
            return Err(LayerError::input("input", "one of [positions], to decode", got));
        };
        let one = [(input.name.as_str(), &[1][..])];
        let shapes = match decoding {
            Decoding::Prefill => &[],
            Decoding::Step => &one[..],
        };
        let (cx, forward) = build(self.spec(), Mode::Predict, batch, shapes, &[], Some(decoding))?;
        self.check_parameters(&cx)?;
        let is_own = |state: &StateSpec| self.states().iter().any(|own| own.name == state.name);
        let caches = cx.states.into_iter().filter(|state| !is_own(state)).collect();
        Ok(Decoder { forward, caches })
    }

    /// Refuses a graph whose parameters are not those of the model.
    fn check_parameters(&self, cx: &BuildContext) -> Result<(), LayerError> {
        let other = self.parameters.iter().zip(&cx.parameters).find(|(a, b)| a.info != b.info);
        if let Some((wanted, got)) = other {
            let name = &wanted.info.name;
            let wanted = format!("samples with which `{name}` stays {}", wanted.info.shape);
            return Err(LayerError::input("input", wanted, &got.info.shape));
        }
        Ok(())
    }

    /// The parameters before the first step, by name, in the order of [`Self::parameters`]. Each
    /// depends on the seed and its own name only.
    pub fn initial_parameters(&self, seed: u64) -> impl Iterator<Item = (&str, Vec<f32>)> {
        self.parameters.iter().map(move |p| {
            let name = p.info.name.as_str();
            let derived = p.derived.as_ref().and_then(|derived| self.derived(derived, seed));
            let drawn = || p.begin(seed);
            (name, derived.unwrap_or_else(drawn))
        })
    }

    /// The states before the first step, by name, in the order of [`Self::states`]. Where they follow from
    /// parameters, those of the seed.
    pub fn initial_states(&self, seed: u64) -> impl Iterator<Item = (&str, Vec<f32>)> {
        self.states.iter().map(move |s| {
            let derived = s.derived.as_ref().and_then(|derived| self.derived(derived, seed));
            let filled = || vec![s.initial; s.shape.elements()];
            (s.name.as_str(), derived.unwrap_or_else(filled))
        })
    }

    /// What follows from a parameter's beginning.
    fn derived(&self, derived: &Derived, seed: u64) -> Option<Vec<f32>> {
        let name = &derived.parameter;
        let parameter = self.parameters.iter().find(|p| p.info.name == *name)?;
        let dims = parameter.info.shape.dims();
        let begins = parameter.init.fill(dims.iter().product(), parameter.fan, seed, name);
        Some(derived.what.numbers(dims, &begins, seed, name))
    }
}

fn port(graph: &Graph, named: &Named) -> Result<Port, LayerError> {
    let ty = graph.type_of(named.value);
    let shape = Shape::new(&ty.shape.dims()[1..]);
    let shape = shape.map_err(|error| LayerError::from(GraphError::from(error)).within("input"))?;
    Ok(Port { name: named.name.clone(), shape, dtype: ty.dtype })
}

fn build(
    spec: &ModelSpec,
    mode: Mode,
    batch: usize,
    shapes: &[(&str, &[usize])],
    held: &[String],
    decoding: Option<Decoding>,
) -> Result<(BuildContext, Forward), LayerError> {
    if batch == 0 {
        return Err(LayerError::option("input", "the batch size", "at least 1", 0));
    }
    let mut cx = BuildContext::new(mode, batch);
    cx.held = held.to_vec();
    // The inputs stand around the layers, which may have the same names.
    cx.wiring.enter(&[]);
    let mut inputs = Vec::with_capacity(spec.inputs.len());
    for (name, input) in &spec.inputs {
        let other = shapes.iter().find(|(of, _)| of == name);
        let sample = other.map_or(&input.shape[..], |(_, shape)| shape);
        let dims = [&[batch][..], sample].concat();
        let leaf = cx.graph.input(name, &dims, input.dtype.dtype());
        let leaf = leaf.map_err(|error| LayerError::from(error).within(name))?;
        cx.graph.label(leaf, name);
        cx.wiring.learn(name, vec![leaf], None);
        inputs.push(Named::new(name.clone(), leaf));
    }
    if let Some(decoding) = decoding {
        let window = spec.inputs.values().next().and_then(|input| input.shape.first());
        cx.decode(decoding, window.copied().unwrap_or(1))?;
    }
    let names = cx.enter(&spec.layers)?;
    let last = cx.run(&spec.layers, &names, inputs.iter().map(|input| input.value).collect())?;
    let outputs = outputs(&cx, spec, &last)?;
    let graph = std::mem::take(&mut cx.graph);
    let state_updates = std::mem::take(&mut cx.state_updates);
    Ok((cx, Forward { graph, inputs, outputs, state_updates }))
}

fn outputs(cx: &BuildContext, spec: &ModelSpec, last: &[Value]) -> Result<Vec<Named>, LayerError> {
    if !spec.outputs.is_empty() {
        let named = |(name, from): (&String, &String)| {
            let value = cx.wiring.value(from).map_err(|(wanted, got)| {
                LayerError::option("model", format!("output `{name}`"), wanted, got)
            })?;
            Ok(Named::new(name.clone(), value))
        };
        return spec.outputs.iter().map(named).collect();
    }
    match last {
        &[value] => Ok(vec![Named::new(OUTPUT, value)]),
        several => {
            let got = format!("a last layer that gives {} values", several.len());
            Err(LayerError::option("model", "outputs", "named", got))
        }
    }
}

/// A table of a model's layers for a batch size; the same as [`Model::summary`].
pub fn summary(model: &Model, batch: usize) -> Summary {
    model.summary(batch)
}
