//! Models by name: each is listed and built, and takes its sizes from the data; adapters by pattern.

use onestep::layers::presets::PRESETS;

use crate::support::{MLP, Place};

#[test]
fn each_model_that_is_listed_is_built() {
    let place = Place::new();
    let said = place.json("models --json");
    let models = said["models"].as_array().unwrap();
    assert_eq!(models.len(), PRESETS.len());
    let text = place.run("models").stdout;
    for (model, preset) in models.iter().zip(PRESETS) {
        let name = model["name"].as_str().unwrap();
        assert_eq!((name, model["classes"].as_u64()), (preset.name, Some(preset.classes as u64)));
        assert!(text.contains(name) && text.lines().all(|line| line.len() <= 80), "{text}");
        // Small ones at their own size, large ones at one that is planned in a moment.
        let size = match preset.input {
            [3, 224, 224] => format!("{name}:classes=4,input=3x32x32"),
            _ => name.to_owned(),
        };
        let summary = place.json(&format!("summary {size} --batch-size 2 --json"));
        assert!(summary["parameters"].as_u64() > Some(100), "{name}: {summary}");
    }
    place.fails("summary resnet18:classes=0", 1, &["resnet18", "classes=0"]);
}

#[test]
fn a_preset_takes_its_sizes_from_the_data() {
    let place = Place::new();
    let flags = "--data digits --epochs 1 --threads 1 --out run";
    let finished = place.run(&format!("train --model lenet5:input=1x8x8 {flags}"));
    // Too small a picture for its second window: said by the layer that it does not fit.
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let finished = place.run(&format!("train --model mlp {flags}"));
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(
        finished.stdout.contains("mlp with input=1x8x8, classes=10, as digits"),
        "{finished:?}"
    );
    // The run knows them.
    place.json("train --resume run --model mlp --epochs 2 --json");
    place.json(
        "train --model mlp:classes=12 --data digits --epochs 1 --threads 1 --out more --json",
    );
    let train = |model: &str| format!("train --data digits --model {model} --out other");
    place.fails(&train("mlp:classes=5"), 1, &["mlp", "at least 10, as digits has, got 5"]);
    place.fails(
        &train("mlp:input=1x9x9"),
        1,
        &["mlp", "1x8x8, as the samples of digits are", "1x9x9"],
    );
    place.fails(&train("mlp_mnist"), 1, &["mlp_mnist", "1 sizes", "1x8x8 of digits"]);
}

#[test]
fn a_text_has_a_model_by_name_with_its_vocabulary() {
    let place = Place::new();
    place.write("verse.txt", "a rose is a rose is a rose; the rest is silence. ".repeat(60));
    let data = "text:verse.txt?length=16";
    let finished = place
        .run(&format!("train --data {data} --model next_char --epochs 2 --threads 1 --out run"));
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(finished.stdout.contains("next_char with input=16, classes=14"), "{}", finished.stdout);
    let said = place.json("predict --checkpoint run --threads 1 --json verse.txt");
    assert!(said["predictions"][0]["top"][0]["name"].is_string(), "{said}");
    place.fails(&format!("train --data {data} --out other"), 1, &["--model next_char"]);
}

#[test]
fn adapters_are_added_by_pattern_and_folded_in() {
    let place = Place::new();
    place.write("mlp.json", MLP);
    let base = "train --model mlp.json --data digits --threads 1";
    place.json(&format!("{base} --epochs 1 --out base --json"));
    let tuned = format!("{base} --epochs 2 --init-from base --lora fc*:rank=2,alpha=4 --out tuned");
    let finished = place.run(&tuned);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let said = &finished.stdout;
    assert!(
        said.contains("rank 2, alpha 4 on fc1, fc2") && said.contains("all else is frozen"),
        "{said}"
    );
    let settings = std::fs::read_to_string(place.path("tuned/trainer.json")).unwrap();
    assert!(settings.contains("*.weight") && settings.contains("*.bias"), "{settings}");
    place.json(
        "export --checkpoint tuned --merge-lora plain.json --to onestep --out w.safetensors --json",
    );
    let plain = std::fs::read_to_string(place.path("plain.json")).unwrap();
    assert!(!plain.contains("lora"), "{plain}");
    // What is frozen is said otherwise, and in a file.
    place.write("run.toml", "lora = [\"fc2\"]\nfreeze = [\"fc1.*\"]\n");
    place.json(&format!("{base} --config run.toml --epochs 1 --out other --json"));
    let model = std::fs::read_to_string(place.path("other/model.json")).unwrap();
    assert_eq!(model.matches("\"lora\"").count(), 1, "{model}");
    let settings = std::fs::read_to_string(place.path("other/trainer.json")).unwrap();
    assert!(!settings.contains("*.weight"), "{settings}");
    place.fails(&format!("{base} --lora conv*"), 1, &["dense layers (fc1, fc2)", "`conv*`"]);
    place.fails(
        &format!("{base} --lora fc1:depth=2"),
        2,
        &["PATTERN:rank=N,alpha=X", "fc1:depth=2"],
    );
    place.fails(&format!("{base} --lora fc1:rank=99"), 1, &["fc1", "lora.rank", "99"]);
    place.fails("train --resume tuned --lora fc1", 2, &["--lora", "--resume"]);
}
