//! What is refused, with which error, and that it says what was wrong.

mod common;

use common::{Writer, buffer, device, trainer};
use onestep_metal_sys::{
    Copy, DType, Device, MetalError, NodeDescription, OpCode, Output, Program, ProgramDescription,
    StepArguments, Storage, append_gradients,
};

fn message(error: &MetalError) -> String {
    error.to_string()
}

#[test]
fn without_a_shim_nothing_can_be_opened() {
    if onestep_metal_sys::AVAILABLE {
        return;
    }
    assert_eq!(Device::count(), 0);
    assert_eq!(Device::open(0).unwrap_err(), MetalError::Unavailable);
}

#[test]
fn devices_buffers_and_queues_are_checked() {
    let Some((metal, queue)) = device() else { return };
    assert!(matches!(Device::open(99), Err(MetalError::NoDevice(text)) if text.contains("99")));
    assert!(matches!(metal.buffer(0, Storage::Shared), Err(MetalError::InvalidArgument(_))));
    assert!(matches!(metal.buffer(u64::MAX / 2, Storage::Shared), Err(MetalError::OutOfMemory(_))));
    assert!(
        matches!(metal.queue(17), Err(MetalError::InvalidArgument(text)) if text.contains("16"))
    );
    let small = metal.buffer(8, Storage::Private).unwrap();
    assert_eq!((small.bytes(), small.storage(), small.contents()), (8, Storage::Private, None));
    let error = small.write(4, &[0; 8]).unwrap_err();
    assert!(message(&error).contains("8 bytes from 4 on"), "{error}");
    let copy = Copy {
        source: small.as_ref(),
        source_offset: 2,
        target: small.as_ref(),
        target_offset: 4,
        bytes: 4,
    };
    assert!(
        matches!(queue.copy(&[copy]), Err(MetalError::InvalidArgument(text)) if text.contains("4"))
    );
}

#[test]
fn private_memory_is_read_and_written_in_any_part() {
    let Some((metal, _queue)) = device() else { return };
    for storage in [Storage::Shared, Storage::Private] {
        let buffer = metal.buffer(11, storage).unwrap();
        buffer.write(0, &[9; 11]).unwrap();
        buffer.write(3, &[1, 2, 3]).unwrap();
        buffer.fill(8, 3, 7).unwrap();
        let mut out = [0; 11];
        buffer.read(0, &mut out).unwrap();
        assert_eq!(out, [9, 9, 9, 1, 2, 3, 9, 9, 7, 7, 7]);
        let mut part = [0; 2];
        buffer.read(5, &mut part).unwrap();
        assert_eq!(part, [3, 9]);
    }
}

/// Compiles a graph of some nodes whose last is an output.
fn refusal(nodes: Vec<NodeDescription>) -> Option<String> {
    let (_metal, queue) = device()?;
    let value = nodes.len() as u32 - 1;
    let description = ProgramDescription {
        graph: nodes,
        outputs: vec![Output { value, buffer: None }],
        feeds: 1,
        ..Default::default()
    };
    let error = Program::compile(&queue, &description).unwrap_err();
    assert!(matches!(error, MetalError::InvalidArgument(_)), "{error}");
    Some(message(&error))
}

#[test]
fn graphs_that_the_platform_would_abort_on_are_refused_by_node() {
    let f32 = |op, dims: &[i64], inputs: &[u32]| NodeDescription::new(op, DType::F32, dims, inputs);
    let feed = |dims: &[i64]| f32(OpCode::Feed, dims, &[]);
    let cases = [
        (vec![feed(&[2, 0])], "empty"),
        (vec![feed(&[1; 7])], "axes"),
        (vec![feed(&[2]).with_ints(0, &[5])], "feed 5 of 1"),
        (vec![feed(&[2]), f32(OpCode::Add, &[2], &[0])], "operands"),
        (vec![feed(&[2]), f32(OpCode::Neg, &[2], &[1])], "does not come before"),
        (vec![feed(&[2]), feed(&[3]), f32(OpCode::Add, &[2], &[0, 1])], "f32 [3]"),
        (vec![feed(&[2]), f32(OpCode::Reshape, &[3], &[0])], "as many elements"),
        (
            vec![feed(&[2, 3]), feed(&[2, 3]), f32(OpCode::Matmul, &[2, 3], &[0, 1])],
            "right operand",
        ),
        (vec![feed(&[2]), f32(OpCode::Broadcast, &[3], &[0])], "broadcasts"),
        (vec![feed(&[2]), f32(OpCode::ReduceSum, &[1], &[0]).with_ints(0, &[1, 4])], "attribute"),
        (vec![feed(&[2]), f32(OpCode::Slice, &[2], &[0]).with_ints(6, &[3])], "0 to 3"),
        (vec![f32(OpCode::State, &[2], &[])], "state 0 of 0"),
        (vec![f32(OpCode::Constant, &[2], &[]).with_data([0; 4])], "8 bytes"),
        (vec![feed(&[2]), f32(OpCode::Gather, &[2], &[0, 0])], "i32 indices"),
        (
            vec![
                feed(&[1, 2, 4, 4]),
                feed(&[2, 3, 3, 3]),
                f32(OpCode::Conv, &[1, 2, 2, 2], &[0, 1])
                    .with_ints(0, &[1, 1, 0, 0, 0, 0, 1, 1, 1]),
            ],
            "groups",
        ),
    ];
    for (nodes, wanted) in cases {
        let Some(text) = refusal(nodes) else { return };
        assert!(text.contains(wanted), "wanted {wanted:?} in {text:?}");
        assert!(text.contains("step node"), "{text:?}");
    }
}

#[test]
fn programs_and_steps_are_checked() {
    let Some((metal, queue)) = device() else { return };
    let (w, dw) = (buffer(&metal, &[1.0]), buffer(&metal, &[0.0]));
    let short = metal.buffer(2, Storage::Shared).unwrap();
    let mut g = Writer::default();
    let x = g.leaf(OpCode::Feed, &[1], &[0]);
    let p = g.leaf(OpCode::State, &[1], &[0, 0]);
    let y = g.op(OpCode::Mul, &[1], &[x, p]);
    let loss = g.sum(y);
    let good = trainer(g.nodes.clone(), loss, &w, &dw, 1);

    let refusal =
        |bad: &ProgramDescription<'_>| message(&Program::compile(&queue, bad).unwrap_err());
    let mut bad = good.clone();
    bad.reports = vec![y];
    assert!(refusal(&bad).contains("a report: wanted f32 [], got f32 [1]"));
    let mut bad = good.clone();
    bad.states[0].buffer = short.as_ref();
    assert!(refusal(&bad).contains("room for 0 elements"));
    let mut bad = good.clone();
    bad.states[0].new_value = Some(77);
    assert!(refusal(&bad).contains("77"));
    let mut bad = good.clone();
    bad.trains = false;
    assert!(refusal(&bad).contains("changes no state"));
    let mut bad = good.clone();
    bad.reports = vec![loss; 17];
    assert!(refusal(&bad).contains("16"));

    let program = Program::compile(&queue, &good).unwrap();
    let none = program.train(StepArguments { scalars: &[0.1], ..Default::default() });
    assert!(message(&none.unwrap_err()).contains("1 feeds, got 0"));
    let feeds = [short.as_ref()];
    let cut = program.train(StepArguments { feeds: &feeds, scalars: &[0.1], ..Default::default() });
    assert!(message(&cut.unwrap_err()).contains("a feed"));
    let feeds = [w.as_ref()];
    let scalars = program.train(StepArguments { feeds: &feeds, ..Default::default() });
    assert!(message(&scalars.unwrap_err()).contains("1 scalars, got 0"));
    let mode =
        program.infer(StepArguments { feeds: &feeds, scalars: &[0.1], ..Default::default() });
    assert!(message(&mode.unwrap_err()).contains("ONESTEP_INFER"));
    assert!(program.output(1).is_err());
    assert_eq!(program.output(0).unwrap().bytes(), 4);
}

#[test]
fn what_has_no_gradient_is_said_by_node() {
    if !onestep_metal_sys::AVAILABLE {
        return;
    }
    let mut g = Writer::default();
    let x = g.leaf(OpCode::Feed, &[1, 1, 2, 2], &[0]);
    let dy = g.leaf(OpCode::Feed, &[1, 1, 1, 1], &[1]);
    let window = [2, 2, 1, 1, 0, 0, 0, 0, 1, 1];
    let pool = NodeDescription::new(OpCode::MaxPoolGrad, DType::F32, &[1, 1, 2, 2], &[x, dy]);
    let dx = g.push(pool.with_ints(0, &window));
    let loss = g.sum(dx);
    let nodes = g.nodes.len();
    let error = append_gradients(&mut g.nodes, loss, &[x]).unwrap_err();
    let text = message(&error);
    assert!(matches!(error, MetalError::Unsupported(_)), "{text}");
    assert!(
        text.contains("node 2 (MAX_POOL_GRAD)") && text.contains("second derivatives"),
        "{text}"
    );
    let error = append_gradients(&mut g.nodes, dx, &[x]).unwrap_err();
    assert!(message(&error).contains("the loss: wanted f32 []"), "{error}");
    assert!(append_gradients(&mut g.nodes, loss, &[99]).is_err());
    assert_eq!(g.nodes.len(), nodes, "a refused graph stays as it was");
}
