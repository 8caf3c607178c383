//! Recurrent cells and their gradient.

use onestep_engine::DType;
use onestep_engine::ops::*;
use onestep_engine::plan::Place;

use super::{Case, Draw, each_draw};
use crate::testing::{Memory, evaluate};

/// Adds an operand of numbers around 0, none larger than `size`.
fn operand(memory: &mut Memory, draw: &mut Draw, dims: &[usize], size: f32) -> Place {
    let count = dims.iter().product();
    let numbers: Vec<f32> = (0..count).map(|_| draw.around_zero() / 2.0 * size).collect();
    memory.push_f32(dims, &numbers)
}

#[test]
fn recurrences_of_drawn_sizes() {
    each_draw("recurrence", 200, |draw| {
        let cell = draw.pick(&[Cell::Tanh, Cell::Relu, Cell::Lstm, Cell::Gru]);
        let some = |draw: &mut Draw| draw.below(2) == 0;
        let op = Recurrence {
            cell,
            reverse: some(draw),
            bias: some(draw),
            projection: cell == Cell::Lstm && some(draw),
            lengths: some(draw),
        };
        let (batch, steps, hidden) =
            (draw.within(1, 19), draw.within(1, 5), draw.around_vectors(50));
        let out = if op.projection { draw.around_vectors(60) } else { hidden };
        let wide = cell.gates() * hidden;
        let mut memory = Memory::default();
        // Sums of about 1, so that no state grows from step to step.
        let share = 1.5 / (hidden as f32).sqrt();
        let mut inputs = vec![
            operand(&mut memory, draw, &[batch, steps, wide], 2.0),
            operand(&mut memory, draw, &[out, wide], share),
            operand(&mut memory, draw, &[batch, out], 2.0),
        ];
        if cell == Cell::Lstm {
            inputs.push(operand(&mut memory, draw, &[batch, hidden], 2.0));
        }
        if op.bias {
            inputs.push(operand(&mut memory, draw, &[cell.biases() * hidden], 1.0));
        }
        if op.projection {
            inputs.push(operand(&mut memory, draw, &[hidden, out], share));
        }
        if op.lengths {
            // Also none, and more than there are.
            let lengths: Vec<i32> = (0..batch).map(|_| draw.below(steps + 3) as i32 - 1).collect();
            inputs.push(memory.push_i32(&[batch], &lengths));
        }
        let dims: Vec<Vec<usize>> = inputs.iter().map(|x| x.shape.dims().to_vec()).collect();
        let sizes = RecurrenceSizes::of(&op, dims.iter().map(Vec::as_slice));
        let (parts, to) = (sizes.parts(&op), sizes.grad_parts(&op));
        let forward = Op::Recurrence(op);
        let y: Vec<f32> = evaluate(&memory, &forward, &inputs).iter().map(|&x| x as f32).collect();
        let out = (&[parts.end][..], DType::F32);
        Case::new(memory.clone(), forward, &inputs, out).check(draw, |_| 1e-5);
        inputs.push(memory.push_f32(&[parts.end], &y));
        inputs.push(operand(&mut memory, draw, &[parts.unprojected], 2.0));
        let backward = Op::RecurrenceGrad(RecurrenceGrad { of: op });
        Case::new(memory, backward, &inputs, (&[to.end], DType::F32)).check(draw, |_| 2e-5);
    });
}
