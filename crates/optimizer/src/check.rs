//! Range checks of options.

use crate::OptimizerError;

/// The ranges that options have. Updates are computed in f32, so a number must be in its range there
/// too: 1e39 is infinite in f32, and 1 - 1e-12 is 1.
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
        let single = value as f32;
        match self {
            Range::NotNegative => single.is_finite() && value >= 0.0,
            Range::Positive => single.is_finite() && value > 0.0,
            Range::BelowOne => value >= 0.0 && single < 1.0,
            Range::UpToOne => (0.0..=1.0).contains(&value),
            Range::PositiveOrInfinite => value > 0.0 && (single.is_finite() || value.is_infinite()),
        }
    }

    fn describe(self, value: f64) -> &'static str {
        match self {
            Range::BelowOne if (0.0..1.0).contains(&value) => {
                "at most 0.99999994, the largest 32-bit number below 1"
            }
            _ if value.is_finite() && value > f64::from(f32::MAX) => {
                "at most 3.4e38, the largest 32-bit number"
            }
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
            return Err(OptimizerError::option(subject, field, range.describe(value), value));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_must_fit_f32_too() {
        let refused = |range, value| check("sgd", [("lr", value, range)]).is_err();
        for range in [Range::NotNegative, Range::Positive, Range::PositiveOrInfinite] {
            assert!(refused(range, 1e39) && !refused(range, 3.4e38), "{range:?}");
        }
        assert!(refused(Range::BelowOne, 1.0 - 1e-12) && !refused(Range::BelowOne, 0.99999994));
        assert!(!refused(Range::PositiveOrInfinite, f64::INFINITY));
        let error = check("sgd", [("lr", 1e39, Range::NotNegative)]).unwrap_err().to_string();
        assert!(error.contains("sgd: `lr`") && error.contains("at most 3.4e38"), "{error}");
    }
}
