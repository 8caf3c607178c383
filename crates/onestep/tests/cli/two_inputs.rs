//! A model of two inputs at each command: trained on pairs, measured, asked, stepped, exported.

use std::collections::BTreeMap;

use onestep::data::{Sample, open};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::support::Place;

/// The difference of two pictures through the same weights.
const SIAMESE: &str = r#"{ "name": "siamese",
  "inputs": { "a": { "shape": [1, 8, 8] }, "b": { "shape": [1, 8, 8] } },
  "layers": [
    { "type": "flatten", "name": "flat_a", "inputs": ["a"] },
    { "type": "dense", "name": "look", "out_features": 16 },
    { "type": "flatten", "name": "flat_b", "inputs": ["b"] },
    { "type": "dense", "name": "again", "out_features": 16, "weights": "look" },
    { "type": "sum", "name": "apart", "coefficients": [1, -1], "inputs": ["look", "again"] },
    { "type": "multiply", "name": "squares", "inputs": ["apart", "apart"] },
    { "type": "dense", "name": "same", "out_features": 2 } ] }"#;

/// A tensor of numbers, or of labels.
enum Data {
    F32(Vec<f32>),
    I32(Vec<i32>),
}

fn write(place: &Place, file: &str, tensors: &[(&str, &[usize], Data)]) {
    let bytes = |data: &Data| match data {
        Data::F32(data) => data.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>(),
        Data::I32(data) => data.iter().flat_map(|x| x.to_le_bytes()).collect(),
    };
    let bytes: Vec<Vec<u8>> = tensors.iter().map(|(.., data)| bytes(data)).collect();
    let views = tensors.iter().zip(&bytes).map(|((name, shape, data), bytes)| {
        let dtype = if matches!(data, Data::F32(_)) { Dtype::F32 } else { Dtype::I32 };
        (*name, TensorView::new(dtype, shape.to_vec(), bytes).unwrap())
    });
    let views: BTreeMap<&str, TensorView<'_>> = views.collect();
    place.write(file, safetensors::serialize(views, None).unwrap());
}

/// The digits, so many, and their labels.
fn digits(count: usize) -> (Vec<f32>, Vec<i32>) {
    let data = open("digits").unwrap().validation;
    let samples = (0..count).map(|index| Sample::read(data.as_ref(), index).unwrap());
    let samples: Vec<Sample> = samples.collect();
    let pixels = samples.iter().flat_map(|sample| sample.f32("input").unwrap().to_vec());
    (pixels.collect(), samples.iter().map(|sample| sample.i32("target").unwrap()[0]).collect())
}

fn trained() -> Place {
    let place = Place::new();
    place.write("net.json", SIAMESE);
    let train =
        "train --model net.json --data pairs:digits --epochs 1 --threads 1 --out run --json";
    assert_eq!(place.json(train)["epochs"].as_u64(), Some(1));
    place
}

#[test]
fn pairs_are_trained_on_measured_and_asked_about() {
    let place = trained();
    let measured = place.json("evaluate --checkpoint run --threads 1 --json");
    assert_eq!(measured["classes"][1], "same", "{measured}");
    let (pixels, _) = digits(3);
    let shape: &[usize] = &[3, 1, 8, 8];
    let other = [&pixels[64..], &pixels[..64]].concat();
    let (a, b) = (Data::F32(pixels.clone()), Data::F32(other.clone()));
    write(&place, "both.safetensors", &[("a", shape, a), ("b", shape, b)]);
    write(&place, "a.safetensors", &[("input", shape, Data::F32(pixels.clone()))]);
    write(&place, "b.safetensors", &[("b", shape, Data::F32(other.clone()))]);
    let table = |pixels: &[f32]| -> String {
        let line = |row: &[f32]| row.iter().map(f32::to_string).collect::<Vec<_>>().join(",");
        pixels.chunks(64).map(line).collect::<Vec<_>>().join("\n")
    };
    place.write("a.csv", table(&pixels));
    let ask = |given: &str| {
        let said = place.json(&format!("predict --checkpoint run --threads 1 --json {given}"));
        let answers = said["predictions"].as_array().unwrap().clone();
        answers.iter().map(|answer| answer["output"].clone()).collect::<Vec<_>>()
    };
    let together = ask("both.safetensors");
    assert_eq!(together.len(), 3);
    assert_eq!(ask("--input b=b.safetensors --input a=a.safetensors"), together);
    assert_eq!(ask("--input a=a.csv --input b=b.safetensors"), together);
    // The other way round it is the same question to this model, and twice the same picture is not.
    assert_eq!(ask("--input a=b.safetensors --input b=a.safetensors"), together);
    assert_ne!(ask("--input a=a.csv --input b=a.csv"), together);

    let fails = |given: &str, wanted: &[&str]| {
        place.fails(&format!("predict --checkpoint run {given}"), 1, wanted);
    };
    fails("a.csv", &["the model takes a and b", "--input a=FILE --input b=FILE"]);
    fails("a.safetensors", &["`a` is missing", "samples of [1, 8, 8]", "got input"]);
    fails("--input a=a.csv", &["`b` is missing", "--input b=FILE"]);
    fails("--input c=a.csv", &["c: expected an input of the model (a, b)"]);
    place.write("short.csv", table(&pixels[..64]));
    fails("--input a=a.csv --input b=short.csv", &["b: expected 3 samples", "`a`", "got 1"]);
    fails("", &["nothing to predict", "FILE", "--input NAME=FILE"]);
    place.fails("predict --checkpoint run --input a.csv", 2, &["NAME=FILE", "a.csv"]);
}

#[test]
fn a_step_takes_inputs_by_name_and_weights() {
    let place = trained();
    let (pixels, labels) = digits(4);
    let shape: &[usize] = &[4, 1, 8, 8];
    let turned = [&pixels[64..], &pixels[..64]].concat();
    let same: Vec<i32> = (0..4).map(|i| i32::from(labels[i] == labels[(i + 1) % 4])).collect();
    let batch = |more: Vec<(&str, &[usize], Data)>| {
        let mut all =
            vec![("a", shape, Data::F32(pixels.clone())), ("b", shape, Data::F32(turned.clone()))];
        all.extend(more);
        write(&place, "batch.safetensors", &all);
    };
    let run = "step --model net.json --params run/weights.safetensors --batch batch.safetensors \
               --threads 1 --out out.safetensors";
    let target = || ("target", &[4][..], Data::I32(same.clone()));
    batch(vec![target()]);
    let plain = place.json(&format!("{run} --steps 3 --json"))["loss"].clone();
    assert!(plain[2].as_f64() < plain[0].as_f64(), "{plain}");
    let bytes = std::fs::read(place.path("out.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(file.tensor("output").unwrap().shape(), [4, 2]);
    assert!(file.tensor("grad.look.weight").is_ok());
    let weight = |weights: [f32; 4]| ("weight", &[4][..], Data::F32(weights.to_vec()));
    batch(vec![target(), weight([2.0; 4])]);
    let weighted = place.json(&format!("{run} --json"))["loss"][0].as_f64().unwrap();
    assert!((weighted - plain[0].as_f64().unwrap()).abs() < 1e-5, "equal weights count as none");
    batch(vec![target(), weight([1.0, 0.0, 0.0, 0.0])]);
    let one = place.json(&format!("{run} --json"))["loss"][0].as_f64().unwrap();
    assert!((one - weighted).abs() > 1e-4, "{one} {weighted}");

    batch(vec![target(), weight([1.0, -1.0, 0.0, 0.0])]);
    place.fails(run, 1, &["weight: sample 1", "at least 0", "got -1"]);
    batch(vec![]);
    place.fails(run, 1, &["the tensor `target` is missing", "got nothing"]);
    batch(vec![target(), ("c", &[4], Data::I32(vec![0; 4]))]);
    place.fails(run, 1, &["`c`", "is not one of a batch (a, b, target)"]);
    write(
        &place,
        "batch.safetensors",
        &[
            ("a", shape, Data::F32(pixels.clone())),
            ("b", &[3, 1, 8, 8], Data::F32(turned[64..].to_vec())),
            target(),
        ],
    );
    place.fails(run, 1, &["tensor `b`: expected f32[4, 1, 8, 8]", "got f32[3, 1, 8, 8]"]);
}

#[test]
fn the_weights_go_to_pytorch_and_back() {
    let place = trained();
    place.json("export --checkpoint run --to pytorch --out torch.safetensors --json");
    let ask = "predict --checkpoint run --threads 1 --json both.safetensors";
    let (pixels, _) = digits(2);
    let shape: &[usize] = &[2, 1, 8, 8];
    let both = |name| (name, shape, Data::F32(pixels.clone()));
    write(&place, "both.safetensors", &[both("a"), both("b")]);
    let before = place.json(ask);
    let after = place.json(&format!("{ask} --weights torch.safetensors --layout pytorch"));
    assert_eq!(before["predictions"], after["predictions"]);
}
