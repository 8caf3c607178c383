//! What the real planner makes of convolutions, and what becomes of that here: nothing else would say that a
//! pass of the planner has stopped composites from being found.

use std::sync::Arc;

use onestep_engine::ops::ConvWindow;
use onestep_engine::plan::{Plan, compile};
use onestep_engine::{
    DType, Graph, GraphError, Mode, Named, ParameterGroup, ParameterInfo, Program, Shape,
    StateLayout, UpdateGraph, Value,
};

use super::Stage;
use crate::cpu_kernel::Regions;
use crate::machine::Machine;
use crate::simd::Level;

/// A network as it grows, with its parameters.
struct Net {
    graph: Graph,
    parameters: Vec<ParameterInfo>,
}

impl Net {
    fn parameter(&mut self, dims: &[usize]) -> Result<Value, GraphError> {
        let name = format!("p{}", self.parameters.len());
        self.parameters.push(ParameterInfo::new(&name, Shape::new(dims)?));
        self.graph.parameter(&name, dims)
    }

    fn conv(&mut self, x: Value, out: usize, groups: usize) -> Result<Value, GraphError> {
        let channels = self.graph.shape(x)[1];
        let window = ConvWindow { pad_low: [1; 2], pad_high: [1; 2], groups, ..Default::default() };
        let w = self.parameter(&[out, channels / groups, 3, 3])?;
        self.graph.conv(x, w, window)
    }

    /// As the layer of that name.
    fn batch_norm(&mut self, x: Value) -> Result<Value, GraphError> {
        let channels = self.graph.shape(x)[1];
        let scale = self.parameter(&[1, channels, 1, 1])?;
        let g = &mut self.graph;
        let mean = g.mean(x, &[0, 2, 3], true)?;
        let variance = g.variance(x, mean, &[0, 2, 3])?;
        let centred = g.sub(x, mean)?;
        let shifted = g.offset(variance, 1e-5)?;
        let inverse = g.rsqrt(shifted)?;
        let normal = g.mul(centred, inverse)?;
        g.mul(normal, scale)
    }

    /// A step of gradient descent on the mean square of `y`.
    fn plan(self, y: Value) -> Result<Plan, Box<dyn std::error::Error>> {
        let Net { mut graph, parameters } = self;
        let square = graph.square(y)?;
        let loss = graph.mean_all(square)?;
        let group = ParameterGroup::new("all", parameters);
        let mut update = UpdateGraph::default();
        let added = update.group(&group)?;
        let (parameter, gradient) = (added.parameter, added.gradient);
        let change = update.graph.scale(gradient, 0.1)?;
        update.groups[0].new_parameter = update.graph.sub(parameter, change)?;
        let layout = StateLayout::new(std::slice::from_ref(&group), &[], Some(&update))?;
        let program = Program {
            mode: Mode::Train,
            loss: Some(loss),
            groups: Arc::from([group]),
            update: Some(Arc::new(update)),
            ..Program::predict(graph, vec![Named::new("output", y)])
        };
        Ok(compile(&program, &layout, None)?)
    }
}

fn net(input: [usize; 4]) -> Result<(Net, Value), GraphError> {
    let mut net = Net { graph: Graph::new(), parameters: Vec::new() };
    let x = net.graph.input("x", &input, DType::F32)?;
    Ok((net, x))
}

/// How many kernels of each of some kinds run.
fn kinds<const N: usize>(plan: &Plan, wanted: [&str; N]) -> [usize; N] {
    let machine = Machine { threads: 2, level: Level::best() };
    let stages = Stage::all(plan, Regions::of(plan), machine).unwrap();
    wanted.map(|kind| stages.iter().filter(|stage| stage.kind == kind).count())
}

const MOMENTS: &str = "conv + reduction";
const GRADIENTS: &str = "conv_input_grad + conv_weight_grad";

#[test]
fn moments_are_taken_by_the_convolution_and_both_gradients_run_side_by_side()
-> Result<(), Box<dyn std::error::Error>> {
    let (mut net, x) = net([2, 16, 12, 12])?;
    let mut y = x;
    for _ in 0..3 {
        let convolved = net.conv(y, 32, 1)?;
        let normal = net.batch_norm(convolved)?;
        y = net.graph.relu(normal)?;
    }
    let plan = net.plan(y)?;
    // The first convolution has no gradient in its input.
    let all = [MOMENTS, GRADIENTS, "conv", "conv_input_grad", "conv_weight_grad"];
    assert_eq!(kinds(&plan, all), [3, 2, 0, 0, 1], "{plan}");
    Ok(())
}

/// Another reader of what is normalised, which used to share a pass with the mean.
#[test]
fn a_second_reader_of_the_result_changes_nothing() -> Result<(), Box<dyn std::error::Error>> {
    let (mut net, x) = net([2, 16, 12, 12])?;
    let first = net.conv(x, 16, 1)?;
    let second = net.conv(first, 16, 1)?;
    let normal = net.batch_norm(second)?;
    let beside = net.graph.tanh(second)?;
    let y = net.graph.add(normal, beside)?;
    let plan = net.plan(y)?;
    assert_eq!(kinds(&plan, [MOMENTS, GRADIENTS]), [1, 1], "{plan}");
    Ok(())
}

/// Two convolutions with one gradient of their results: each pair is of one of them.
#[test]
fn branches_that_are_added_have_a_pair_each() -> Result<(), Box<dyn std::error::Error>> {
    let (mut net, x) = net([2, 16, 12, 12])?;
    let before = net.conv(x, 16, 1)?;
    let other = net.graph.relu(before)?;
    let (a, b) = (net.conv(before, 16, 1)?, net.conv(other, 16, 1)?);
    let y = net.graph.add(a, b)?;
    let plan = net.plan(y)?;
    assert_eq!(
        kinds(&plan, [GRADIENTS, "conv_input_grad", "conv_weight_grad"]),
        [2, 0, 1],
        "{plan}"
    );
    Ok(())
}

/// In groups the plan knows no moments of a convolution: they are elementwise code.
#[test]
fn groups_are_normalised_by_passes_of_their_own() -> Result<(), Box<dyn std::error::Error>> {
    let (mut net, x) = net([2, 16, 12, 12])?;
    let first = net.conv(x, 32, 1)?;
    let second = net.conv(first, 32, 2)?;
    let y = net.batch_norm(second)?;
    let plan = net.plan(y)?;
    assert_eq!(kinds(&plan, [MOMENTS, GRADIENTS, "conv"]), [0, 1, 2], "{plan}");
    Ok(())
}
