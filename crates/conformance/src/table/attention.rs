//! Attention and its gradient.

use onestep_engine::ops::{Attention, AttentionGrad, Op};
use onestep_engine::{AttentionOptions, DType, Graph, GraphError, Value};

use super::op::{FIRST_ORDER, op};
use crate::case::Case;
use crate::tolerance::Tolerance;

const SUMS: Tolerance = Tolerance::SUMS;

/// Attention, with what `options` makes of the operands behind queries, keys and values.
fn attention(name: &str, options: fn(&[Value]) -> AttentionOptions) -> Case {
    op(&format!("attention{name}"), SUMS, move |g, x| {
        g.attention(x[0], x[1], x[2], options(&x[3..]))
    })
}

fn gradient(name: &str, mask: bool) -> Case {
    let build = move |g: &mut Graph, x: &[Value], _: &_| -> Result<Value, GraphError> {
        let depth = g.shape(x[0]).dims()[3] as f32;
        let mut of = Attention::unhidden(1.0 / depth.sqrt());
        of.mask = mask;
        let mut operands = x.to_vec();
        if mask {
            operands[3] = g.cast(x[3], DType::F32)?;
        }
        g.push(Op::AttentionGrad(AttentionGrad { of }), &operands)
    };
    Case::value_only(&format!("attention_grad{name}"), SUMS, FIRST_ORDER, build)
}

pub(super) fn cases() -> Vec<Case> {
    let causal = |_: &[Value]| AttentionOptions { causal: true, ..Default::default() };
    vec![
        attention("", |_| AttentionOptions::default()),
        attention("_scale", |_| AttentionOptions { scale: Some(0.5), ..Default::default() }),
        attention("_causal", causal),
        attention("_causal_more_keys", causal),
        attention("_causal_more_queries", causal),
        attention("_grouped", |_| AttentionOptions::default()),
        attention("_bias", |x| AttentionOptions { bias: Some(x[0]), ..Default::default() }),
        attention("_mask", |x| AttentionOptions { mask: Some(x[0]), ..Default::default() }),
        attention("_lengths", |x| AttentionOptions { lengths: Some(x[0]), ..Default::default() }),
        attention("_long", |_| AttentionOptions::default()),
        gradient("", false),
        gradient("_grouped", false),
        gradient("_mask", true),
    ]
}
