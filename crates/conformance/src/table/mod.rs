//! The table: every case of every family. To add a case, add it to the generator
//! (`goldens/generator`), run `goldens/make_goldens.py`, and add its line here; the coverage tests
//! fail while either side lacks the other.

mod elementwise;
mod linear;
mod op;
mod optimizers;
mod schedules;
mod shape;
mod windows;

use crate::case::Case;

pub use schedules::{SCHEDULES, check_schedules};

/// Every op case.
pub fn ops() -> Vec<Case> {
    [elementwise::cases(), shape::cases(), linear::cases(), windows::cases()]
        .into_iter()
        .flatten()
        .collect()
}

/// Every optimizer case.
pub fn optimizers() -> Vec<Case> {
    optimizers::cases()
}

/// Every case that runs on an executor.
pub fn all() -> Vec<Case> {
    [ops(), optimizers()].into_iter().flatten().collect()
}
