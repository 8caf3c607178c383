//! The contrastive loss of two views.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Loss, LossContext, LossValues, Reduction, Task, pairs};
use crate::error::LayerError;

/// The least length that vectors are divided by, as in PyTorch's `normalize`.
const EPSILON: f32 = 1e-12;

/// Of two views `[batch, features]` of each sample, as two outputs or as one `[batch, 2, features]`: the
/// cross-entropy of the cosines of a view with all other views of the batch, divided by `temperature`, against
/// the sample's other view (Chen et al., "A Simple Framework for Contrastive Learning of Visual
/// Representations", 2020, equation 1). The loss of a sample is the mean of its two views. No target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NtXent {
    /// What cosines are divided by; above 0, default 0.5.
    #[serde(default = "half")]
    pub temperature: f32,
    /// How the samples become one number: `mean` (default) or `sum`.
    #[serde(default, skip_serializing_if = "Reduction::is_mean")]
    pub reduction: Reduction,
}

fn half() -> f32 {
    0.5
}

impl Default for NtXent {
    fn default() -> Self {
        NtXent { temperature: half(), reduction: Reduction::Mean }
    }
}

/// Both views below one another, `[2 batch, features]`: all first ones, then all second ones.
fn views(cx: &mut LossContext<'_>) -> Result<Value, LayerError> {
    let (dims, all) = (cx.dims(), cx.outputs());
    match (&dims[..], &all[..]) {
        (&[_, _], &[first, second]) => {
            pairs::check_same(cx, "nt_xent", &[second])?;
            Ok(cx.graph.concat(&[first, second], 0)?)
        }
        (&[batch, 2, features], &[both]) => {
            let views = cx.graph.permute(both, &[1, 0, 2])?;
            Ok(cx.graph.reshape(views, &[2 * batch, features])?)
        }
        _ => {
            let wanted = "two `outputs` of [batch, features], or one of [batch, 2, features]";
            let got = format!("{} of {dims:?}", all.len());
            Err(LayerError::input("nt_xent", wanted, got))
        }
    }
}

impl Loss for NtXent {
    fn build(&self, cx: &mut LossContext<'_>) -> Result<LossValues, LayerError> {
        let t = self.temperature;
        if !(t.is_finite() && t > 0.0) {
            return Err(LayerError::option("nt_xent", "temperature", "finite and above 0", t));
        }
        let views = views(cx)?;
        let g = &mut *cx.graph;
        let count = g.shape(views).dims()[0];
        let batch = count / 2;
        let square = g.square(views)?;
        let square = g.sum(square, &[1], true)?;
        let least = g.constant(EPSILON * EPSILON)?;
        let square = g.max(square, least)?;
        let length = g.sqrt(square)?;
        let unit = g.div(views, length)?;
        let flipped = g.permute(unit, &[1, 0])?;
        let cosines = g.matmul(unit, flipped)?;
        let logits = g.scale(cosines, 1.0 / t)?;
        // A view is not compared with itself. The numbers of the views, not a matrix of ones and zeros.
        let numbers: Vec<f32> = (0..count).map(|view| view as f32).collect();
        let (down, across) =
            (g.constant_tensor(&[count, 1], &numbers)?, g.constant_tensor(&[1, count], &numbers)?);
        let same = g.eq(down, across)?;
        let never = g.constant(-1e30)?;
        let logits = g.select(same, never, logits)?;
        let partners: Vec<i32> = (0..count).map(|view| ((view + batch) % count) as i32).collect();
        let partners = g.constant_indices(&[count], &partners)?;
        let each = g.cross_entropy(logits, partners, 0.0)?;
        let each = g.reshape(each, &[2, batch])?;
        let each = g.mean(each, &[0], false)?;
        let output = cx.output();
        let reduced = cx.reduce(each, self.reduction)?;
        Ok(cx.finish(None, reduced, output))
    }

    fn task(&self) -> Task {
        Task::Unmeasured
    }

    fn most_outputs(&self) -> usize {
        2
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }
}
