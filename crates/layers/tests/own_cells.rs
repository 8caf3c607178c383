//! Cells along sequences: lengths, states, and what is refused.

mod common;

use common::own_cells::plain;
use onestep_engine::Mode;
use onestep_engine::reference::Array;
use onestep_layers::{
    BatchNorm, Carried, Dense, Dropout, Formula, InitialState, InputSpec, InputType, Model,
    ModelBuilder, ModelSpec, Placed, Recurrent,
};

/// The sequence `[2, steps, 2]` and its lengths to the outputs and the last state.
fn with_lengths(reverse: bool, steps: usize, lengths: [f64; 2], x: Array) -> [Array; 2] {
    let mut layer = plain();
    (layer.reverse, layer.lengths, layer.state) = (reverse, true, true);
    let mut spec = ModelSpec::new("test", [steps, 2], Vec::new());
    let counts = InputSpec { shape: vec![1], dtype: InputType::I32 };
    spec.inputs.insert("lengths".to_owned(), counts);
    spec.layers.push(Placed::from(layer.named("r")).taking(["input", "lengths"]));
    spec.outputs = [("y", "r.0"), ("z", "r.1")].map(|(a, b)| (a.to_owned(), b.to_owned())).into();
    let model = spec.compile().unwrap();
    let forward = model.forward(Mode::Evaluate, 2).unwrap();
    let mut leaves = common::fill(&model);
    leaves.insert("input".into(), x);
    let shape = onestep_engine::Shape::new(&[2, 1]).unwrap();
    leaves.insert("lengths".into(), Array::new(shape, lengths.to_vec()).unwrap());
    ["y", "z"]
        .map(|name| common::value(&forward.graph, &leaves, forward.output_named(name).unwrap()))
}

#[test]
fn what_is_behind_a_sample_does_not_count() {
    let x = common::numbers(&[2, 5, 2], 1, -1.0, 1.0);
    // The first three steps alone.
    let short: Vec<f64> = x.data.chunks(10).flat_map(|sample| sample[..6].to_vec()).collect();
    let short = Array::new(onestep_engine::Shape::new(&[2, 3, 2]).unwrap(), short).unwrap();
    for reverse in [false, true] {
        let [all, last] = with_lengths(reverse, 5, [3.0, 3.0], x.clone());
        let [wanted, wanted_last] = with_lengths(reverse, 3, [3.0, 3.0], short.clone());
        assert_eq!(last.data, wanted_last.data);
        for (all, wanted) in all.data.chunks(15).zip(wanted.data.chunks(9)) {
            assert_eq!(&all[..9], wanted);
            assert!(all[9..].iter().all(|&y| y == 0.0));
        }
        // One without any step keeps what it began with.
        let [all, last] = with_lengths(reverse, 5, [5.0, 0.0], x.clone());
        assert!(all.data[15..].iter().chain(&last.data[3..]).all(|&y| y == 0.0));
        assert!(all.data[..15].iter().all(|&y| y != 0.0));
    }
}

#[test]
fn the_last_state_is_the_last_output() {
    let x = common::numbers(&[2, 4, 2], 1, -1.0, 1.0);
    let [y, z] = with_lengths(false, 4, [4.0, 2.0], x);
    assert_eq!(y.data[9..12], z.data[..3]);
    assert_eq!(y.data[12 + 3..12 + 6], z.data[3..]);
}

#[test]
fn each_step_drops_others() {
    let cell = [
        Placed::from(Dropout::new(0.5).named("kept")).taking(["x"]),
        Placed::from(Formula::new("x0 + x1").named("new")).taking(["kept", "h"]),
    ];
    let mut layer = Recurrent::new([("h", Carried::new([16], "new"))], cell);
    layer.output = Some("kept".to_owned());
    let model = common::model_for(&layer.into(), &[3, 16]).unwrap();
    let y = common::output(&model, Mode::Train, &common::numbers(&[1, 3, 16], 1, 1.0, 2.0));
    let kept: Vec<Vec<bool>> =
        y.data.chunks(16).map(|step| step.iter().map(|&y| y != 0.0).collect()).collect();
    assert!(kept[0] != kept[1] && kept[1] != kept[2] && kept[0] != kept[2], "{kept:?}");
}

#[test]
fn a_cell_shares_what_stands_before_it() {
    let model = ModelBuilder::new([4, 3])
        .layer(Dense::new(3).named("before"))
        .layer(Recurrent::new(
            [("h", Carried::new([3], "new"))],
            [
                Placed::from(Dense::new(3).named("again")).taking(["x"]).sharing("before"),
                Placed::from(Formula::new("x0 + x1").named("new")).taking(["again", "h"]),
            ],
        ))
        .build()
        .unwrap();
    assert_eq!(model.parameters().len(), 2);
}

#[test]
fn operations_count_for_each_step() {
    let flops = |steps: usize| {
        let model = common::model_for(&plain().into(), &[steps, 2]).unwrap();
        model.layers().iter().map(|row| row.flops).sum::<u64>()
    };
    assert_eq!(flops(6), 3 * flops(2));
}

#[test]
fn recurrent_refuses() {
    let refused = |layer: Recurrent, input: &[usize]| {
        common::model_for(&layer.named("it").into(), input).unwrap_err().to_string()
    };
    let carrying = |name: &str, shape: usize, next: &str| {
        let mut layer = plain();
        layer.carried = [(name.to_owned(), Carried::new([shape], next))].into();
        layer
    };
    assert!(
        refused(carrying("x", 3, "new"), &[4, 2]).contains("carried must be names without a dot")
    );
    assert!(
        refused(carrying("sum", 3, "new"), &[4, 2]).contains("`sum`, which is the step or carried")
    );
    let width = refused(carrying("h", 4, "new"), &[4, 2]);
    assert!(width.contains("next must be a value of f32 [4] a sample for `h`"), "{width}");
    let next = refused(carrying("h", 3, "none"), &[4, 2]);
    assert!(next.contains("carried.h.next must be the name of a layer"), "{next}");
    let mut fed = plain();
    fed.initial = InitialState::Input;
    assert!(refused(fed, &[4, 2]).contains("2 inputs (the sequence, initial values, lengths)"));
    let norm = [Placed::from(BatchNorm::new().named("new")).taking(["h"])];
    let norm = Recurrent::new([("h", Carried::new([2], "new"))], norm);
    assert!(refused(norm, &[4, 2]).contains("layers without running statistics"));
    assert!(refused(plain(), &[1 << 20, 2]).contains("at most 65536 layers"), "too long");
}

#[test]
fn a_specification_comes_back() {
    let text = r#"{"type":"recurrent","name":"r","carried":{"h":{"shape":[2],"next":"new"}},
        "cell":[{"type":"formula","name":"new","y":"x0 + x1","inputs":["x","h"]}],"initial":"learned"}"#;
    let placed: Placed = serde_json::from_str(text).unwrap();
    let again: Placed = serde_json::from_str(&serde_json::to_string(&placed).unwrap()).unwrap();
    assert_eq!(placed, again);
    let model: Model = ModelSpec::new("test", [3, 2], vec![placed.layer]).compile().unwrap();
    assert_eq!(model.parameters()[0].info.name, "r.h_0");
}
