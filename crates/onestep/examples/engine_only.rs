//! The engine without layers: a graph, its loss, an update rule as a second graph, and an executor.
//! It fits `y = w x + b` to points of the line `y = 3 x - 2` by gradient descent.
use onestep::engine::{Engine, ParameterGroup, ParameterInfo, Signature, StateLayout, UpdateGraph};
use onestep::prelude::*;
use std::sync::Arc;

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
    let change = update.graph.mul(update.groups[0].gradient, lr)?;
    update.groups[0].new_parameter = update.graph.sub(update.groups[0].parameter, change)?;
    Ok(update)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let all = ["w", "b"].map(|name| ParameterInfo::new(name, Shape::from([1])));
    let group = ParameterGroup::new("all", all.into());
    let update = Arc::new(descent(&group)?);
    let layout = StateLayout::new(std::slice::from_ref(&group), &[], Some(&*update))?;
    let groups: Arc<[ParameterGroup]> = Arc::from([group]);
    // The engine asks for the program of a batch when it first meets one of its kind.
    let source = move |mode, fields: &Signature| {
        let (graph, loss) = line(fields.batch())?;
        let (loss, groups, update) = (Some(loss), groups.clone(), Some(update.clone()));
        Ok(Program { mode, loss, groups, update, ..Program::predict(graph, Vec::new()) })
    };
    let cpu = executor("cpu", &ExecutorOptions { threads: 1, memory_budget: None })?;
    let mut engine = Engine::new(cpu, layout, Box::new(source))?;
    let xs: Vec<f32> = (0..16).map(|i| i as f32 / 8.0 - 1.0).collect();
    let ys: Vec<f32> = xs.iter().map(|x| 3.0 * x - 2.0).collect();
    let memory = engine.memory();
    let batch = [memory.from_slice([16], &xs)?, memory.from_slice([16], &ys)?];
    let names = ["x".to_owned(), "y".to_owned()];
    let mut scalars = Scalars::new(0);
    scalars.set("lr", 0.3);
    for step in 1..=100 {
        scalars.step = step;
        engine.submit(Mode::Train, Feeds::named(&names, &batch), &scalars)?.wait()?;
    }
    let (w, b) = (engine.state().read("w")?[0], engine.state().read("b")?[0]);
    println!("w = {w:.3}, b = {b:.3}");
    assert!((w - 3.0).abs() < 1e-3 && (b + 2.0).abs() < 1e-3);
    Ok(())
}
