//! `onestep step` refuses numbers that the model or the loss is not defined for.

use std::collections::BTreeMap;

use safetensors::tensor::{Dtype, TensorView};

use crate::support::Place;

fn write(place: &Place, file: &str, tensors: &[(&str, Dtype, &[usize], Vec<u8>)]) {
    let views: BTreeMap<&str, TensorView<'_>> = tensors
        .iter()
        .map(|(name, dtype, shape, bytes)| {
            (*name, TensorView::new(*dtype, shape.to_vec(), bytes).unwrap())
        })
        .collect();
    place.write(file, safetensors::serialize(views, None).unwrap());
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn integers(values: &[i32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

#[test]
fn an_index_beyond_the_table_is_refused() {
    let place = Place::new();
    place.write(
        "words.json",
        r#"{ "input": { "shape": [2], "dtype": "i32" }, "layers": [
            { "type": "embedding", "name": "table", "num_embeddings": 3, "embedding_dim": 1 },
            { "type": "flatten" } ] }"#,
    );
    let table = floats(&[0.1, 0.2, 0.3]);
    write(&place, "p.safetensors", &[("table.weight", Dtype::F32, &[3, 1], table)]);
    let batch = |last: i32| {
        let input = integers(&[0, 1, 2, last]);
        write(
            &place,
            "b.safetensors",
            &[
                ("input", Dtype::I32, &[2, 2], input),
                ("target", Dtype::I32, &[2], integers(&[0, 1])),
            ],
        );
    };
    let step = "step --model words.json --params p.safetensors --batch b.safetensors --out o";
    batch(3);
    place.fails(step, 1, &["b.safetensors", "sample 1, position [1]", "0 to 2 for `table`, got 3"]);
    batch(2);
    assert_eq!(place.run(step).code, Some(0));
}

#[test]
fn a_target_that_is_no_probability_is_refused() {
    let place = Place::new();
    place.write(
        "line.json",
        r#"{ "input": { "shape": [1] }, "layers": [
            { "type": "dense", "name": "fc", "out_features": 1 } ] }"#,
    );
    let (weight, bias) = (floats(&[1.0]), floats(&[0.0]));
    write(
        &place,
        "p.safetensors",
        &[("fc.weight", Dtype::F32, &[1, 1], weight), ("fc.bias", Dtype::F32, &[1], bias)],
    );
    let batch = |last: f32| {
        write(
            &place,
            "b.safetensors",
            &[
                ("input", Dtype::F32, &[2, 1], floats(&[1.0, 2.0])),
                ("target", Dtype::F32, &[2, 1], floats(&[0.0, last])),
            ],
        );
    };
    let step = "step --model line.json --params p.safetensors --batch b.safetensors --out o \
                --loss bce_with_logits";
    batch(1.5);
    place.fails(step, 1, &["b.safetensors", "sample 1", "a probability from 0 to 1", "got 1.5"]);
    batch(1.0);
    assert_eq!(place.run(step).code, Some(0));
    place.fails(&format!("{step} --lr 1e39"), 1, &["sgd: `lr`", "at most 3.4e38"]);
}
