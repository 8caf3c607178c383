//! `onestep step` against numbers worked out by hand.

use std::collections::BTreeMap;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::support::Place;

const LINE: &str = r#"{ "input": { "shape": [2] },
  "layers": [ { "type": "dense", "name": "fc", "out_features": 1 } ] }"#;

enum Data<'a> {
    F32(&'a [f32]),
    I32(&'a [i32]),
}

fn write(place: &Place, file: &str, tensors: &[(&str, &[usize], Data<'_>)]) {
    let bytes: Vec<(Dtype, Vec<u8>)> = tensors
        .iter()
        .map(|(_, _, data)| match data {
            Data::F32(data) => (Dtype::F32, data.iter().flat_map(|x| x.to_le_bytes()).collect()),
            Data::I32(data) => (Dtype::I32, data.iter().flat_map(|x| x.to_le_bytes()).collect()),
        })
        .collect();
    let views: BTreeMap<&str, TensorView<'_>> = tensors
        .iter()
        .zip(&bytes)
        .map(|((name, shape, _), (dtype, bytes))| {
            (*name, TensorView::new(*dtype, shape.to_vec(), bytes).unwrap())
        })
        .collect();
    place.write(file, safetensors::serialize(views, None).unwrap());
}

fn read(place: &Place, file: &str) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let bytes = std::fs::read(place.path(file)).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let decode = |view: TensorView<'_>| {
        let (chunks, _) = view.data().as_chunks::<4>();
        (view.shape().to_vec(), chunks.iter().map(|&chunk| f32::from_le_bytes(chunk)).collect())
    };
    tensors.tensors().into_iter().map(|(name, view)| (name, decode(view))).collect()
}

/// A linear model of two inputs, two samples.
fn place() -> Place {
    let place = Place::new();
    place.write("line.json", LINE);
    write(
        &place,
        "p.safetensors",
        &[("fc.weight", &[2, 1], Data::F32(&[0.5, -0.25])), ("fc.bias", &[1], Data::F32(&[0.1]))],
    );
    write(
        &place,
        "b.safetensors",
        &[
            ("input", &[2, 2], Data::F32(&[1.0, 2.0, 3.0, 4.0])),
            ("target", &[2, 1], Data::F32(&[1.0, 2.0])),
        ],
    );
    place
}

const STEP: &str = "step --model line.json --params p.safetensors --batch b.safetensors --loss mse";

fn assert_close(got: &[f32], wanted: &[f32]) {
    assert_eq!(got.len(), wanted.len());
    for (got, wanted) in got.iter().zip(wanted) {
        assert!((got - wanted).abs() < 1e-5, "{got} is not {wanted}");
    }
}

#[test]
fn a_linear_model_steps_as_worked_out_by_hand() {
    let place = place();
    let optimizer = r#"{"type":"sgd","momentum":0.9}"#;
    let report = place.json(&format!(
        "{STEP} --optimizer {optimizer} --lr 0.1 --steps 1 --out o.safetensors --json"
    ));
    assert!((report["loss"][0].as_f64().unwrap() - 1.385).abs() < 1e-6);
    let tensors = read(&place, "o.safetensors");
    let check = |name: &str, shape: &[usize], wanted: &[f32]| {
        let (got_shape, got) = &tensors[name];
        assert_eq!(got_shape, shape, "{name}");
        assert_close(got, wanted);
    };
    // Outputs x W + b; errors -0.9 and -1.4; the gradient of the mean of squares is x^T error.
    check("loss", &[1], &[1.385]);
    check("output", &[2, 1], &[0.1, 0.6]);
    check("grad.fc.weight", &[2, 1], &[-5.1, -7.4]);
    check("grad.fc.bias", &[1], &[-2.3]);
    check("param.fc.weight", &[2, 1], &[1.01, 0.49]);
    check("param.fc.bias", &[1], &[0.33]);
    check("optimizer.momentum_buffer.fc.weight", &[2, 1], &[-5.1, -7.4]);
    assert_eq!(tensors.len(), 8);
}

#[test]
fn weight_decay_counts_for_biases_and_clipping_for_all() {
    let place = place();
    place.json(&format!("{STEP} --lr 0.1 --weight-decay 0.5 --out o.safetensors --json"));
    let decayed = read(&place, "o.safetensors");
    assert_close(&decayed["param.fc.bias"].1, &[0.1 + 0.1 * (2.3 - 0.05)]);
    place.json(&format!("{STEP} --lr 0.1 --clip-norm 1 --out o.safetensors --json"));
    let clipped = read(&place, "o.safetensors");
    let norm = (5.1f32 * 5.1 + 7.4 * 7.4 + 2.3 * 2.3).sqrt();
    assert_close(&clipped["param.fc.bias"].1, &[0.1 + 0.1 * 2.3 / norm]);
    assert_close(&clipped["grad.fc.bias"].1, &[-2.3]);
}

#[test]
fn each_step_has_its_loss() {
    let place = place();
    place.json(&format!("{STEP} --lr 0.01 --steps 5 --out o.safetensors --json"));
    let losses = &read(&place, "o.safetensors")["loss"].1;
    assert_eq!(losses.len(), 5);
    assert!(losses.windows(2).all(|pair| pair[1] < pair[0]), "{losses:?}");
}

#[test]
fn running_statistics_are_optional_and_come_back() {
    let place = Place::new();
    let spec =
        r#"{ "input": { "shape": [1] }, "layers": [ { "type": "batch_norm", "name": "bn" } ] }"#;
    place.write("norm.json", spec);
    let ones: (&[usize], Data<'_>) = (&[1], Data::F32(&[1.0]));
    write(
        &place,
        "p.safetensors",
        &[("bn.weight", ones.0, ones.1), ("bn.bias", &[1], Data::F32(&[0.0]))],
    );
    write(
        &place,
        "b.safetensors",
        &[("input", &[2, 1], Data::F32(&[1.0, 3.0])), ("target", &[2, 1], Data::F32(&[0.0, 0.0]))],
    );
    place.json(
        "step --model norm.json --params p.safetensors --batch b.safetensors --loss mse \
         --out o.safetensors --json",
    );
    let tensors = read(&place, "o.safetensors");
    // 0.9 * 0 + 0.1 * 2, and 0.9 * 1 + 0.1 * 2 (the unbiased variance of 1 and 3).
    assert_close(&tensors["state.bn.running_mean"].1, &[0.2]);
    assert_close(&tensors["state.bn.running_var"].1, &[1.1]);
}

#[test]
fn wrong_tensors_are_named() {
    let place = place();
    let run = format!("{STEP} --out o.safetensors");
    write(&place, "p.safetensors", &[("fc.weight", &[2, 1], Data::F32(&[0.5, -0.25]))]);
    place.fails(&run, 1, &["p.safetensors", "`fc.bias` is missing", "f32[1]"]);
    let bias: (&str, &[usize], Data<'_>) = ("fc.bias", &[1], Data::F32(&[0.1]));
    write(&place, "p.safetensors", &[bias, ("fc.weight", &[1, 2], Data::F32(&[0.5, -0.25]))]);
    place.fails(&run, 1, &["`fc.weight`", "expected f32[2, 1]", "got f32[1, 2]"]);
    write(
        &place,
        "p.safetensors",
        &[
            ("fc.weight", &[2, 1], Data::F32(&[0.5, -0.25])),
            ("fc.bias", &[1], Data::F32(&[0.1])),
            ("fc.slope", &[1], Data::F32(&[0.1])),
        ],
    );
    place.fails(&run, 1, &["`fc.slope`", "not one of the model"]);
    place.write("p.safetensors", [1, 2, 3]);
    place.fails(&run, 1, &["p.safetensors", "not a usable safetensors file"]);
    assert!(!place.path("o.safetensors").exists());
}

#[test]
fn wrong_batches_are_named() {
    let place = place();
    let classes = LINE.replace("\"out_features\": 1", "\"out_features\": 2");
    place.write("line.json", classes);
    write(
        &place,
        "p.safetensors",
        &[
            ("fc.weight", &[2, 2], Data::F32(&[0.5, -0.25, 0.0, 0.0])),
            ("fc.bias", &[2], Data::F32(&[0.1, 0.0])),
        ],
    );
    let run = STEP.replace("mse", "cross_entropy") + " --out o.safetensors";
    let input: &[f32] = &[1.0, 2.0, 3.0, 4.0];
    let batch = |target: Data<'_>, shape: &[usize], inputs: &[usize]| {
        write(
            &place,
            "b.safetensors",
            &[("input", inputs, Data::F32(input)), ("target", shape, target)],
        );
    };
    batch(Data::I32(&[0, 2]), &[2], &[2, 2]);
    place.fails(&run, 1, &["`target`", "sample 1", "a label from 0 to 1", "got 2"]);
    batch(Data::F32(&[0.0, 1.0]), &[2], &[2, 2]);
    place.fails(&run, 1, &["`target`", "expected i32[2]", "got f32[2]"]);
    batch(Data::I32(&[0]), &[1], &[1, 4]);
    place.fails(&run, 1, &["`input`", "expected [N, 2]", "got f32[1, 4]"]);
}
