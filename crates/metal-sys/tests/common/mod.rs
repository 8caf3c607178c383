//! What the tests share.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::time::Duration;

use onestep_metal_sys::{
    Buffer, DType, Device, Group, NodeDescription, OpCode, Program, ProgramDescription, Queue,
    Reports, StepArguments, Storage, Ticket,
};

/// The device and a queue, or `None` where there is no Metal (and the test has nothing to do).
pub(crate) fn device() -> Option<(Device, Queue)> {
    match Device::open(0) {
        Ok(device) => {
            let queue = device.queue(3).expect("a queue");
            Some((device, queue))
        }
        Err(error) => {
            eprintln!("skipped: {error}");
            None
        }
    }
}

pub(crate) fn buffer(device: &Device, data: &[f32]) -> Buffer {
    let buffer = device.buffer(data.len() as u64 * 4, Storage::Shared).expect("a buffer");
    buffer.write(0, &bytes(data)).expect("written");
    buffer
}

pub(crate) fn bytes(data: &[f32]) -> Vec<u8> {
    data.iter().flat_map(|v| v.to_ne_bytes()).collect()
}

pub(crate) fn read(buffer: &Buffer) -> Vec<f32> {
    let mut bytes = vec![0; buffer.bytes() as usize];
    buffer.read(0, &mut bytes).expect("read");
    bytes.chunks_exact(4).map(|c| f32::from_ne_bytes([c[0], c[1], c[2], c[3]])).collect()
}

pub(crate) fn wait(ticket: &Ticket) -> Reports {
    ticket.wait(Some(Duration::from_secs(60))).expect("the step succeeds")
}

/// Writes graphs.
#[derive(Default)]
pub(crate) struct Writer {
    pub(crate) nodes: Vec<NodeDescription>,
}

impl Writer {
    pub(crate) fn push(&mut self, node: NodeDescription) -> u32 {
        self.nodes.push(node);
        self.nodes.len() as u32 - 1
    }

    pub(crate) fn leaf(&mut self, op: OpCode, dims: &[i64], ints: &[i64]) -> u32 {
        self.push(NodeDescription::new(op, DType::F32, dims, &[]).with_ints(0, ints))
    }

    pub(crate) fn op(&mut self, op: OpCode, dims: &[i64], inputs: &[u32]) -> u32 {
        self.push(NodeDescription::new(op, DType::F32, dims, inputs))
    }

    pub(crate) fn constant(&mut self, dims: &[i64], data: &[f32]) -> u32 {
        let node = NodeDescription::new(OpCode::Constant, DType::F32, dims, &[]);
        self.push(node.with_data(bytes(data)))
    }

    /// The sum of all elements as a scalar.
    pub(crate) fn sum(&mut self, value: u32) -> u32 {
        let rank = self.nodes[value as usize].dims.len() as i64;
        let axes: Vec<i64> = std::iter::once(rank).chain(0..rank).collect();
        let ones = vec![1; rank as usize];
        let node = NodeDescription::new(OpCode::ReduceSum, DType::F32, &ones, &[value]);
        let sum = self.push(node.with_ints(0, &axes));
        self.op(OpCode::Reshape, &[], &[sum])
    }
}

/// `parameter - lr * gradient` over a flat buffer; scalar 0 is `lr`.
pub(crate) fn sgd(elements: i64) -> (Vec<NodeDescription>, u32) {
    let mut g = Writer::default();
    let p = g.leaf(OpCode::Parameter, &[elements], &[0]);
    let dp = g.leaf(OpCode::Gradient, &[elements], &[0]);
    let lr = g.leaf(OpCode::Scalar, &[], &[0]);
    let rate = g.op(OpCode::Broadcast, &[elements], &[lr]);
    let change = g.op(OpCode::Mul, &[elements], &[rate, dp]);
    let new = g.op(OpCode::Sub, &[elements], &[p, change]);
    (g.nodes, new)
}

/// A training program over one group with plain gradient descent.
pub(crate) fn trainer<'a>(
    forward: Vec<NodeDescription>,
    loss: u32,
    parameter: &'a Buffer,
    gradient: &'a Buffer,
    feeds: u64,
) -> ProgramDescription<'a> {
    let elements = parameter.bytes() / 4;
    let (update, new_parameter) = sgd(elements as i64);
    ProgramDescription {
        forward,
        update: Some(update),
        loss: Some(loss),
        groups: vec![Group {
            parameter: parameter.into(),
            gradient: Some(gradient.into()),
            elements,
            new_parameter,
            states: Vec::new(),
            new_states: Vec::new(),
        }],
        feeds,
        scalars: 1,
        ..Default::default()
    }
}

/// Evaluates one value of a forward graph without state.
pub(crate) fn evaluate(
    queue: &Queue,
    nodes: Vec<NodeDescription>,
    value: u32,
    feeds: &[&Buffer],
) -> Vec<f32> {
    let description = ProgramDescription {
        forward: nodes,
        outputs: vec![onestep_metal_sys::Output { value, buffer: None }],
        feeds: feeds.len() as u64,
        ..Default::default()
    };
    let program = Program::compile(queue, &description).expect("compiles");
    let feeds: Vec<_> = feeds.iter().map(|b| b.as_ref()).collect();
    wait(&program.infer(StepArguments { feeds: &feeds, ..Default::default() }).expect("runs"));
    read(&program.output(0).expect("an output"))
}

pub(crate) fn assert_close(got: &[f32], want: &[f32], tolerance: f32) {
    assert_eq!(got.len(), want.len(), "{got:?} against {want:?}");
    for (g, w) in got.iter().zip(want) {
        let close = (g - w).abs() <= tolerance * (1.0 + w.abs()) || (g.is_nan() && w.is_nan());
        assert!(close, "{got:?} against {want:?}");
    }
}
