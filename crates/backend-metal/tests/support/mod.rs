//! A small network of many kinds of layers as a training program, on the Metal executor.
#![allow(dead_code, reason = "each test uses a part")]

#[cfg(feature = "headless")]
pub(crate) mod headless;

use onestep_backend_metal::{ConvolutionPath, MetalExecutor, MetalOptions};
use onestep_engine::ops::LeafKind;
use onestep_engine::{
    DType, Executor, Feeds, Mode, Named, ParameterInfo, Program, Reports, Scalars, StateInfo,
    StateKind, StateLayout, StateTable, Step, Ticket, philox,
};
use onestep_layers::{LossSpec, ModelBuilder, ModelSpec};
use onestep_memory::{MemoryManager, Shape, Tensor};
use onestep_optimizer::{Clip, Optimizer};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

pub(crate) const PATHS: [ConvolutionPath; 2] = [ConvolutionPath::Graph, ConvolutionPath::Hybrid];

/// Options with a convolution path.
pub(crate) fn on(convolution_path: ConvolutionPath) -> MetalOptions {
    MetalOptions { convolution_path, ..MetalOptions::default() }
}

/// Reproducible numbers in `[-1, 1)`.
pub(crate) fn numbers(seed: u64, count: usize) -> Vec<f32> {
    (0..count as u64).map(|i| philox::uniform(seed, 0, 0, i) * 2.0 - 1.0).collect()
}

/// Pictures `[2, 8, 8]` of five classes: convolutions, batch normalisation with its running
/// statistics, pooling, dropout and dense layers.
pub(crate) fn network() -> ModelSpec {
    ModelBuilder::new([2, 8, 8])
        .name("metal-test")
        .conv2d(6, 3, 1, 1, false, "conv1")
        .batch_norm("bn1")
        .relu("relu1")
        .max_pool2d(2, "pool1")
        .conv2d(4, 3, 2, 1, true, "conv2")
        .tanh("tanh2")
        .flatten("flatten")
        .dropout(0.25, "dropout")
        .dense(5, true, "fc")
        .spec()
}

/// A program with the layout of its state.
pub(crate) struct Model {
    pub(crate) program: Program,
    pub(crate) layout: StateLayout,
}

impl Model {
    /// The network with cross-entropy, Adam and clipping by norm.
    pub(crate) fn new(mode: Mode, batch: usize) -> Result<Model> {
        let model = network().compile()?;
        let mut forward = model.forward(mode, batch)?;
        let output = forward.output();
        let loss = "cross_entropy".parse::<LossSpec>()?;
        let loss = loss.build(&mut forward.graph, output)?;
        let mut program = Program::predict(forward.graph, vec![Named::new("logits", output)]);
        program.mode = mode;
        program.loss = Some(loss.loss);
        program.state_updates = forward.state_updates;
        program.keep_gradients = mode == Mode::Train;
        let parameters: Vec<ParameterInfo> =
            model.parameters().iter().map(|p| p.info.clone()).collect();
        let optimizer = Optimizer::from_spec("adam".parse()?)?;
        let optimizer = optimizer.with_clip(Clip::Norm(1.0))?;
        let groups = optimizer.groups(&parameters)?;
        let update = optimizer.update_graph(&groups)?;
        let graph = &program.graph;
        let states = graph.leaves(LeafKind::State).map(|(name, value)| StateInfo {
            name: name.to_owned(),
            shape: graph.shape(value).clone(),
            initial: if name.ends_with("var") { 1.0 } else { 0.0 },
        });
        let layout = StateLayout::new(&groups, &states.collect::<Vec<_>>(), Some(&update))?;
        program.groups = groups.into();
        program.update = Some(update.into());
        Ok(Model { program, layout })
    }
}

/// A model on an executor, with one batch.
pub(crate) struct Bench<E: Executor> {
    pub(crate) step: Box<dyn Step>,
    pub(crate) state: StateTable,
    pub(crate) feeds: Vec<Tensor>,
    pub(crate) scalars: Scalars,
    pub(crate) executor: E,
}

impl Bench<MetalExecutor> {
    /// On the Metal device.
    pub(crate) fn metal(model: &Model, options: &MetalOptions) -> Result<Self> {
        Bench::new(model, MetalExecutor::new(options)?)
    }
}

impl<E: Executor> Bench<E> {
    pub(crate) fn new(model: &Model, mut executor: E) -> Result<Self> {
        let state = StateTable::new(model.layout.clone(), executor.memory())?;
        fill(&state)?;
        let step = executor.compile(&model.program, &state)?;
        let feeds = feeds(&model.program, executor.memory())?;
        let mut scalars = Scalars::new(7);
        scalars.set("lr", 0.01);
        Ok(Bench { step, state, feeds, scalars, executor })
    }

    /// Submits one step.
    pub(crate) fn submit(&mut self) -> Result<Ticket> {
        let ticket = self.step.submit(Feeds::new(&self.feeds), &self.scalars)?;
        self.scalars.step += 1;
        Ok(ticket)
    }

    /// Submits one step and waits for its scalars.
    pub(crate) fn run(&mut self) -> Result<Reports> {
        Ok(self.submit()?.wait()?)
    }

    /// All bits of the state.
    pub(crate) fn bits(&self) -> Result<Vec<u32>> {
        bits(&self.state)
    }
}

/// All bits of a state table.
pub(crate) fn bits(state: &StateTable) -> Result<Vec<u32>> {
    let mut bits = Vec::new();
    for tensor in state.tensors() {
        bits.extend(tensor.read::<f32>()?.iter().map(|x| x.to_bits()));
    }
    Ok(bits)
}

/// Gives every tensor its first values.
pub(crate) fn fill(state: &StateTable) -> Result<()> {
    for (i, entry) in state.layout().entries().iter().enumerate() {
        let count = entry.shape.elements();
        let values = match entry.kind {
            StateKind::Parameter => numbers(i as u64, count).iter().map(|x| x * 0.3).collect(),
            StateKind::Optimizer => vec![0.0; count],
            StateKind::Model if entry.name.ends_with("var") => vec![1.0; count],
            StateKind::Model => vec![0.0; count],
        };
        state.write(&entry.name, &values)?;
    }
    Ok(())
}

/// One batch.
pub(crate) fn feeds(program: &Program, memory: &MemoryManager) -> Result<Vec<Tensor>> {
    let graph = &program.graph;
    let leaves = graph.leaves(LeafKind::Input);
    leaves
        .map(|(_, value)| {
            let ty = graph.type_of(value);
            let (shape, count): (Shape, usize) = (ty.shape.clone(), ty.shape.elements());
            Ok(match ty.dtype {
                DType::I32 => {
                    let labels: Vec<i32> = (0..count as i32).map(|i| i % 5).collect();
                    memory.from_slice(shape, &labels)?
                }
                _ => memory.from_slice(shape, &numbers(99, count))?,
            })
        })
        .collect()
}
