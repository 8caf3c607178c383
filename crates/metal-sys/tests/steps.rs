//! Training steps against numbers worked out by hand, on every path and in every split.

mod common;

use std::sync::{Arc, Mutex};

use common::{Writer, assert_close, buffer, device, read, trainer, wait};
use onestep_metal_sys::{
    Complete, ConvolutionPath, DType, MetalError, NodeDescription, OpCode, Output, Program, State,
    StepArguments,
};

/// `sum((x * w)^2)` with one parameter vector: the gradient is `2 x^2 w`.
fn squares(n: i64) -> (Vec<NodeDescription>, u32) {
    let mut g = Writer::default();
    let x = g.leaf(OpCode::Feed, &[n], &[0]);
    let w = g.leaf(OpCode::State, &[n], &[0, 0]);
    let product = g.op(OpCode::Mul, &[n], &[x, w]);
    let square = g.op(OpCode::Mul, &[n], &[product, product]);
    let loss = g.sum(square);
    (g.nodes, loss)
}

#[test]
fn a_step_computes_the_loss_the_gradient_and_the_update() {
    let Some((metal, queue)) = device() else { return };
    let (x, w, dw) =
        (buffer(&metal, &[1.0, 2.0]), buffer(&metal, &[3.0, -1.0]), buffer(&metal, &[0.0; 2]));
    let (nodes, loss) = squares(2);
    let program = Program::compile(&queue, &trainer(nodes, loss, &w, &dw, 1)).unwrap();
    let feeds = [x.as_ref()];
    let step = StepArguments { feeds: &feeds, scalars: &[0.1], ..Default::default() };
    let reports = wait(&program.train(step).unwrap());
    assert_close(reports.values(), &[13.0], 1e-6);
    assert_close(&read(&dw), &[6.0, -8.0], 1e-6);
    assert_close(&read(&w), &[2.4, -0.2], 1e-6);
}

/// Two states that become each other: nothing is written before both are read.
#[test]
fn states_change_at_the_end_of_a_step() {
    let Some((metal, queue)) = device() else { return };
    let (a, b) = (buffer(&metal, &[1.0, 2.0]), buffer(&metal, &[30.0, 40.0]));
    for limit in [0, 1] {
        let before = (read(&a), read(&b));
        let mut g = Writer::default();
        let old_a = g.leaf(OpCode::State, &[2], &[0]);
        let old_b = g.leaf(OpCode::State, &[2], &[1]);
        let sum = g.op(OpCode::Add, &[2], &[old_a, old_b]);
        let total = g.sum(sum);
        let description = onestep_metal_sys::ProgramDescription {
            graph: g.nodes,
            trains: true,
            states: vec![
                State { buffer: a.as_ref(), new_value: Some(old_b) },
                State { buffer: b.as_ref(), new_value: Some(sum) },
            ],
            reports: vec![total],
            flops_per_command_buffer: limit,
            ..Default::default()
        };
        let program = Program::compile(&queue, &description).unwrap();
        wait(&program.train(StepArguments::default()).unwrap());
        let sums: Vec<f32> = before.0.iter().zip(&before.1).map(|(a, b)| a + b).collect();
        assert_eq!((read(&a), read(&b)), (before.1, sums));
    }
}

#[test]
fn a_steady_step_is_one_call_one_command_buffer_one_encode_and_nothing_else() {
    let Some((metal, queue)) = device() else { return };
    let (x, w, dw) =
        (buffer(&metal, &[1.0, 2.0]), buffer(&metal, &[3.0, -1.0]), buffer(&metal, &[0.0; 2]));
    let (nodes, loss) = squares(2);
    let program = Program::compile(&queue, &trainer(nodes, loss, &w, &dw, 1)).unwrap();
    let feeds = [x.as_ref()];
    let step = StepArguments { feeds: &feeds, scalars: &[0.01], ..Default::default() };
    queue.wait_idle().unwrap();
    let before = metal.statistics().unwrap();
    wait(&program.train(step).unwrap());
    queue.wait_idle().unwrap();
    let after = metal.statistics().unwrap();
    assert_eq!(after.native_calls - before.native_calls, 1);
    assert_eq!(after.command_buffers - before.command_buffers, 1);
    assert_eq!(after.encodes - before.encodes, 1);
    assert_eq!(after.host_copies, before.host_copies);
    assert_eq!(after.metal_allocations, before.metal_allocations);
    assert_eq!(after.compilations, before.compilations);
    for _ in 0..20 {
        program.train(step).unwrap();
    }
    queue.wait_idle().unwrap();
    let statistics = metal.statistics().unwrap();
    assert!(statistics.in_flight_peak <= 3, "{statistics:?}");
    assert_eq!(statistics.in_flight, 0);
}

/// A tag and what came with it.
type Entry = (u64, Result<Vec<f32>, MetalError>);

#[derive(Default)]
struct Log(Mutex<Vec<Entry>>);

impl Complete for Log {
    fn complete(&self, tag: u64, result: Result<&[f32], MetalError>) {
        self.0.lock().unwrap().push((tag, result.map(<[f32]>::to_vec)));
    }
}

#[test]
fn callbacks_come_in_order_with_the_values_of_their_step() {
    let Some((metal, queue)) = device() else { return };
    let (x, w, dw) = (buffer(&metal, &[1.0]), buffer(&metal, &[1.0]), buffer(&metal, &[0.0]));
    let (nodes, loss) = squares(1);
    let program = Program::compile(&queue, &trainer(nodes, loss, &w, &dw, 1)).unwrap();
    let feeds = [x.as_ref()];
    let log = Arc::new(Log::default());
    for tag in 0..10 {
        // Halves the parameter: w - 0.25 * 2 w.
        let step = StepArguments { feeds: &feeds, scalars: &[0.25], ..Default::default() };
        program.train_with(step, &log, tag).unwrap();
    }
    queue.wait_idle().unwrap();
    let entries = log.0.lock().unwrap();
    for (i, (tag, values)) in entries.iter().enumerate() {
        assert_eq!(*tag, i as u64);
        assert_eq!(values.as_deref().unwrap(), [0.25f32.powi(i as i32)]);
    }
    assert_eq!(entries.len(), 10);
    drop(entries);
    assert_eq!(Arc::strong_count(&log), 1, "every reference was given back");
}

#[test]
fn running_state_moves_and_outputs_can_be_read() {
    let Some((metal, queue)) = device() else { return };
    let (x, w, dw) = (buffer(&metal, &[2.0]), buffer(&metal, &[3.0]), buffer(&metal, &[0.0]));
    let mean = buffer(&metal, &[10.0]);
    let mut g = Writer::default();
    let feed = g.leaf(OpCode::Feed, &[1], &[0]);
    let parameter = g.leaf(OpCode::State, &[1], &[0, 0]);
    let product = g.op(OpCode::Mul, &[1], &[feed, parameter]);
    let old = g.leaf(OpCode::State, &[1], &[1]);
    let sum = g.op(OpCode::Add, &[1], &[old, product]);
    let half = g.constant(&[1], &[0.5]);
    let new = g.op(OpCode::Mul, &[1], &[sum, half]);
    let loss = g.sum(product);
    let mut description = trainer(g.nodes, loss, &w, &dw, 1);
    description.states.push(State { buffer: mean.as_ref(), new_value: Some(new) });
    description.outputs =
        vec![Output { value: product, buffer: None }, Output { value: new, buffer: None }];
    let program = Program::compile(&queue, &description).unwrap();
    let feeds = [x.as_ref()];
    let step = StepArguments { feeds: &feeds, scalars: &[0.0], ..Default::default() };
    wait(&program.train(step).unwrap());
    assert_eq!(read(&mean), [8.0]);
    assert_eq!(read(&program.output(0).unwrap()), [6.0]);
    wait(&program.train(step).unwrap());
    assert_eq!(read(&mean), [7.0]);
    assert_eq!(read(&program.output(1).unwrap()), [7.0]);
}

/// Two convolutions with a relu between them and a residual around the second.
fn network() -> (Vec<NodeDescription>, u32) {
    let mut g = Writer::default();
    let window = [1, 1, 1, 1, 1, 1, 1, 1, 1];
    let conv = |dims: &[i64], x, w| {
        NodeDescription::new(OpCode::Conv, DType::F32, dims, &[x, w]).with_ints(0, &window)
    };
    let x = g.leaf(OpCode::Feed, &[2, 1, 4, 4], &[0]);
    let w1 = g.leaf(OpCode::State, &[4, 1, 3, 3], &[0, 0]);
    let y1 = g.push(conv(&[2, 4, 4, 4], x, w1));
    let h = g.op(OpCode::Relu, &[2, 4, 4, 4], &[y1]);
    let w2 = g.leaf(OpCode::State, &[4, 4, 3, 3], &[0, 36]);
    let y2 = g.push(conv(&[2, 4, 4, 4], h, w2));
    let sum = g.op(OpCode::Add, &[2, 4, 4, 4], &[y2, h]);
    let square = g.op(OpCode::Mul, &[2, 4, 4, 4], &[sum, sum]);
    let loss = g.sum(square);
    (g.nodes, loss)
}

fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 37 % 23) as f32 - 11.0) / 40.0).collect()
}

/// What there is after two steps.
struct Outcome {
    loss: Vec<f32>,
    gradient: Vec<f32>,
    parameter: Vec<f32>,
    command_buffers: u32,
}

fn two_steps(path: ConvolutionPath, limit: u64) -> Option<Outcome> {
    let (metal, queue) = device()?;
    let (x, w, dw) = (
        buffer(&metal, &numbers(32)),
        buffer(&metal, &numbers(180)),
        buffer(&metal, &vec![0.0; 180]),
    );
    let (nodes, loss) = network();
    let mut description = trainer(nodes, loss, &w, &dw, 1);
    description.convolution_path = path;
    description.flops_per_command_buffer = limit;
    let program = Program::compile(&queue, &description).unwrap();
    let feeds = [x.as_ref()];
    let step = StepArguments { feeds: &feeds, scalars: &[0.01], ..Default::default() };
    wait(&program.train(step).unwrap());
    let reports = wait(&program.train(step).unwrap());
    Some(Outcome {
        loss: reports.values().to_vec(),
        gradient: read(&dw),
        parameter: read(&w),
        command_buffers: program.info().unwrap().command_buffers_per_step,
    })
}

#[test]
fn a_split_step_and_the_hybrid_path_give_what_the_whole_step_gives() {
    let Some(whole) = two_steps(ConvolutionPath::Graph, 0) else { return };
    assert_eq!(whole.command_buffers, 1);
    for (path, limit) in [
        (ConvolutionPath::Graph, 1),
        (ConvolutionPath::Graph, 30_000),
        (ConvolutionPath::Hybrid, 0),
        (ConvolutionPath::Hybrid, 1),
    ] {
        let Some(parts) = two_steps(path, limit) else { return };
        assert_close(&parts.loss, &whole.loss, 1e-5);
        assert_close(&parts.gradient, &whole.gradient, 1e-5);
        assert_close(&parts.parameter, &whole.parameter, 1e-5);
        assert_eq!(parts.command_buffers > 1, limit > 0, "{path:?} {limit}");
    }
}

#[test]
fn random_numbers_depend_on_seed_step_and_stream_alone() {
    let Some((_metal, queue)) = device() else { return };
    let mut g = Writer::default();
    let a = g.leaf(OpCode::RandomUniform, &[100], &[0]);
    let b = g.leaf(OpCode::RandomUniform, &[100], &[1]);
    let description = onestep_metal_sys::ProgramDescription {
        graph: g.nodes,
        outputs: [a, b].map(|value| Output { value, buffer: None }).to_vec(),
        ..Default::default()
    };
    let program = Program::compile(&queue, &description).unwrap();
    let draw = |seed, step| {
        wait(&program.infer(StepArguments { seed, step, ..Default::default() }).unwrap());
        [0, 1].map(|i| read(&program.output(i).unwrap()))
    };
    let first = draw(7, 1);
    assert!(first.iter().flatten().all(|v| (0.0..1.0).contains(v)));
    assert_ne!(first[0], first[1]);
    assert_eq!(draw(7, 1), first);
    assert_ne!(draw(7, 2)[0], first[0]);
    assert_ne!(draw(8, 1)[0], first[0]);
}
