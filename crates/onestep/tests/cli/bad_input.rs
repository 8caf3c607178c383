//! What is wrong must be named, and what to do must be said.

use crate::support::{MLP, Place};

#[test]
fn missing_files_are_named() {
    let place = Place::new();
    place.fails("summary nowhere.json", 1, &["nowhere.json", "No such file"]);
    place.fails("train --model nowhere.json", 1, &["nowhere.json"]);
    place.fails("train --config nowhere.toml", 1, &["nowhere.toml"]);
    place.fails("train --data mnist:nowhere", 1, &["nowhere"]);
    place.fails("evaluate --checkpoint nowhere", 1, &["nowhere", "onestep train"]);
    place.fails("train --resume nowhere", 1, &["nowhere"]);
}

#[test]
fn bad_models_are_refused_with_the_layer() {
    let place = Place::new();
    place.write("m.json", "{ \"input\": ");
    place.fails("summary m.json", 1, &["m.json", "EOF"]);
    place.write("m.json", MLP.replace("relu\"", "relux\""));
    place.fails("summary m.json", 1, &["relu1", "unknown layer type `relux`", "leaky_relu"]);
    place.write("m.json", MLP.replace("fc2", "fc1"));
    place.fails("summary m.json", 1, &["two layers are named `fc1`"]);
    place.write("m.json", MLP.replace("[1, 8, 8]", "[1, 8, 0]"));
    place.fails("summary m.json", 1, &["input", "shape"]);
    place.write("m.json", MLP.replace("\"out_features\": 16", "\"out_feature\": 16"));
    place.fails("summary m.json", 1, &["fc1", "out_feature"]);
}

#[test]
fn models_that_do_not_suit_the_data_are_refused() {
    let place = Place::new();
    place.write("m.json", MLP.replace("[1, 8, 8]", "[1, 9, 9]"));
    place.fails("train --model m.json --out o", 1, &["digits", "[1, 9, 9]", "[1, 8, 8]"]);
    place.write("m.json", MLP.replace("\"out_features\": 10", "\"out_features\": 9"));
    place.fails("train --model m.json --out o", 1, &["classes", "at most 9", "got 10"]);
}

#[test]
fn bad_flags_are_usage_errors() {
    let place = Place::new();
    place.fails("train --loss hinge", 2, &["hinge", "cross_entropy"]);
    place.fails("train --optimizer adamax", 2, &["adamax", "adamw"]);
    place.fails("train --schedule zigzag", 2, &["zigzag", "cosine"]);
    place.fails("train --memory-budget lots", 2, &["lots", "512MiB"]);
    place.fails("train --epochs many", 2, &["--epochs", "many"]);
    place.fails("trian", 2, &["trian", "train"]);
    place.fails("train --device abacus", 1, &["abacus", "cpu"]);
    place.fails("train --data minst:x", 1, &["minst"]);
    place.fails("train --batch-size 0", 1, &["batch_size", "at least 1"]);
    place.fails("train --workers 100000", 1, &["workers", "at most", "100000"]);
    place.fails("train --threads 100000", 1, &["threads", "at most", "100000"]);
    place.fails("bench mlp_mnist --threads 100000", 1, &["threads", "at most", "100000"]);
    place.fails("train --prefetch 1152921504606846976", 1, &["prefetch", "at most"]);
    place.fails("train --monitor mood", 2, &["mood", "validation_accuracy"]);
    place.fails("train --min-delta 1", 1, &["--min-delta", "--early-stopping"]);
    place.fails("train --layout pytorch", 1, &["--layout", "--weights"]);
}

#[test]
fn negative_numbers_are_refused_by_what_takes_them() {
    let place = Place::new();
    place.fails("train --lr -1", 1, &["lr", "-1"]);
    place.fails("train --weight-decay -0.5", 1, &["weight_decay", "-0.5"]);
    place.fails("train --clip-norm -2", 1, &["norm", "-2"]);
    place.fails("train --early-stopping 2 --min-delta -1", 1, &["min_delta", "-1"]);
    place.fails("train --epochs -1", 2, &["--epochs", "-1"]);
    place.fails("bench --seconds -1", 2, &["--seconds", "-1"]);
}

#[test]
fn settings_are_named_with_key_and_line() {
    let place = Place::new();
    place.write("run.toml", "epochs = 1\n[optimizer]\ntype = \"sgd\"\nlr = \"fast\"\n");
    place.fails("train --config run.toml", 1, &["run.toml: line 4: optimizer.lr: ", "fast"]);
    place.write("run.toml", "epochs = 1\nbatch_size = -4\n");
    place.fails("train --config run.toml", 1, &["run.toml: line 2: batch_size: ", "-4"]);
}

#[test]
fn what_is_echoed_is_short_and_does_not_steer_the_terminal() {
    let place = Place::new();
    let cell = "x".repeat(100_000);
    place.write("t.csv", format!("a,label\n1,u\n{cell},v\n2,u\n3,v\n"));
    let finished = place.run("train --data csv:t.csv --out o");
    assert_eq!(finished.code, Some(1));
    assert!(finished.stderr.len() < 5_000, "{}", finished.stderr.len());
    place.write("t.csv", "a,label\n\u{1b}[31m,u\n2,v\n3,u\n");
    place.fails("train --data csv:t.csv --out o", 1, &["\\u{1b}[31m"]);
    let rows: String =
        (0..40).map(|i| format!("{i},{}\n", ["\u{1b}[31mred", "blue"][i % 2])).collect();
    place.write("t.csv", format!("a,label\n{rows}"));
    place.json("train --data csv:t.csv --epochs 1 --threads 1 --out o --json");
    place.write("x.csv", "a\n0\n");
    for command in ["evaluate --checkpoint o", "predict --checkpoint o x.csv"] {
        let text = place.run(command).stdout;
        assert!(text.contains("[31mred") && !text.contains('\u{1b}'), "{text}");
    }
}

#[cfg(unix)]
#[test]
fn a_folder_that_is_no_text_is_no_trouble() {
    use std::os::unix::ffi::OsStrExt;
    let place = Place::new();
    place.write("mlp.json", MLP);
    let out = std::ffi::OsStr::from_bytes(b"run\xff");
    let finished =
        place.run_with("train --model mlp.json --epochs 1 --threads 1 --json --out", out);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(place.path("").join(out).join("weights.safetensors").is_file());
}

#[test]
fn labels_beyond_the_classes_are_named() {
    let place = Place::new();
    place.write("t.csv", "a,b,label\n1,2,0\n3,4,1\n5,6,7\n1,1,0\n2,2,1\n");
    place.fails("train --data csv:t.csv?target=label&kind=2", 1, &["t.csv", "7"]);
}

#[test]
fn too_small_a_budget_is_refused_before_the_first_step() {
    let place = Place::new();
    place.fails("train --memory-budget 64KiB --out o", 1, &["budget", "64 KiB"]);
    assert!(!place.path("o/last").exists());
}

#[test]
fn an_unwritable_folder_is_found_out_before_training() {
    let place = Place::new();
    place.write("file", "");
    place.fails("train --epochs 100000 --out file/out", 1, &["file/out", "--out"]);
}

#[test]
fn a_loss_that_is_not_a_number_stops_training() {
    let place = Place::new();
    place.write("mlp.json", MLP);
    let flags = "--model mlp.json --optimizer sgd --lr 1e20 --schedule constant --out o";
    place.fails(&format!("train {flags}"), 1, &["loss is", "epoch 1", "smaller learning rate"]);
}

#[test]
fn a_checkpoint_of_another_model_is_refused() {
    let place = Place::new();
    place.write("mlp.json", MLP);
    place.write("other.json", MLP.replace("\"out_features\": 16", "\"out_features\": 17"));
    place.json("train --model mlp.json --epochs 1 --threads 1 --out o --json");
    let run = "train --resume o --model other.json --epochs 2";
    place.fails(run, 1, &["another model"]);
    let weights = place.path("o/last/state.safetensors");
    let whole = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &whole[..whole.len() / 2]).unwrap();
    place.fails("evaluate --checkpoint o", 1, &["state.safetensors"]);
}
