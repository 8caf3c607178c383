//! Matrix products, softmax and cross-entropy.

use onestep_engine::ops::{CrossEntropyGrad, Op};

use super::op::{FIRST_ORDER, op};
use crate::case::Case;
use crate::tolerance::Tolerance;

const SUMS: Tolerance = Tolerance::SUMS;

fn matmul(name: &str, transpose_a: bool, transpose_b: bool) -> Case {
    op(&format!("matmul{name}"), SUMS, move |g, x| {
        g.matmul_with(x[0], x[1], transpose_a, transpose_b)
    })
}

fn softmax(name: &str, axis: usize) -> Case {
    op(&format!("softmax{name}"), SUMS, move |g, x| g.softmax(x[0], axis))
}

fn log_softmax(name: &str, axis: usize) -> Case {
    op(&format!("log_softmax{name}"), SUMS, move |g, x| g.log_softmax(x[0], axis))
}

fn cross_entropy(name: &str, label_smoothing: f32) -> [Case; 2] {
    [
        op(&format!("cross_entropy{name}"), SUMS, move |g, x| {
            g.cross_entropy(x[0], x[1], label_smoothing)
        }),
        Case::value_only(
            &format!("cross_entropy_grad{name}"),
            SUMS,
            FIRST_ORDER,
            move |g, x, _| g.push(Op::CrossEntropyGrad(CrossEntropyGrad { label_smoothing }), x),
        ),
    ]
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        matmul("", false, false),
        matmul("_transpose_a", true, false),
        matmul("_transpose_b", false, true),
        matmul("_transpose_a_transpose_b", true, true),
        matmul("_batched", false, false),
        matmul("_transpose_a_batched", true, false),
        matmul("_transpose_b_batched", false, true),
        matmul("_transpose_a_transpose_b_batched", true, true),
        matmul("_row", false, false),
        matmul("_column", false, false),
        matmul("_outer", false, false),
        matmul("_long", false, false),
        matmul("_odd", false, false),
        matmul("_two_batch_axes", false, false),
        softmax("", 1),
        softmax("_rank3", 2),
        softmax("_one", 1),
        softmax("_far", 1),
        log_softmax("", 1),
        log_softmax("_rank3", 2),
        log_softmax("_one", 1),
        log_softmax("_far", 1),
    ];
    cases.extend(cross_entropy("", 0.0));
    cases.extend(cross_entropy("_smoothing", 0.125));
    cases.extend(cross_entropy("_one_class", 0.0));
    cases.extend(cross_entropy("_far", 0.0));
    cases
}
