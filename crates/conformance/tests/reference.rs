//! The engine's own f64 evaluator against PyTorch and against finite differences: it is what
//! executors are held against, so it is held first.

use onestep_conformance::{Reference, gradients, properties, table, values};

#[test]
fn ops_have_pytorchs_values_and_gradients() -> Result<(), String> {
    values(&table::ops(), &Reference).verdict()
}

#[test]
fn gradients_of_ops_are_derivatives() -> Result<(), String> {
    gradients(&table::ops()).verdict()
}

#[test]
fn gradients_of_ops_on_drawn_shapes_are_derivatives() -> Result<(), String> {
    properties::check_gradients(1000)
}

#[test]
fn optimizers_take_pytorchs_steps() -> Result<(), String> {
    values(&table::optimizers(), &Reference).verdict()
}

#[test]
fn schedules_give_pytorchs_learning_rates() -> Result<(), String> {
    table::check_schedules().verdict()
}
