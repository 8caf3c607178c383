//! Range checks of options.

use crate::OptimizerError;

/// The ranges that options have.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Range {
    /// Finite and not negative.
    NotNegative,
    /// Finite and above zero.
    Positive,
    /// `[0, 1)`
    BelowOne,
    /// `[0, 1]`
    UpToOne,
    /// Above zero, or infinite.
    PositiveOrInfinite,
}

impl Range {
    fn contains(self, value: f64) -> bool {
        match self {
            Range::NotNegative => value.is_finite() && value >= 0.0,
            Range::Positive => value.is_finite() && value > 0.0,
            Range::BelowOne => (0.0..1.0).contains(&value),
            Range::UpToOne => (0.0..=1.0).contains(&value),
            Range::PositiveOrInfinite => value > 0.0,
        }
    }

    fn describe(self) -> &'static str {
        match self {
            Range::NotNegative => "finite and not negative",
            Range::Positive => "finite and above 0",
            Range::BelowOne => "at least 0 and below 1",
            Range::UpToOne => "between 0 and 1",
            Range::PositiveOrInfinite => "above 0",
        }
    }
}

/// Checks several options of one subject and reports the first that is out of its range.
pub(crate) fn check<const N: usize>(
    subject: &str,
    options: [(&'static str, f64, Range); N],
) -> Result<(), OptimizerError> {
    for (field, value, range) in options {
        if !range.contains(value) {
            return Err(OptimizerError::option(subject, field, range.describe(), value));
        }
    }
    Ok(())
}

/// Checks a count that must not be zero.
pub(crate) fn check_count(
    subject: &str,
    field: &'static str,
    value: u64,
) -> Result<(), OptimizerError> {
    if value == 0 {
        return Err(OptimizerError::option(subject, field, "at least 1", value));
    }
    Ok(())
}
