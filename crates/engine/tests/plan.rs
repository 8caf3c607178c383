//! A plan must compute what the step's graph means: each program is planned and interpreted in
//! the planned memory, and evaluated directly in f64, for several steps in a row.

mod common;

use std::collections::HashMap;
use std::sync::Arc;

use common::{Machine, array};
use onestep_engine::ops::{ConvWindow, LeafKind, PoolWindow};
use onestep_engine::plan::{Region, compile};
use onestep_engine::reference::{Array, Context, evaluate};
use onestep_engine::*;
use proptest::prelude::*;

type Result<T> = std::result::Result<T, GraphError>;

/// SGD with momentum and a clipped global norm: reads and writes two state buffers a group.
fn momentum_update(groups: &[ParameterGroup]) -> Result<UpdateGraph> {
    let mut update = UpdateGraph::default();
    let mut total = update.graph.constant(0.0)?;
    for group in groups {
        let gradient = update.group(group)?.gradient;
        let square = update.graph.square(gradient)?;
        let sum = update.graph.sum_all(square)?;
        total = update.graph.add(total, sum)?;
    }
    let norm = update.graph.sqrt(total)?;
    update.reports.push(Named::new("grad_norm", norm));
    for (i, group) in groups.iter().enumerate() {
        let old = update.state(group, "momentum_buffer")?;
        let (parameter, gradient) = (update.groups[i].parameter, update.groups[i].gradient);
        let g = &mut update.graph;
        let ceiling = g.offset(norm, 1.0)?;
        let clipped = g.div(gradient, ceiling)?;
        let decayed = g.scale(old, 0.9)?;
        let new = g.add(decayed, clipped)?;
        let lr = g.scalar("lr")?;
        let change = g.mul(new, lr)?;
        let new_parameter = g.sub(parameter, change)?;
        let entry = &mut update.groups[i];
        entry.new_parameter = new_parameter;
        let kind = "momentum_buffer".to_owned();
        entry.states.push(StateUpdate { kind, old, new, initial: 0.0 });
    }
    Ok(update)
}

struct Model {
    program: Program,
    states: Vec<StateInfo>,
}

/// Wraps a graph and its loss into a training program; weights and biases in groups of their own.
fn training(graph: Graph, output: Value, loss: Value, updates: Vec<Named>) -> Result<Model> {
    let all: Vec<ParameterInfo> = graph
        .leaves(LeafKind::Parameter)
        .map(|(name, value)| ParameterInfo::new(name, graph.shape(value).clone()))
        .collect();
    let (matrices, vectors): (Vec<_>, Vec<_>) = all.into_iter().partition(|p| p.shape.rank() > 1);
    let groups = [("decay", matrices), ("rest", vectors)];
    let groups: Vec<ParameterGroup> = groups
        .into_iter()
        .filter(|(_, parameters)| !parameters.is_empty())
        .map(|(name, parameters)| ParameterGroup::new(name, parameters))
        .collect();
    let states = graph
        .leaves(LeafKind::State)
        .map(|(name, v)| StateInfo {
            name: name.into(),
            shape: graph.shape(v).clone(),
            initial: 0.5,
        })
        .collect();
    let update = Some(Arc::new(momentum_update(&groups)?));
    let outputs = vec![Named::new("output", output)];
    let program = Program {
        mode: Mode::Train,
        graph,
        loss: Some(loss),
        outputs,
        reports: Vec::new(),
        state_updates: updates,
        groups: groups.into(),
        update,
        keep_gradients: true,
    };
    Ok(Model { program, states })
}

fn batch_norm(g: &mut Graph, x: Value, name: &str, updates: &mut Vec<Named>) -> Result<Value> {
    let channels = g.shape(x).dims()[1];
    let mean = g.mean(x, &[0, 2, 3], true)?;
    let centred = g.sub(x, mean)?;
    let square = g.square(centred)?;
    let variance = g.mean(square, &[0, 2, 3], true)?;
    let shifted = g.offset(variance, 1e-5)?;
    let inverse = g.rsqrt(shifted)?;
    let normal = g.mul(centred, inverse)?;
    let running = g.state(&format!("{name}.running_mean"), &[channels])?;
    let kept = g.scale(running, 0.9)?;
    let flat = g.reshape(mean, &[channels])?;
    let fresh = g.scale(flat, 0.1)?;
    let new = g.add(kept, fresh)?;
    updates.push(Named::new(format!("{name}.running_mean"), new));
    let weight = g.parameter(&format!("{name}.weight"), &[channels])?;
    let weight = g.reshape(weight, &[channels, 1, 1])?;
    g.mul(normal, weight)
}

fn conv_net() -> Result<Model> {
    let mut g = Graph::new();
    let mut updates = Vec::new();
    let x = g.input("input", &[2, 3, 6, 6], DType::F32)?;
    let labels = g.input("target", &[2], DType::I32)?;
    let window = ConvWindow { pad_low: [1; 2], pad_high: [1; 2], ..ConvWindow::default() };
    let w = g.parameter("conv1.weight", &[4, 3, 3, 3])?;
    let b = g.parameter("conv1.bias", &[4])?;
    let y = g.conv(x, w, window)?;
    let b = g.reshape(b, &[4, 1, 1])?;
    let y = g.add(y, b)?;
    let y = batch_norm(&mut g, y, "bn1", &mut updates)?;
    let stem = g.relu(y)?;
    let w = g.parameter("conv2.weight", &[4, 4, 3, 3])?;
    let y = g.conv(stem, w, window)?;
    let y = batch_norm(&mut g, y, "bn2", &mut updates)?;
    let y = g.add(y, stem)?;
    let y = g.relu(y)?;
    let uniform = g.random_uniform(&[2, 4, 6, 6])?;
    let p = g.constant(0.3)?;
    let mask = g.ge(uniform, p)?;
    let y = g.mul(y, mask)?;
    let pool = PoolWindow {
        size: [2; 2],
        stride: [2; 2],
        pad_low: [0; 2],
        pad_high: [0; 2],
        dilation: [1; 2],
    };
    let a = g.max_pool(y, pool)?;
    let b = g.sum_pool(y, pool)?;
    let y = g.concat(&[a, b], 1)?;
    let y = g.reshape(y, &[2, 72])?;
    let w = g.parameter("fc.weight", &[72, 5])?;
    let b = g.parameter("fc.bias", &[5])?;
    let y = g.matmul(y, w)?;
    let logits = g.add(y, b)?;
    let rows = g.cross_entropy(logits, labels, 0.1)?;
    let loss = g.mean_all(rows)?;
    training(g, logits, loss, updates)
}

/// Transposed views, a softmax, a gather and a state that is swapped with another.
fn attention() -> Result<Model> {
    let mut g = Graph::new();
    let ids = g.input("input", &[2, 4], DType::I32)?;
    let table = g.parameter("embedding.weight", &[5, 6])?;
    let x = g.gather(table, ids)?;
    let heads = g.reshape(x, &[2, 4, 2, 3])?;
    let heads = g.permute(heads, &[0, 2, 1, 3])?;
    let scores = g.matmul_with(heads, heads, false, true)?;
    let weights = g.softmax(scores, 3)?;
    let mixed = g.matmul(weights, heads)?;
    let mixed = g.permute(mixed, &[0, 2, 1, 3])?;
    let flat = g.reshape(mixed, &[8, 6])?;
    let w = g.parameter("out.weight", &[6, 6])?;
    let y = g.matmul(flat, w)?;
    let padded = g.pad(y, &[1, 0], &[0, 2], 0.25)?;
    let squashed = g.tanh(padded)?;
    let loss = g.mean_all(squashed)?;
    let a = g.state("a", &[3])?;
    let b = g.state("b", &[3])?;
    let doubled = g.scale(a, 2.0)?;
    let updates = vec![Named::new("a", b), Named::new("b", doubled)];
    training(g, y, loss, updates)
}

/// The value of every leaf of the step graph, by name.
fn leaves_of(step: &StepGraph, layout: &StateLayout) -> HashMap<String, Array> {
    let mut leaves = HashMap::new();
    for (seed, (name, value)) in step.graph.leaves(LeafKind::Input).enumerate() {
        let ty = step.graph.type_of(value);
        let mut data = array(seed as u64 + 100, &ty.shape);
        if ty.dtype == DType::I32 {
            data.data.iter_mut().for_each(|x| *x = ((*x + 1.0) * 2.5).floor());
        }
        leaves.insert(name.to_owned(), data);
    }
    for (name, _) in step.graph.leaves(LeafKind::Scalar) {
        leaves.insert(name.to_owned(), Array::new(Shape::scalar(), vec![0.1]).unwrap());
    }
    for (seed, buffer) in layout.buffers().iter().enumerate() {
        let flat = Shape::new(&[buffer.elements]).unwrap();
        let leaf = step.graph.find_leaf(&buffer.name);
        let shape = leaf.map_or(&flat, |leaf| step.graph.shape(leaf));
        leaves.insert(buffer.name.clone(), array(seed as u64, shape));
    }
    leaves
}

fn check(model: &Model) {
    let update = model.program.update.as_deref();
    let layout = StateLayout::new(&model.program.groups, &model.states, update).unwrap();
    let step = StepGraph::new(&model.program, &layout).unwrap();
    let plan = compile(&model.program, &layout, None).unwrap_or_else(|e| panic!("{e}"));
    let mut leaves = leaves_of(&step, &layout);
    let mut state: Vec<Vec<f64>> =
        layout.buffers().iter().map(|b| leaves[&b.name].data.clone()).collect();
    for number in 1..=3 {
        let context = Context { seed: 9, step: number };
        let roots = step.writes.iter().chain(&step.reports).chain(&step.outputs);
        let targets: Vec<Value> = roots.map(|n| n.value).collect();
        let wanted = evaluate(&step.graph, &leaves, &context, &targets).unwrap();

        let mut machine = Machine::new(&plan, context);
        for (i, feed) in plan.feeds.iter().enumerate() {
            machine.regions.insert(Region::Feed(i), leaves[&feed.name].data.clone());
        }
        let scalars = plan.scalars.iter().map(|name| leaves[name].data[0]).collect();
        machine.regions.insert(Region::Scalars, scalars);
        for (i, data) in state.iter().enumerate() {
            machine.regions.insert(Region::State(i), data.clone());
        }
        machine.run();

        let (writes, rest) = wanted.split_at(step.writes.len());
        for (named, want) in plan.reports.iter().chain(&plan.outputs).zip(rest) {
            close(&named.name, &machine.read(&named.place).data, &want.data);
        }
        for (i, name) in plan.states.iter().enumerate() {
            state[i] = machine.regions[&Region::State(i)].clone();
            if let Some(at) = step.writes.iter().position(|w| w.name == *name) {
                close(name, &state[i], &writes[at].data);
                leaves.insert(name.clone(), writes[at].clone());
            }
        }
    }
}

fn close(name: &str, got: &[f64], want: &[f64]) {
    assert_eq!(got.len(), want.len(), "{name}");
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        // Both sides are f64, but the plan rounds the constants that it folds to f32, as any
        // executor would: half a unit in the 24th place each, a few in a chain.
        assert!((g - w).abs() <= 1e-6 * (1.0 + w.abs()), "{name}[{i}]: got {g}, wanted {w}");
    }
}

#[test]
fn a_convolutional_network_is_planned_right() {
    check(&conv_net().unwrap());
}

#[test]
fn views_and_swapped_states_are_planned_right() {
    check(&attention().unwrap());
}

#[test]
fn the_update_is_one_pass_a_group_in_place() {
    let model = conv_net().unwrap();
    let update = model.program.update.as_deref();
    let layout = StateLayout::new(&model.program.groups, &model.states, update).unwrap();
    let plan = compile(&model.program, &layout, None).unwrap();
    for group in model.program.groups.iter() {
        let names =
            [format!("parameter.{}", group.name), format!("momentum_buffer.{}", group.name)];
        let regions =
            names.map(|n| Region::State(plan.states.iter().position(|s| *s == n).unwrap()));
        let writers: Vec<usize> = regions
            .iter()
            .flat_map(|region| {
                let kernels = plan.kernels.iter().enumerate();
                let writing =
                    kernels.filter(|(_, k)| k.writes().iter().any(|p| p.region == *region));
                writing.map(|(i, _)| i).collect::<Vec<_>>()
            })
            .collect();
        assert_eq!(writers.len(), 2, "each buffer is written once");
        assert_eq!(writers[0], writers[1], "both by the same kernel");
    }
}

#[test]
fn activations_share_memory() {
    let model = conv_net().unwrap();
    let mut program = model.program.clone();
    program.keep_gradients = false;
    let update = program.update.as_deref();
    let layout = StateLayout::new(&program.groups, &model.states, update).unwrap();
    let plan = compile(&program, &layout, None).unwrap();
    assert!(plan.footprint.arena < plan.footprint.unshared, "{}", plan.footprint);
}

#[test]
fn a_budget_below_the_peak_is_refused_and_one_at_the_peak_is_not() {
    let model = conv_net().unwrap();
    let update = model.program.update.as_deref();
    let layout = StateLayout::new(&model.program.groups, &model.states, update).unwrap();
    let peak = compile(&model.program, &layout, None).unwrap().footprint.peak();
    assert!(compile(&model.program, &layout, Some(peak)).is_ok());
    let error = compile(&model.program, &layout, Some(peak - 1)).unwrap_err();
    assert!(matches!(error, EngineError::OverBudget { needed, .. } if needed == peak), "{error}");
}

#[test]
fn training_without_a_rule_is_refused() {
    let mut model = conv_net().unwrap();
    let layout = StateLayout::new(&model.program.groups, &model.states, None).unwrap();
    model.program.update = None;
    let error = compile(&model.program, &layout, None).unwrap_err().to_string();
    assert!(error.contains("train") && error.contains("update rule"), "{error}");
}

/// One random op on values of shape `[a, b]`, `[a, 1]`, `[1, b]` and their kin.
fn grow(g: &mut Graph, values: &mut Vec<Value>, choice: u8, i: usize, j: usize) -> Result<()> {
    let (x, y) = (values[i % values.len()], values[j % values.len()]);
    let rank = g.shape(x).rank();
    let new = match choice {
        0 => g.tanh(x)?,
        1 => g.relu(x)?,
        2 => g.sigmoid(x)?,
        3..=5 => match g.add(x, y) {
            Ok(sum) => g.tanh(sum)?,
            Err(_) => g.neg(x)?,
        },
        6 | 7 => match g.mul(x, y) {
            Ok(product) => product,
            Err(_) => g.cos(x)?,
        },
        8 => g.mean(x, &[0], true)?,
        9 => g.mean(x, &[rank - 1], true)?,
        10 => g.permute(x, &[1, 0])?,
        11 => {
            let dims = g.shape(x).dims().to_vec();
            g.reshape(x, &[dims[1], dims[0]])?
        }
        12 => match g.concat(&[x, y], 0) {
            Ok(both) => g.slice_axis(both, 0, 1, 1 + g.shape(x).dims()[0])?,
            Err(_) => g.sin(x)?,
        },
        13 => g.softmax(x, rank - 1)?,
        14 => g.matmul_with(x, x, false, true)?,
        _ => {
            let dims = g.shape(x).dims().to_vec();
            let padded = g.pad(x, &[1, 0], &[0, 1], 0.5)?;
            g.slice(padded, &[0, 1], &[dims[0], dims[1] + 1])?
        }
    };
    values.push(new);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn random_programs_are_planned_right(
        rows in 1usize..5,
        columns in 1usize..5,
        picks in prop::collection::vec((0u8..16, 0usize..50, 0usize..50), 1..60),
    ) {
        let mut g = Graph::new();
        let x = g.input("input", &[rows, columns], DType::F32).unwrap();
        let w = g.parameter("w", &[rows, columns]).unwrap();
        let b = g.parameter("b", &[columns]).unwrap();
        let s = g.state("s", &[rows, columns]).unwrap();
        let b = g.reshape(b, &[1, columns]).unwrap();
        let mut values = vec![x, w, b, s];
        for (choice, i, j) in picks {
            grow(&mut g, &mut values, choice, i, j).unwrap();
        }
        let last = values[values.len() - 1];
        let square = g.square(last).unwrap();
        let loss = g.mean_all(square).unwrap();
        let same = |v: &&Value| g.shape(**v).dims() == [rows, columns];
        let new_state = values.iter().rev().find(same).copied().unwrap();
        let updates = vec![Named::new("s", new_state)];
        check(&training(g, last, loss, updates).unwrap());
    }
}
