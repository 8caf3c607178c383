//! Layers: output, gradients in the input and in each parameter, new running statistics.

use onestep_engine::{Graph, Mode as ProgramMode, Named};
use onestep_layers::ModelSpec;

use super::op::{EDGES, INFINITE, TIES};
use crate::case::{Case, Expect, Setup, gradient_program, one_step, operand, weighted_sum};
use crate::error::ConformanceError;
use crate::golden::{Family, Golden};
use crate::tolerance::Tolerance;

const EXACT: Tolerance = Tolerance::EXACT;
const ROUNDED: Tolerance = Tolerance::ROUNDED;
const CANCELLING: Tolerance = Tolerance::CANCELLING;
const SUMS: Tolerance = Tolerance::SUMS;
const FUNCTION: Tolerance = Tolerance::FUNCTION;

/// The sums and means of these inputs are exact in f32, so PyTorch's own cancellation is no excuse.
const EXACT_SUMS: Tolerance = Tolerance {
    of_largest: 32.0,
    reason: "every sum and mean is exact in f32: only the roundings of a few operations are left",
    ..EXACT
};

fn layer(name: &str, tolerance: Tolerance) -> Case {
    let build = Box::new(setup);
    Case {
        family: Family::Layers,
        name: name.to_owned(),
        build,
        tolerance,
        gradient_tolerance: None,
        exclusions: &[],
    }
}

fn setup(golden: &Golden) -> Result<Setup, ConformanceError> {
    let fail = |e| ConformanceError::subject("building the layer", e);
    let spec: ModelSpec = golden.field("spec")?;
    let mode = match golden.field::<String>("mode")?.as_str() {
        "train" => ProgramMode::Train,
        _ => ProgramMode::Evaluate,
    };
    let batch = golden.array("input")?.shape[0];
    let forward = spec.compile().and_then(|m| m.forward(mode, batch)).map_err(fail)?;
    let output = forward.output();

    // The input as a parameter, so that it gets a gradient.
    let mut g = Graph::new();
    let x = operand(&mut g, golden, "input")?;
    let map = g.splice(&forward.graph, |_, leaf| (leaf.name == "input").then_some(x))?;
    let output = map[output.index()];
    let loss = weighted_sum(&mut g, golden, output)?;
    let mut program = gradient_program(g, Some(loss), vec![Named::new("output", output)])?;
    for update in forward.state_updates {
        program.state_updates.push(Named::new(update.name, map[update.value.index()]));
    }
    let run = one_step(program, |name| {
        let names = [name.to_owned(), format!("param.{name}"), format!("state.{name}")];
        let found = names.iter().find(|n| golden.tensors.contains_key(*n)).unwrap_or(&names[0]);
        Ok(golden.array(found)?.clone())
    })?;
    Ok(Setup { run, expect: expectations(golden) })
}

fn expectations(golden: &Golden) -> Vec<Expect> {
    let mut expect = vec![Expect::first("output", "output")];
    for (name, _) in golden.with_prefix("grad.") {
        expect.push(Expect::first(format!("grad.{name}"), format!("grad.{name}")));
    }
    for (name, _) in golden.with_prefix("new_state.") {
        expect.push(Expect::last(format!("new_state.{name}"), format!("state.{name}")));
    }
    expect
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        layer("dense", SUMS),
        layer("dense_no_bias", SUMS),
        layer("dense_one", SUMS),
        layer("dense_wide", SUMS),
        layer("dense_rank3", SUMS),
        layer("dense_lora", SUMS),
        layer("conv2d", SUMS),
        layer("conv2d_padding", SUMS),
        layer("conv2d_no_bias", SUMS),
        layer("conv2d_stride", SUMS),
        layer("conv2d_stride_padding", SUMS),
        layer("conv2d_stride_rectangular", SUMS),
        layer("conv2d_stride_beyond_kernel", SUMS),
        layer("conv2d_dilation", SUMS),
        layer("conv2d_dilation_rectangular", SUMS),
        layer("conv2d_same", SUMS),
        layer("conv2d_same_even", SUMS),
        layer("conv2d_same_dilation", SUMS),
        layer("conv2d_valid", SUMS),
        layer("conv2d_even", SUMS),
        layer("conv2d_rectangular", SUMS),
        layer("conv2d_pointwise", SUMS),
        layer("conv2d_pointwise_stride", SUMS),
        layer("conv2d_groups", SUMS),
        layer("conv2d_depthwise", SUMS),
        layer("conv2d_depthwise_multiplier", SUMS),
        layer("conv2d_groups_dilation", SUMS),
        layer("conv2d_whole_picture", SUMS),
        layer("conv2d_channels", SUMS),
        layer("conv2d_wide_picture", SUMS),
        layer("conv2d_batch_one", SUMS),
        layer("max_pool2d", SUMS),
        layer("max_pool2d_remainder", SUMS),
        layer("max_pool2d_overlap", SUMS),
        layer("max_pool2d_overlap_dense", SUMS),
        layer("max_pool2d_rectangular", SUMS),
        layer("max_pool2d_dilation", SUMS),
        layer("max_pool2d_ceil", SUMS),
        layer("max_pool2d_ceil_padding", SUMS),
        layer("max_pool2d_ceil_dropped", SUMS),
        layer("max_pool2d_ceil_beyond", SUMS),
        layer("max_pool2d_ceil_beyond_padding", SUMS),
        layer("max_pool2d_stride_beyond_kernel", SUMS),
        layer("max_pool2d_ties", SUMS).without(TIES),
        layer("avg_pool2d", SUMS),
        layer("avg_pool2d_remainder", SUMS),
        layer("avg_pool2d_padding", SUMS),
        layer("avg_pool2d_padding_excluded", SUMS),
        layer("avg_pool2d_rectangular", SUMS),
        layer("avg_pool2d_ceil", SUMS),
        layer("avg_pool2d_ceil_padding", SUMS),
        layer("avg_pool2d_ceil_padding_excluded", SUMS),
        layer("avg_pool2d_ceil_dropped", SUMS),
        layer("avg_pool2d_ceil_beyond", SUMS),
        layer("avg_pool2d_ceil_beyond_padding", SUMS),
        layer("adaptive_avg_pool2d_one", SUMS),
        layer("adaptive_avg_pool2d_divisible", SUMS),
        layer("adaptive_avg_pool2d_uneven", SUMS),
        layer("adaptive_avg_pool2d_larger", SUMS),
        layer("adaptive_avg_pool2d_infinite", SUMS).without(INFINITE),
        layer("adaptive_avg_pool2d_same", SUMS),
        layer("global_avg_pool2d", SUMS),
        layer("flatten", EXACT),
        layer("flatten_start_dim", EXACT),
        layer("reshape", EXACT),
        layer("embedding", SUMS),
        layer("embedding_column", SUMS),
        layer("reshape_inferred", EXACT),
        layer("dropout_eval", EXACT),
        layer("batch_norm1d_train", SUMS),
        layer("batch_norm1d_length_train", SUMS),
        layer("batch_norm2d_train", SUMS),
        layer("batch_norm2d_batch_one_train", SUMS),
        layer("batch_norm2d_eps_train", SUMS),
        layer("batch_norm2d_momentum_train", SUMS),
        layer("batch_norm2d_not_affine_train", SUMS),
        layer("batch_norm1d_eval", SUMS),
        layer("batch_norm1d_length_eval", SUMS),
        layer("batch_norm2d_eval", SUMS),
        layer("batch_norm2d_batch_one_eval", SUMS),
        layer("batch_norm2d_eps_eval", SUMS),
        layer("batch_norm2d_momentum_eval", SUMS),
        layer("batch_norm2d_not_affine_eval", SUMS),
        layer("batch_norm2d_far_mean", EXACT_SUMS),
        layer("layer_norm", SUMS),
        layer("layer_norm_last_dim", SUMS),
        layer("layer_norm_multi_dim", SUMS),
        layer("layer_norm_all_dims", SUMS),
        layer("layer_norm_eps", SUMS),
        layer("layer_norm_not_affine", SUMS),
        layer("layer_norm_far_mean", EXACT_SUMS),
        layer("relu", EXACT),
        layer("relu_edges", EXACT).without(EDGES),
        layer("relu_infinite", EXACT).without(INFINITE),
        layer("relu6", EXACT),
        layer("relu6_edges", EXACT).without(EDGES),
        layer("relu6_infinite", EXACT).without(INFINITE),
        layer("relu6_at_six", EXACT).without(EDGES),
        layer("mean", SUMS),
        layer("mean_keepdim", SUMS),
        layer("permute", EXACT),
        layer("slice", EXACT),
        layer("slice_last", EXACT),
        layer("select", EXACT),
        layer("multiply_gate", SUMS),
        layer("split_sum_concat", SUMS),
        layer("shared_weights", SUMS),
        layer("shared_statistics", SUMS),
        layer("block", SUMS),
        layer("repeat", SUMS),
        layer("leaky_relu", ROUNDED),
        layer("leaky_relu_edges", ROUNDED).without(EDGES),
        layer("leaky_relu_infinite", ROUNDED).without(INFINITE),
        layer("leaky_relu_slope", ROUNDED),
        layer("leaky_relu_slope_edges", ROUNDED).without(EDGES),
        layer("leaky_relu_slope_infinite", ROUNDED).without(INFINITE),
        layer("elu", CANCELLING).gradients_within(FUNCTION),
        layer("elu_edges", CANCELLING).gradients_within(FUNCTION).without(EDGES),
        layer("elu_infinite", CANCELLING).gradients_within(FUNCTION).without(INFINITE),
        layer("elu_alpha", CANCELLING).gradients_within(FUNCTION),
        layer("elu_alpha_edges", CANCELLING).gradients_within(FUNCTION).without(EDGES),
        layer("elu_alpha_infinite", CANCELLING).gradients_within(FUNCTION).without(INFINITE),
        layer("prelu", SUMS),
        layer("prelu_edges", SUMS).without(EDGES),
        layer("prelu_infinite", SUMS).without(INFINITE),
        layer("sigmoid", CANCELLING),
        layer("sigmoid_edges", CANCELLING).without(EDGES),
        layer("sigmoid_infinite", CANCELLING).without(INFINITE),
        layer("tanh", CANCELLING),
        layer("tanh_edges", CANCELLING).without(EDGES),
        layer("tanh_infinite", CANCELLING).without(INFINITE),
        layer("silu", CANCELLING),
        layer("silu_edges", CANCELLING).without(EDGES),
        layer("silu_infinite", CANCELLING).without(INFINITE),
        layer("gelu", CANCELLING),
        layer("gelu_edges", CANCELLING).without(EDGES),
        layer("gelu_tanh", CANCELLING),
        layer("gelu_tanh_edges", CANCELLING).without(EDGES),
        layer("prelu_channels", SUMS),
        layer("prelu_features", SUMS),
        layer("softmax", SUMS),
        layer("softmax_channels", SUMS),
        layer("softmax_inner", SUMS),
        layer("softmax_far", SUMS),
        layer("log_softmax", SUMS),
        layer("log_softmax_channels", SUMS),
        layer("log_softmax_inner", SUMS),
        layer("log_softmax_far", SUMS),
        layer("residual_identity", SUMS),
        layer("residual_shortcut", SUMS),
        layer("residual_dense", SUMS),
        layer("residual_nested", SUMS),
        layer("concat", SUMS),
        layer("concat_dim", SUMS),
        layer("default_names", SUMS),
    ]
}
