//! Training, and what can be done with the result.

use crate::support::{MLP, Place};

const KEYS: [&str; 14] = [
    "device",
    "epochs",
    "steps",
    "steps_per_second",
    "samples_per_second",
    "train_loss",
    "validation_loss",
    "validation_accuracy",
    "native_calls_per_step",
    "allocations_per_step",
    "host_syncs_per_step",
    "peak_memory_bytes",
    "loader_stall_seconds",
    "first_loss",
];

const FILES: [&str; 7] = [
    "weights.safetensors",
    "model.json",
    "trainer.json",
    "metrics.csv",
    "metrics.json",
    "curves.svg",
    "last/progress.json",
];

fn place_with_model() -> Place {
    let place = Place::new();
    place.write("mlp.json", MLP);
    place
}

#[test]
fn training_reports_and_saves() {
    let place = place_with_model();
    let report = place.json("train --model mlp.json --epochs 2 --threads 1 --out out --json");
    for key in KEYS {
        assert!(!report[key].is_null(), "{key} is missing: {report}");
    }
    assert_eq!((report["epochs"].as_u64(), report["steps"].as_u64()), (Some(2), Some(90)));
    assert_eq!(report["native_calls_per_step"], 1.0);
    assert_eq!(report["allocations_per_step"], 0.0);
    assert_eq!(report["host_syncs_per_step"], 0.0);
    assert!(report["validation_accuracy"].as_f64().unwrap() > 0.5, "{report}");
    assert!(report["train_loss"].as_f64() < report["first_loss"].as_f64(), "{report}");
    for file in FILES {
        assert!(place.path("out").join(file).is_file(), "{file}");
    }
    let csv = std::fs::read_to_string(place.path("out/metrics.csv")).unwrap();
    assert_eq!(csv.lines().count(), 3, "{csv}");
}

#[test]
fn the_default_network_learns_the_digits() {
    let place = Place::new();
    let finished = place.run("train --epochs 1");
    assert_eq!(finished.code, Some(0), "{finished:?}");
    for said in ["digits-cnn", "planned memory", "1439 samples", "steps/s", "saved in runs"] {
        assert!(finished.stdout.contains(said), "`{said}` is not in: {}", finished.stdout);
    }
    assert!(place.path("runs/digits-cnn-1/curves.svg").is_file());
    let table = finished.stdout.lines().skip_while(|line| !line.trim().starts_with("epoch"));
    let lines: Vec<&str> = table.take(2).collect();
    assert!(lines[1].trim().starts_with("1/1") && lines[1].len() <= 80, "{lines:?}");
}

#[test]
fn the_same_seed_gives_the_same_run_and_a_resumed_one_too() {
    let place = place_with_model();
    let flags = "--model mlp.json --threads 1 --schedule constant --json";
    let whole = place.json(&format!("train {flags} --epochs 2 --out whole"));
    place.json(&format!("train {flags} --epochs 1 --out part"));
    let resumed = place.json("train --resume part --epochs 2 --json");
    assert_eq!(whole["validation_loss"], resumed["validation_loss"]);
    let weights = |run: &str| std::fs::read(place.path(run).join("weights.safetensors")).unwrap();
    assert_eq!(weights("whole"), weights("part"));
    assert_eq!((resumed["epochs"].as_u64(), resumed["steps"].as_u64()), (Some(2), Some(45)));
    let further = place.json("train --resume part/last --epochs 3 --json");
    assert_eq!((further["epochs"].as_u64(), further["out"].as_str()), (Some(3), Some("part")));
}

#[test]
fn a_configuration_file_counts_and_flags_win() {
    let place = place_with_model();
    let toml = "model = \"mlp.json\"\nepochs = 9\nbatch_size = 100\nlr = 0.01\nout = \"here\"\n\
                memory_budget = \"64MiB\"\n[optimizer]\ntype = \"sgd\"\nmomentum = 0.9\n";
    place.write("run.toml", toml);
    let report = place.json("train --config run.toml --epochs 1 --threads 1 --json");
    assert_eq!((report["epochs"].as_u64(), report["steps"].as_u64()), (Some(1), Some(15)));
    let settings = std::fs::read_to_string(place.path("here/trainer.json")).unwrap();
    let settings: serde_json::Value = serde_json::from_str(&settings).unwrap();
    assert_eq!(settings["optimizer"]["momentum"], 0.9);
    assert_eq!(settings["optimizer"]["lr"], 0.01);
    place.write("bad.toml", "epoch = 9\n");
    place.fails("train --config bad.toml", 1, &["bad.toml", "unknown field `epoch`", "epochs"]);
}

#[test]
fn a_trained_model_is_evaluated_and_applied() {
    let place = place_with_model();
    let trained = place.json("train --model mlp.json --epochs 3 --threads 1 --out out --json");
    let measured = place.json("evaluate --checkpoint out --json");
    let accuracy = measured["accuracy"].as_f64().unwrap();
    assert!((accuracy - trained["validation_accuracy"].as_f64().unwrap()).abs() < 1e-6);
    assert_eq!(measured["samples"], 358);
    assert_eq!(measured["confusion"].as_array().unwrap().len(), 10);
    assert!(measured["top_k"]["accuracy"].as_f64().unwrap() >= accuracy);
    place.fails("evaluate --checkpoint out --part test", 1, &["--part test", "no third part"]);
    let text = place.run("evaluate --checkpoint out/last --data digits --part train").stdout;
    assert!(text.contains("1439 samples of digits (train)") && text.contains("recall"), "{text}");

    // A bar in the middle is a one.
    let bar =
        image::GrayImage::from_fn(8, 8, |x, _| image::Luma([if x / 2 == 1 { 255 } else { 0 }]));
    bar.save(place.path("bar.png")).unwrap();
    let answer = place.json("predict --checkpoint out bar.png --top-k 2 --json");
    let top = answer["predictions"][0]["top"].as_array().unwrap();
    assert_eq!(top.len(), 2);
    assert!(top[0]["probability"].as_f64() >= top[1]["probability"].as_f64());
    assert_eq!(answer["predictions"][0]["output"].as_array().unwrap().len(), 10);
    let text = place.run("predict --checkpoint out bar.png").stdout;
    assert!(text.contains("bar.png") && text.contains(" %"), "{text}");
    place.write("broken.png", "not a picture");
    place.fails("predict --checkpoint out broken.png", 1, &["broken.png"]);
}

#[test]
fn early_stopping_leaves_the_best_and_the_last() {
    let place = place_with_model();
    let flags = "--epochs 9 --optimizer sgd --lr 3 --schedule constant --early-stopping 1";
    place.json(&format!("train --model mlp.json {flags} --threads 1 --out out --json"));
    let csv = std::fs::read_to_string(place.path("out/metrics.csv")).unwrap();
    let column = csv.lines().next().unwrap().split(',').position(|name| name == "validation_loss");
    let of = |line: &str| line.split(',').nth(column.unwrap()).unwrap().parse::<f64>().unwrap();
    let losses: Vec<f64> = csv.lines().skip(1).map(of).collect();
    let best = losses.iter().copied().fold(f64::INFINITY, f64::min);
    let last = *losses.last().unwrap();
    assert!(best < last, "{losses:?}");
    let measured = |flags: &str| {
        let report = place.json(&format!("evaluate --checkpoint out {flags} --threads 1 --json"));
        report["loss"].as_f64().unwrap()
    };
    for (flags, wanted) in [
        ("", best),
        ("--epoch best", best),
        ("--epoch last", last),
        ("--weights out/weights.safetensors", best),
    ] {
        assert!((measured(flags) - wanted).abs() < 1e-5, "{flags}: {losses:?}");
    }
}

#[test]
fn values_are_learned_from_a_table() {
    let place = Place::new();
    let rows = (0..100).map(|i| {
        let x = f64::from(i) / 50.0 - 1.0;
        format!("{x},{}\n", 2.0 * x - 1.0)
    });
    place.write("line.csv", format!("x,y\n{}", rows.collect::<String>()));
    let data = "csv:line.csv?target=y&kind=values";
    let report = place.json(&format!("train --data {data} --epochs 20 --threads 1 --out o --json"));
    assert!(report["validation_loss"].as_f64().unwrap() < 0.05, "{report}");
    assert!(report["validation_accuracy"].is_null());
    place.write("x.csv", "x\n0.5\n-0.5\n");
    let answer = place.json("predict --checkpoint o x.csv --json");
    let value = |i: usize| answer["predictions"][i]["output"][0].as_f64().unwrap();
    assert!(value(0).abs() < 0.4 && (value(1) + 2.0).abs() < 0.4, "{answer}");
}

#[test]
fn flags_for_early_stopping_and_data_count() {
    let place = place_with_model();
    let flags = "--epochs 30 --early-stopping 1 --min-delta 10 --monitor validation_accuracy \
                 --augmentation crop=1 --drop-last --no-shuffle --clip-value 0.5";
    let report =
        place.json(&format!("train --model mlp.json {flags} --threads 1 --out out --json"));
    // The first epoch is the best whatever comes; 1439 samples are 44 full batches.
    assert_eq!((report["epochs"].as_u64(), report["steps"].as_u64()), (Some(2), Some(88)));
    let settings = std::fs::read_to_string(place.path("out/trainer.json")).unwrap();
    let settings: serde_json::Value = serde_json::from_str(&settings).unwrap();
    assert_eq!(
        (&settings["shuffle"], &settings["augmentation"]),
        (&false.into(), &"crop=1".into())
    );
    assert_eq!(settings["early_stopping"]["monitor"], "validation_accuracy");
}

#[test]
fn weights_go_to_pytorch_and_back() {
    let place = place_with_model();
    place.json("train --model mlp.json --epochs 1 --threads 1 --out out --json");
    place.json("export --checkpoint out --to pytorch --out theirs.safetensors --json");
    let theirs = std::fs::read(place.path("theirs.safetensors")).unwrap();
    let theirs = safetensors::SafeTensors::deserialize(&theirs).unwrap();
    assert_eq!(theirs.tensor("fc1.weight").unwrap().shape(), [16, 64]);
    let own = place.json("evaluate --checkpoint out --json");
    let back = place.json("evaluate --checkpoint out --weights theirs.safetensors --json");
    assert_eq!(own["loss"], back["loss"]);
    let run =
        "export --checkpoint out --weights theirs.safetensors --to onestep --out back.safetensors";
    place.json(&format!("{run} --json"));
    let bytes = |name: &str| std::fs::read(place.path(name)).unwrap();
    assert_eq!(bytes("back.safetensors"), bytes("out/weights.safetensors"));
    // Training begins where the weights are.
    let flags = "--optimizer sgd --lr 1e-30 --schedule constant --epochs 1 --threads 1 --out next";
    let next =
        place.json(&format!("train --model mlp.json --weights theirs.safetensors {flags} --json"));
    assert_eq!(next["validation_loss"], own["loss"]);
    place.fails("train --resume out --weights theirs.safetensors", 2, &["--resume", "--weights"]);
}

#[test]
fn adapters_train_on_given_weights_and_are_merged() {
    let place = place_with_model();
    place.json("train --model mlp.json --epochs 1 --threads 1 --out base --json");
    let text = std::fs::read_to_string(place.path("mlp.json")).unwrap();
    let mut spec: serde_json::Value = serde_json::from_str(&text).unwrap();
    for layer in spec["layers"].as_array_mut().unwrap() {
        if layer["type"] == "dense" {
            layer["lora"] = serde_json::json!({ "rank": 2, "alpha": 4 });
        }
    }
    std::fs::write(place.path("lora.json"), spec.to_string()).unwrap();
    let freeze = "--freeze *.weight,*.bias --epochs 1 --threads 1 --out tuned --json";
    place.json(&format!("train --model lora.json --init-from base {freeze}"));
    let to = "--merge-lora plain.json --to onestep --out plain.safetensors --json";
    place.json(&format!("export --checkpoint tuned {to}"));
    let plain = std::fs::read_to_string(place.path("plain.json")).unwrap();
    assert!(plain.contains("dense") && !plain.contains("lora"), "{plain}");
    // A run that begins there, and goes nowhere, is as good as the adapted one.
    let still = "--optimizer sgd --lr 1e-30 --schedule constant --epochs 1 --threads 1 --out next";
    let next =
        place.json(&format!("train --model plain.json --weights plain.safetensors {still} --json"));
    let loss = |report: &serde_json::Value, key: &str| report[key].as_f64().unwrap();
    let tuned = loss(&place.json("evaluate --checkpoint tuned --json"), "loss");
    assert!((loss(&next, "validation_loss") - tuned).abs() < 1e-5 * (1.0 + tuned));
    let base = loss(&place.json("evaluate --checkpoint base --json"), "loss");
    assert!((base - tuned).abs() > 1e-4, "{base} {tuned}");
}

#[cfg(unix)]
#[test]
fn an_interrupt_saves_a_checkpoint() {
    let place = place_with_model();
    let flags = "--model mlp.json --epochs 100000 --threads 1 --out out --json";
    let child = place.start(&format!("train {flags}"));
    crate::support::wait_for(&place.path("out/last/progress.json"));
    let kill = std::process::Command::new("kill").arg("-INT").arg(child.id().to_string()).status();
    assert!(kill.unwrap().success());
    let finished = place.finish(child);
    assert_eq!(finished.code, Some(130), "{finished:?}");
    let report: serde_json::Value =
        serde_json::from_str(finished.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(report["interrupted"], true);
    assert!(finished.stderr.contains("next: onestep train --resume out"), "{}", finished.stderr);
    let epochs = report["epochs"].as_u64().unwrap();
    let resumed = place.json(&format!("train --resume out --epochs {} --json", epochs + 1));
    assert_eq!(resumed["epochs"].as_u64(), Some(epochs + 1));
}

#[test]
fn a_run_may_be_of_so_many_steps() {
    let place = place_with_model();
    let settings = |folder: &str| -> serde_json::Value {
        let text = std::fs::read_to_string(place.path(folder).join("trainer.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let counts = |arguments: &str| {
        let run = place.json(&format!("train --model mlp.json --threads 1 --json {arguments}"));
        (run["steps"].as_u64().unwrap(), run["epochs"].as_u64().unwrap())
    };
    let flags = "--steps 5 --schedule warmup:2:0.5+cosine --lr 0.1 --out run";
    assert_eq!(counts(flags), (5, 1));
    // Both parts count updates, as the run does.
    let run = settings("run");
    assert_eq!((&run["steps"], &run["schedule"]["per"]), (&5.into(), &"step".into()));
    assert_eq!(run["schedule"]["then"]["per"], "step");
    place.write("run.toml", "steps = 4\nsteps_per_epoch = 3\nschedule = \"cosine\"\n");
    assert_eq!(counts("--config run.toml --out other"), (4, 2));
    assert_eq!(settings("other")["schedule"]["per"], "step");
    assert_eq!(counts("--config run.toml --epochs 1 --out third"), (3, 1));
    assert_eq!(counts("--resume other --steps 6"), (2, 3));
    place.fails("train --steps 3 --epochs 2", 2, &["--epochs", "cannot be used with"]);
    place.fails("train --resume other --steps 5", 1, &["steps: expected at least 6"]);
}
