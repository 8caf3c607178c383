//! What happens when the device fails: each fault is an error, the process lives, nothing leaks, and
//! the state that was there stays. The faults are those of the headless library, whose counters are
//! the process's: one test, so that nothing runs beside it.
#![cfg(feature = "headless")]

mod common;

use std::ffi::c_int;

use common::{Writer, buffer, device, read, trainer, wait};
use onestep_metal_sys::{
    Buffer, ConvolutionPath, DType, MetalError, NodeDescription, OpCode, Output, Program,
    ProgramDescription, Queue, StepArguments,
};

const ALLOCATION: c_int = 0;
const COMPILE: c_int = 1;
const COMMIT: c_int = 2;

unsafe extern "C" {
    safe fn headless_fail(kind: c_int, k: u64);
    safe fn headless_fault_events(kind: c_int) -> u64;
    safe fn headless_live_allocations() -> u64;
}

/// A convolution, a parameter and a running state: every kind of memory that a program has.
fn description<'a>(w: &'a Buffer, dw: &'a Buffer) -> ProgramDescription<'a> {
    let mut g = Writer::default();
    let x = g.leaf(OpCode::Feed, &[1, 1, 2, 2], &[0]);
    let p = g.leaf(OpCode::State, &[1, 1, 2, 2], &[0, 0]);
    let conv = NodeDescription::new(OpCode::Conv, DType::F32, &[1, 1, 1, 1], &[x, p]);
    let y = g.push(conv.with_ints(0, &[1, 1, 0, 0, 0, 0, 1, 1, 1]));
    let noise = g.leaf(OpCode::RandomUniform, &[1, 1, 1, 1], &[0]);
    let zero = g.constant(&[1, 1, 1, 1], &[0.0]);
    let nothing = g.op(OpCode::Mul, &[1, 1, 1, 1], &[noise, zero]);
    let sum = g.op(OpCode::Add, &[1, 1, 1, 1], &[y, nothing]);
    let loss = g.sum(sum);
    let mut description = trainer(g.nodes, loss, w, dw, 1);
    description.outputs = vec![Output { value: y, buffer: None }];
    description
}

fn step<'a>(feeds: &'a [onestep_metal_sys::BufferRef<'a>]) -> StepArguments<'a> {
    StepArguments { feeds, scalars: &[0.5], ..Default::default() }
}

#[test]
fn every_fault_is_an_error_and_leaves_nothing_behind() {
    let Some((metal, queue)) = device() else { return };
    let x = buffer(&metal, &[1.0; 4]);
    let (w, dw) = (buffer(&metal, &[1.0; 4]), buffer(&metal, &[0.0; 4]));
    // What the queue and the blits of the device make once is made before anything is counted.
    for path in [ConvolutionPath::Graph, ConvolutionPath::Hybrid] {
        let mut program = description(&w, &dw);
        program.convolution_path = path;
        drop(Program::compile(&queue, &program).unwrap());
        failed_compilations(&queue, &program, ALLOCATION);
        failed_compilations(&queue, &program, COMPILE);
    }
    failed_commit(&queue, &description(&w, &dw), &x, &w);
}

/// Lets each event of a kind fail in turn while a program is compiled.
fn failed_compilations(queue: &Queue, description: &ProgramDescription<'_>, kind: c_int) {
    let live = headless_live_allocations();
    headless_fail(kind, 0);
    drop(Program::compile(queue, description).unwrap());
    let events = headless_fault_events(kind);
    assert!(events > 0);
    for k in 1..=events {
        headless_fail(kind, k);
        let error = Program::compile(queue, description).expect_err("the fault is seen");
        let right = match kind {
            COMPILE => matches!(error, MetalError::CompileFailed(_)),
            _ => matches!(error, MetalError::OutOfMemory(_)),
        };
        assert!(right, "fault {k} of {events}: {error}");
        assert_eq!(headless_live_allocations(), live, "fault {k} of {events} leaks");
    }
    headless_fail(kind, 0);
}

/// A step that fails on the device poisons the queue until it recovers, and changes nothing.
fn failed_commit(queue: &Queue, description: &ProgramDescription<'_>, x: &Buffer, w: &Buffer) {
    let program = Program::compile(queue, description).unwrap();
    let feeds = [x.as_ref()];
    wait(&program.train(step(&feeds)).unwrap());
    let before = read(w);
    headless_fail(COMMIT, 1);
    let failed = program.train(step(&feeds)).unwrap();
    let error = failed.wait(None).unwrap_err();
    assert!(matches!(error, MetalError::Device(_)), "{error}");
    queue.wait_idle().unwrap();
    assert_eq!(read(w), before, "a failed step changes nothing");
    let refused = program.train(step(&feeds)).unwrap_err();
    assert!(matches!(refused, MetalError::Poisoned(_)), "{refused}");
    queue.recover().unwrap();
    wait(&program.train(step(&feeds)).unwrap());
    assert_ne!(read(w), before);
}
