//! Samples of different lengths in buckets.

mod support;

use std::sync::Arc;

use onestep_data::{DataError, Dataset, Field, Fields, SampleMut};
use onestep_engine::{DType, Value};
use onestep_layers::{
    BuildContext, Custom, InputSpec, InputType, Many, ModelBuilder, ModelSpec, Permute,
};
use onestep_optimizer::{Averaging, Ema};
use onestep_trainer::{Buckets, Trainer, TrainerBuilder, TrainerConfig};
use support::{StopAt, cpu, small_config};

/// From 3 to 8 tokens of five, and what follows each.
struct Words(usize);

impl Dataset for Words {
    fn name(&self) -> &str {
        "words"
    }
    fn len(&self) -> usize {
        self.0
    }
    fn fields(&self) -> Fields {
        let names: Vec<String> = (0..5).map(|token| token.to_string()).collect();
        let next = Field::labels("next", [8], names).ignoring().varying();
        [Field::indices("tokens", [8], 5).varying(), next].into()
    }
    fn length(&self, index: usize) -> Option<usize> {
        Some(3 + index * 7 % 6)
    }
    fn read(&self, index: usize, sample: &mut SampleMut<'_>) -> Result<(), DataError> {
        let at = |place: usize| ((index * 3 + place * place) % 5) as i32;
        sample.i32("tokens")?.iter_mut().enumerate().for_each(|(place, token)| *token = at(place));
        let next = sample.i32("next")?;
        next.iter_mut().enumerate().for_each(|(place, next)| *next = (at(place) + 2) % 5);
        Ok(())
    }
}

fn words(samples: usize) -> Arc<dyn Dataset> {
    Arc::new(Words(samples))
}

fn model() -> ModelSpec {
    ModelBuilder::indices([8])
        .embedding(5, 6, "embed")
        .dropout(0.1, "drop")
        .dense(5, true, "head")
        .layer(Permute::new([0, 2, 1]).named("classes_first"))
        .spec()
}

fn make(config: TrainerConfig) -> Trainer {
    Trainer::builder(model()).config(config).executor(cpu()).build().unwrap()
}

fn bucketed(epochs: usize) -> TrainerConfig {
    let optimizer = "adam".parse::<onestep_optimizer::OptimizerSpec>().unwrap().with_lr(0.05);
    let buckets = Some(Buckets { bounds: vec![4, 6], ..Buckets::default() });
    TrainerConfig { epochs, optimizer, buckets, batch_size: 4, ..small_config() }
}

#[test]
fn texts_of_different_lengths_are_learnt_in_buckets_and_measured_in_their_order() {
    let mut trainer = make(bucketed(12));
    let history = trainer.fit(words(41), Some(words(19)), &mut []).unwrap();
    let last = history.last().unwrap().validation.clone().unwrap();
    assert_eq!(last.accuracy(), Some(1.0), "{last:?}");
    // What a sample is padded to changes no figure.
    let plain = TrainerConfig { buckets: None, ..bucketed(12) };
    let mut plain = make(plain);
    plain.fit(words(41), None, &mut []).unwrap();
    let whole = plain.evaluate(words(19)).unwrap().metrics;
    assert_eq!(whole.accuracy(), Some(1.0), "{whole:?}");
    let mine = trainer.evaluate(words(19)).unwrap().metrics;
    assert!((mine.loss - last.loss).abs() < 1e-6);
    let said = trainer.predict_dataset(words(3)).unwrap();
    assert_eq!(said.values.len(), 3 * 40);
}

#[test]
fn a_run_in_buckets_that_is_cut_goes_on_to_the_same_bits() {
    let averaging = Some(Averaging::Ema(Ema { decay: 0.9, ..Ema::default() }));
    let config = TrainerConfig { accumulate: 2, averaging, ..bucketed(3) };
    let mut whole = make(config.clone());
    whole.fit(words(41), Some(words(8)), &mut []).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut cut = make(config);
    cut.fit(words(41), Some(words(8)), &mut [&mut StopAt(8)]).unwrap();
    assert!(cut.progress().batch > 0, "in the middle of an epoch");
    cut.save(folder.path()).unwrap();
    let load = || TrainerBuilder::load(folder.path()).unwrap().executor(cpu());
    let error = load().configure(|config| config.buckets = None).build().unwrap_err().to_string();
    assert!(error.contains("buckets: expected {\"bounds\":[4,6]} until the epoch"), "{error}");
    let mut resumed = load().build().unwrap();
    resumed.fit(words(41), Some(words(8)), &mut []).unwrap();
    let figures = |trainer: &Trainer| {
        let epochs = trainer.epochs().iter();
        epochs.map(|epoch| (epoch.train.clone(), epoch.validation.clone())).collect::<Vec<_>>()
    };
    assert_eq!(figures(&resumed), figures(&whole));
    for name in ["embed.weight", "head.weight", "head.bias"] {
        assert_eq!(resumed.parameter(name).unwrap(), whole.parameter(name).unwrap(), "{name}");
    }
}

#[test]
fn buckets_that_do_not_fit_are_refused_by_name() {
    let buckets = |bounds: &[usize], mask: Option<&str>| {
        let mask = mask.map(str::to_owned);
        let buckets = Some(Buckets { bounds: bounds.to_vec(), mask, length: None });
        let mut trainer = make(TrainerConfig { buckets, ..bucketed(1) });
        trainer.fit(words(8), None, &mut []).unwrap_err().to_string()
    };
    let error = buckets(&[9], None);
    assert!(error.contains("buckets: expected rising lengths from 1 to 8"), "{error}");
    let error = buckets(&[4], Some("mask"));
    assert!(error.contains("words: fields") && error.contains("tokens, next, mask"), "{error}");
    let mut trainer = Trainer::builder(onestep_trainer::factory::mlp([2], &[], 2))
        .config(bucketed(1))
        .executor(cpu())
        .build()
        .unwrap();
    let error = trainer.fit(support::quadrants(8), None, &mut []).unwrap_err().to_string();
    assert!(error.contains("a field that varies in length"), "{error}");
}

#[test]
fn warnings_count_the_batches_of_the_buckets() {
    // 8, 6 and 6 samples: six batches of four, where one list of twenty would be five.
    let warnings = |schedule: &str| {
        let config = TrainerConfig { schedule: schedule.parse().unwrap(), ..bucketed(1) };
        make(config).check_fit(&words(20), None).unwrap()
    };
    assert_eq!(warnings("step:5@step"), [""; 0]);
    let late = warnings("step:6@step");
    assert!(late.iter().any(|text| text.contains("after 6 steps, but the run has 6")), "{late:?}");
}

/// The texts of `Words`, each with one label.
struct Texts;

impl Dataset for Texts {
    fn name(&self) -> &str {
        "texts"
    }
    fn len(&self) -> usize {
        24
    }
    fn fields(&self) -> Fields {
        let kind = Field::labels("kind", [], ["even", "odd"]);
        [Field::indices("tokens", [8], 5).varying(), kind].into()
    }
    fn length(&self, index: usize) -> Option<usize> {
        Words(24).length(index)
    }
    fn read(&self, index: usize, sample: &mut SampleMut<'_>) -> Result<(), DataError> {
        let at = |place: usize| ((index * 3 + place * place) % 5) as i32;
        sample.i32("tokens")?.iter_mut().enumerate().for_each(|(place, token)| *token = at(place));
        sample.i32("kind")?.fill((index % 2) as i32);
        Ok(())
    }
}

/// The mean over a text's positions, of those that the mask has or of all.
fn mean_model(masked: bool) -> ModelSpec {
    let mean = Many(move |cx: &mut BuildContext, inputs: &[Value]| {
        let [x, mask] = cx.two(inputs)?;
        let g = &mut cx.graph;
        let dims = g.shape(x).dims().to_vec();
        let mask = g.cast(mask, DType::F32)?;
        let mut mask = g.reshape(mask, &[dims[0], dims[1], 1])?;
        if !masked {
            let zero = g.constant(0.0)?;
            let all = g.ge(mask, zero)?;
            mask = all;
        }
        let kept = g.mul(x, mask)?;
        let (sum, count) = (g.sum(kept, &[1], false)?, g.sum(mask, &[1], false)?);
        Ok(vec![g.div(sum, count)?])
    });
    let bytes = InputSpec { dtype: InputType::U8, ..InputSpec::new([8]) };
    ModelBuilder::with_inputs([("tokens", InputSpec::indices([8])), ("mask", bytes)])
        .embedding(5, 6, "embed")
        .taking(["tokens"])
        .layer(Custom::new(mean).named("mean"))
        .taking(["embed", "mask"])
        .dense(2, true, "head")
        .spec()
}

#[test]
fn a_mask_makes_padding_count_for_nothing() {
    // Training pads to the buckets, evaluation to the longest: with next to no rate the losses agree
    // only where padding does nothing.
    let difference = |masked: bool| {
        let buckets = Buckets { bounds: vec![4, 6], mask: Some("mask".into()), length: None };
        let sgd = "sgd".parse::<onestep_optimizer::OptimizerSpec>().unwrap().with_lr(1e-12);
        let config = TrainerConfig { buckets: Some(buckets), optimizer: sgd, ..bucketed(1) };
        let trainer = Trainer::builder(mean_model(masked)).config(config).executor(cpu());
        let mut trainer = trainer.build().unwrap();
        let history = trainer.fit(Arc::new(Texts), None, &mut []).unwrap();
        let whole = trainer.evaluate(Arc::new(Texts)).unwrap().metrics.loss;
        (history.last().unwrap().train.loss - whole).abs()
    };
    assert!(difference(true) < 1e-6, "{}", difference(true));
    assert!(difference(false) > 1e-4, "{}", difference(false));
}
