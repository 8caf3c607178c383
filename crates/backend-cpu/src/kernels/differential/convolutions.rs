//! Convolutions and their gradients, by all ways.

use onestep_engine::ops::{Conv, ConvInputGrad, ConvWeightGrad, ConvWindow, Op};
use onestep_engine::plan::{Place, Region};
use onestep_engine::{DType, Shape, Type};

use super::{Case, Draw, each_draw};
use crate::cpu_kernel::Regions;
use crate::kernels::conv;
use crate::machine::Machine;
use crate::simd::Level;
use crate::testing::{Memory, evaluate};

/// Products of one evaluation, at most: what the reference takes a few milliseconds for.
const MOST: usize = 150_000;

/// Draws of convolutions of all kinds, and of those of minimal filtering.
pub(super) const DRAWS: usize = 1200;
pub(super) const FILTERS: usize = 250;

/// A convolution: window, input and weight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shapes {
    pub(super) window: ConvWindow,
    pub(super) x: [usize; 4],
    pub(super) w: [usize; 4],
}

impl Shapes {
    pub(super) fn output(&self) -> Option<[usize; 4]> {
        let size = |axis: usize| self.window.output_size(axis, self.x[2 + axis], self.w[2 + axis]);
        Some([self.x[0], self.w[0], size(0)?, size(1)?])
    }

    /// The three ops.
    pub(super) fn cases(&self, draw: &mut Draw) -> [Case; 3] {
        let mut memory = Memory::default();
        let ops = self.ops(|dims| {
            let numbers = draw.whole(dims.iter().product(), 3);
            memory.push_f32(dims, &numbers)
        });
        ops.map(|(op, inputs, out)| Case::new(memory.clone(), op, &inputs, (&out, DType::F32)))
    }

    /// The same to be lowered only: nothing is in memory.
    pub(super) fn cases_without_data(&self) -> [Case; 3] {
        let place = |dims: &[usize; 4]| {
            let ty = Type { shape: Shape::from(*dims), dtype: DType::F32 };
            Place::contiguous(Region::Arena, 0, &ty)
        };
        self.ops(place).map(|(op, inputs, out)| {
            let (memory, inputs) = (Memory::default(), inputs.to_vec());
            Case { memory, op, inputs, out: place(&out) }
        })
    }

    fn ops(
        &self,
        mut operand: impl FnMut(&[usize; 4]) -> Place,
    ) -> [(Op, [Place; 2], [usize; 4]); 3] {
        let (window, y) = (self.window, self.output().unwrap());
        let (x, w, dy) = (operand(&self.x), operand(&self.w), operand(&y));
        let input = ConvInputGrad { window, input_shape: Shape::from(self.x) };
        let weight = ConvWeightGrad { window, weight_shape: Shape::from(self.w) };
        [
            (Op::Conv(Conv { window }), [x.clone(), w.clone()], y),
            (Op::ConvInputGrad(input), [dy.clone(), w], self.x),
            (Op::ConvWeightGrad(weight), [x, dy], self.w),
        ]
    }
}

/// Minimal filtering has fractions in its transforms; all else is exact.
pub(super) fn error(way: &str) -> f64 {
    if way.contains("winograd") { 2e-5 } else { 0.0 }
}

/// Channels as the ways want them: few, almost a vector, about one, more.
fn channels(draw: &mut Draw) -> usize {
    match draw.below(5) {
        0 | 1 => draw.within(1, 4),
        2 => draw.within(5, 9),
        3 => draw.within(14, 18),
        _ => draw.within(19, 50),
    }
}

/// Windows of all kinds, those of real networks more often.
fn window(draw: &mut Draw) -> (ConvWindow, [usize; 2]) {
    let kernel = match draw.below(8) {
        0 | 1 => [3, 3],
        2 => [1, 1],
        3 => draw.pick(&[[1, 7], [7, 1], [1, 3], [5, 5], [2, 2]]),
        _ => [draw.within(1, 5), draw.within(1, 5)],
    };
    let groups = draw.pick(&[1, 1, 1, 1, 2, 3]);
    let usual = draw.below(3) == 0;
    let pair = |draw: &mut Draw, of: &[usize]| {
        let first = draw.pick(of);
        [first, if usual { first } else { draw.pick(of) }]
    };
    let stride = pair(draw, &[1, 1, 1, 2, 2, 3]);
    let dilation = pair(draw, &[1, 1, 1, 2, 3]);
    let pad_low = pair(draw, &[0, 1, 1, 2, 3]);
    let pad_high = if usual { pad_low } else { pair(draw, &[0, 1, 2, 3]) };
    (ConvWindow { stride, pad_low, pad_high, dilation, groups }, kernel)
}

/// A convolution that the reference can take.
pub(super) fn drawn(draw: &mut Draw) -> Shapes {
    loop {
        let (window, kernel) = window(draw);
        let (c, o) = (channels(draw), channels(draw));
        let size = [draw.around_vectors(70), draw.around_vectors(70)];
        let shapes = Shapes {
            window,
            x: [draw.pick(&[1, 1, 1, 2, 3, 5]), c * window.groups, size[0], size[1]],
            w: [o * window.groups, c, kernel[0], kernel[1]],
        };
        let products = shapes
            .output()
            .map(|y| y.iter().product::<usize>() * shapes.w[1..].iter().product::<usize>());
        if products.is_some_and(|products| products <= MOST) {
            return shapes;
        }
    }
}

#[test]
fn convolutions_of_drawn_shapes() {
    each_draw("convolutions", DRAWS, |draw| {
        let shapes = drawn(draw);
        for case in shapes.cases(draw) {
            case.check(draw, error);
        }
    });
}

/// One of minimal filtering: few are drawn otherwise. Some have enough tiles to be cut into strips.
pub(super) fn drawn_filter(draw: &mut Draw) -> Shapes {
    let pad = |draw: &mut Draw| [draw.below(3), draw.below(3)];
    let (pad_low, pad_high) = (pad(draw), pad(draw));
    let window = ConvWindow { pad_low, pad_high, ..ConvWindow::default() };
    let (c, o, output) = match draw.below(6) {
        // More tiles than a unit has at least: of 4 x 4 outputs, then of 2 x 2.
        0 => (draw.within(16, 18), draw.within(16, 18), [draw.within(19, 26), draw.within(25, 29)]),
        1 => (draw.within(16, 20), draw.within(16, 20), [draw.within(5, 6), draw.within(23, 40)]),
        _ => {
            let (c, o) = (draw.within(16, 40), draw.within(16, 70));
            let outputs = (MOST / (9 * c * o)).max(1);
            let width = draw.within(1, outputs.min(33));
            (c, o, [draw.within(1, (outputs / width).clamp(1, 33)), width])
        }
    };
    let [height, width] = output;
    let batch = (MOST / (9 * c * o * width * height)).clamp(1, draw.within(1, 5));
    let padding = |axis: usize| pad_low[axis] + pad_high[axis];
    let size = [height, width].map(|size| size + 2);
    let size = [0, 1].map(|axis| size[axis].saturating_sub(padding(axis)).max(1));
    Shapes { window, x: [batch, c, size[0], size[1]], w: [o, c, 3, 3] }
}

#[test]
fn minimal_filters_of_drawn_shapes() {
    each_draw("minimal filters", FILTERS, |draw| {
        let shapes = drawn_filter(draw);
        if shapes.output().is_none() {
            return;
        }
        for case in shapes.cases(draw) {
            case.check(draw, error);
        }
        check_moments(draw, &shapes);
    });
}

/// With the moments of the result, where a way takes them.
#[test]
fn moments_of_drawn_convolutions() {
    each_draw("moments", 400, |draw| {
        let shapes = drawn(draw);
        check_moments(draw, &shapes);
    });
}

fn check_moments(draw: &mut Draw, shapes: &Shapes) {
    let dims = shapes.output().unwrap();
    let [mut case, _, _] = shapes.cases(draw);
    let [mean, deviations] = [0, 1].map(|_| case.memory.room(&[dims[1]], DType::F32));
    let y = evaluate(&case.memory, &case.op, &case.inputs);
    let window = shapes.window;
    for level in Level::available() {
        let machine = Machine { threads: draw.within(1, 4), level };
        let (regions, moments) = (Regions::new(0, 0, 0), [&mean, &deviations]);
        let kernel = conv::lower(&window, &case.inputs, &case.out, Some(moments), regions, machine);
        let Some(kernel) = kernel.unwrap() else { continue };
        let after = case.memory.run(&*kernel, level, machine.threads);
        let [means, squares] = [&mean, &deviations].map(|place| after.f32s(place));
        for (channel, (&mean, &squares)) in means.iter().zip(&squares).enumerate() {
            let size = dims[2] * dims[3];
            let of_channel = |i: &usize| i / size % dims[1] == channel;
            let values: Vec<f64> = (0..y.len()).filter(of_channel).map(|i| y[i]).collect();
            let count = values.len() as f64;
            let want = values.iter().sum::<f64>() / count;
            let variance = values.iter().map(|v| (v - want).powi(2)).sum::<f64>() / count;
            let largest = values.iter().fold(1f64, |a, x| a.max(x.abs()));
            let way =
                format!("{shapes:?}: {level}, {} threads, channel {channel}", machine.threads);
            let (mean, squares) = (f64::from(mean), f64::from(squares));
            assert!((mean - want).abs() <= 1e-4 * largest, "{way}: mean {mean}, wanted {want}");
            let bound = 1e-4 * (variance + largest * largest / count);
            assert!((squares - variance).abs() <= bound, "{way}: {squares}, wanted {variance}");
        }
    }
}
