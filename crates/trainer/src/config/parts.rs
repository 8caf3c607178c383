//! Settings that have parts.

use onestep_data::Collation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::TrainerError;
use crate::metrics::Monitor;

/// How fields that vary in length become batches. In training samples of one bucket share a batch, which
/// is padded to its bound; evaluation and prediction keep the order and pad all to the longest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Buckets {
    /// Buckets of up to so many positions each, in rising order; what is longer goes into a last one;
    /// default none.
    pub bounds: Vec<usize>,
    /// The name of an input u8 `[length]`, 1 where a sample has a position and 0 where it is padded;
    /// default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mask: Option<String>,
    /// The name of an input i32 `[]`, how many positions a sample has; default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<String>,
}

impl Buckets {
    pub(crate) fn collation(&self, training: bool) -> Collation {
        let bounds: &[usize] = if training { &self.bounds } else { &[] };
        let mut collation = Collation::buckets(bounds);
        if let Some(mask) = &self.mask {
            collation = collation.with_mask(mask);
        }
        if let Some(length) = &self.length {
            collation = collation.with_length(length);
        }
        collation
    }
}

/// When training stops before its last epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EarlyStoppingConfig {
    /// Epochs in a row without improvement after which training stops; default 5.
    pub patience: usize,
    /// What counts as an improvement must be larger than this; default 0.
    pub min_delta: f64,
    /// What is watched; default [`TrainerConfig::monitor`](crate::TrainerConfig::monitor).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monitor: Option<Monitor>,
    /// Whether the best epoch's weights are used when training has ended; default true. Training
    /// that is resumed goes on from the last step's all the same.
    pub restore_best: bool,
}

impl Default for EarlyStoppingConfig {
    fn default() -> Self {
        EarlyStoppingConfig { patience: 5, min_delta: 0.0, monitor: None, restore_best: true }
    }
}

impl EarlyStoppingConfig {
    pub(super) fn validate(&self) -> Result<(), TrainerError> {
        if self.min_delta.is_finite() && self.min_delta >= 0.0 {
            return Ok(());
        }
        let wanted = "a finite number of at least 0";
        Err(TrainerError::option("early_stopping.min_delta", wanted, self.min_delta))
    }
}
