//! Losses: the value, and the gradient in the prediction.

use onestep_engine::{DType, Graph};
use onestep_layers::{LossContext, LossSpec};

use super::op::{EDGES, INFINITE};
use crate::case::{Case, Expect, Setup, gradient_program, one_step, operand};
use crate::error::ConformanceError;
use crate::golden::{Family, Golden};
use crate::tolerance::Tolerance;

/// What losses of several outputs take behind the first.
const OTHERS: [&str; 2] = ["second", "third"];

const SUMS: Tolerance = Tolerance::SUMS;

fn loss(name: &str, tolerance: Tolerance) -> Case {
    let build = Box::new(setup);
    Case {
        family: Family::Losses,
        name: name.to_owned(),
        build,
        tolerance,
        gradient_tolerance: None,
        exclusions: &[],
    }
}

fn setup(golden: &Golden) -> Result<Setup, ConformanceError> {
    let spec: LossSpec = golden.field("spec")?;
    let mut g = Graph::new();
    let prediction = operand(&mut g, golden, "prediction")?;
    let mut others = Vec::new();
    for name in OTHERS.iter().filter(|name| golden.tensors.contains_key(**name)) {
        others.push(operand(&mut g, golden, name)?);
    }
    let weights = match golden.tensors.contains_key("weight") {
        true => Some(g.input("weight", &golden.array("weight")?.shape, DType::F32)?),
        false => None,
    };
    let values = spec
        .build_in(&mut LossContext::new(&mut g, prediction).with_outputs(&others).weighted(weights))
        .map_err(|e| ConformanceError::subject("building the loss", e))?;
    let program = gradient_program(g, Some(values.loss), Vec::new())?;
    let run = one_step(program, |name| Ok(golden.array(name)?.clone()))?;
    let mut expect = vec![Expect::first("loss", "loss")];
    for name in ["grad.prediction", "grad.second", "grad.third"] {
        if golden.tensors.contains_key(name) {
            expect.push(Expect::first(name, name));
        }
    }
    Ok(Setup { run, expect })
}

/// Losses of several outputs, and of strings.
const SEVERAL: &[&str] = &[
    "margin_ranking",
    "margin_ranking_margin_sum",
    "margin_ranking_of_samples",
    "triplet_margin",
    "triplet_margin_swap",
    "triplet_margin_one",
    "triplet_margin_three_sum",
    "cosine_embedding",
    "cosine_embedding_margin_sum",
    "gaussian_nll",
    "gaussian_nll_full",
    "gaussian_nll_one_variance_sum",
    "vae_kl",
    "vae_kl_sum",
    "nt_xent",
    "nt_xent_stacked",
    "nt_xent_of_samples",
    "ctc",
    "ctc_lengths",
    "ctc_sum",
    "ctc_blank",
    "ctc_zero_infinity",
];

pub(super) fn cases() -> Vec<Case> {
    vec![
        loss("cross_entropy", SUMS),
        loss("cross_entropy_smoothing", SUMS),
        loss("cross_entropy_weight", SUMS),
        loss("cross_entropy_weight_smoothing", SUMS),
        loss("cross_entropy_sum", SUMS),
        loss("cross_entropy_weight_smoothing_sum", SUMS),
        loss("cross_entropy_one_sample", SUMS),
        loss("cross_entropy_one_class", SUMS),
        loss("cross_entropy_many", SUMS),
        loss("cross_entropy_never", SUMS).without(INFINITE),
        loss("cross_entropy_never_weight", SUMS).without(INFINITE),
        loss("cross_entropy_never_weight_zero", SUMS).without(INFINITE),
        loss("cross_entropy_never_smoothing", SUMS).without(INFINITE),
        loss("cross_entropy_far", SUMS),
        loss("cross_entropy_ignore", SUMS),
        loss("cross_entropy_ignore_smoothing", SUMS),
        loss("cross_entropy_ignore_weight", SUMS),
        loss("cross_entropy_ignore_weight_smoothing", SUMS),
        loss("cross_entropy_ignore_sum", SUMS),
        loss("cross_entropy_ignore_index", SUMS),
        loss("cross_entropy_ignore_rows", SUMS),
        loss("cross_entropy_probabilities", SUMS),
        loss("cross_entropy_probabilities_positions", SUMS),
        loss("cross_entropy_probabilities_smoothing", SUMS),
        loss("cross_entropy_probabilities_weight_smoothing", SUMS),
        loss("cross_entropy_probabilities_sum", SUMS),
        loss("cross_entropy_of_samples", SUMS),
        loss("cross_entropy_classes_of_samples", SUMS),
        loss("cross_entropy_probabilities_of_samples", SUMS),
        loss("cross_entropy_sum_of_samples", SUMS),
        loss("bce_with_logits_of_samples", SUMS),
        loss("mse_of_samples", SUMS),
        loss("mae_of_samples", SUMS),
        loss("huber_of_samples", SUMS),
        loss("smooth_l1_of_samples", SUMS),
        loss("cross_entropy_samples_smoothing", SUMS),
        loss("cross_entropy_samples_positions", SUMS),
        loss("cross_entropy_samples_positions_smoothing", SUMS),
        loss("cross_entropy_samples_positions_weight_smoothing", SUMS),
        loss("cross_entropy_samples_positions_smoothing_sum", SUMS),
        loss("cross_entropy_samples_ignore_index", SUMS),
        loss("cross_entropy_samples_probabilities_positions", SUMS),
        loss("cross_entropy_samples_probabilities_weight_smoothing", SUMS),
        loss("cross_entropy_samples_probabilities_sum", SUMS),
        loss("bce_with_logits", SUMS),
        loss("bce_with_logits_one", SUMS),
        loss("bce_with_logits_pictures", SUMS),
        loss("bce_with_logits_sum", SUMS),
        loss("bce_with_logits_hard", SUMS),
        loss("bce_with_logits_pos_weight", SUMS),
        loss("bce_with_logits_far", SUMS).without(EDGES),
        loss("mse", SUMS),
        loss("mse_one", SUMS),
        loss("mse_pictures", SUMS),
        loss("mse_sum", SUMS),
        loss("mae", SUMS),
        loss("mae_one", SUMS),
        loss("mae_pictures", SUMS),
        loss("mae_sum", SUMS),
        loss("mae_edges", SUMS).without(EDGES),
        loss("mae_infinite", SUMS).without(INFINITE),
        loss("huber", SUMS),
        loss("huber_one", SUMS),
        loss("huber_pictures", SUMS),
        loss("huber_sum", SUMS),
        loss("huber_delta", SUMS),
        loss("huber_edges", SUMS).without(EDGES),
        loss("huber_infinite", SUMS).without(INFINITE),
        loss("smooth_l1", SUMS),
        loss("smooth_l1_one", SUMS),
        loss("smooth_l1_pictures", SUMS),
        loss("smooth_l1_sum", SUMS),
        loss("smooth_l1_beta", SUMS),
        loss("smooth_l1_beta_zero", SUMS),
        loss("smooth_l1_least", SUMS).without(EDGES),
        loss("smooth_l1_tiny", SUMS).without(EDGES),
        loss("smooth_l1_subnormal", SUMS).without(EDGES),
        loss("smooth_l1_huge", SUMS).without(EDGES),
        loss("smooth_l1_infinite", SUMS).without(INFINITE),
        loss("bce", SUMS),
        loss("bce_sum", SUMS),
        loss("hinge_embedding", SUMS),
        loss("hinge_embedding_sum", SUMS),
        loss("hinge_embedding_margin", SUMS),
        loss("hinge_embedding_margin_sum", SUMS),
        loss("soft_margin", SUMS),
        loss("soft_margin_sum", SUMS),
        loss("log_cosh", SUMS),
        loss("formula", SUMS),
        loss("formula_sum", SUMS),
        loss("log_cosh_sum", SUMS),
        loss("poisson_nll", SUMS),
        loss("poisson_nll_sum", SUMS),
        loss("poisson_nll_full", SUMS),
        loss("poisson_nll_full_sum", SUMS),
        loss("poisson_nll_rate", SUMS),
        loss("poisson_nll_rate_sum", SUMS),
        loss("focal", SUMS),
        loss("focal_sum", SUMS),
        loss("focal_hard", SUMS),
        loss("focal_hard_sum", SUMS),
        loss("focal_no_power", SUMS),
        loss("focal_no_power_sum", SUMS),
        loss("kl_div", SUMS),
        loss("kl_div_sum", SUMS),
        loss("kl_div_log_target", SUMS),
        loss("kl_div_log_target_sum", SUMS),
        loss("multilabel_soft_margin", SUMS),
        loss("multilabel_soft_margin_sum", SUMS),
        loss("multilabel_soft_margin_weight", SUMS),
        loss("multilabel_soft_margin_weight_sum", SUMS),
        loss("dice", SUMS),
        loss("dice_sum", SUMS),
        loss("dice_smooth", SUMS),
        loss("dice_smooth_sum", SUMS),
        loss("tversky", SUMS),
        loss("tversky_sum", SUMS),
        loss("kl_div_batchmean", SUMS),
        loss("soft_margin_far", SUMS).without(EDGES),
        loss("focal_far", SUMS).without(EDGES),
        loss("nll", SUMS),
        loss("multi_margin", SUMS),
        loss("nll_weight", SUMS),
        loss("multi_margin_weight", SUMS),
        loss("nll_weight_sum", SUMS),
        loss("multi_margin_weight_sum", SUMS),
        loss("nll_index", SUMS),
        loss("multi_margin_square", SUMS),
        loss("multilabel_margin", SUMS),
        loss("multilabel_margin_sum", SUMS),
        loss("nll_of_samples", SUMS),
        loss("multi_margin_of_samples", SUMS),
        loss("focal_of_samples", SUMS),
        loss("dice_of_samples", SUMS),
        loss("kl_div_of_samples", SUMS),
    ]
    .into_iter()
    .chain(SEVERAL.iter().map(|name| loss(name, SUMS)))
    .collect()
}
