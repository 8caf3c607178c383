//! Data of more fields than an input and a target through the doors: pairs, and rows with weights.

use std::fs;

use serde_json::Value;

use crate::kinds::idx;
use crate::support::Place;

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("expected a number, got {value}"))
}

/// `evaluate` says what training said, whatever the batches.
fn evaluates_as_trained(place: &Place, trained: &Value, data: &str) {
    for more in [String::new(), format!("--data {data} --batch-size 7")] {
        let said = place.json(&format!("evaluate --checkpoint run --threads 1 --json {more}"));
        for (mine, theirs) in [("loss", "validation_loss"), ("accuracy", "validation_accuracy")] {
            let (mine, theirs) = (number(&said[mine]), number(&trained[theirs]));
            assert!((mine - theirs).abs() <= 2e-5 * theirs.abs().max(1e-3), "{said}, {trained}");
        }
    }
}

/// A run of four epochs is the same whether or not it was left after two.
fn goes_on_to_the_same_bits(place: &Place) {
    let epochs = |run: &str| place.json(&format!("train {run} --threads 1 --json"));
    epochs("--config run.toml --epochs 2 --out part");
    epochs("--resume part --epochs 4");
    epochs("--config run.toml --epochs 4 --out whole");
    let weights = |run: &str| fs::read(place.path(run).join("weights.safetensors")).unwrap();
    assert_eq!(weights("part"), weights("whole"));
}

const SIAMESE: &str = r#"{ "name": "siamese",
  "inputs": { "a": { "shape": [1, 8, 8] }, "b": { "shape": [1, 8, 8] } },
  "layers": [
    { "type": "flatten", "name": "flat_a", "inputs": "a" },
    { "type": "dense", "name": "look_a", "out_features": 24 },
    { "type": "flatten", "name": "flat_b", "inputs": "b" },
    { "type": "dense", "name": "look_b", "out_features": 24, "weights": "look_a" },
    { "type": "sum", "name": "gap", "inputs": ["look_a", "look_b"], "coefficients": [1, -1] },
    { "type": "multiply", "name": "square", "inputs": ["gap", "gap"] },
    { "type": "dense", "name": "same", "out_features": 2 } ] }"#;

/// Pictures of a bright bar, whose mask is the bar.
pub(crate) fn masks() {
    let place = Place::new();
    for folder in ["shapes/images", "shapes/masks"] {
        fs::create_dir_all(place.path(folder)).unwrap();
    }
    for number in 0..40u32 {
        let bar = number % 6;
        let save = |folder: &str, low: u8, high: u8| {
            let picture = image::GrayImage::from_fn(8, 8, |x, y| {
                let noise = (x * 7 + y * 5 + number * 3) as u8 % 16;
                image::Luma([if (bar..bar + 3).contains(&x) { high - noise } else { low + noise }])
            });
            picture.save(place.path(folder).join(format!("{number:02}.png"))).unwrap();
        };
        save("shapes/images", 30, 200);
        save("shapes/masks", 0, 255);
    }
    place.write(
        "model.json",
        r#"{ "name": "bars", "input": { "shape": [1, 8, 8] },
  "layers": [
    { "type": "conv2d", "name": "look", "out_channels": 4, "kernel_size": 3, "padding": 1 },
    { "type": "tanh", "name": "tanh" },
    { "type": "conv2d", "name": "say", "out_channels": 1, "kernel_size": 1 } ] }"#,
    );
    place.write(
        "run.toml",
        "model = \"model.json\"\ndata = \"masks:shapes\"\nbatch_size = 8\nlr = 0.02\n\
         loss = \"bce_with_logits\"\nmetrics = [\"accuracy\", \"iou\"]\naugmentation = \"flip\"\n\
         schedule = \"constant\"\n",
    );
    let trained = place.json("train --config run.toml --epochs 20 --threads 1 --out run --json");
    assert!(number(&trained["validation_iou"]) > 0.8, "{trained}");
    evaluates_as_trained(&place, &trained, "masks:shapes");
    goes_on_to_the_same_bits(&place);
    place.fails(
        "evaluate --checkpoint run --data masks:shapes?size=4",
        1,
        &["4x4 grey", "8x8 grey"],
    );
    place.fails("train --data masks:run --out other", 1, &["images/ and masks/"]);
}

pub(crate) fn pairs() {
    let kind = idx();
    let place = &kind.place;
    place.write("model.json", SIAMESE);
    place.write(
        "run.toml",
        "model = \"model.json\"\ndata = \"pairs:mnist:idx\"\nbatch_size = 16\nlr = 0.01\n\
         schedule = \"constant\"\n",
    );
    let trained = place.json("train --config run.toml --epochs 40 --threads 1 --out run --json");
    assert!(number(&trained["validation_accuracy"]) > 0.8, "{trained}");
    evaluates_as_trained(place, &trained, "pairs:mnist:idx");
    let all = place.json("evaluate --checkpoint run --threads 1 --part all --json");
    assert_eq!(all["samples"], 160);
    let record = fs::read_to_string(place.path("run/last/data.json")).unwrap();
    assert!(record.contains("\"different\""), "{record}");
    goes_on_to_the_same_bits(place);

    // Singles have another input than `a`, and tables no such pictures.
    place.fails("evaluate --checkpoint run --data mnist:idx", 1, &["classes", "different, same"]);
    place.fails("train --resume run --epochs 50 --data mnist:idx", 1, &["different, same"]);
    let row =
        |n: usize| format!("{n},{},{}\n", n * n % 7, if n.is_multiple_of(2) { "a" } else { "b" });
    place.write("t.csv", format!("x,y,kind\n{}", (0..60).map(row).collect::<String>()));
    place.fails("evaluate --checkpoint run --data pairs:csv:t.csv", 1, &["`a`", "f32 [1, 8, 8]"]);
    place.write("one.csv", "x,y,kind\n1,2.5,0.25\n3,4,1.5\n");
    place.fails("train --data pairs:csv:one.csv --out other", 1, &["one class label"]);
    place.fails("train --data pairs: --out other", 1, &["its data is missing"]);
    place.fails(
        "train --data pairs:pairs:digits --out other",
        1,
        &["one input and one class label"],
    );
    // A picture beside itself is of one class; one file has one input, and the model takes two.
    let twins = "predict --checkpoint run --input a=t10k-0.png --input b=t10k-0.png --json";
    let said = place.json(&format!("{twins} --threads 1"));
    assert_eq!(said["predictions"][0]["top"][0]["name"], "same", "{said}");
    place.fails("predict --checkpoint run t10k-0.png", 1, &["the model takes a and b"]);
}

const MLP: &str = r#"{ "name": "mlp", "input": { "shape": [2] }, "layers": [
    { "type": "dense", "name": "fc1", "out_features": 8 }, { "type": "tanh", "name": "tanh1" },
    { "type": "dense", "name": "fc2", "out_features": 2 } ] }"#;

/// As many rows say the contrary, and weigh nothing.
fn contradicted() -> (String, String) {
    let (mut rows, mut features) = ("x,weight,y,kind\n".to_owned(), "x,y\n".to_owned());
    for number in 0..120 {
        let (x, y) =
            (f64::from(number * 37 % 120) / 60.0 - 1.0, f64::from(number % 11) / 5.0 - 1.0);
        let (right, wrong) = if x + y > 0.0 { ("up", "down") } else { ("down", "up") };
        rows += &format!("{x},2.5,{y},{right}\n{},0,{},{wrong}\n", x + 0.001, y + 0.001);
        features += &format!("{x},{y}\n");
    }
    (rows, features)
}

pub(crate) fn weights() {
    let place = Place::new();
    let (rows, features) = contradicted();
    place.write("rows.csv", &rows);
    place.write("new.csv", &features);
    place.write("model.json", MLP);
    place.write(
        "run.toml",
        "model = \"model.json\"\ndata = \"csv:rows.csv?weight=weight\"\nbatch_size = 16\nlr = 0.02\n\
         schedule = \"constant\"\n",
    );
    let trained = place.json("train --config run.toml --epochs 30 --threads 1 --out run --json");
    // Rows that weigh nothing do not count in the loss, and half of the rows are right.
    let loss = number(&trained["validation_loss"]);
    assert!(loss < 0.25, "{trained}");
    let accuracy = number(&trained["validation_accuracy"]);
    assert!((0.3..0.7).contains(&accuracy), "each row counts alike: {trained}");
    evaluates_as_trained(&place, &trained, "csv:rows.csv");
    // Without the weights the same rows teach nothing.
    place.write("bare.csv", rows.lines().map(bare).collect::<String>());
    let bare = "train --data csv:bare.csv --model model.json --batch-size 16 --lr 0.02 --epochs 10";
    let untaught = place.json(&format!("{bare} --threads 1 --out bare --json"));
    assert!(number(&untaught["train_loss"]) > 0.6, "{untaught}");
    goes_on_to_the_same_bits(&place);

    // What is asked about later needs no weight, and what is measured does.
    let said = place.json("predict --checkpoint run --threads 1 --json new.csv");
    let said = said["predictions"].as_array().unwrap();
    let right = said.iter().zip(features.lines().skip(1)).filter(|(answer, row)| {
        let sum: f64 = row.split(',').map(|cell| cell.parse::<f64>().unwrap()).sum();
        answer["top"][0]["name"] == if sum > 0.0 { "up" } else { "down" }
    });
    assert!(right.count() > 108);
    place.fails("evaluate --checkpoint run --data csv:bare.csv", 1, &["bare.csv", "`weight`"]);
    for (name, weight, wanted) in
        [("less", "-1", "-1"), ("nan", "nan", "nan"), ("word", "heavy", "heavy")]
    {
        let file = format!("{name}.csv");
        place.write(&file, rows.replacen(",2.5,", &format!(",{weight},"), 1));
        let command = format!("train --data csv:{file}?weight=weight --out {name}");
        place.fails(&command, 1, &[&file, "line 2", "column `weight`", wanted]);
    }
    let twice = "train --data csv:rows.csv?weight=kind&target=kind --out twice";
    place.fails(twice, 1, &["rows.csv", "kind"]);
    let other = "evaluate --checkpoint run --data csv:rows.csv?weight=y";
    place.fails(other, 1, &["option weight: it was settled"]);
}

/// A row without its second cell.
fn bare(row: &str) -> String {
    let cells: Vec<&str> = row.split(',').collect();
    format!("{},{},{}\n", cells[0], cells[2], cells[3])
}
