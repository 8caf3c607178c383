//! Prints every line of the conformance table as the f64 evaluator runs it: the error of each
//! tensor, and the share of what is allowed.
//!
//! `cargo run -p onestep-conformance --example report`

use onestep_conformance::{Reference, gradients, table, values};

fn main() {
    let cases = table::all();
    let mut report = values(&cases, &Reference);
    report.extend(gradients(&cases));
    report.extend(table::check_schedules());
    println!("{report}");
}
