//! The shim's gradient rules against the engine's: every op of the conformance table is differentiated by
//! both within one program, and the gradients are compared.

use std::error::Error;

use onestep_conformance::{Case, Run, table};
use onestep_engine::ops::LeafKind;
use onestep_engine::{Program, StateInfo, StateLayout};
use onestep_memory::DType;
use onestep_metal_sys::{
    self as metal, Buffer, Device, NodeDescription, OpCode, Output, ProgramDescription, State,
    StepArguments, Storage, append_gradients,
};

use super::Translation;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Cases of ops that the shim lacks, or that have no gradient in either. `detach` is no op of the shim's: what is
/// differentiated there has it as a reshape.
fn differentiated(case: &Case, run: &Run) -> bool {
    let lacking =
        ["gather_along_", "scatter_along_", "cumsum_", "argsort_", "sort_", "top_k_", "detach"];
    run.program.keep_gradients && !lacking.iter().any(|name| case.name.starts_with(name))
}

fn layout(program: &Program) -> Result<StateLayout> {
    let graph = &program.graph;
    let states = graph.leaves(LeafKind::State).map(|(name, value)| StateInfo {
        name: name.to_owned(),
        shape: graph.shape(value).clone(),
        initial: 0.0,
    });
    let states: Vec<StateInfo> = states.collect();
    Ok(StateLayout::new(&program.groups, &states, program.update.as_deref())?)
}

fn buffer_of(device: &Device, bytes: &[u8]) -> Result<Buffer> {
    let buffer = device.buffer(bytes.len().max(4) as u64, Storage::Shared)?;
    buffer.write(0, bytes)?;
    Ok(buffer)
}

fn read(buffer: &Buffer) -> Result<Vec<f32>> {
    let mut bytes = vec![0; buffer.bytes() as usize];
    buffer.read(0, &mut bytes)?;
    Ok(bytemuck::pod_collect_to_vec(&bytes))
}

/// The buffers of the state table with a run's first contents.
fn states(device: &Device, run: &Run, layout: &StateLayout) -> Result<Vec<Buffer>> {
    let mut contents: Vec<Vec<f32>> =
        layout.buffers().iter().map(|buffer| vec![buffer.initial; buffer.elements]).collect();
    for entry in layout.entries() {
        let Some(array) = run.initial.get(&entry.name) else { continue };
        for (i, &x) in array.data.iter().enumerate() {
            contents[entry.buffer][entry.offset + i] = x as f32;
        }
    }
    contents.iter().map(|values| buffer_of(device, bytemuck::cast_slice(values))).collect()
}

fn feeds(device: &Device, run: &Run) -> Result<Vec<Buffer>> {
    let graph = &run.program.graph;
    let inputs = &run.steps.first().ok_or("a run without steps")?.inputs;
    let leaves = graph.leaves(LeafKind::Input);
    leaves
        .map(|(name, value)| {
            let array = inputs.get(name).ok_or_else(|| format!("no input {name}"))?;
            if graph.type_of(value).dtype == DType::I32 {
                let data: Vec<i32> = array.data.iter().map(|&x| x as i32).collect();
                return buffer_of(device, bytemuck::cast_slice(&data));
            }
            let data: Vec<f32> = array.data.iter().map(|&x| x as f32).collect();
            buffer_of(device, bytemuck::cast_slice(&data))
        })
        .collect()
}

/// The STATE leaves of a graph by their state.
fn leaves(nodes: &[NodeDescription], state: usize) -> Option<u32> {
    let found = nodes.iter().position(|n| n.op == OpCode::State && n.ints[0] == state as i64);
    found.map(|index| index as u32)
}

/// The gradient of a parameter by its name, the engine's and the shim's.
type Pair = (String, Vec<f32>, Vec<f32>);

/// Those of all parameters of a run.
fn both(device: &Device, run: &Run) -> Result<Vec<Pair>> {
    let program = &run.program;
    let layout = layout(program)?;
    let mut translation = Translation::new(program, &layout)?;
    let mut nodes = std::mem::take(&mut translation.nodes);
    let mut pairs = Vec::new();
    for output in translation.outputs.iter().filter(|o| o.name.starts_with("grad.")) {
        let name = output.name.trim_start_matches("grad.");
        let entry = layout.entry(name)?;
        let state = translation.states.iter().position(|&(buffer, _)| buffer == entry.buffer);
        let leaf = state.and_then(|state| leaves(&nodes, state)).ok_or("a parameter unread")?;
        pairs.push((name.to_owned(), entry, output.value.ok_or("an empty gradient")?, leaf));
    }
    let flat: Vec<u32> = pairs.iter().map(|&(.., leaf)| leaf).collect();
    let ours = append_gradients(&mut nodes, translation.reports[0], &flat)?;
    let values = pairs.iter().map(|&(_, _, engine, _)| engine).chain(ours);
    let tables = states(device, run, &layout)?;
    let description = ProgramDescription {
        graph: nodes,
        states: translation
            .states
            .iter()
            .map(|&(index, _)| State { buffer: tables[index].as_ref(), new_value: None })
            .collect(),
        outputs: values.map(|value| Output { value, buffer: None }).collect(),
        feeds: translation.feeds as u64,
        scalars: translation.scalars.len() as u64,
        ..Default::default()
    };
    let queue = device.queue(1)?;
    let program = metal::Program::compile(&queue, &description)?;
    let feeds = feeds(device, run)?;
    let feeds: Vec<_> = feeds.iter().map(Buffer::as_ref).collect();
    let scalars = vec![0.0; translation.scalars.len()];
    let step =
        StepArguments { feeds: &feeds, scalars: &scalars, seed: run.seed, ..Default::default() };
    program.infer(step)?.wait(None)?;
    let count = pairs.len();
    let mut gradients = Vec::with_capacity(count);
    for (i, (name, entry, ..)) in pairs.into_iter().enumerate() {
        let (engine, ours) = (i as u64, (i + count) as u64);
        let all = read(&program.output(ours)?)?;
        let own = all[entry.offset..entry.offset + entry.shape.elements()].to_vec();
        gradients.push((name, read(&program.output(engine)?)?, own));
    }
    Ok(gradients)
}

/// The same formulas in another order of sums.
fn close(a: &[f32], b: &[f32]) -> bool {
    let finite = a.iter().filter(|x| x.is_finite());
    let largest = finite.fold(0.0f32, |m, x| m.max(x.abs()));
    let near = |x: f32, y: f32| {
        x == y || (x.is_nan() && y.is_nan()) || (x - y).abs() <= 1e-6 * (largest + x.abs())
    };
    a.len() == b.len() && a.iter().zip(b).all(|(&x, &y)| near(x, y))
}

#[test]
fn every_op_has_the_engines_gradient() -> Result<()> {
    let device = Device::open(0)?;
    let mut compared = 0;
    for case in table::ops() {
        let (_, setup) = case.setup()?;
        if !differentiated(&case, &setup.run) {
            continue;
        }
        let pairs = both(&device, &setup.run).map_err(|e| format!("{}: {e}", case.name))?;
        for (name, engine, shim) in pairs {
            assert!(close(&engine, &shim), "{} {name}: {engine:?}, shim {shim:?}", case.name);
            compared += 1;
        }
    }
    assert!(compared > 80, "{compared} gradients");
    Ok(())
}
