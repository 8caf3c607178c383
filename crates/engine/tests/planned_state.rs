//! State of every shape: where it lies, what it begins with, and which of it programs read.

#[allow(dead_code, reason = "the other tests use the rest")]
mod common;

use std::sync::Arc;

use common::models::{Model, shaped_states};
use onestep_engine::plan::compile;
use onestep_engine::*;
use onestep_memory::{HostDevice, MemoryManager};

fn table(model: &Model) -> StateTable {
    let memory = MemoryManager::new(Arc::new(HostDevice::new()));
    StateTable::new(model.layout(), &memory).unwrap()
}

#[test]
fn each_shape_has_a_name_and_a_tensor() {
    let layout = shaped_states().unwrap().layout();
    let names: Vec<String> =
        layout.entries().iter().map(|e| format!("{}{}", e.name, e.shape)).collect();
    let wanted = [
        "fc.weight[3, 4]",
        "fc.bias[4]",
        "rows.fc.weight[3, 1]",
        "columns.fc.weight[1, 4]",
        "vectors.fc.bias[4]",
        "norm.fc.weight[]",
        "norm.fc.bias[]",
        "ema.fc.weight[3, 4]",
        "ema.fc.bias[4]",
        "scale[3]",
        "d.run[]",
    ];
    assert_eq!(names, wanted);
    assert_eq!(layout.bytes(), 4 * (16 + 3 + 4 + 4 + 2 + 16 + 3 + 1));
}

#[test]
fn copies_start_equal_to_what_was_written() {
    let table = table(&shaped_states().unwrap());
    table.write("fc.bias", &[1.0, 2.0, 3.0, 4.0]).unwrap();
    table.write("rows.fc.weight", &[7.0; 3]).unwrap();
    table.start_copies().unwrap();
    assert_eq!(table.read("ema.fc.bias").unwrap(), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(table.read("ema.fc.weight").unwrap(), [0.0; 12]);
    // The others are left as they are.
    assert_eq!(table.read("rows.fc.weight").unwrap(), [7.0; 3]);
    assert_eq!(table.read("norm.fc.bias").unwrap(), [0.25]);
    assert_eq!(table.read("d.run").unwrap(), [1.0]);
}

#[test]
fn a_frozen_group_has_no_gradient() {
    let model = shaped_states().unwrap();
    let step = StepGraph::new(&model.program, &model.layout()).unwrap();
    let outputs: Vec<&str> = step.outputs.iter().map(|n| n.name.as_str()).collect();
    assert_eq!(outputs, ["output", "grad.fc.weight", "grad.fc.bias"]);
    assert!(step.writes.iter().all(|write| !write.name.contains("frozen")));

    // What only its gradient needs is not computed.
    let mut learned = model.program.clone();
    let mut update = (*learned.update.clone().unwrap()).clone();
    update.group(&model.program.groups[1]).unwrap();
    learned.update = Some(Arc::new(update));
    let work = |program: &Program| {
        let plan = compile(program, &model.layout(), None).unwrap();
        plan.kernels.iter().map(|kernel| kernel.to_string().len()).sum::<usize>()
    };
    assert!(work(&model.program) < work(&learned));
}

#[test]
fn weights_are_read_from_a_copy() {
    let model = shaped_states().unwrap();
    let read = |weights: Option<&str>, mode| {
        let weights = weights.map(str::to_owned);
        let program = Program { mode, weights, ..model.program.clone() };
        let step = StepGraph::new(&program, &model.layout())?;
        let names = step.graph.leaves(ops::LeafKind::State).map(|(name, _)| name.to_owned());
        Ok::<_, EngineError>(names.collect::<Vec<_>>())
    };
    let own = read(None, Mode::Evaluate).unwrap();
    assert_eq!(own, ["parameter.all", "parameter.frozen"]);
    // What has no copy is read as it is.
    let copied = read(Some("ema"), Mode::Evaluate).unwrap();
    assert_eq!(copied, ["ema.all", "parameter.frozen"]);
    for (kind, mode) in [
        ("swa", Mode::Evaluate),
        ("rows", Mode::Predict),
        ("norm", Mode::Predict),
        ("ema", Mode::Train),
    ] {
        let error = read(Some(kind), mode).unwrap_err().to_string();
        assert!(error.contains(&format!("`{kind}`")), "{error}");
    }
}
