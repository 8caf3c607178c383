//! Attention and its gradient.

use onestep_engine::DType;
use onestep_engine::ops::*;
use onestep_engine::plan::Place;

use super::{Case, Draw, each_draw};
use crate::testing::{Memory, evaluate};

/// Adds an operand of numbers around 0.
fn operand(memory: &mut Memory, draw: &mut Draw, dims: &[usize]) -> Place {
    let numbers: Vec<f32> = (0..dims.iter().product()).map(|_| draw.around_zero()).collect();
    memory.push_f32(dims, &numbers)
}

/// Heads as a view of `[b, length, heads, width]`, which is how layers have them, or as they are.
fn heads(memory: &mut Memory, draw: &mut Draw, [b, h, t, d]: [usize; 4]) -> Place {
    if draw.below(2) == 0 {
        return operand(memory, draw, &[b, h, t, d]);
    }
    let mut place = operand(memory, draw, &[b, t, h, d]);
    place.shape = onestep_engine::Shape::from([b, h, t, d]);
    place.strides.swap(1, 2);
    place
}

#[test]
fn attention_of_drawn_sizes() {
    each_draw("attention", 150, |draw| {
        let (batch, groups) = (draw.within(1, 3), draw.within(1, 3));
        let h = groups * draw.within(1, 3);
        let (t, mut s) = (draw.around_vectors(70), draw.around_vectors(70));
        // Now and then more keys than a block has.
        if draw.below(8) == 0 {
            s = draw.within(250, 290);
        }
        let (d, e) = (draw.around_vectors(36), draw.around_vectors(36));
        let mut memory = Memory::default();
        let mut inputs = vec![
            heads(&mut memory, draw, [batch, h, t, d]),
            heads(&mut memory, draw, [batch, groups, s, d]),
            heads(&mut memory, draw, [batch, groups, s, e]),
        ];
        let some = |draw: &mut Draw| draw.below(3) == 0;
        let op = Attention {
            causal: some(draw),
            scale: draw.pick(&[0.125, 0.5, 1.0]),
            bias: some(draw),
            mask: some(draw),
            lengths: some(draw),
            dropout: some(draw).then_some(AttentionDropout { p: 0.25, stream: 3 }),
        };
        let one_or = |draw: &mut Draw, dim| if draw.below(2) == 0 { 1 } else { dim };
        if op.bias {
            let dims = [batch, h, t, s].map(|dim| one_or(draw, dim));
            inputs.push(operand(&mut memory, draw, &dims));
        }
        if op.mask {
            let dims = [batch, h, t, s].map(|dim| one_or(draw, dim));
            let count = dims.iter().product();
            let seen: Vec<f32> = (0..count).map(|_| draw.below(3).min(1) as f32).collect();
            inputs.push(memory.push_f32(&dims, &seen));
        }
        if op.lengths {
            // Also none, and more than there are.
            let lengths: Vec<i32> = (0..batch).map(|_| draw.below(s + 3) as i32 - 1).collect();
            inputs.push(memory.push_i32(&[batch], &lengths));
        }
        let packed = batch * t * h * (e + 1);
        let forward = Op::Attention(op);
        let y: Vec<f32> = evaluate(&memory, &forward, &inputs).iter().map(|&x| x as f32).collect();
        Case::new(memory.clone(), forward, &inputs, (&[packed], DType::F32)).check(draw, |_| 1e-5);
        inputs.push(memory.push_f32(&[packed], &y));
        inputs.push(operand(&mut memory, draw, &[batch * t * h * e]));
        let length = batch * (t * h * d + s * groups * (d + e));
        let backward = Op::AttentionGrad(AttentionGrad { of: op });
        Case::new(memory, backward, &inputs, (&[length], DType::F32)).check(draw, |_| 2e-5);
    });
}
