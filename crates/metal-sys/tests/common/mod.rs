//! What the tests share.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::time::Duration;

use onestep_metal_sys::{
    Buffer, DType, Device, NodeDescription, OpCode, Output, Program, ProgramDescription, Queue,
    Reports, State, StepArguments, Storage, Ticket, append_gradients,
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

/// A training program with plain gradient descent: the loss is reported, the parameters are state 0,
/// their gradient is output 0, scalar 0 is the learning rate.
pub(crate) fn trainer<'a>(
    forward: Vec<NodeDescription>,
    loss: u32,
    parameter: &'a Buffer,
    gradient: &'a Buffer,
    feeds: u64,
) -> ProgramDescription<'a> {
    let elements = parameter.bytes() as i64 / 4;
    let mut g = Writer { nodes: forward };
    let nodes = g.nodes.iter().enumerate();
    let is_parameter = |node: &NodeDescription| node.op == OpCode::State && node.ints[0] == 0;
    let mut leaves: Vec<u32> =
        nodes.filter(|(_, n)| is_parameter(n)).map(|(i, _)| i as u32).collect();
    leaves.sort_by_key(|&leaf| g.nodes[leaf as usize].ints[1]);
    let parts = append_gradients(&mut g.nodes, loss, &leaves).expect("every op has a gradient");
    let flat: Vec<u32> = parts
        .iter()
        .map(|&part| {
            let size = g.nodes[part as usize].dims.iter().product();
            g.op(OpCode::Reshape, &[size], &[part])
        })
        .collect();
    let joined = g.op(OpCode::Concat, &[elements], &flat);
    let p = g.leaf(OpCode::State, &[elements], &[0]);
    let lr = g.leaf(OpCode::Scalar, &[], &[0]);
    let rate = g.op(OpCode::Broadcast, &[elements], &[lr]);
    let change = g.op(OpCode::Mul, &[elements], &[rate, joined]);
    let new = g.op(OpCode::Sub, &[elements], &[p, change]);
    ProgramDescription {
        graph: g.nodes,
        trains: true,
        states: vec![State { buffer: parameter.into(), new_value: Some(new) }],
        outputs: vec![Output { value: joined, buffer: Some(gradient.into()) }],
        reports: vec![loss],
        feeds,
        scalars: 1,
        ..Default::default()
    }
}

/// Evaluates one value of a graph without state.
pub(crate) fn evaluate(
    queue: &Queue,
    nodes: Vec<NodeDescription>,
    value: u32,
    feeds: &[&Buffer],
) -> Vec<f32> {
    let description = ProgramDescription {
        graph: nodes,
        outputs: vec![Output { value, buffer: None }],
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
