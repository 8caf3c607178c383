//! The engine's own f64 evaluator against PyTorch and against finite differences: it is what
//! executors are held against, so it is held first.

use onestep_conformance::{Reference, gradients, table, values};

#[test]
fn ops_have_pytorchs_values_and_gradients() -> Result<(), String> {
    values(&table::ops(), &Reference).verdict()
}

#[test]
fn gradients_of_ops_are_derivatives() -> Result<(), String> {
    gradients(&table::ops()).verdict()
}
