//! The compiler's stages without any backend: the lowered step and the plan, each interpreted and
//! held against the plain evaluator, which knows neither.

use onestep_conformance::{
    Case, Lowered, Planned, Subject, check_dropout, parity, properties, table, values,
};

fn holds(cases: &[Case], subject: &dyn Subject) -> Result<(), String> {
    values(cases, subject).verdict()?;
    parity(cases, subject).verdict()
}

#[test]
fn the_lowered_step_is_the_step() -> Result<(), String> {
    parity(&table::all(), &Lowered).verdict()?;
    check_dropout(&Lowered)
}

#[test]
fn the_lowered_step_is_the_step_on_drawn_shapes() -> Result<(), String> {
    properties::check_parity(500, &Lowered)
}

#[test]
fn plans_of_ops_compute_them() -> Result<(), String> {
    holds(&table::ops(), &Planned)
}

#[test]
fn plans_of_layers_compute_them() -> Result<(), String> {
    holds(&table::layers(), &Planned)?;
    check_dropout(&Planned)
}

#[test]
fn plans_of_losses_compute_them() -> Result<(), String> {
    holds(&table::losses(), &Planned)
}

#[test]
fn plans_of_optimizers_compute_them() -> Result<(), String> {
    holds(&table::optimizers(), &Planned)
}

#[test]
fn plans_of_networks_train_them() -> Result<(), String> {
    values(&table::networks(), &Planned).verdict()
}

#[test]
fn plans_on_drawn_shapes_compute_them() -> Result<(), String> {
    properties::check_parity(1000, &Planned)
}

#[test]
fn plans_of_large_ops_compute_them() -> Result<(), String> {
    properties::check_large(&Planned)
}
