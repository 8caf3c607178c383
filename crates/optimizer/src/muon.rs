//! Muon.

use std::sync::Arc;

use onestep_engine::ParameterInfo;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check::{Range, check};
use crate::options::optimizer_options;
use crate::rule::OtherRule;
use crate::transform::{AverageGradient, Decay, Orthogonalise, ScaleByLr};
use crate::{AdamW, Chain, OptimizerError};

/// Muon (Jordan et al., 2024, "Muon: An optimizer for hidden layers in neural networks"), in the
/// form and with the defaults of `torch.optim.Muon`: matrices move along the nearest orthogonal
/// matrix of their momentum. All that is no matrix (biases, normalisations, the weights of
/// convolutions) is updated by [`AdamW`].
///
/// ```text
/// b = momentum * b + (1 - momentum) * g
/// u = momentum * b + (1 - momentum) * g with Nesterov's momentum, b without
/// p = p * (1 - lr * weight_decay) - lr * adjust * orthogonal(u)
/// ```
///
/// where `orthogonal` is [`ns_steps`](Self::ns_steps) steps of the Newton-Schulz iteration of
/// [`Orthogonalise`]. It is computed in f32; PyTorch rounds it to bf16, as does
/// [`bf16`](Self::bf16), which changes the update by about a hundredth of itself. For a dense
/// layer of `in` inputs and `out` outputs, whose weight is `[in, out]` here and `[out, in]` in
/// PyTorch, `adjust` is by [`adjust_lr`](Self::adjust_lr)
///
/// - `original`: `sqrt(max(1, out / in))`
/// - `match_rms_adamw`: `0.2 * sqrt(max(in, out))` (Liu et al., 2025, "Muon is Scalable for LLM
///   Training"), with which Adam's learning rate and decay fit
/// - `spectral_unclamped`: `sqrt(out / in)`
///
/// State: of matrices `momentum_buffer` (b), of others AdamW's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Muon {
    /// The learning rate of matrices.
    pub lr: f64,
    /// How much matrices shrink at each step, times the learning rate.
    pub weight_decay: f64,
    /// How much of the average of the gradient is kept.
    pub momentum: f64,
    /// Nesterov's momentum.
    pub nesterov: bool,
    /// The coefficients of the Newton-Schulz iteration.
    pub ns_coefficients: [f64; 3],
    /// The least norm to divide a matrix by.
    pub eps: f64,
    /// The steps of the Newton-Schulz iteration.
    pub ns_steps: u32,
    /// How the learning rate depends on a matrix's shape.
    pub adjust_lr: AdjustLr,
    /// Whether the iteration is rounded to bf16.
    pub bf16: bool,
    /// What updates all that is no matrix. Its learning rate follows Muon's in proportion.
    pub adamw: AdamW,
}

/// How Muon's learning rate depends on a matrix's shape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AdjustLr {
    /// `sqrt(max(1, out / in))`
    #[default]
    Original,
    /// `0.2 * sqrt(max(in, out))`
    MatchRmsAdamw,
    /// `sqrt(out / in)`
    SpectralUnclamped,
}

impl AdjustLr {
    /// The factor for a matrix `[inputs, outputs]`.
    fn factor(self) -> fn(usize, usize) -> f64 {
        match self {
            AdjustLr::Original => |inputs, outputs| ratio(inputs, outputs).max(1.0).sqrt(),
            AdjustLr::MatchRmsAdamw => |inputs, outputs| 0.2 * (inputs.max(outputs) as f64).sqrt(),
            AdjustLr::SpectralUnclamped => |inputs, outputs| ratio(inputs, outputs).sqrt(),
        }
    }
}

fn ratio(inputs: usize, outputs: usize) -> f64 {
    outputs as f64 / inputs.max(1) as f64
}

impl Default for Muon {
    fn default() -> Self {
        Muon {
            lr: 1e-3,
            weight_decay: 0.1,
            momentum: 0.95,
            nesterov: true,
            ns_coefficients: [3.4445, -4.775, 2.0315],
            eps: 1e-7,
            ns_steps: 5,
            adjust_lr: AdjustLr::Original,
            bf16: false,
            adamw: AdamW::default(),
        }
    }
}

impl Muon {
    /// Checks the options.
    ///
    /// # Errors
    /// [`OptimizerError::Option`] for the first option that is out of its range.
    pub fn validate(&self) -> Result<(), OptimizerError> {
        check(
            "muon",
            [
                ("lr", self.lr, Range::NotNegative),
                ("weight_decay", self.weight_decay, Range::NotNegative),
                ("momentum", self.momentum, Range::UpToOne),
                ("eps", self.eps, Range::NotNegative),
            ],
        )?;
        if let Some(wrong) = self.ns_coefficients.iter().find(|number| !number.is_finite()) {
            return Err(OptimizerError::option("muon", "ns_coefficients", "finite", wrong));
        }
        if self.ns_steps >= 100 {
            return Err(OptimizerError::option("muon", "ns_steps", "below 100", self.ns_steps));
        }
        self.adamw.validate()
    }

    fn rule(&self) -> Chain {
        Chain::new("muon")
            .then(Decay)
            .then(AverageGradient { momentum: self.momentum, nesterov: self.nesterov })
            .then(Orthogonalise {
                coefficients: self.ns_coefficients,
                steps: self.ns_steps,
                eps: self.eps,
                bf16: self.bf16,
                scale: self.adjust_lr.factor(),
            })
            .then(ScaleByLr)
    }
}

optimizer_options!(
    Muon,
    "muon",
    fn other(&self, parameter: &ParameterInfo) -> Option<OtherRule> {
        let other = || OtherRule { rule: Arc::new(self.adamw.clone()), lr: self.adamw.lr };
        (parameter.shape.rank() != 2).then(other)
    }
);
