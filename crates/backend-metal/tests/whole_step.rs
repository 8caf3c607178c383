//! A whole step against the engine's f64 evaluator of the same graph: loss, gradients and new state of a
//! network whose backward pass goes through every kind of op that has a gradient op of its own.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;

use onestep_backend_metal::{ConvolutionPath, MetalExecutor, MetalOptions};
use onestep_engine::ops::{ConvWindow, LeafKind, PoolWindow};
use onestep_engine::reference::{Array, Context, evaluate};
use onestep_engine::{
    DType, Executor, Feeds, Graph, Mode, Named, ParameterGroup, ParameterInfo, Program, Scalars,
    StateInfo, StateLayout, StateTable, StateUpdate, StepGraph, UpdateGraph, Value, philox,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const WINDOW: ConvWindow =
    ConvWindow { stride: [1, 1], pad_low: [1, 1], pad_high: [1, 1], dilation: [1, 1], groups: 1 };
const POOL: PoolWindow = PoolWindow {
    size: [2, 2],
    stride: [2, 2],
    pad_low: [0, 0],
    pad_high: [0, 0],
    dilation: [1, 1],
};

/// Two convolutions with a residual, both poolings, a product, an embedding, rows and reductions.
fn forward(g: &mut Graph) -> Result<(Value, Value)> {
    let x = g.input("x", &[3, 2, 8, 8], DType::F32)?;
    let labels = g.input("labels", &[3], DType::I32)?;
    let (w1, b1) = (g.parameter("w1", &[4, 2, 3, 3])?, g.parameter("b1", &[4, 1, 1])?);
    let w2 = g.parameter("w2", &[4, 4, 3, 3])?;
    let y = g.conv(x, w1, WINDOW)?;
    let y = g.add(y, b1)?;
    let h = g.relu(y)?;
    let h = g.max_pool(h, POOL)?;
    let z = g.conv(h, w2, WINDOW)?;
    let z = g.add(z, h)?;
    let mean = g.state("mean", &[4])?;
    let batch = g.mean(z, &[0, 2, 3], false)?;
    let moved = g.add(mean, batch)?;
    let z = g.sum_pool(z, POOL)?;
    let flat = g.reshape(z, &[3, 16])?;
    let table = g.parameter("table", &[5, 16])?;
    let row = g.gather(table, labels)?;
    let flat = g.mul(flat, row)?;
    let (fc, b) = (g.parameter("fc", &[16, 5])?, g.parameter("b", &[5])?);
    let logits = g.matmul(flat, fc)?;
    let logits = g.add(logits, b)?;
    let rows = g.cross_entropy(logits, labels, 0.1)?;
    let loss = g.mean_all(rows)?;
    let deep = g.reshape(fc, &[2, 2, 2, 2, 5])?;
    let high = g.max(deep, deep)?;
    let high = g.sum(high, &[0, 2, 4], true)?;
    let soft = g.softmax(high, 3)?;
    let soft = g.log_softmax(soft, 1)?;
    let soft = g.tanh(soft)?;
    let small = g.mean_all(soft)?;
    Ok((g.add(loss, small)?, moved))
}

/// Gradient descent with momentum.
fn update(group: &ParameterGroup) -> Result<UpdateGraph> {
    let mut update = UpdateGraph::default();
    update.group(group)?;
    let (parameter, gradient) = (update.groups[0].parameter, update.groups[0].gradient);
    let old = update.state(group, "momentum")?;
    let g = &mut update.graph;
    let (lr, keep) = (g.scalar("lr")?, g.constant(0.9)?);
    let kept = g.mul(old, keep)?;
    let new = g.add(kept, gradient)?;
    let change = g.mul(new, lr)?;
    update.groups[0].new_parameter = g.sub(parameter, change)?;
    let mut state =
        StateUpdate { kind: "momentum".into(), old, new, initial: 0.0, shape: Default::default() };
    state.initial = 0.5;
    update.groups[0].states.push(state);
    Ok(update)
}

fn model() -> Result<(Program, StateLayout)> {
    let mut graph = Graph::new();
    let (loss, moved) = forward(&mut graph)?;
    let parameters = graph
        .leaves(LeafKind::Parameter)
        .map(|(name, value)| ParameterInfo::new(name, graph.shape(value).clone()));
    let group = ParameterGroup::new("all", parameters.collect());
    let update = update(&group)?;
    let states = [StateInfo { name: "mean".into(), shape: [4].into(), initial: 0.25 }];
    let layout = StateLayout::new(std::slice::from_ref(&group), &states, Some(&update))?;
    let mut program = Program::predict(graph, Vec::new());
    program.mode = Mode::Train;
    program.loss = Some(loss);
    program.state_updates = vec![Named::new("mean", moved)];
    program.groups = vec![group].into();
    program.update = Some(Arc::new(update));
    program.keep_gradients = true;
    Ok((program, layout))
}

fn numbers(seed: u64, count: usize) -> Vec<f32> {
    (0..count as u64).map(|i| philox::uniform(seed, 0, 0, i) - 0.5).collect()
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&x| f64::from(x)).collect()
}

/// What the graph of the step means, by name: reports, outputs, and new contents of buffers.
fn expected(
    program: &Program,
    layout: &StateLayout,
    state: &StateTable,
) -> Result<HashMap<String, Vec<f64>>> {
    let step = StepGraph::new(program, layout)?;
    let mut leaves = HashMap::new();
    for (kind, name, value) in [LeafKind::Input, LeafKind::State, LeafKind::Scalar]
        .into_iter()
        .flat_map(|kind| step.graph.leaves(kind).map(move |(name, value)| (kind, name, value)))
    {
        let shape = step.graph.shape(value).clone();
        let data = match (kind, name) {
            (LeafKind::Scalar, _) => vec![f64::from(0.125f32)],
            (LeafKind::Input, "labels") => vec![1.0, 4.0, 1.0],
            (LeafKind::Input, _) => wide(&numbers(9, shape.elements())),
            _ => {
                let at = layout.buffers().iter().position(|buffer| buffer.name == name);
                wide(&state.tensors()[at.ok_or("no buffer")?].read::<f32>()?)
            }
        };
        leaves.insert(name.to_owned(), Array::new(shape, data)?);
    }
    let named: Vec<&Named> = step.reports.iter().chain(&step.outputs).chain(&step.writes).collect();
    let targets: Vec<Value> = named.iter().map(|named| named.value).collect();
    let values = evaluate(&step.graph, &leaves, &Context::default(), &targets)?;
    Ok(named.iter().map(|n| n.name.clone()).zip(values.into_iter().map(|a| a.data)).collect())
}

fn assert_close(name: &str, got: &[f32], wanted: &[f64]) {
    let largest = wanted.iter().fold(0.0f64, |m, x| m.max(x.abs()));
    assert_eq!(got.len(), wanted.len(), "{name}");
    for (&x, &y) in got.iter().zip(wanted) {
        assert!((f64::from(x) - y).abs() <= 2e-6 * (1.0 + largest), "{name}: {got:?}, {wanted:?}");
    }
}

#[test]
fn a_whole_step_is_what_its_graph_means() -> Result<()> {
    let (program, layout) = model()?;
    for path in [ConvolutionPath::Graph, ConvolutionPath::Hybrid] {
        for limit in [0, 1, 40_000] {
            let options = MetalOptions {
                convolution_path: path,
                flops_per_command_buffer: limit,
                ..MetalOptions::default()
            };
            let mut metal = MetalExecutor::new(&options)?;
            let state = StateTable::new(layout.clone(), metal.memory())?;
            for (i, entry) in layout.entries().iter().enumerate() {
                state.write(&entry.name, &numbers(i as u64, entry.shape.elements()))?;
            }
            let mut wanted = expected(&program, &layout, &state)?;
            let mut step = metal.compile(&program, &state)?;
            let x = metal.memory().from_slice([3, 2, 8, 8], &numbers(9, 384))?;
            let labels = metal.memory().from_slice([3], &[1i32, 4, 1])?;
            let mut scalars = Scalars::new(7);
            scalars.set("lr", 0.125);
            let reports = step.submit(Feeds::new(&[x, labels]), &scalars)?.wait()?;
            assert_close("loss", reports.values(), &wanted.remove("loss").ok_or("no loss")?);
            for (tensor, buffer) in state.tensors().iter().zip(layout.buffers()) {
                let new = wanted.remove(&buffer.name).ok_or_else(|| buffer.name.clone())?;
                assert_close(&buffer.name, &tensor.read::<f32>()?, &new);
            }
            assert_eq!(wanted.len(), 6, "the gradients are left");
            for (name, gradient) in wanted {
                assert_close(&name, &step.read_output(&name)?, &gradient);
            }
            let outside = if path == ConvolutionPath::Hybrid { " 2 " } else { " 0 " };
            assert!(step.dump().contains(&format!("{outside}convolutions outside")), "{path:?}");
        }
    }
    Ok(())
}
