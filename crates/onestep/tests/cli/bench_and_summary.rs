//! `onestep bench` and `onestep summary`.

use crate::support::{MLP, Place};

#[test]
fn a_workload_is_measured_while_it_learns() {
    let place = Place::new();
    let row = place.json("bench seed_cnn_sgd --threads 1 --seconds 0.2 --json");
    let number = |key: &str| row[key].as_f64().unwrap_or_else(|| panic!("{key}: {row}"));
    assert_eq!(row["name"], "seed_cnn_sgd");
    assert!((number("ms_per_step") * number("steps_per_second") - 1000.0).abs() < 1e-6);
    assert!(number("last_loss") < number("first_loss"), "{row}");
    assert!(number("peak_memory_bytes") > 0.0 && number("planned_memory_bytes") > 0.0);
    assert_eq!(number("native_calls_per_step"), 1.0);
    assert_eq!(number("allocations_per_step"), 0.0);
}

#[test]
fn a_profile_covers_the_phases_and_a_trace_the_kernels() {
    let place = Place::new();
    let command = "bench mlp_mnist --threads 1 --seconds 0.1 --profile --trace t/step.json --json";
    let profile = place.json(command);
    let kernels = profile["kernels"].as_array().unwrap();
    for phase in ["data", "forward", "backward", "update"] {
        assert!(kernels.iter().any(|k| k["phase"] == phase), "{phase}: {profile}");
    }
    let matmul = kernels.iter().find(|k| k["kind"] == "matmul").unwrap();
    assert_eq!(matmul["flops"], 2 * 64 * 784 * 256);
    assert!(profile["ceilings"]["gflops"].as_f64().unwrap() > 0.0);
    let trace: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(place.path("t/step.json")).unwrap()).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    assert_eq!(
        events.iter().filter(|e| e["tid"] == 2 && e["ph"] == "X").count() + 1,
        kernels.len()
    );
    place.fails("bench --profile --trace t.json --threads 1", 1, &["--trace", "one workload"]);
    place.fails("bench mlp_mnist --trace t.json", 2, &["--profile"]);
}

#[test]
fn a_profile_says_which_way_convolutions_go() {
    let place = Place::new();
    let profile = place.json("bench seed_cnn_sgd --threads 1 --seconds 0.1 --profile --json");
    let kernels = profile["kernels"].as_array().unwrap();
    for kernel in kernels {
        let is_conv = kernel["kind"].as_str().unwrap().starts_with("conv");
        assert_eq!(kernel["ways"].is_array(), is_conv, "{kernel}");
    }
    // Three channels fill no vector.
    let conv = kernels.iter().find(|kernel| kernel["kind"] == "conv").unwrap();
    assert_eq!(conv["ways"], serde_json::json!(["planes"]));
    let text = place.run("bench seed_cnn_sgd --threads 1 --seconds 0.1 --profile").stdout;
    assert!(text.contains(" by planes "), "{text}");
}

#[test]
fn an_unknown_workload_lists_the_known() {
    Place::new().fails("bench resnet1 --json", 1, &["`resnet1`", "seed_cnn_adam", "resnet18_b32"]);
}

#[test]
fn a_summary_counts_parameters_and_memory() {
    let place = Place::new();
    place.write("mlp.json", MLP);
    let summary = place.json("summary mlp.json --batch-size 8 --json");
    assert_eq!(summary["parameters"], 64 * 16 + 16 + 16 * 10 + 10);
    assert_eq!(summary["layers"][3]["output_shape"], serde_json::json!([8, 10]));
    let memory = |plan: &str| summary[plan]["peak_bytes"].as_u64().unwrap();
    assert!(memory("training_memory") > memory("prediction_memory"));
    let text = place.run("summary mlp.json").stdout;
    assert!(text.contains("fc2") && text.contains("planned memory"), "{text}");
    place.fails("summary mlp.json --batch-size 0", 1, &["--batch-size"]);
}

#[test]
fn help_teaches() {
    let place = Place::new();
    for (command, said) in [
        ("--help", "Examples:"),
        ("train --help", "onestep train --resume"),
        ("step --help", "optimizer.KIND.NAME"),
        ("bench --help", "mlp_mnist"),
        ("help train", "early_stopping.patience"),
        ("help train", "smooth_l1"),
        ("help export", "load_state_dict"),
    ] {
        let finished = place.run(command);
        assert_eq!(finished.code, Some(0));
        assert!(finished.stdout.contains(said), "{command}: {}", finished.stdout);
    }
}
