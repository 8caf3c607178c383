//! Strings whose places are not known.

use onestep_engine::ops::{Ctc, CtcGrad, Op};
use onestep_engine::{Graph, GraphError, Value};

use super::op::{FIRST_ORDER, op};
use crate::case::Case;
use crate::tolerance::Tolerance;

const SUMS: Tolerance = Tolerance::SUMS;

fn ctc(name: &str, blank: usize) -> Case {
    op(&format!("ctc{name}"), SUMS, move |g, x| {
        let logs = g.log_softmax(x[0], 2)?;
        g.ctc(logs, x[1], x.get(2).copied(), blank)
    })
}

fn gradient(name: &str, blank: usize) -> Case {
    let build = move |g: &mut Graph, x: &[Value], _: &_| -> Result<Value, GraphError> {
        let of = Ctc { blank, lengths: x.len() == 5 };
        g.push(Op::CtcGrad(CtcGrad { of }), x)
    };
    Case::value_only(&format!("ctc_grad{name}"), SUMS, FIRST_ORDER, build)
}

pub(super) fn cases() -> Vec<Case> {
    [("", 0), ("_lengths", 0), ("_blank", 3)]
        .into_iter()
        .flat_map(|(name, blank)| [ctc(name, blank), gradient(name, blank)])
        .collect()
}
