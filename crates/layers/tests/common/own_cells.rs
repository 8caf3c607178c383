//! Cases of cells along a sequence.

use onestep_layers::{Carried, Dense, Formula, InitialState, Placed, Recurrent, Sum, Tanh};

use super::layers::{Case, case};

pub(super) fn all() -> Vec<Case> {
    let mut reverse = plain();
    (reverse.reverse, reverse.initial) = (true, InitialState::Learned);
    vec![
        case(plain(), &[9, 2], &[9, 3]),
        case(reverse, &[3, 2], &[3, 3]),
        case(gated(), &[3, 2], &[3, 2]),
    ]
}

/// `h' = tanh(W x + b + U h)`.
pub(crate) fn plain() -> Recurrent {
    let cell = [
        Placed::from(Dense::new(3).named("input")).taking(["x"]),
        Placed::from(Dense { bias: false, ..Dense::new(3).named("hidden") }).taking(["h"]),
        Placed::from(Sum::default().named("sum")).taking(["input", "hidden"]),
        Tanh::default().named("new").into(),
    ];
    Recurrent::new([("h", Carried::new([3], "new"))], cell)
}

/// Two carried values, one of which is the output.
fn gated() -> Recurrent {
    let cell = [
        Placed::from(Dense::new(2).named("gate")).taking(["x"]),
        Placed::from(Formula::new("x0 * sigmoid(x1) + x2").named("memory"))
            .taking(["c", "gate", "x"]),
        Placed::from(Formula::new("tanh(x0) * x1").named("new")).taking(["memory", "h"]),
        Placed::from(Formula::new("x0 + x1").named("out")).taking(["new", "memory"]),
    ];
    Recurrent::new([("h", Carried::new([2], "out")), ("c", Carried::new([2], "memory"))], cell)
}
