//! Attention whose keys are hidden, and the presets of transformers.

mod common;

use onestep_engine::Mode;
use onestep_engine::reference::Array;
use onestep_layers::{
    InputSpec, InputType, KeyPadding, Model, ModelBuilder, MultiHeadAttention,
    TransformerDecoderLayer, TransformerEncoderLayer, presets,
};

const PADDED: (&str, [f64; 8]) = ("mask", [0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]);
const LENGTHS: (&str, [f64; 2]) = ("lengths", [2.0, 0.0]);

fn padded(key_padding: KeyPadding) -> Model {
    let (name, shape) = match key_padding {
        KeyPadding::Mask => (PADDED.0, vec![4]),
        KeyPadding::Lengths => (LENGTHS.0, vec![1]),
    };
    let further = InputSpec { shape, dtype: InputType::I32 };
    ModelBuilder::with_inputs([("input", InputSpec::new([4, 4])), (name, further)])
        .layer(MultiHeadAttention { key_padding: Some(key_padding), ..MultiHeadAttention::new(2) })
        .taking(["input", name])
        .build()
        .unwrap()
}

/// What a model with such a further input gives.
fn output(model: &Model, x: &Array, name: &str, further: &[f64]) -> Array {
    let forward = model.forward(Mode::Evaluate, 2).unwrap();
    let mut leaves = common::fill(model);
    leaves.insert("input".into(), x.clone());
    let value = forward.inputs.iter().find(|input| input.name == name).unwrap().value;
    let shape = forward.graph.shape(value).clone();
    leaves.insert(name.into(), Array::new(shape, further.to_vec()).unwrap());
    common::value(&forward.graph, &leaves, forward.output())
}

#[test]
fn a_mask_and_lengths_hide_the_same_keys() {
    let x = common::numbers(&[2, 4, 4], 1, -2.0, 2.0);
    let by_mask = output(&padded(KeyPadding::Mask), &x, PADDED.0, &PADDED.1);
    let by_length = output(&padded(KeyPadding::Lengths), &x, LENGTHS.0, &LENGTHS.1);
    assert_eq!(by_mask.data, by_length.data);
    // What is hidden does not count ...
    let mut other = x.clone();
    other.data[8..16].fill(100.0);
    let changed = output(&padded(KeyPadding::Mask), &other, PADDED.0, &PADDED.1);
    assert_eq!(by_mask.data[..8], changed.data[..8]);
    // ... and where all of it is, the last bias is left.
    let rows: Vec<&[f64]> = by_mask.data[16..].chunks(4).collect();
    assert!(rows.iter().all(|row| *row == rows[0] && row.iter().all(|y| y.is_finite())));
}

#[test]
fn attention_refuses() {
    let refused = |layer: MultiHeadAttention| {
        common::model_for(&layer.named("it").into(), &[3, 6]).unwrap_err().to_string()
    };
    assert_eq!(refused(MultiHeadAttention::new(4)), {
        "it: num_heads must be a divisor of the 6 features of a position, got 4"
    });
    let grouped = MultiHeadAttention { kv_heads: Some(2), ..MultiHeadAttention::new(3) };
    assert_eq!(refused(grouped), "it: kv_heads must be a divisor of the 3 heads of queries, got 2");
    let dropped = MultiHeadAttention { dropout: 1.0, ..MultiHeadAttention::new(3) };
    assert_eq!(refused(dropped), "it: dropout must be in [0, 1), got 1");
    let padded =
        MultiHeadAttention { key_padding: Some(KeyPadding::Mask), ..MultiHeadAttention::new(3) };
    assert!(refused(padded).starts_with("it: expected one to three inputs"));
    let alone = common::model_for(&TransformerDecoderLayer::new(2).named("it").into(), &[3, 6]);
    assert!(
        alone.unwrap_err().to_string().starts_with("it: expected 2 inputs: positions, a memory")
    );
    let flat = common::model_for(&TransformerEncoderLayer::new(2).named("it").into(), &[6]);
    assert!(flat.unwrap_err().to_string().starts_with("it: expected [positions, features]"));
}

#[test]
fn presets_have_their_sizes() {
    for (name, parameters, output) in [
        // Twelve squares of the width a layer, norms, and the tables of tokens and positions.
        ("nano_gpt", 804_096, vec![65, 64]),
        ("nano_gpt_384", 10_745_088, vec![65, 256]),
        ("char_gpt", 818_176, vec![65, 64]),
        ("vit_tiny", 5_362_762, vec![10]),
        ("text_encoder", 429_826, vec![2]),
        ("seq2seq", 237_324, vec![12, 10]),
    ] {
        let model = presets::find(name).unwrap().spec().compile().unwrap();
        assert_eq!(model.output_shape().dims(), output, "{name}");
        assert_eq!(model.parameter_count(), parameters, "{name}");
    }
}
