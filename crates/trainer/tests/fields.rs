//! Data sets of any named, typed fields: tokens, several inputs, outputs and losses, labels per
//! position, weights of samples; and what does not fit.

mod support;

use std::sync::Arc;

use onestep_data::{DataError, Dataset, Field, Fields, IGNORED, InMemory, SampleMut};
use onestep_layers::{InputSpec, InputType, LossTerm, ModelBuilder, ModelSpec, Permute, Sum};
use onestep_trainer::{Trainer, TrainerConfig, TrainerError};
use support::{cpu, noise, small_config};

/// Samples that a function writes.
struct Made<F> {
    fields: Fields,
    samples: usize,
    write: F,
}

impl<F: Fn(usize, &mut SampleMut<'_>) -> Result<(), DataError> + Send + Sync> Dataset for Made<F> {
    fn name(&self) -> &str {
        "made"
    }
    fn len(&self) -> usize {
        self.samples
    }
    fn fields(&self) -> Fields {
        self.fields.clone()
    }
    fn read(&self, index: usize, sample: &mut SampleMut<'_>) -> Result<(), DataError> {
        (self.write)(index, sample)
    }
}

fn made(
    fields: impl Into<Fields>,
    samples: usize,
    write: impl Fn(usize, &mut SampleMut<'_>) -> Result<(), DataError> + Send + Sync + 'static,
) -> Arc<dyn Dataset> {
    Arc::new(Made { fields: fields.into(), samples, write })
}

fn make(model: ModelSpec, config: TrainerConfig) -> Trainer {
    Trainer::builder(model).config(config).executor(cpu()).build().unwrap()
}

fn adam(epochs: usize) -> TrainerConfig {
    let optimizer = "adam".parse::<onestep_optimizer::OptimizerSpec>().unwrap().with_lr(0.05);
    TrainerConfig { epochs, optimizer, ..small_config() }
}

/// Eight tokens of five, each followed by the next one but one; the last position of some is ignored.
fn tokens(samples: usize, rows: usize) -> Arc<dyn Dataset> {
    let names: Vec<String> = (0..5).map(|token| token.to_string()).collect();
    let fields =
        [Field::indices("tokens", [8], rows), Field::labels("next", [8], names).ignoring()];
    made(fields, samples, |index, sample| {
        let at = |place: usize| ((index * 3 + place * place) % 5) as i32;
        sample.i32("tokens")?.iter_mut().enumerate().for_each(|(place, token)| *token = at(place));
        let next = sample.i32("next")?;
        next.iter_mut().enumerate().for_each(|(place, next)| *next = (at(place) + 2) % 5);
        if index % 3 == 0 {
            next[7] = IGNORED;
        }
        Ok(())
    })
}

fn reader() -> ModelSpec {
    ModelBuilder::indices([8])
        .embedding(5, 6, "embed")
        .dense(5, true, "head")
        .layer(Permute::new([0, 2, 1]).named("classes_first"))
        .spec()
}

#[test]
fn an_embedding_is_trained_by_fit_from_a_token_field_with_labels_per_position() {
    let mut trainer = make(reader(), adam(12));
    let history = trainer.fit(tokens(40, 5), Some(tokens(19, 5)), &mut []).unwrap();
    let last = history.last().unwrap().validation.clone().unwrap();
    assert_eq!(last.accuracy(), Some(1.0), "{last:?}");
    // Whatever the batches, an ignored label counts nowhere.
    let whole = trainer.evaluate(tokens(19, 5)).unwrap().metrics;
    assert!((whole.loss - last.loss).abs() < 1e-6 && whole.accuracy() == Some(1.0));
    let said = trainer.predict_dataset(tokens(3, 5)).unwrap();
    assert_eq!((said.shape.dims(), said.values.len()), (&[5, 8][..], 3 * 40));
    let error = trainer.fit(tokens(8, 9), None, &mut []).unwrap_err().to_string();
    assert!(error.contains("made: input: expected at most 5 different indices"), "{error}");
}

/// Two points and how far they are apart, by one pair of weights; and which one is farther right.
fn pairs(samples: usize) -> Arc<dyn Dataset> {
    let fields = [
        Field::f32("left", [2]),
        Field::f32("right", [2]),
        Field::values("gap", [1]),
        Field::labels("side", [], ["left", "right"]),
    ];
    made(fields, samples, |index, sample| {
        let at = |place: usize| noise(4 * index + place);
        sample.put("left", &[at(0), at(1)])?;
        sample.put("right", &[at(2), at(3)])?;
        sample.put("gap", &[(at(0) - at(2)) + 2.0 * (at(1) - at(3))])?;
        sample.put("side", &[i32::from(at(2) > at(0))])
    })
}

fn siamese() -> ModelBuilder {
    let inputs = [("left", InputSpec::new([2])), ("right", InputSpec::new([2]))];
    ModelBuilder::with_inputs(inputs)
        .dense(4, false, "a")
        .taking(["left"])
        .dense(4, false, "b")
        .taking(["right"])
        .sharing("a")
        .layer(Sum::weighted([1.0, -1.0]).named("apart"))
        .taking(["a", "b"])
        .dense(1, true, "gap_head")
        .dense(2, true, "side_head")
        .taking(["apart"])
        .output("gap_out", "gap_head")
        .output("side_out", "side_head")
}

fn two_losses(weight: f32) -> ModelSpec {
    let gap = LossTerm {
        output: "gap_out".into(),
        target: "gap".into(),
        ..LossTerm::from("mse".parse::<onestep_layers::LossSpec>().unwrap())
    };
    let side = LossTerm {
        output: "side_out".into(),
        target: "side".into(),
        weight,
        ..LossTerm::from(onestep_layers::LossSpec::default())
    };
    siamese().loss(gap).loss(side).spec()
}

#[test]
fn several_inputs_outputs_and_losses_share_weights() {
    let mut trainer = make(two_losses(0.5), adam(20));
    assert_eq!(trainer.model().parameters().len(), 1 + 2 + 2);
    let history = trainer.fit(pairs(64), Some(pairs(33)), &mut []).unwrap();
    let last = history.last().unwrap().validation.clone().unwrap();
    assert!(last.get("gap_out_mean_absolute_error").unwrap() < 0.05, "{last:?}");
    assert!(last.get("side_out_accuracy").unwrap() > 0.9, "{last:?}");
    let (first, epochs) = (&history.epochs[0], history.epochs.len());
    assert!(last.loss < first.train.loss && epochs == 20);
    // Evaluated again, in other batches: the same.
    let again = trainer.evaluate(pairs(33)).unwrap().metrics;
    assert!((again.loss - last.loss).abs() < 1e-6, "{again:?} {last:?}");
    let said = trainer.predict_dataset(pairs(5)).unwrap();
    assert_eq!(said.shape.dims(), [1]);
}

/// A line whose samples count 1 or 0: those that count 0 lie.
fn weighted(samples: usize) -> Arc<dyn Dataset> {
    let fields = [Field::f32("x", [1]), Field::values("y", [1]), Field::weight("trust")];
    made(fields, samples, |index, sample| {
        let (x, lies) = (noise(index), index % 3 == 0);
        sample.put("x", &[x])?;
        sample.put("y", &[if lies { 9.0 } else { 2.0 * x + 1.0 }])?;
        sample.put("trust", &[if lies { 0.0f32 } else { 2.0 }])
    })
}

#[test]
fn weights_of_samples_reach_the_loss_and_its_means() {
    let model = || ModelBuilder::new([1]).dense(1, true, "fc").spec();
    let config = TrainerConfig { loss: "mse".parse().unwrap(), ..adam(60) };
    let mut trainer = make(model(), config.clone());
    let history = trainer.fit(weighted(48), Some(weighted(29)), &mut []).unwrap();
    let last = history.last().unwrap().validation.clone().unwrap();
    assert!(last.loss < 1e-3, "{last:?}");
    assert!((trainer.parameter("fc.weight").unwrap()[0] - 2.0).abs() < 0.1);
    for batch_size in [29, 5, 1] {
        let config = TrainerConfig { evaluation_batch_size: Some(batch_size), ..config.clone() };
        let mut again = make(model(), config);
        again.restore_snapshot(&trainer.snapshot().unwrap()).unwrap();
        let loss = again.evaluate(weighted(29)).unwrap().metrics.loss;
        assert!((loss - last.loss).abs() < 1e-7, "{batch_size}: {loss} {}", last.loss);
    }
    // Accumulated batches count by their weights too.
    let small = TrainerConfig { batch_size: 4, accumulate: 4, shuffle: false, ..config.clone() };
    let large = TrainerConfig { batch_size: 16, shuffle: false, ..config };
    let [mut small, mut large] = [small, large].map(|config| make(model(), config));
    small.fit(weighted(48), None, &mut []).unwrap();
    large.fit(weighted(48), None, &mut []).unwrap();
    let apart = small.parameter("fc.weight").unwrap()[0] - large.parameter("fc.weight").unwrap()[0];
    assert!(apart.abs() < 1e-4, "{apart}");
}

/// Rows of bytes; which of two classes says whether the first is above the middle.
fn bytes(samples: usize) -> (Vec<u8>, Vec<i32>) {
    let rows: Vec<u8> = (0..3 * samples).map(|i| ((noise(i) + 1.0) * 127.5) as u8).collect();
    let classes = rows.chunks(3).map(|row| i32::from(row[0] > 127)).collect();
    (rows, classes)
}

#[test]
fn bytes_are_converted_and_scaled_on_the_device_to_the_bits_of_scaled_numbers() {
    let set = |samples, scaled: bool| -> Arc<dyn Dataset> {
        let (rows, classes) = bytes(samples);
        let set = InMemory::builder("bytes");
        let set = match scaled {
            // 256 is a power of two, so that both ways of scaling are exact.
            true => set.pixels(Field::f32("row", [3]), rows, 256.0),
            false => set.field(Field::u8("row", [3]), rows),
        };
        Arc::new(set.field(Field::labels("side", [], ["low", "high"]), classes).build().unwrap())
    };
    let model = |dtype, factor: f32| {
        ModelBuilder::with_inputs([("row", InputSpec { dtype, shape: vec![3] })])
            .layer(Sum::weighted([factor]).named("scaled"))
            .dense(2, true, "fc")
            .spec()
    };
    let of_bytes = model(InputType::U8, 1.0 / 256.0);
    let of_numbers = model(InputType::F32, 1.0);
    let trained = [(of_bytes, false), (of_numbers, true)].map(|(model, scaled)| {
        let mut trainer = make(model, adam(30));
        let history = trainer.fit(set(64, scaled), Some(set(33, scaled)), &mut []).unwrap();
        let last = history.last().unwrap().validation.clone().unwrap();
        assert!(last.accuracy().unwrap() > 0.9, "{last:?}");
        let said = trainer.predict_dataset(set(7, scaled)).unwrap().values;
        let weights = trainer.parameter("fc.weight").unwrap();
        [said, weights].concat().into_iter().map(f32::to_bits).collect::<Vec<u32>>()
    });
    assert_eq!(trained[0], trained[1]);
}

#[test]
fn fields_that_do_not_fit_are_refused_by_name() {
    let fit = |model: ModelSpec, fields: Fields| {
        let config = TrainerConfig { loss: "mse".parse().unwrap(), ..small_config() };
        let data = made(fields, 8, |_, _| Ok(()));
        make(model, config).fit(data, None, &mut []).unwrap_err().to_string()
    };
    let line = || ModelBuilder::new([1]).dense(1, true, "fc").spec();
    let (x, y) = (Field::f32("x", [1]), Field::values("y", [1]));
    let extra = Field::values("z", [1]);
    for (error, wanted) in [
        (fit(line(), [x.clone()].into()), "made: fields: expected a target called `target`"),
        (
            fit(line(), [x.clone(), y.clone(), extra].into()),
            "made: fields: expected a target called `target`",
        ),
        (
            fit(line(), [x.clone(), Field::i32("id", []), y.clone()].into()),
            "made: fields: expected an input called `input`",
        ),
        (
            fit(line(), [Field::i32("x", [1]), y.clone()].into()),
            "made: input: expected f32, as the model takes, got i32",
        ),
        (fit(two_losses(1.0), [x, y].into()), "made: fields: expected an input called `left`"),
    ] {
        assert!(error.contains(wanted), "{error}");
    }
    let data = made(
        [Field::f32("input", [1]), Field::i32("id", []), Field::values("y", [1])],
        8,
        |_, _| Ok(()),
    );
    let config = TrainerConfig { loss: "mse".parse().unwrap(), ..small_config() };
    let error = make(line(), config).fit(data, None, &mut []).unwrap_err();
    assert!(matches!(&error, TrainerError::Mismatch { .. }), "{error}");
    assert!(error.to_string().contains("`id` (input, i32 []) besides"), "{error}");
}

#[test]
fn a_label_that_stands_for_none_is_refused_for_a_loss_that_counts_all() {
    let fields =
        [Field::f32("input", [2]), Field::labels("side", [], ["left", "right"]).ignoring()];
    let data = made(fields, 8, |index, sample| {
        sample.put("input", &[noise(index), 1.0])?;
        sample.put("side", &[if index == 3 { IGNORED } else { (index % 2) as i32 }])
    });
    let model = || ModelBuilder::new([2]).dense(2, true, "fc").spec();
    let error = make(model(), adam(1)).fit(data.clone(), None, &mut []).unwrap_err().to_string();
    assert!(error.contains("made: target") && error.contains("cross_entropy"), "{error}");
    assert!(error.contains("-100 may stand for none"), "{error}");
    let loss = r#"{"type": "cross_entropy", "ignore_index": -100}"#;
    let config = TrainerConfig { loss: serde_json::from_str(loss).unwrap(), ..adam(1) };
    let history = make(model(), config).fit(data, None, &mut []).unwrap();
    assert!(history.last().unwrap().train.loss.is_finite());
}
