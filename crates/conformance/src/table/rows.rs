//! Rows of tables, and values through which no gradient passes.

use super::op::{NO_GRADIENT, op};
use crate::case::Case;
use crate::report::Mode;
use crate::tolerance::Tolerance;

const EXACT: Tolerance = Tolerance::EXACT;

/// The engine refuses to differentiate it.
const OF_UPDATES: &[(Mode, &str)] =
    &[(Mode::Gradient, "part of updates, which nothing differentiates: the engine refuses it")];

fn set_rows(name: &str) -> Case {
    Case::value_only(&format!("set_rows{name}"), EXACT, OF_UPDATES, |g, x, _| {
        g.set_rows(x[0], x[1], x[2])
    })
}

fn distinct_rows(name: &str, rows: usize) -> Case {
    Case::value_only(&format!("distinct_rows{name}"), EXACT, NO_GRADIENT, move |g, x, _| {
        let parts = g.distinct_rows(x[0], rows)?;
        g.concat(&parts, 0)
    })
}

/// The gradient of what is not held still; a difference quotient sees the sine too.
const STILL: &[(Mode, &str)] =
    &[(Mode::Gradient, "its gradient is on purpose not that of its value; PyTorch's decides")];

pub(super) fn cases() -> Vec<Case> {
    let detach = op("detach", Tolerance::ROUNDED, |g, x| {
        let value = g.sin(x[0])?;
        g.straight_through(value, x[0])
    });
    vec![
        Case { exclusions: STILL, ..detach },
        set_rows(""),
        set_rows("_outside"),
        distinct_rows("", 9),
        distinct_rows("_outside", 131),
    ]
}
