//! Whole steps of training, in the memory that the plan lays out.

use std::sync::Arc;

use onestep_engine::ops::{ConvWindow, LeafKind, PoolWindow};
use onestep_engine::plan::compile;
use onestep_engine::{
    AttentionOptions, DType, Graph, Mode, Named, ParameterInfo, Program, StateLayout, StepGraph,
    Value,
};
use onestep_kernel_source::Dialect;
use onestep_optimizer::{Clip, Grouping, Optimizer, OptimizerSpec};

use super::common::{Planned, Result, compiler};

/// A training program of a graph with a loss, trained with AdamW and clipped gradients.
fn training(name: &str, graph: Graph, output: Value, loss: Value) -> Result<Planned> {
    let parameters: Vec<ParameterInfo> = graph
        .leaves(LeafKind::Parameter)
        .map(|(name, value)| ParameterInfo::new(name, graph.shape(value).clone()))
        .collect();
    let optimizer = Optimizer::from_spec("adamw".parse::<OptimizerSpec>()?)?
        .with_grouping(Grouping::no_decay_on_biases_and_norms())?
        .with_clip(Clip::Norm(1.0))?;
    let groups = optimizer.groups(&parameters)?;
    let update = optimizer.update_graph(&groups)?;
    let layout = StateLayout::new(&groups, &[], Some(&update))?;
    let mut program = Program::predict(graph, vec![Named::new("output", output)]);
    program.mode = Mode::Train;
    program.loss = Some(loss);
    program.groups = groups.into();
    program.update = Some(Arc::new(update));
    program.keep_gradients = true;
    let step = StepGraph::new(&program, &layout)?;
    let plan = compile(&program, &layout, None)?;
    Ok(Planned { name: name.to_owned(), step, layout, plan })
}

/// `(x - mean) / deviation * scale + shift` over the last axis.
fn layer_norm(g: &mut Graph, name: &str, x: Value) -> Result<Value> {
    let shape = g.shape(x).clone();
    let (last, width) = (shape.rank() - 1, shape.dims()[shape.rank() - 1]);
    let mean = g.mean(x, &[last], true)?;
    let centred = g.sub(x, mean)?;
    let square = g.square(centred)?;
    let variance = g.mean(square, &[last], true)?;
    let sum = g.offset(variance, 1e-5)?;
    let factor = g.rsqrt(sum)?;
    let normal = g.mul(centred, factor)?;
    let scale = g.parameter(&format!("{name}.weight"), &[width])?;
    let shift = g.parameter(&format!("{name}.bias"), &[width])?;
    let scaled = g.mul(normal, scale)?;
    Ok(g.add(scaled, shift)?)
}

/// Tokens to tokens: an embedding, dropout, causal attention, a layer with GELU, and cross-entropy.
fn language_model() -> Result<Planned> {
    let (batch, length, width, heads, classes) = (2, 9, 12, 3, 5);
    let mut g = Graph::new();
    let tokens = g.input("tokens", &[batch, length], DType::I32)?;
    let labels = g.input("labels", &[batch * length], DType::I32)?;
    let table = g.parameter("embedding.weight", &[classes, width])?;
    let x = g.gather(table, tokens)?;
    let noise = g.random_uniform(&[batch, length, width])?;
    let p = g.constant(0.2)?;
    let kept = g.ge(noise, p)?;
    let x = g.mul(x, kept)?;
    let x = g.scale(x, 1.25)?;
    let normal = layer_norm(&mut g, "norm", x)?;
    let mut parts = Vec::new();
    for name in ["q", "k", "v"] {
        let weight = g.parameter(&format!("{name}.weight"), &[width, width])?;
        let rows = g.reshape(normal, &[batch * length, width])?;
        let part = g.matmul(rows, weight)?;
        let part = g.reshape(part, &[batch, length, heads, width / heads])?;
        parts.push(g.permute(part, &[0, 2, 1, 3])?);
    }
    let options = AttentionOptions { causal: true, dropout: 0.1, ..Default::default() };
    let mixed = g.attention(parts[0], parts[1], parts[2], options)?;
    let mixed = g.permute(mixed, &[0, 2, 1, 3])?;
    let mixed = g.reshape(mixed, &[batch, length, width])?;
    let x = g.add(x, mixed)?;
    let x = g.reshape(x, &[batch * length, width])?;
    let weight = g.parameter("fc.weight", &[width, classes])?;
    let bias = g.parameter("fc.bias", &[classes])?;
    let y = g.matmul(x, weight)?;
    let y = g.add(y, bias)?;
    let bent = g.erf(y)?;
    let logits = g.mul(y, bent)?;
    let losses = g.cross_entropy(logits, labels, 0.1)?;
    let loss = g.mean_all(losses)?;
    training("a language model", g, logits, loss)
}

/// Pictures to classes: a convolution that is normalised over the batch, a pool, a layer.
fn picture_model() -> Result<Planned> {
    let (batch, channels, classes) = (4, 6, 5);
    let mut g = Graph::new();
    let x = g.input("x", &[batch, 2, 8, 8], DType::F32)?;
    let labels = g.input("labels", &[batch], DType::I32)?;
    let weight = g.parameter("conv.weight", &[channels, 2, 3, 3])?;
    let window = ConvWindow { pad_low: [1; 2], pad_high: [1; 2], ..ConvWindow::default() };
    let y = g.conv(x, weight, window)?;
    let mean = g.mean(y, &[0, 2, 3], true)?;
    let centred = g.sub(y, mean)?;
    let square = g.square(centred)?;
    let variance = g.mean(square, &[0, 2, 3], true)?;
    let sum = g.offset(variance, 1e-5)?;
    let factor = g.rsqrt(sum)?;
    let y = g.mul(centred, factor)?;
    let y = g.relu(y)?;
    let window = PoolWindow {
        size: [2; 2],
        stride: [2; 2],
        pad_low: [0; 2],
        pad_high: [0; 2],
        dilation: [1; 2],
    };
    let y = g.max_pool(y, window)?;
    let y = g.reshape(y, &[batch, channels * 16])?;
    let weight = g.parameter("fc.weight", &[channels * 16, classes])?;
    let bias = g.parameter("fc.bias", &[classes])?;
    let y = g.matmul(y, weight)?;
    let logits = g.add(y, bias)?;
    let losses = g.cross_entropy(logits, labels, 0.0)?;
    let loss = g.mean_all(losses)?;
    training("a picture model", g, logits, loss)
}

#[test]
fn whole_steps_of_training_are_right() -> Result<()> {
    if compiler().is_none() {
        return Ok(());
    }
    let (language, picture) = (language_model()?, picture_model()?);
    for dialect in Dialect::ALL {
        let mut rest = language.check(dialect, 1e-4)?;
        rest.extend(picture.check(dialect, 1e-4)?);
        rest.sort_unstable();
        rest.dedup();
        let wanted = ["conv", "conv_weight_grad", "matmul", "max_pool", "max_pool_grad"];
        assert_eq!(rest, wanted, "what has no printed kernel");
    }
    Ok(())
}
