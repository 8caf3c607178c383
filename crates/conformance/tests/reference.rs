//! The engine's own f64 evaluator against PyTorch and against finite differences: it is what
//! executors are held against, so it is held first.

use onestep_conformance::{Reference, check_dropout, gradients, properties, table, values};

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

#[test]
fn layers_have_pytorchs_values_and_gradients() -> Result<(), String> {
    values(&table::layers(), &Reference).verdict()
}

#[test]
fn gradients_of_layers_are_derivatives() -> Result<(), String> {
    gradients(&table::layers()).verdict()
}

#[test]
fn losses_have_pytorchs_values_and_gradients() -> Result<(), String> {
    values(&table::losses(), &Reference).verdict()
}

#[test]
fn gradients_of_losses_are_derivatives() -> Result<(), String> {
    gradients(&table::losses()).verdict()
}

#[test]
fn networks_train_as_pytorchs_do() -> Result<(), String> {
    values(&table::networks(), &Reference).verdict()
}

#[test]
fn gradients_of_networks_are_derivatives() -> Result<(), String> {
    gradients(&table::networks()).verdict()
}

#[test]
fn dropout_drops() -> Result<(), String> {
    check_dropout(&Reference)
}
