//! The table: every case of every family. To add a case, add it to the generator
//! (`goldens/generator`), run `goldens/make_goldens.py`, and add its line here; the coverage tests
//! fail while either side lacks the other.

mod elementwise;
mod linear;
mod op;
mod shape;
mod windows;

use crate::case::Case;

/// Every op case.
pub fn ops() -> Vec<Case> {
    [elementwise::cases(), shape::cases(), linear::cases(), windows::cases()]
        .into_iter()
        .flatten()
        .collect()
}
