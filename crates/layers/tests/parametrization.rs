//! Weights that are made of what is learned: names, beginnings, what is drawn, what is refused.

mod common;

use onestep_engine::reference::Array;
use onestep_engine::{Mode, Shape};
use onestep_layers::{
    Conv2d, ConvTranspose1d, Dense, DropConnect, LayerSpec, Lora, Model, Parametrization,
    StateTensor, WeightNorm, state_dict,
};

fn by(how: impl Into<Parametrization>) -> Option<Parametrization> {
    Some(how.into())
}

fn model(layer: impl Into<LayerSpec>, sample: &[usize]) -> Model {
    common::model_for(&layer.into(), sample).unwrap()
}

fn begin(model: &Model, name: &str) -> Vec<f32> {
    model.initial_parameters(3).find(|(own, _)| own.ends_with(name)).unwrap().1
}

#[test]
fn a_weight_by_norm_begins_as_its_direction() {
    let dense = model(
        Dense { parametrization: by(WeightNorm::default()), bias: false, ..Dense::new(2) },
        &[3],
    );
    let shapes: Vec<(&str, &[usize])> =
        dense.parameters().iter().map(|p| (p.info.name.as_str(), p.info.shape.dims())).collect();
    assert_eq!(
        shapes,
        [
            ("dense1.parametrizations.weight.original0", &[1, 2][..]),
            ("dense1.parametrizations.weight.original1", &[3, 2]),
        ]
    );
    // As the direction begins so long is it.
    let (g, v) = (begin(&dense, "original0"), begin(&dense, "original1"));
    for (column, length) in g.iter().enumerate() {
        let squares = (0..3).map(|row| v[2 * row + column].powi(2));
        assert!((squares.sum::<f32>().sqrt() - length).abs() < 1e-6, "{g:?} {v:?}");
    }
    let norm = by(WeightNorm { dim: None });
    let whole = model(Conv2d { parametrization: norm, ..Conv2d::new(2, 3) }, &[2, 4, 4]);
    assert_eq!(whole.parameters()[0].info.shape.rank(), 0);
    assert_eq!(begin(&whole, "original0").len(), 1);
    let up = ConvTranspose1d {
        parametrization: by(WeightNorm::default()),
        ..ConvTranspose1d::new(2, 3)
    };
    assert_eq!(model(up, &[4, 5]).parameters()[0].info.shape.dims(), [4, 1, 1]);
}

#[test]
fn pytorchs_layout_is_read() {
    let dense = Dense { parametrization: by(WeightNorm::default()), bias: false, ..Dense::new(2) };
    let theirs = [
        StateTensor::new("dense1.parametrizations.weight.original0", &[2, 1], vec![5.0, 6.0]),
        StateTensor::new(
            "dense1.parametrizations.weight.original1",
            &[2, 3],
            vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        ),
    ];
    let ours = state_dict::from_pytorch(&model(dense, &[3]), theirs).unwrap();
    assert_eq!((&ours[0].shape[..], &ours[0].data[..]), (&[1, 2][..], &[5.0, 6.0][..]));
    assert_eq!(ours[1].data, [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
}

#[test]
fn dropped_connections_are_those_of_all_samples() {
    let (inputs, outputs, p) = (40, 50, 0.3);
    let parametrization = by(DropConnect { p: 0.3 });
    let dense = model(Dense { parametrization, bias: false, ..Dense::new(outputs) }, &[inputs]);
    assert_eq!(dense.parameters()[0].info.name, "dense1.weight");
    // A row of the identity for each input shows its weights.
    let unit = |i: usize| f64::from(u8::from(i / inputs == i % inputs));
    let x = Array::new(Shape::from([inputs, inputs]), (0..inputs * inputs).map(unit).collect());
    let x = x.unwrap();
    let (train, rest) =
        [Mode::Train, Mode::Evaluate].map(|mode| common::output(&dense, mode, &x).data).into();
    let zeros = train.iter().filter(|y| **y == 0.0).count() as f64;
    let n = train.len() as f64;
    // Four standard errors.
    assert!((zeros / n - p).abs() < 4.0 * (p * (1.0 - p) / n).sqrt(), "{zeros} of {n}");
    for (kept, weight) in train.iter().zip(&rest).filter(|(kept, _)| **kept != 0.0) {
        assert!((kept - weight / 0.7).abs() < 1e-6, "{kept} for {weight}");
    }
    assert!(rest.iter().all(|weight| *weight != 0.0));
    // The same connections for each sample of a batch.
    let ones = Array::new(Shape::from([2, inputs]), vec![1.0; 2 * inputs]).unwrap();
    let both = common::output(&dense, Mode::Train, &ones).data;
    assert_eq!(both[..outputs], both[outputs..]);
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let refusal = |layer: LayerSpec, sample: &[usize]| {
        common::model_for(&layer.named("fc"), sample).unwrap_err().to_string()
    };
    let far = by(WeightNorm { dim: Some(2) });
    let error = refusal(Dense { parametrization: far, ..Dense::new(2) }.into(), &[3]);
    assert!(error.contains("fc") && error.contains("dim") && error.contains("below 2"), "{error}");
    let much = by(DropConnect { p: 1.5 });
    let error = refusal(Dense { parametrization: much, ..Dense::new(2) }.into(), &[3]);
    assert!(error.contains("fc") && error.contains("in [0, 1]"), "{error}");
    let both = Dense {
        lora: Some(Lora::new(1, 1.0)),
        parametrization: by(WeightNorm::default()),
        ..Dense::new(2)
    };
    let error = refusal(both.into(), &[3]);
    assert!(error.contains("lora") && error.contains("weight_norm"), "{error}");
    let read = serde_json::from_str::<LayerSpec>;
    let error = read(r#"{"type": "dense", "out_features": 2, "parametrization": "norm"}"#);
    assert!(error.unwrap_err().to_string().contains("weight_norm"));
}
