//! Whether a step fits in memory.

use super::types::Footprint;
use crate::error::EngineError;

/// Refuses a step that will not fit.
///
/// # Errors
/// [`EngineError::OverBudget`] with the parts of the sum.
pub fn check_budget(footprint: &Footprint, budget: Option<usize>) -> Result<(), EngineError> {
    match budget {
        Some(budget) if footprint.peak() > budget => Err(EngineError::OverBudget {
            needed: footprint.peak(),
            arena: footprint.arena,
            state: footprint.state,
            feeds: footprint.feeds,
            budget,
        }),
        _ => Ok(()),
    }
}
