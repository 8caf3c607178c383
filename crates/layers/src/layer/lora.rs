//! Low-rank adapters of dense weights.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::context::BuildContext;
use crate::error::LayerError;
use crate::initializer::Initializer;

/// What is added to a dense layer's `x W`: `(alpha / rank) (x A) B` (Hu et al., "LoRA: Low-Rank
/// Adaptation of Large Language Models", 2021).
///
/// Parameters: `lora_a [in_features, rank]`, which begins as the weight of a dense layer does, and
/// `lora_b [rank, out_features]`, which begins at 0, so that at first the layer gives what it gives
/// without. Both are the transposes of what PyTorch's PEFT has. [`crate::merge_lora`] folds them into
/// the weight.
///
/// ```
/// use onestep_layers::{Lora, ModelBuilder};
/// let model = ModelBuilder::new([64]).dense_lora(32, true, Lora::new(4, 8.0), "fc").build()?;
/// let names: Vec<&str> = model.parameters().iter().map(|p| p.info.name.as_str()).collect();
/// assert_eq!(names, ["fc.weight", "fc.lora_a", "fc.lora_b", "fc.bias"]);
/// assert_eq!(model.parameters()[1].info.shape.dims(), &[64, 4]);
/// # Ok::<(), onestep_layers::LayerError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lora {
    /// The columns of A and rows of B: at least 1, at most what the weight has of either.
    pub rank: usize,
    /// The adapter counts `alpha / rank` times.
    pub alpha: f32,
}

impl Lora {
    /// Of a rank, counted `alpha / rank` times.
    pub fn new(rank: usize, alpha: f32) -> Self {
        Lora { rank, alpha }
    }

    /// `(alpha / rank) (x A) B` for x `[rows, features]`.
    pub(super) fn build(
        self,
        cx: &mut BuildContext,
        x: Value,
        [features, out]: [usize; 2],
    ) -> Result<Value, LayerError> {
        let most = features.min(out);
        if self.rank == 0 || self.rank > most {
            let wanted = format!("from 1 to {most}, as the weight is [{features}, {out}]");
            return Err(cx.option_error("lora.rank", wanted, self.rank));
        }
        if !self.alpha.is_finite() {
            return Err(cx.option_error("lora.alpha", "finite", self.alpha));
        }
        let scale = self.alpha / self.rank as f32;
        let a = cx.dense_weight("lora_a", [features, self.rank], Initializer::weight_default())?;
        let b = cx.dense_weight("lora_b", [self.rank, out], Initializer::Zeros)?;
        cx.adapts("weight", scale);
        let narrow = cx.graph.matmul(x, a)?;
        // The narrow side has fewer numbers to scale.
        let narrow = cx.graph.scale(narrow, scale)?;
        Ok(cx.graph.matmul(narrow, b)?)
    }

    /// Operations for so many rows.
    pub(super) fn flops(self, rows: u64, features: u64, out: u64) -> u64 {
        let rank = self.rank as u64;
        let a_row = [(2 * features + 1).saturating_mul(rank), (2 * rank + 1).saturating_mul(out)];
        a_row[0].saturating_add(a_row[1]).saturating_mul(rows)
    }
}
