//! The engine without layers: a graph, its loss, an update rule as a second graph, and an executor.
//!
//! It fits `y = w x + b` to points of the line `y = 3 x - 2` by gradient descent.

use std::sync::Arc;

use onestep::engine::{Engine, ParameterGroup, ParameterInfo, Signature, StateLayout, UpdateGraph};
use onestep::prelude::*;

/// The forward graph of a batch, and its loss.
fn line(batch: usize) -> Result<(Graph, Value), GraphError> {
    let mut g = Graph::new();
    let x = g.input("x", &[batch], DType::F32)?;
    let y = g.input("y", &[batch], DType::F32)?;
    let (w, b) = (g.parameter("w", &[1])?, g.parameter("b", &[1])?);
    let product = g.mul(x, w)?;
    let guess = g.add(product, b)?;
    let error = g.sub(guess, y)?;
    let squares = g.square(error)?;
    let loss = g.mean_all(squares)?;
    Ok((g, loss))
}

/// `parameter - lr * gradient`, on the buffer of all parameters.
fn descent(group: &ParameterGroup) -> Result<UpdateGraph, GraphError> {
    let mut update = UpdateGraph::default();
    update.group(group)?;
    let lr = update.graph.scalar("lr")?;
    let (parameter, gradient) = (update.groups[0].parameter, update.groups[0].gradient);
    let change = update.graph.mul(gradient, lr)?;
    update.groups[0].new_parameter = update.graph.sub(parameter, change)?;
    Ok(update)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let one = |name| ParameterInfo::new(name, Shape::from([1]));
    let group = ParameterGroup::new("all", vec![one("w"), one("b")]);
    let update = Arc::new(descent(&group)?);
    let layout = StateLayout::new(std::slice::from_ref(&group), &[], Some(&*update))?;
    let groups: Arc<[ParameterGroup]> = Arc::from([group]);

    // The engine asks for the program of a batch when it first meets one of its kind.
    let source = move |mode, fields: &Signature| {
        let (graph, loss) = line(fields.batch())?;
        let program = Program::predict(graph, Vec::new());
        let (groups, update) = (groups.clone(), Some(update.clone()));
        Ok(Program { mode, loss: Some(loss), groups, update, ..program })
    };
    let cpu = executor("cpu", &ExecutorOptions { threads: 1, memory_budget: None })?;
    let mut engine = Engine::new(cpu, layout, Box::new(source))?;

    let xs: Vec<f32> = (0..16).map(|i| i as f32 / 8.0 - 1.0).collect();
    let ys: Vec<f32> = xs.iter().map(|x| 3.0 * x - 2.0).collect();
    let memory = engine.memory().clone();
    let batch = [memory.from_slice([16], &xs)?, memory.from_slice([16], &ys)?];
    let fields = Signature::of(&["x".into(), "y".into()], &batch)?;
    let mut scalars = Scalars::new(0);
    scalars.set("lr", 0.3);
    // Compiling now takes all memory that the steps will need.
    println!("a step needs {}", format_bytes(engine.prepare(Mode::Train, &fields)?.peak()));
    let before = engine.counters();
    for step in 1..=100 {
        scalars.step = step;
        let ticket = engine.submit(Mode::Train, Feeds::new(&batch), &scalars)?;
        if step % 20 == 0 {
            println!("step {step}: loss {:.6}", ticket.wait()?.loss().unwrap_or(f32::NAN));
        }
    }
    println!("w = {:.3?}, b = {:.3?}", engine.state().read("w")?, engine.state().read("b")?);
    println!("{:?} for 100 steps", engine.counters() - before);
    println!("\n{}", engine.dump(Mode::Train, &fields)?);
    Ok(())
}
