//! `onestep plan`.

use crate::support::Place;

const NET: &str = r#"{
  "name": "net",
  "input": {"shape": [3, 12, 12]},
  "layers": [
    {"type": "conv2d", "name": "conv1", "out_channels": 16, "kernel_size": 3, "padding": 1, "bias": false},
    {"type": "batch_norm", "name": "bn1"},
    {"type": "relu", "name": "relu1"},
    {"type": "conv2d", "name": "conv2", "out_channels": 16, "kernel_size": 3, "padding": 1, "bias": false},
    {"type": "batch_norm", "name": "bn2"},
    {"type": "relu", "name": "relu2"},
    {"type": "flatten", "name": "flat"},
    {"type": "dense", "name": "fc", "out_features": 10}
  ]
}"#;

#[test]
fn a_plan_has_graph_and_kernels_and_says_what_was_not_fused() {
    let place = Place::new();
    place.write("net.json", NET);
    let plan = place.json("plan net.json --batch-size 4 --json");
    assert_eq!((&plan["mode"], &plan["batch_size"]), (&"train".into(), &4.into()));
    let kernels = plan["kernels"].as_array().unwrap();
    let of_kind = |kind: &str| kernels.iter().filter(|kernel| kernel["kind"] == kind).count();
    assert_eq!(of_kind("conv + reduction"), 2, "{plan}");
    assert_eq!(of_kind("conv_input_grad + conv_weight_grad"), 1, "{plan}");
    for phase in ["forward", "backward", "update"] {
        assert!(kernels.iter().any(|kernel| kernel["phase"] == phase), "{phase}: {plan}");
    }
    let reasons: Vec<&str> = kernels
        .iter()
        .flat_map(|kernel| kernel["not_in"].as_array().unwrap())
        .map(|value| value["reason"].as_str().unwrap())
        .collect();
    assert!(reasons.iter().any(|reason| reason.contains("kernel of its own")), "{reasons:?}");
    let graph = plan["graph"].as_array().unwrap();
    assert!(graph.iter().any(|node| node["label"] == "conv2"), "{plan}");
    assert!(plan["memory"]["peak_bytes"].as_u64().unwrap() > 0);
}

#[test]
fn a_plan_is_read_at_80_columns_and_in_parts() {
    let place = Place::new();
    place.write("net.json", NET);
    let whole = place.run("plan net.json").stdout;
    assert!(whole.contains("graph of ") && whole.contains("plan of "), "{whole}");
    assert!(whole.contains("fuses") && whole.contains("not in"), "{whole}");
    for line in whole.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let graph = place.run("plan net.json --only graph").stdout;
    assert!(graph.contains("conv2") && !graph.contains("plan of "), "{graph}");
    let why = place.run("plan net.json --only why").stdout;
    assert!(why.contains("not in") && !why.contains("fuses"), "{why}");
    let predict = place.run("plan net.json --mode predict --batch-size 1").stdout;
    assert!(predict.lines().count() < whole.lines().count(), "{predict}");
    assert!(!predict.contains("backward") && predict.contains("[1, 3, 12, 12]"), "{predict}");
    place.fails("plan net.json --batch-size 0", 2, &["at least 1"]);
    place.fails("plan nowhere.json", 1, &["nowhere.json"]);
}
