//! Training programs for tests of plans.

use std::sync::Arc;

use onestep_engine::ops::{ConvWindow, LeafKind, PoolWindow};
use onestep_engine::plan::compile;
use onestep_engine::*;

pub(crate) type Result<T> = std::result::Result<T, GraphError>;

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
        entry.states.push(StateUpdate { kind, shape: StateShape::Element, old, new, initial: 0.0 });
    }
    Ok(update)
}

pub(crate) struct Model {
    pub(crate) program: Program,
    pub(crate) states: Vec<StateInfo>,
}

impl Model {
    pub(crate) fn layout(&self) -> StateLayout {
        let Program { groups, update, accumulation, .. } = &self.program;
        let layout = StateLayout::new(groups, &self.states, update.as_deref()).unwrap();
        match (accumulation, update) {
            (Some(_), Some(update)) => layout.accumulating(groups, update).unwrap(),
            _ => layout,
        }
    }

    pub(crate) fn plan(&self) -> Plan {
        compile(&self.program, &self.layout(), None).unwrap()
    }
}

/// Wraps a graph and its loss into a training program; weights and biases in groups of their own.
pub(crate) fn training(
    graph: Graph,
    output: Value,
    loss: Value,
    updates: Vec<Named>,
) -> Result<Model> {
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
        weights: None,
        keep_gradients: true,
        accumulation: None,
    };
    Ok(Model { program, states })
}

/// In the form of the layer: two passes, and a running mean.
fn batch_norm(g: &mut Graph, x: Value, name: &str, updates: &mut Vec<Named>) -> Result<Value> {
    let channels = g.shape(x).dims()[1];
    let mean = g.mean(x, &[0, 2, 3], true)?;
    let variance = g.variance(x, mean, &[0, 2, 3])?;
    let centred = g.sub(x, mean)?;
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

pub(crate) fn conv_net() -> Result<Model> {
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
pub(crate) fn attention() -> Result<Model> {
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

/// A chain of square products, each with a group of its own and plain descent.
pub(crate) fn products(layers: usize, size: usize) -> Result<Model> {
    let mut g = Graph::new();
    let mut x = g.input("input", &[size, size], DType::F32)?;
    for layer in 0..layers {
        let weight = g.parameter(&format!("fc{layer}.weight"), &[size, size])?;
        let y = g.matmul(x, weight)?;
        x = g.tanh(y)?;
    }
    let loss = g.mean_all(x)?;
    let mut model = training(g, x, loss, Vec::new())?;
    let groups: Vec<ParameterGroup> =
        model.program.groups.iter().flat_map(|group| group.clone().split_large(2)).collect();
    let mut update = UpdateGraph::default();
    for (i, group) in groups.iter().enumerate() {
        let (parameter, gradient) = {
            let of = update.group(group)?;
            (of.parameter, of.gradient)
        };
        let lr = update.graph.scalar("lr")?;
        let change = update.graph.mul(gradient, lr)?;
        update.groups[i].new_parameter = update.graph.sub(parameter, change)?;
    }
    model.program.groups = groups.into();
    model.program.update = Some(Arc::new(update));
    model.program.keep_gradients = false;
    Ok(model)
}

/// A group with state of every shape, and a frozen one.
pub(crate) fn shaped_states() -> Result<Model> {
    let mut g = Graph::new();
    let x = g.input("input", &[2, 3], DType::F32)?;
    let scale = g.parameter("scale", &[3])?;
    let w = g.parameter("fc.weight", &[3, 4])?;
    let b = g.parameter("fc.bias", &[4])?;
    let x = g.mul(x, scale)?;
    let y = g.matmul(x, w)?;
    let y = g.add(y, b)?;
    let y = g.tanh(y)?;
    let loss = g.mean_all(y)?;
    let mut model = training(g, y, loss, Vec::new())?;
    let group = ParameterGroup::new(
        "all",
        vec![
            ParameterInfo::new("fc.weight", Shape::from([3, 4])),
            ParameterInfo::new("fc.bias", Shape::from([4])),
        ],
    );
    let frozen = ParameterGroup::new("frozen", vec![ParameterInfo::new("scale", Shape::from([3]))]);
    model.program.update = Some(Arc::new(shaped_update(&group)?));
    model.program.groups = vec![group, frozen].into();
    Ok(model)
}

fn shaped_update(group: &ParameterGroup) -> Result<UpdateGraph> {
    let mut update = UpdateGraph::default();
    let (parameter, gradient) = {
        let of = update.group(group)?;
        (of.parameter, of.gradient)
    };
    let shapes = [
        ("rows", StateShape::Rows),
        ("columns", StateShape::Columns),
        ("vectors", StateShape::Vectors),
        ("norm", StateShape::Tensor),
        ("ema", StateShape::Copy),
    ];
    let mut states = Vec::new();
    for (kind, shape) in shapes {
        let old = update.shaped_state(group, kind, shape)?;
        states.push(StateUpdate { kind: kind.to_owned(), shape, old, new: old, initial: 0.25 });
    }
    let d = update.shared("d.run", 1.0)?.old;
    let g = &mut update.graph;
    let square = g.square(gradient)?;
    let matrix = g.slice_axis(square, 0, 0, 12)?;
    let matrix = g.reshape(matrix, &[3, 4])?;
    let vector = g.slice_axis(square, 0, 12, 16)?;
    let rows = g.mean(matrix, &[1], false)?;
    let columns = g.mean(matrix, &[0], false)?;
    let norms = [g.sum_all(matrix)?, g.sum_all(vector)?];
    let norms = [g.reshape(norms[0], &[1])?, g.reshape(norms[1], &[1])?];
    let norms = g.concat(&norms, 0)?;
    for (state, fresh) in states.iter_mut().zip([rows, columns, vector, norms, parameter]) {
        state.new = g.add(state.old, fresh)?;
    }
    let change = g.mul(gradient, d)?;
    let new_parameter = g.sub(parameter, change)?;
    let total = g.sum_all(states[3].new)?;
    let new_d = g.add(d, total)?;
    (update.groups[0].new_parameter, update.groups[0].states) = (new_parameter, states);
    update.shared[0].new = new_d;
    Ok(update)
}

/// The rows and columns of a table.
pub(crate) const TABLE: (usize, usize) = (900, 6);

/// Words of a table and a product, with a sum of squares as state and a clipped norm; perhaps with rows that are
/// halved before the step.
pub(crate) fn table(halved: bool) -> Result<Model> {
    let mut g = Graph::new();
    let (x, words) =
        (g.input("x", &[2, 4], DType::I32)?, g.parameter("table", &[TABLE.0, TABLE.1])?);
    let mut y = g.gather(words, x)?;
    let mut updates = Vec::new();
    if halved {
        let half = g.scale(y, 0.5)?;
        y = g.straight_through(half, y)?;
        let (flat, half) = (g.reshape(x, &[8])?, g.reshape(half, &[8, TABLE.1])?);
        updates.push(Named::new("table", g.set_rows(words, flat, half)?));
    }
    let y = g.reshape(y, &[8, TABLE.1])?;
    let squares = g.square(y)?;
    let loss = g.mean_all(squares)?;
    let info = ParameterInfo::new("table", Shape::from([TABLE.0, TABLE.1]));
    let groups = [ParameterGroup::new("all", vec![info])];
    let mut update = UpdateGraph::default();
    let (gradient, parameter) = {
        let group = update.group(&groups[0])?;
        (group.gradient, group.parameter)
    };
    let old = update.state(&groups[0], "sum")?;
    let u = &mut update.graph;
    let square = u.square(gradient)?;
    let norm = u.sum_all(square)?;
    let ceiling = u.offset(norm, 1.0)?;
    let clipped = u.div(gradient, ceiling)?;
    let square = u.square(clipped)?;
    let new = u.add(old, square)?;
    let root = u.offset(new, 2.0)?;
    let change = u.div(clipped, root)?;
    update.groups[0].new_parameter = u.sub(parameter, change)?;
    let kind = "sum".to_owned();
    let state = StateUpdate { kind, shape: StateShape::Element, old, new, initial: 0.0 };
    update.groups[0].states.push(state);
    let program = Program {
        mode: Mode::Train,
        loss: Some(loss),
        state_updates: updates,
        groups: groups.to_vec().into(),
        update: Some(Arc::new(update)),
        ..Program::predict(g, Vec::new())
    };
    Ok(Model { program, states: Vec::new() })
}
