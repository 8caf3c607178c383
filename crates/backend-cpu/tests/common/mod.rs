//! A small network of all kinds of layers, as a training program, and a run of it in f64.
#![allow(dead_code, reason = "each test uses a part")]

use std::collections::HashMap;
use std::sync::Arc;

use onestep_backend_cpu::{CpuExecutor, CpuOptions};
use onestep_engine::ops::{ConvWindow, LeafKind, PoolWindow};
use onestep_engine::reference::{Array, Context, evaluate};
use onestep_engine::*;
use onestep_memory::Tensor;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Reproducible numbers in `[-1, 1)`.
pub(crate) fn numbers(seed: u64, count: usize) -> Vec<f32> {
    (0..count as u64).map(|i| philox::uniform(seed, 0, 0, i) * 2.0 - 1.0).collect()
}

/// A training program with its state.
pub(crate) struct Model {
    pub(crate) program: Program,
    pub(crate) layout: StateLayout,
}

/// Gradient descent with momentum, and the gradient's norm as a report.
fn update(group: &ParameterGroup) -> Result<UpdateGraph> {
    let mut update = UpdateGraph::default();
    update.group(group)?;
    let old = update.state(group, "momentum_buffer")?;
    let (parameter, gradient) = (update.groups[0].parameter, update.groups[0].gradient);
    let g = &mut update.graph;
    let square = g.square(gradient)?;
    let sum = g.sum_all(square)?;
    let norm = g.sqrt(sum)?;
    let decayed = g.scale(old, 0.9)?;
    let new = g.add(decayed, gradient)?;
    let lr = g.scalar("lr")?;
    let change = g.mul(new, lr)?;
    update.groups[0].new_parameter = g.sub(parameter, change)?;
    let kind = "momentum_buffer".to_owned();
    update.groups[0].states.push(StateUpdate {
        kind,
        shape: StateShape::Element,
        old,
        new,
        initial: 0.0,
    });
    update.reports.push(Named::new("grad_norm", norm));
    Ok(update)
}

fn batch_norm(g: &mut Graph, x: Value, updates: &mut Vec<Named>) -> Result<Value> {
    let channels = g.shape(x)[1];
    let mean = g.mean(x, &[0, 2, 3], true)?;
    let centred = g.sub(x, mean)?;
    let square = g.square(centred)?;
    let variance = g.mean(square, &[0, 2, 3], true)?;
    let shifted = g.offset(variance, 1e-5)?;
    let inverse = g.rsqrt(shifted)?;
    let normal = g.mul(centred, inverse)?;
    let running = g.state("bn.running_mean", &[channels])?;
    let kept = g.scale(running, 0.9)?;
    let flat = g.reshape(mean, &[channels])?;
    let fresh = g.scale(flat, 0.1)?;
    updates.push(Named::new("bn.running_mean", g.add(kept, fresh)?));
    let weight = g.parameter("bn.weight", &[channels])?;
    let weight = g.reshape(weight, &[channels, 1, 1])?;
    Ok(g.mul(normal, weight)?)
}

/// The network for pictures `[batch, 3, size, size]` of five classes.
pub(crate) fn network(batch: usize, size: usize, mode: Mode) -> Result<Model> {
    let mut g = Graph::new();
    let mut updates = Vec::new();
    let x = g.input("input", &[batch, 3, size, size], DType::F32)?;
    let labels = g.input("target", &[batch], DType::I32)?;
    let window = ConvWindow { pad_low: [1; 2], pad_high: [1; 2], ..ConvWindow::default() };
    let w = g.parameter("conv1.weight", &[8, 3, 3, 3])?;
    let b = g.parameter("conv1.bias", &[8, 1, 1])?;
    let y = g.conv(x, w, window)?;
    let y = g.add(y, b)?;
    let y = batch_norm(&mut g, y, &mut updates)?;
    let stem = g.relu(y)?;
    let w = g.parameter("conv2.weight", &[8, 4, 3, 3])?;
    let y = g.conv(stem, w, ConvWindow { groups: 2, ..window })?;
    let y = g.add(y, stem)?;
    let y = g.tanh(y)?;
    if mode == Mode::Train {
        let uniform = g.random_uniform(&[batch, 8, size, size])?;
        let p = g.constant(0.3)?;
        let mask = g.ge(uniform, p)?;
        let y2 = g.mul(y, mask)?;
        return finish(g, y2, labels, updates, mode);
    }
    finish(g, y, labels, updates, mode)
}

fn finish(mut g: Graph, y: Value, labels: Value, updates: Vec<Named>, mode: Mode) -> Result<Model> {
    let none = [0; 2];
    let pool = PoolWindow {
        size: [2; 2],
        stride: [2; 2],
        pad_low: none,
        pad_high: none,
        dilation: [1; 2],
    };
    let a = g.max_pool(y, pool)?;
    let w = g.parameter("conv3.weight", &[8, 8, 3, 3])?;
    let window =
        ConvWindow { stride: [2; 2], pad_low: [1; 2], pad_high: none, ..Default::default() };
    let b = g.conv(y, w, window)?;
    let y = g.concat(&[a, b], 1)?;
    let (batch, features) = (g.shape(y)[0], g.shape(y).dims()[1..].iter().product());
    let y = g.reshape(y, &[batch, features])?;
    let w = g.parameter("fc.weight", &[features, 5])?;
    let b = g.parameter("fc.bias", &[5])?;
    let y = g.matmul(y, w)?;
    let logits = g.add(y, b)?;
    let predicted = g.argmax(logits, 1)?;
    let rows = g.cross_entropy(logits, labels, 0.1)?;
    let loss = g.mean_all(rows)?;
    let parameters =
        g.leaves(LeafKind::Parameter).map(|(n, v)| ParameterInfo::new(n, g.shape(v).clone()));
    let group = ParameterGroup::new("all", parameters.collect());
    let states: Vec<StateInfo> = g
        .leaves(LeafKind::State)
        .map(|(n, v)| StateInfo { name: n.into(), shape: g.shape(v).clone(), initial: 0.5 })
        .collect();
    let update = update(&group)?;
    let groups = [group];
    let layout = StateLayout::new(&groups, &states, Some(&update))?;
    let program = Program {
        mode,
        graph: g,
        loss: Some(loss),
        outputs: vec![Named::new("logits", logits), Named::new("predicted", predicted)],
        reports: Vec::new(),
        state_updates: updates,
        groups: groups.into(),
        update: Some(Arc::new(update)),
        weights: None,
        keep_gradients: mode == Mode::Train,
        accumulation: None,
    };
    Ok(Model { program, layout })
}

/// Two dense layers, of which the first is large enough for a group of its own, with plain
/// gradient descent.
pub(crate) fn perceptron(keep_gradients: bool) -> Result<Model> {
    let mut g = Graph::new();
    let x = g.input("input", &[48, 260], DType::F32)?;
    let labels = g.input("target", &[48], DType::I32)?;
    let w = g.parameter("fc1.weight", &[260, 150])?;
    let y = g.matmul(x, w)?;
    let y = g.tanh(y)?;
    let w = g.parameter("fc2.weight", &[150, 5])?;
    let logits = g.matmul(y, w)?;
    let rows = g.cross_entropy(logits, labels, 0.0)?;
    let loss = g.mean_all(rows)?;
    let parameters =
        g.leaves(LeafKind::Parameter).map(|(n, v)| ParameterInfo::new(n, g.shape(v).clone()));
    let groups = ParameterGroup::new("all", parameters.collect()).split_large(1000);
    let mut update = UpdateGraph::default();
    for (i, group) in groups.iter().enumerate() {
        update.group(group)?;
        let (parameter, gradient) = (update.groups[i].parameter, update.groups[i].gradient);
        let lr = update.graph.scalar("lr")?;
        let change = update.graph.mul(gradient, lr)?;
        update.groups[i].new_parameter = update.graph.sub(parameter, change)?;
    }
    let layout = StateLayout::new(&groups, &[], Some(&update))?;
    let program = Program {
        mode: Mode::Train,
        graph: g,
        loss: Some(loss),
        outputs: vec![Named::new("logits", logits)],
        reports: Vec::new(),
        state_updates: Vec::new(),
        groups: groups.into(),
        update: Some(Arc::new(update)),
        weights: None,
        keep_gradients,
        accumulation: None,
    };
    Ok(Model { program, layout })
}

/// A model on an executor, with one batch.
pub(crate) struct Bench {
    pub(crate) executor: CpuExecutor,
    pub(crate) state: StateTable,
    pub(crate) step: Box<dyn Step>,
    pub(crate) feeds: Vec<Tensor>,
    pub(crate) scalars: Scalars,
}

impl Bench {
    pub(crate) fn new(model: &Model, options: CpuOptions) -> Result<Bench> {
        let mut executor = CpuExecutor::new(options)?;
        let state = StateTable::new(model.layout.clone(), executor.memory())?;
        for (i, entry) in model.layout.entries().iter().enumerate() {
            if entry.kind == StateKind::Parameter {
                let scaled = numbers(i as u64, entry.shape.elements());
                let scaled: Vec<f32> = scaled.iter().map(|x| x * 0.3).collect();
                state.write(&entry.name, &scaled)?;
            }
        }
        let step = executor.compile(&model.program, &state)?;
        let graph = &model.program.graph;
        let mut feeds = Vec::new();
        for (_, value) in graph.leaves(LeafKind::Input) {
            let ty = graph.type_of(value);
            let count = ty.shape.elements();
            feeds.push(match ty.dtype {
                DType::I32 => {
                    let labels: Vec<i32> = (0..count as i32).map(|i| i % 5).collect();
                    executor.memory().from_slice(ty.shape.clone(), &labels)?
                }
                _ => executor.memory().from_slice(ty.shape.clone(), &numbers(99, count))?,
            });
        }
        let mut scalars = Scalars::new(7);
        scalars.set("lr", 0.05);
        Ok(Bench { executor, state, step, feeds, scalars })
    }

    /// Runs one step and gives its scalars.
    pub(crate) fn submit(&mut self) -> Result<Reports> {
        let ticket = self.step.submit(Feeds::new(&self.feeds), &self.scalars)?;
        self.scalars.step += 1;
        Ok(ticket.wait()?)
    }

    /// All bits of the state.
    pub(crate) fn bits(&self) -> Result<Vec<u32>> {
        let mut bits = Vec::new();
        for tensor in self.state.tensors() {
            bits.extend(tensor.read::<f32>()?.iter().map(|x| x.to_bits()));
        }
        Ok(bits)
    }
}

/// Values by name.
pub(crate) type Values = Vec<(String, Vec<f64>)>;

/// The same steps in f64.
pub(crate) struct Reference {
    step: StepGraph,
    leaves: HashMap<String, Array>,
    context: Context,
}

impl Reference {
    pub(crate) fn new(model: &Model, bench: &Bench) -> Result<Reference> {
        let step = StepGraph::new(&model.program, &model.layout)?;
        let mut leaves = HashMap::new();
        for (buffer, tensor) in model.layout.buffers().iter().zip(bench.state.tensors()) {
            let data: Vec<f64> = tensor.read::<f32>()?.into_iter().map(f64::from).collect();
            leaves.insert(buffer.name.clone(), data);
        }
        let names = model.program.graph.leaves(LeafKind::Input).map(|(name, _)| name);
        for (name, tensor) in names.zip(&bench.feeds) {
            let data: Vec<f64> = match tensor.dtype() {
                DType::I32 => tensor.read::<i32>()?.into_iter().map(f64::from).collect(),
                _ => tensor.read::<f32>()?.into_iter().map(f64::from).collect(),
            };
            leaves.insert(name.to_owned(), data);
        }
        leaves.insert("lr".to_owned(), vec![f64::from(0.05f32)]);
        let mut arrays = HashMap::new();
        for kind in [LeafKind::Input, LeafKind::State, LeafKind::Scalar] {
            for (name, value) in step.graph.leaves(kind) {
                if let Some(data) = leaves.remove(name) {
                    let shape = step.graph.shape(value).clone();
                    arrays.insert(name.to_owned(), Array::new(shape, data)?);
                }
            }
        }
        let context = Context { seed: bench.scalars.seed, step: bench.scalars.step };
        Ok(Reference { step, leaves: arrays, context })
    }

    /// One step: its reports, its outputs, and its new state by name.
    pub(crate) fn submit(&mut self) -> Result<[Values; 3]> {
        let step = &self.step;
        let lists = [&step.reports, &step.outputs, &step.writes];
        let targets: Vec<Value> = lists.iter().flat_map(|l| l.iter().map(|n| n.value)).collect();
        let mut values = evaluate(&step.graph, &self.leaves, &self.context, &targets)?.into_iter();
        let named = lists.map(|list| -> Values {
            list.iter().zip(&mut values).map(|(n, array)| (n.name.clone(), array.data)).collect()
        });
        for (name, data) in &named[2] {
            if let Some(array) = self.leaves.get_mut(name) {
                array.data.clone_from(data);
            }
        }
        self.context.step += 1;
        Ok(named)
    }
}
