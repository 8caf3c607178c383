//! Gradients of several batches, added up, make the step of one large batch.

mod common;

use std::sync::Arc;

use common::{Result, numbers};
use onestep_backend_cpu::{CpuExecutor, CpuOptions};
use onestep_engine::*;
use onestep_memory::Tensor;

const SAMPLES: usize = 12;
const WIDTH: usize = 5;

/// Adam (Kingma and Ba, 2015) or gradient descent, behind clipping by the norm.
fn update(groups: &[ParameterGroup], adam: bool) -> Result<UpdateGraph> {
    let mut update = UpdateGraph::default();
    let mut squares = update.graph.constant(0.0)?;
    for group in groups {
        let gradient = update.group(group)?.gradient;
        let square = update.graph.square(gradient)?;
        let sum = update.graph.sum_all(square)?;
        squares = update.graph.add(squares, sum)?;
    }
    let norm = update.graph.sqrt(squares)?;
    update.reports.push(Named::new("grad_norm", norm));
    let lr = update.graph.scalar("lr")?;
    for (i, group) in groups.iter().enumerate() {
        let states = adam
            .then(|| Ok::<_, GraphError>([update.state(group, "m")?, update.state(group, "v")?]));
        let states = states.transpose()?;
        let (parameter, gradient) = (update.groups[i].parameter, update.groups[i].gradient);
        let g = &mut update.graph;
        let one = g.constant(1.0)?;
        let scale = g.max(norm, one)?;
        let clipped = g.div(gradient, scale)?;
        let mut change = clipped;
        if let Some([m, v]) = states {
            let square = g.square(clipped)?;
            let (m_old, v_old) = (g.scale(m, 0.9)?, g.scale(v, 0.99)?);
            let (m_own, v_own) = (g.scale(clipped, 0.1)?, g.scale(square, 0.01)?);
            let (m_new, v_new) = (g.add(m_old, m_own)?, g.add(v_old, v_own)?);
            let root = g.sqrt(v_new)?;
            let root = g.offset(root, 1e-3)?;
            change = g.div(m_new, root)?;
            for (kind, old, new) in [("m", m, m_new), ("v", v, v_new)] {
                let (kind, shape) = (kind.to_owned(), StateShape::Element);
                update.groups[i].states.push(StateUpdate { kind, shape, old, new, initial: 0.0 });
            }
        }
        let step = update.graph.mul(change, lr)?;
        update.groups[i].new_parameter = update.graph.sub(parameter, step)?;
    }
    Ok(update)
}

/// A hidden layer and a weighted mean of squares: `sum(w l) / sum(w)`.
fn graph(batch: usize) -> std::result::Result<(Graph, Value, Value), GraphError> {
    let mut g = Graph::new();
    let x = g.input("x", &[batch, WIDTH], DType::F32)?;
    let y = g.input("y", &[batch, 1], DType::F32)?;
    let weight = g.input("weight", &[batch, 1], DType::F32)?;
    let w = g.parameter("w", &[WIDTH, 8])?;
    let v = g.parameter("v", &[8, 1])?;
    let b = g.parameter("b", &[1])?;
    let hidden = g.matmul(x, w)?;
    let hidden = g.tanh(hidden)?;
    let guess = g.matmul(hidden, v)?;
    let guess = g.add(guess, b)?;
    let error = g.sub(guess, y)?;
    let square = g.square(error)?;
    let weighted = g.mul(square, weight)?;
    let (sum, total) = (g.sum_all(weighted)?, g.sum_all(weight)?);
    let loss = g.div(sum, total)?;
    Ok((g, loss, total))
}

struct Run {
    engine: Engine,
    scalars: Scalars,
    data: [Vec<f32>; 3],
}

const NAMES: [&str; 3] = ["x", "y", "weight"];

impl Run {
    fn new(adam: bool, accumulating: bool) -> Result<Run> {
        let info =
            |name, dims: &[usize]| Ok::<_, GraphError>(ParameterInfo::new(name, Shape::new(dims)?));
        let groups = [
            ParameterGroup::new("matrices", vec![info("w", &[WIDTH, 8])?, info("v", &[8, 1])?]),
            ParameterGroup::new("rest", vec![info("b", &[1])?]),
        ];
        let update = Arc::new(update(&groups, adam)?);
        let mut layout = StateLayout::new(&groups, &[], Some(&update))?;
        if accumulating {
            layout = layout.accumulating(&groups, &update)?;
        }
        let groups: Arc<[ParameterGroup]> = Arc::from(groups);
        let source = move |mode, fields: &Signature| {
            let (graph, loss, weight) = graph(fields.batch())?;
            let (groups, update) = (groups.clone(), Some(update.clone()));
            let accumulation = accumulating.then_some(weight);
            let (loss, program) = (Some(loss), Program::predict(graph, Vec::new()));
            Ok(Program {
                mode,
                loss,
                groups,
                update,
                accumulation,
                keep_gradients: true,
                ..program
            })
        };
        let executor = CpuExecutor::new(CpuOptions { threads: Some(2), ..CpuOptions::default() })?;
        let engine = Engine::new(Box::new(executor), layout, Box::new(source))?;
        engine.state().write("w", &numbers(1, WIDTH * 8))?;
        engine.state().write("v", &numbers(2, 8))?;
        let weights = numbers(5, SAMPLES).iter().map(|x| x + 1.5).collect();
        let data = [numbers(3, SAMPLES * WIDTH), numbers(4, SAMPLES), weights];
        let mut scalars = Scalars::new(0);
        scalars.set("lr", 0.05);
        Ok(Run { engine, scalars, data })
    }

    /// Samples `from..to` of all data.
    fn batch(&self, from: usize, to: usize) -> Result<Vec<Tensor>> {
        let part = |data: &Vec<f32>, width: usize| {
            let memory = self.engine.memory();
            memory.from_slice([to - from, width], &data[from * width..to * width])
        };
        let [x, y, w] = &self.data;
        Ok(vec![part(x, WIDTH)?, part(y, 1)?, part(w, 1)?])
    }

    fn submit(&mut self, mode: Mode, batch: &[Tensor]) -> Result<Reports> {
        let names = NAMES.map(String::from);
        Ok(self.engine.submit(mode, Feeds::named(&names, batch), &self.scalars)?.wait()?)
    }

    fn parameters(&self) -> Result<Vec<f32>> {
        let read = |name| self.engine.state().read(name);
        Ok([read("w")?, read("v")?, read("b")?].concat())
    }
}

fn close(what: &str, got: &[f32], wanted: &[f32]) {
    assert_eq!(got.len(), wanted.len());
    for (g, w) in got.iter().zip(wanted) {
        // A sum of a few dozen products in another order: some units in the 24th place each, which
        // Adam's division by small roots makes larger.
        assert!((g - w).abs() <= 2e-5 * (1.0 + w.abs()), "{what}: got {g}, wanted {w}");
    }
}

#[test]
fn parts_of_any_size_make_the_step_of_the_whole_batch() -> Result<()> {
    for adam in [false, true] {
        let (mut whole, mut parts) = (Run::new(adam, false)?, Run::new(adam, true)?);
        for step in 1..=6 {
            let all = whole.batch(0, SAMPLES)?;
            let wanted = whole.submit(Mode::Train, &all)?;
            let mut norm = None;
            for (from, to) in [(0, 5), (5, 6), (6, SAMPLES)] {
                let mode = if to == SAMPLES { Mode::Train } else { Mode::Accumulate };
                let batch = parts.batch(from, to)?;
                let before = parts.parameters()?;
                norm = parts.submit(mode, &batch)?.values().get(1).copied();
                assert_eq!(parts.parameters()? != before, mode == Mode::Train);
            }
            close("norm", &[norm.ok_or("no norm")?], &wanted.values()[1..]);
            close("parameters", &parts.parameters()?, &whole.parameters()?);
            let names = NAMES.map(String::from);
            let signatures =
                [Signature::of(&names, &all)?, Signature::of(&names, &parts.batch(6, SAMPLES)?)?];
            let wanted = whole.engine.read_output(Mode::Train, &signatures[0], "grad.w")?;
            let got = parts.engine.read_output(Mode::Train, &signatures[1], "grad.w")?;
            close("gradient", &got, &wanted);
            assert!(parts.engine.state().read("accumulated.w")?.iter().all(|&x| x == 0.0));
            assert_eq!(parts.engine.state().read("accumulated_weight")?, [0.0]);
            (whole.scalars.step, parts.scalars.step) = (step + 1, step + 1);
        }
    }
    Ok(())
}

#[test]
fn a_batch_without_weight_counts_for_nothing() -> Result<()> {
    let (mut with, mut without) = (Run::new(true, true)?, Run::new(true, true)?);
    let (first, last) = (with.batch(0, 6)?, with.batch(6, SAMPLES)?);
    let mut empty = with.batch(2, 6)?;
    empty[2] = with.engine.memory().zeros([4, 1], DType::F32)?;
    with.submit(Mode::Accumulate, &first)?;
    with.submit(Mode::Accumulate, &empty)?;
    with.submit(Mode::Train, &last)?;
    without.submit(Mode::Accumulate, &first)?;
    without.submit(Mode::Train, &last)?;
    assert_eq!(with.parameters()?, without.parameters()?);
    Ok(())
}
