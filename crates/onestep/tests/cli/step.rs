//! `onestep step` against numbers worked out by hand.

use std::collections::BTreeMap;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::support::Place;

const LINE: &str = r#"{ "input": { "shape": [2] },
  "layers": [ { "type": "dense", "name": "fc", "out_features": 1 } ] }"#;

enum Data<'a> {
    F32(&'a [f32]),
    I32(&'a [i32]),
    Other(Dtype, Vec<u8>),
}

fn write(place: &Place, file: &str, tensors: &[(&str, &[usize], Data<'_>)]) {
    let bytes: Vec<(Dtype, Vec<u8>)> = tensors
        .iter()
        .map(|(_, _, data)| match data {
            Data::F32(data) => (Dtype::F32, data.iter().flat_map(|x| x.to_le_bytes()).collect()),
            Data::I32(data) => (Dtype::I32, data.iter().flat_map(|x| x.to_le_bytes()).collect()),
            Data::Other(dtype, bytes) => (*dtype, bytes.clone()),
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
    place.fails(&run, 1, &["p.safetensors", "no tensor `fc.bias`", "it has fc.weight"]);
    let bias: (&str, &[usize], Data<'_>) = ("fc.bias", &[1], Data::F32(&[0.1]));
    let weight: &[f32] = &[0.5, -0.25, 0.0, 0.0];
    write(&place, "p.safetensors", &[bias, ("fc.weight", &[2, 2], Data::F32(weight))]);
    place.fails(&run, 1, &["`fc.weight`", "expected shape [2, 1]", "got [2, 2]"]);
    write(
        &place,
        "p.safetensors",
        &[
            ("fc.weight", &[2, 1], Data::F32(&[0.5, -0.25])),
            ("fc.bias", &[1], Data::F32(&[0.1])),
            ("fc.slope", &[1], Data::F32(&[0.1])),
        ],
    );
    place.fails(&run, 1, &["`fc.slope`", "which the model does not have"]);
    place.write("p.safetensors", [1, 2, 3]);
    place.fails(&run, 1, &["p.safetensors", "no whole safetensors file"]);
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

/// Two dense layers, the second square; the weights as `torch.nn.Linear` has them.
const TWO: &str = r#"{ "input": { "shape": [3] },
  "layers": [ { "type": "dense", "name": "a", "out_features": 2, "bias": false },
              { "type": "dense", "name": "b", "out_features": 2, "bias": false } ] }"#;
const A: [f32; 6] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
const B: [f32; 4] = [1.0, 2.0, 3.0, 4.0];

#[test]
fn a_pytorch_state_dict_is_taken_and_results_are_written_like_it() {
    let place = Place::new();
    place.write("two.json", TWO);
    let weights: [(&str, &[usize], Data<'_>); 2] =
        [("a.weight", &[2, 3], Data::F32(&A)), ("b.weight", &[2, 2], Data::F32(&B))];
    write(&place, "p.safetensors", &weights);
    let input: (&str, &[usize], Data<'_>) = ("input", &[1, 3], Data::F32(&[1.0, 0.0, -1.0]));
    write(&place, "b.safetensors", &[input, ("target", &[1, 2], Data::F32(&[0.0, 0.0]))]);
    let run = "step --model two.json --params p.safetensors --batch b.safetensors --loss mse \
               --optimizer {\"type\":\"sgd\",\"momentum\":0.9} --lr 0.5 --out o.safetensors --json";
    for layout in ["", " --layout pytorch"] {
        let report = place.json(&format!("{run}{layout}"));
        assert_eq!(report["layout"], "pytorch");
        let tensors = read(&place, "o.safetensors");
        // a x = [-2, -2], b a x = [-6, -14]; the loss is the mean of 36 and 196, its gradient by
        // the output [-6, -14], by b [-6, -14]^T [-2, -2], by a (b^T [-6, -14])^T x^T.
        assert_close(&tensors["output"].1, &[-6.0, -14.0]);
        assert_close(&tensors["grad.b.weight"].1, &[12.0, 12.0, 28.0, 28.0]);
        let gradient = [-48.0, 0.0, 48.0, -68.0, 0.0, 68.0];
        for name in ["grad.a.weight", "optimizer.momentum_buffer.a.weight"] {
            assert_eq!(tensors[name].0, [2, 3], "{name}");
            assert_close(&tensors[name].1, &gradient);
        }
        let after: Vec<f32> = A.iter().zip(gradient).map(|(a, g)| a - 0.5 * g).collect();
        assert_close(&tensors["param.a.weight"].1, &after);
    }
    place.fails(&format!("{run} --layout onestep"), 1, &["`a.weight`", "layout of onestep"]);
    place.fails(&format!("{run} --layout torch"), 2, &["torch", "onestep or pytorch"]);
}

#[test]
fn square_weights_are_not_guessed_at() {
    let place = Place::new();
    place.write("square.json", TWO.replace("[3]", "[2]"));
    let weights: [(&str, &[usize], Data<'_>); 2] = [
        ("a.weight", &[2, 2], Data::F32(&[1.0, 0.0, 0.0, 1.0])),
        ("b.weight", &[2, 2], Data::F32(&B)),
    ];
    write(&place, "p.safetensors", &weights);
    let input: (&str, &[usize], Data<'_>) = ("input", &[1, 2], Data::F32(&[1.0, 10.0]));
    write(&place, "b.safetensors", &[input, ("target", &[1, 2], Data::F32(&[0.0, 0.0]))]);
    let run = "step --model square.json --params p.safetensors --batch b.safetensors --loss mse \
               --out o.safetensors";
    place.fails(run, 1, &["p.safetensors", "square", "--layout pytorch"]);
    assert!(!place.path("o.safetensors").exists());
    for (layout, wanted) in [("pytorch", [21.0, 43.0]), ("onestep", [31.0, 42.0])] {
        place.json(&format!("{run} --layout {layout} --json"));
        assert_close(&read(&place, "o.safetensors")["output"].1, &wanted);
    }
}

#[test]
fn labels_may_be_whole_numbers_of_any_type() {
    let place = place();
    place.write("line.json", LINE.replace("\"out_features\": 1", "\"out_features\": 2"));
    let weight: &[f32] = &[0.5, -0.25, 0.0, 0.0];
    let bias: (&str, &[usize], Data<'_>) = ("fc.bias", &[2], Data::F32(&[0.1, 0.0]));
    write(&place, "p.safetensors", &[bias, ("fc.weight", &[2, 2], Data::F32(weight))]);
    let run = STEP.replace("mse", "cross_entropy") + " --layout onestep --out o.safetensors";
    let batch = |dtype: Dtype, bytes: Vec<u8>| {
        let input: (&str, &[usize], Data<'_>) =
            ("input", &[2, 2], Data::F32(&[1.0, 2.0, 3.0, 4.0]));
        write(&place, "b.safetensors", &[input, ("target", &[2], Data::Other(dtype, bytes))]);
    };
    let little = |size: usize, labels: [u64; 2]| -> Vec<u8> {
        labels.iter().flat_map(|label| label.to_le_bytes()[..size].to_vec()).collect()
    };
    let mut losses = Vec::new();
    for (dtype, size) in [
        (Dtype::BOOL, 1),
        (Dtype::U8, 1),
        (Dtype::I8, 1),
        (Dtype::U16, 2),
        (Dtype::I16, 2),
        (Dtype::U32, 4),
        (Dtype::I32, 4),
        (Dtype::U64, 8),
        (Dtype::I64, 8),
    ] {
        batch(dtype, little(size, [0, 1]));
        losses.push(place.json(&format!("{run} --json"))["loss"][0].as_f64().unwrap());
    }
    assert!(losses.iter().all(|loss| *loss == losses[0]), "{losses:?}");
    batch(Dtype::U64, little(8, [0, u64::MAX]));
    place.fails(&run, 1, &["`target`", "element 1", "18446744073709551615", "i32"]);
    batch(Dtype::I8, little(1, [0, 255]));
    place.fails(&run, 1, &["`target`", "sample 1", "got -1"]);
}
