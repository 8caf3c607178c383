//! Whole programs: reductions over drawn axes of drawn views, and convolutions between elementwise ops
//! with both gradients, as the planner joins them.

use std::collections::HashMap;

use onestep_engine::ops::ConvWindow;
use onestep_engine::reference::{Array, Context, evaluate};
use onestep_engine::{
    DType, Executor, Feeds, Graph, GraphError, Named, Program, Scalars, Shape, StateLayout,
    StateTable, Value,
};

use super::{Draw, each_draw};
use crate::simd::Level;
use crate::{CpuExecutor, CpuOptions};

/// A graph with whole numbers for its inputs, by name.
struct Example {
    graph: Graph,
    data: Vec<(String, Vec<usize>, Vec<f32>)>,
    outputs: Vec<Value>,
}

impl Example {
    fn new() -> Example {
        Example { graph: Graph::new(), data: Vec::new(), outputs: Vec::new() }
    }

    fn input(&mut self, draw: &mut Draw, dims: &[usize]) -> Value {
        let name = format!("input{}", self.data.len());
        let value = self.graph.input(&name, dims, DType::F32).unwrap();
        self.data.push((name, dims.to_vec(), draw.whole(dims.iter().product(), 2)));
        value
    }

    /// The outputs on each level, against f64: they must be equal.
    fn check(self, draw: &mut Draw) {
        let leaf = |(name, dims, data): &(String, Vec<usize>, Vec<f32>)| {
            let data = data.iter().copied().map(f64::from).collect();
            (name.clone(), Array::new(Shape::new(dims).unwrap(), data).unwrap())
        };
        let leaves: HashMap<String, Array> = self.data.iter().map(leaf).collect();
        let want = evaluate(&self.graph, &leaves, &Context::default(), &self.outputs).unwrap();
        let name = |i: usize| format!("output{i}");
        let outputs = self.outputs.iter().enumerate().map(|(i, &v)| Named::new(name(i), v));
        let program = Program::predict(self.graph.clone(), outputs.collect());
        for level in Level::available() {
            let threads = draw.within(1, 4);
            let options =
                CpuOptions { threads: Some(threads), level: Some(level), ..CpuOptions::default() };
            let mut executor = CpuExecutor::new(options).unwrap();
            let layout = StateLayout::new(&program.groups, &[], None).unwrap();
            let state = StateTable::new(layout, executor.memory()).unwrap();
            let mut step = executor.compile(&program, &state).unwrap();
            let feed = |(_, dims, data): &(String, Vec<usize>, Vec<f32>)| {
                executor.memory().from_slice(Shape::new(dims).unwrap(), data).unwrap()
            };
            let feeds: Vec<_> = self.data.iter().map(feed).collect();
            step.submit(Feeds::new(&feeds), &Scalars::new(0)).unwrap();
            for (i, want) in want.iter().enumerate() {
                let got = step.read_output(&name(i)).unwrap();
                for (at, (got, want)) in got.iter().zip(&want.data).enumerate() {
                    assert!(
                        f64::from(*got) == *want,
                        "{level}, {threads} threads, output {i}: element {at} is {got}, wanted \
                         {want} of\n{}",
                        step.dump()
                    );
                }
            }
        }
    }
}

/// A view of `x`: permuted, cut or padded.
fn view(g: &mut Graph, draw: &mut Draw, x: Value) -> Result<Value, GraphError> {
    let dims = g.shape(x).dims().to_vec();
    match draw.below(4) {
        0 => {
            let mut axes: Vec<usize> = (0..dims.len()).collect();
            let from = draw.below(axes.len());
            axes.rotate_left(from);
            g.permute(x, &axes)
        }
        1 => {
            let start: Vec<usize> = dims.iter().map(|&size| draw.below(size)).collect();
            let end = |(&from, &size): (&usize, &usize)| draw.within(from + 1, size);
            let end: Vec<usize> = start.iter().zip(&dims).map(end).collect();
            g.slice(x, &start, &end)
        }
        2 => {
            let [low, high] =
                [0, 1].map(|_| dims.iter().map(|_| draw.below(3)).collect::<Vec<_>>());
            g.pad(x, &low, &high, 1.0)
        }
        _ => Ok(x),
    }
}

#[test]
fn reductions_of_drawn_shapes() {
    each_draw("reductions", 500, |draw| {
        let mut example = Example::new();
        let rank = draw.within(1, 4);
        let mut dims = Vec::new();
        for _ in 0..rank {
            let most = (30_000 / dims.iter().product::<usize>().max(1)).clamp(1, 1500);
            let size =
                if draw.below(3) == 0 { draw.within(1, most) } else { draw.around_vectors(most) };
            dims.push(size);
        }
        let x = example.input(draw, &dims);
        let x = view(&mut example.graph, draw, x).unwrap();
        for kind in 0..3 {
            let rank = example.graph.shape(x).rank();
            let axes: Vec<usize> = (0..rank).filter(|_| draw.below(2) == 0).collect();
            let (g, keep) = (&mut example.graph, draw.below(2) == 0);
            let reduced = match kind {
                0 => g.sum(x, &axes, keep),
                1 => g.max_over(x, &axes, keep),
                _ => g.min_over(x, &axes, keep),
            };
            example.outputs.push(reduced.unwrap());
        }
        // One that the elements of its operand are needed beside.
        let square = example.graph.square(x).unwrap();
        let sum = example.graph.sum(square, &[0], true).unwrap();
        let back = example.graph.add(square, sum).unwrap();
        example.outputs.extend([square, back]);
        example.check(draw);
    });
}

#[test]
fn convolutions_in_drawn_programs() {
    each_draw("programs", 200, |draw| {
        let mut example = Example::new();
        let (stride, pad) = (draw.within(1, 2), draw.below(2));
        let window = ConvWindow {
            stride: [stride; 2],
            pad_low: [pad; 2],
            pad_high: [pad; 2],
            ..ConvWindow::default()
        };
        // Not those of minimal filtering, which is not exact.
        let kernel = draw.pick(&[[1, 1], [2, 2], [3, 2], [1, 5]]);
        let (c, o) = (draw.pick(&[1, 3, 8, 17]), draw.pick(&[1, 2, 9, 16]));
        let x_dims = [draw.within(1, 3), c, draw.within(5, 12), draw.around_vectors(35).max(5)];
        let x = example.input(draw, &x_dims);
        let w = example.input(draw, &[o, c, kernel[0], kernel[1]]);
        let bias = example.input(draw, &[o, 1, 1]);
        let g = &mut example.graph;
        let y = g.conv(x, w, window).unwrap();
        let biased = g.add(y, bias).unwrap();
        let y_dims = g.shape(y).dims().to_vec();
        let dy = example.input(draw, &y_dims);
        let g = &mut example.graph;
        let dx = g.conv_input_grad(dy, w, window, &Shape::from(x_dims)).unwrap();
        let w_shape = g.shape(w).clone();
        let dw = g.conv_weight_grad(x, dy, window, &w_shape).unwrap();
        let sum = g.sum(biased, &[0, 2, 3], false).unwrap();
        example.outputs.extend([biased, dx, dw, sum]);
        example.check(draw);
    });
}
