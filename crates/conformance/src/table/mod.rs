//! The table: every case of every family. To add a case, add it to the generator
//! (`goldens/generator`), run `goldens/make_goldens.py`, and add its line here; the coverage tests
//! fail while either side lacks the other.

mod attention;
mod elementwise;
mod layers;
mod layers_windows;
mod linear;
mod losses;
mod networks;
mod op;
mod optimizers;
mod own_cells;
mod parametrized;
mod recurrence;
mod recurrent;
mod rows;
mod schedules;
mod shape;
mod strings;
mod tables;
mod transformers;
mod windows;

use crate::case::Case;

pub use schedules::{SCHEDULES, check_schedules};

/// Every op case.
pub fn ops() -> Vec<Case> {
    [
        elementwise::cases(),
        shape::cases(),
        linear::cases(),
        windows::cases(),
        attention::cases(),
        recurrence::cases(),
        rows::cases(),
        strings::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Every optimizer case.
pub fn optimizers() -> Vec<Case> {
    optimizers::cases()
}

/// Every layer case.
pub fn layers() -> Vec<Case> {
    [
        layers::cases(),
        layers_windows::cases(),
        transformers::cases(),
        parametrized::cases(),
        recurrent::cases(),
        own_cells::cases(),
        tables::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Every loss case.
pub fn losses() -> Vec<Case> {
    losses::cases()
}

/// Every whole network.
pub fn networks() -> Vec<Case> {
    networks::cases()
}

/// Every case that runs on an executor.
pub fn all() -> Vec<Case> {
    [ops(), layers(), losses(), optimizers(), networks()].into_iter().flatten().collect()
}
