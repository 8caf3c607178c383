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
        layer("dropout_nothing", EXACT),
        layer("dropout1d_eval", EXACT),
        layer("dropout1d_nothing", EXACT),
        layer("dropout2d_eval", EXACT),
        layer("dropout2d_nothing", EXACT),
        layer("dropout3d_eval", EXACT),
        layer("dropout3d_nothing", EXACT),
        layer("alpha_dropout_eval", EXACT),
        layer("alpha_dropout_nothing", EXACT),
        layer("feature_alpha_dropout_eval", EXACT),
        layer("feature_alpha_dropout_nothing", EXACT),
        layer("stochastic_depth_eval", EXACT),
        layer("stochastic_depth_nothing", EXACT),
        layer("group_norm", SUMS),
        layer("group_norm_features", SUMS),
        layer("group_norm_channels", SUMS),
        layer("group_norm_one", SUMS),
        layer("group_norm_volume", SUMS),
        layer("group_norm_far_mean", EXACT_SUMS),
        layer("instance_norm1d", SUMS),
        layer("instance_norm2d", SUMS),
        layer("instance_norm3d", SUMS),
        layer("instance_norm2d_train", SUMS),
        layer("instance_norm2d_tracked_train", SUMS),
        layer("instance_norm1d_tracked_train", SUMS),
        layer("instance_norm2d_eval", SUMS),
        layer("instance_norm2d_tracked_eval", SUMS),
        layer("instance_norm1d_tracked_eval", SUMS),
        layer("rms_norm", SUMS),
        layer("rms_norm_last_dim", SUMS),
        layer("rms_norm_multi_dim", SUMS),
        layer("rms_norm_eps", SUMS),
        layer("rms_norm_small", SUMS),
        layer("local_response_norm", SUMS),
        layer("local_response_norm_odd", SUMS),
        layer("local_response_norm_wide", SUMS),
        layer("hardtanh", EXACT),
        layer("hardtanh_edges", EXACT).without(EDGES),
        layer("hardtanh_infinite", EXACT).without(INFINITE),
        layer("hardtanh_bounds", EXACT),
        layer("hardtanh_bounds_edges", EXACT).without(EDGES),
        layer("hardtanh_bounds_infinite", EXACT).without(INFINITE),
        layer("hardsigmoid", ROUNDED),
        layer("hardsigmoid_edges", ROUNDED).without(EDGES),
        layer("hardsigmoid_infinite", ROUNDED).without(INFINITE),
        layer("hardswish", CANCELLING),
        layer("hardswish_edges", CANCELLING).without(EDGES),
        layer("celu", CANCELLING),
        layer("celu_edges", CANCELLING).without(EDGES),
        layer("celu_infinite", CANCELLING).without(INFINITE),
        layer("celu_alpha", CANCELLING),
        layer("celu_alpha_edges", CANCELLING).without(EDGES),
        layer("celu_alpha_infinite", CANCELLING).without(INFINITE),
        layer("selu", CANCELLING),
        layer("selu_edges", CANCELLING).without(EDGES),
        layer("selu_infinite", CANCELLING).without(INFINITE),
        layer("log_sigmoid", CANCELLING),
        layer("log_sigmoid_edges", CANCELLING).without(EDGES),
        layer("log_sigmoid_infinite", CANCELLING).without(INFINITE),
        layer("softplus", CANCELLING),
        layer("softplus_edges", CANCELLING).without(EDGES),
        layer("softplus_infinite", CANCELLING).without(INFINITE),
        layer("softplus_beta", CANCELLING),
        layer("softplus_beta_edges", CANCELLING).without(EDGES),
        layer("softplus_beta_infinite", CANCELLING).without(INFINITE),
        layer("softsign", CANCELLING),
        layer("softsign_edges", CANCELLING).without(EDGES),
        layer("softsign_infinite", CANCELLING).without(INFINITE),
        layer("softshrink", ROUNDED),
        layer("softshrink_edges", ROUNDED).without(EDGES),
        layer("softshrink_infinite", ROUNDED).without(INFINITE),
        layer("softshrink_lambd", ROUNDED),
        layer("softshrink_lambd_edges", ROUNDED).without(EDGES),
        layer("softshrink_lambd_infinite", ROUNDED).without(INFINITE),
        layer("hardshrink", EXACT),
        layer("hardshrink_edges", EXACT).without(EDGES),
        layer("hardshrink_infinite", EXACT).without(INFINITE),
        layer("hardshrink_lambd", EXACT),
        layer("hardshrink_lambd_edges", EXACT).without(EDGES),
        layer("hardshrink_lambd_infinite", EXACT).without(INFINITE),
        layer("tanhshrink", CANCELLING),
        layer("tanhshrink_edges", CANCELLING).without(EDGES),
        layer("tanhshrink_infinite", CANCELLING).without(INFINITE),
        layer("threshold", EXACT),
        layer("threshold_edges", EXACT).without(EDGES),
        layer("threshold_infinite", EXACT).without(INFINITE),
        layer("mish", CANCELLING),
        layer("mish_edges", CANCELLING).without(EDGES),
        layer("mish_infinite", CANCELLING).without(INFINITE),
        layer("squared_relu", ROUNDED),
        layer("squared_relu_edges", ROUNDED).without(EDGES),
        layer("squared_relu_infinite", ROUNDED).without(INFINITE),
        layer("quick_gelu", CANCELLING),
        layer("quick_gelu_edges", CANCELLING).without(EDGES),
        layer("quick_gelu_infinite", CANCELLING).without(INFINITE),
        layer("glu", SUMS),
        layer("glu_channels", SUMS),
        layer("glu_edges", SUMS).without(EDGES),
        layer("swiglu", SUMS),
        layer("swiglu_channels", SUMS),
        layer("swiglu_edges", SUMS).without(EDGES),
        layer("geglu", SUMS),
        layer("geglu_channels", SUMS),
        layer("geglu_edges", SUMS).without(EDGES),
        layer("rrelu_eval", ROUNDED),
        layer("rrelu_bounds_eval", ROUNDED),
        layer("rrelu_fixed", ROUNDED),
        layer("softmin", SUMS),
        layer("softmin_channels", SUMS),
        layer("softmin_inner", SUMS),
        layer("softmin_far", SUMS),
    ]
}
