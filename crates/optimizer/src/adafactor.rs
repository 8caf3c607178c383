//! Adafactor.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check::{Range, check};
use crate::options::optimizer_options;
use crate::transform::{Decay, ScaleByAdafactor};
use crate::{Chain, OptimizerError};

/// Adafactor (Shazeer and Stern, 2018, "Adafactor: Adaptive Learning Rates with Sublinear Memory
/// Cost"), in the form and with the defaults of `torch.optim.Adafactor`. Of the gradient's square a
/// tensor of rank 2 or more keeps the means of rows and columns (of its last two axes) alone.
///
/// ```text
/// share = t^beta2_decay
/// alpha = max(eps[1], rms(p)) * min(lr, 1 / sqrt(t))
/// p = p * (1 - lr * weight_decay)
/// r = r + share * (mean of rows of g^2 - r)
/// c = c + share * (mean of columns of g^2 - c)
/// v = r c / max(mean(r), eps[0])               v + share * (g^2 - v) for vectors
/// u = g / sqrt(max(v, eps[0]^2))
/// p = p - alpha / max(1, rms(u) / d) * u
/// ```
///
/// State: `row_var` (r) and `col_var` (c), or `variance` (v) of vectors and scalars.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Adafactor {
    /// The most that the relative step size is.
    pub lr: f64,
    /// The exponent of the step's number that a new square counts with; at most 0.
    pub beta2_decay: f64,
    /// The least root of the average (by default the distance of 1 to the next f32), and the least
    /// root mean square of the parameters.
    pub eps: (Option<f64>, f64),
    /// The largest root mean square of the update; at least 1.
    pub d: f64,
    /// How much the parameters shrink at each step, times the learning rate.
    pub weight_decay: f64,
}

impl Default for Adafactor {
    fn default() -> Self {
        Adafactor { lr: 1e-2, beta2_decay: -0.8, eps: (None, 1e-3), d: 1.0, weight_decay: 0.0 }
    }
}

impl Adafactor {
    /// Checks the options.
    ///
    /// # Errors
    /// [`OptimizerError::Option`] for the first option that is out of its range.
    pub fn validate(&self) -> Result<(), OptimizerError> {
        check(
            "adafactor",
            [
                ("lr", self.lr, Range::NotNegative),
                ("eps[0]", self.eps.0.unwrap_or(0.0), Range::NotNegative),
                ("eps[1]", self.eps.1, Range::NotNegative),
                ("weight_decay", self.weight_decay, Range::NotNegative),
            ],
        )?;
        if !(self.beta2_decay.is_finite() && self.beta2_decay <= 0.0) {
            let got = self.beta2_decay;
            return Err(OptimizerError::option("adafactor", "beta2_decay", "at most 0", got));
        }
        if !(self.d.is_finite() && self.d >= 1.0) {
            return Err(OptimizerError::option("adafactor", "d", "finite and at least 1", self.d));
        }
        Ok(())
    }

    fn rule(&self) -> Chain {
        let eps = [self.eps.0.unwrap_or(f64::from(f32::EPSILON)), self.eps.1];
        Chain::new("adafactor").then(Decay).then(ScaleByAdafactor {
            beta2_decay: self.beta2_decay,
            eps,
            d: self.d,
        })
    }
}

optimizer_options!(Adafactor, "adafactor");
