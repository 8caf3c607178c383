//! Recurrent cells and their gradient.

use onestep_engine::ops::{Cell, Op, Recurrence, RecurrenceGrad};
use onestep_engine::{Graph, GraphError, RecurrenceOptions, Value};

use super::op::{FIRST_ORDER, op};
use crate::case::Case;
use crate::tolerance::Tolerance;

const SUMS: Tolerance = Tolerance::SUMS;

/// A cell with the operands that its options say, in this order: bias, projection, lengths. All that it gives, as
/// a vector.
fn recurrence(
    name: &str,
    cell: Cell,
    reverse: bool,
    [bias, projection, lengths]: [bool; 3],
) -> Case {
    op(&format!("recurrence_{name}"), SUMS, move |g, x| {
        let mut more = x[3..].iter().copied();
        let mut take = |has: bool| if has { more.next() } else { None };
        let first = (x[2], take(cell == Cell::Lstm));
        let options = RecurrenceOptions {
            reverse,
            bias: take(bias),
            projection: take(projection),
            lengths: take(lengths),
        };
        let y = g.recurrence(cell, x[0], x[1], first, options)?;
        let mut parts = Vec::new();
        for part in [y.outputs, y.last].into_iter().chain(y.cell) {
            let elements = g.shape(part).elements();
            parts.push(g.reshape(part, &[elements])?);
        }
        g.concat(&parts, 0)
    })
}

fn gradient(name: &str, cell: Cell) -> Case {
    let build = move |g: &mut Graph, x: &[Value], _: &_| -> Result<Value, GraphError> {
        let (reverse, projection, lengths) = (false, false, false);
        let of = Recurrence { cell, reverse, bias: true, projection, lengths };
        g.push(Op::RecurrenceGrad(RecurrenceGrad { of }), x)
    };
    Case::value_only(&format!("recurrence_grad_{name}"), SUMS, FIRST_ORDER, build)
}

pub(super) fn cases() -> Vec<Case> {
    let (plain, projected, sized) =
        ([true, false, false], [true, true, false], [true, false, true]);
    vec![
        recurrence("tanh", Cell::Tanh, false, plain),
        recurrence("relu", Cell::Relu, false, plain),
        recurrence("lstm", Cell::Lstm, false, plain),
        recurrence("gru", Cell::Gru, false, plain),
        recurrence("gru_without_bias", Cell::Gru, false, [false; 3]),
        recurrence("tanh_reverse", Cell::Tanh, true, plain),
        recurrence("lstm_lengths", Cell::Lstm, false, sized),
        recurrence("gru_reverse_lengths", Cell::Gru, true, sized),
        recurrence("lstm_projection", Cell::Lstm, false, projected),
        recurrence("lstm_projection_reverse_lengths", Cell::Lstm, true, [true; 3]),
        gradient("tanh", Cell::Tanh),
        gradient("lstm", Cell::Lstm),
    ]
}
