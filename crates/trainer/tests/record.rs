//! What a model learnt from its data goes with it through every door.

mod support;

use std::sync::Arc;

use onestep_data::{DataRecord, Dataset, InMemory, Scaling, TargetSpec};
use onestep_memory::Shape;
use onestep_trainer::{Trainer, TrainerBuilder, TrainerConfig, checkpoint, factory};
use support::{executor, noise, quadrants, small_config, trainer};

/// The points of [`quadrants`] with their classes in the order of `names`.
fn named(samples: usize, names: &[&str]) -> Arc<dyn Dataset> {
    let inputs: Vec<f32> = (0..2 * samples).map(|i| 2.0 * noise(i)).collect();
    let place = |name| names.iter().position(|own| *own == name).unwrap() as i32;
    let class = |p: &[f32]| if p[0] * p[1] > 0.0 { "same" } else { "different" };
    let labels = inputs.chunks(2).map(|p| place(class(p))).collect();
    let classes = TargetSpec::named_classes(names.iter().copied());
    let shape = Shape::from([2]);
    Arc::new(InMemory::classification("named", shape, inputs, labels, classes).unwrap())
}

fn classifier() -> Trainer {
    let optimizer = "adam".parse::<onestep_optimizer::OptimizerSpec>().unwrap().with_lr(0.05);
    let config = TrainerConfig { epochs: 60, optimizer, ..small_config() };
    trainer(factory::mlp([2], &[16], 2), config)
}

#[test]
fn classes_are_matched_by_name() {
    let root = tempfile::tempdir().unwrap();
    let mut first = classifier();
    first.fit(quadrants(64), None, &mut []).unwrap();
    let wanted = first.evaluate(quadrants(64)).unwrap();
    assert!(wanted.metrics.accuracy().unwrap() > 0.9, "{wanted:?}");
    assert_eq!(first.record().classes, Some(vec!["different".to_owned(), "same".to_owned()]));
    first.save(root.path()).unwrap();
    let loaded = TrainerBuilder::load(root.path()).unwrap();
    let mut loaded = loaded.executor(executor()).build().unwrap();
    assert_eq!(loaded.record(), first.record());
    let turned = named(64, &["same", "different"]);
    let names = |e: &onestep_trainer::Evaluation| e.confusion.clone().unwrap();
    for trainer in [&mut first, &mut loaded] {
        let got = trainer.evaluate(turned.clone()).unwrap();
        assert_eq!((&got.metrics, names(&got)), (&wanted.metrics, names(&wanted)));
        let error = trainer.evaluate(named(8, &["same", "different", "odd"])).unwrap_err();
        assert!(error.to_string().contains("`odd`"), "{error}");
    }
    // Training goes on by name too.
    loaded.set_epochs(61).unwrap();
    first.set_epochs(61).unwrap();
    let one = first.fit(quadrants(64), Some(turned.clone()), &mut []).unwrap();
    let other = loaded.fit(turned, Some(quadrants(64)), &mut []).unwrap();
    assert_eq!(one.last().unwrap().validation, other.last().unwrap().validation);
    assert_eq!(first.snapshot().unwrap(), loaded.snapshot().unwrap());
    let error = loaded.fit(named(8, &["odd", "same", "different"]), None, &mut []).unwrap_err();
    assert!(error.to_string().contains("`odd`"), "{error}");
}

#[test]
fn a_checkpoint_without_a_record_still_loads() {
    let root = tempfile::tempdir().unwrap();
    classifier().save(root.path()).unwrap();
    assert!(root.path().join(checkpoint::DATA).is_file());
    let wrong = DataRecord { classes: Some(vec![String::new(); 3]), ..DataRecord::default() };
    let error = classifier().set_record(wrong).unwrap_err().to_string();
    assert!(error.contains("at most 2, the outputs of the model, got 3"), "{error}");
}

#[test]
fn host_data_goes_the_way_of_a_data_set() {
    let config = TrainerConfig { augmentation: "+normalise=3/-1:2/0.5".into(), ..small_config() };
    let mut with = trainer(factory::mlp([2], &[4], 2), config);
    let mut plain = trainer(factory::mlp([2], &[4], 2), small_config());
    let inputs: Vec<f32> = (0..40).map(noise).collect();
    let normal: Vec<f32> =
        inputs.chunks(2).flat_map(|p| [(p[0] - 3.0) / 2.0, (p[1] + 1.0) / 0.5]).collect();
    let labels = vec![0; 20];
    let classes = TargetSpec::classes(2);
    let data: Arc<dyn Dataset> = Arc::new(
        InMemory::classification("x", Shape::from([2]), inputs.clone(), labels.clone(), classes)
            .unwrap(),
    );
    let wanted = plain.predict(&normal).unwrap();
    assert_eq!(with.predict(&inputs).unwrap(), wanted);
    assert_eq!(with.predict_dataset(data).unwrap(), wanted);
    let (one, other) = (with.train_batch(&inputs, &labels), plain.train_batch(&normal, &labels));
    assert_eq!(one.unwrap(), other.unwrap());
    assert_eq!(with.snapshot().unwrap(), plain.snapshot().unwrap());
}

/// y = 1000 x1 - 2000 x2 + 5000, standardised as a table is.
fn standardised(samples: usize) -> (Arc<dyn Dataset>, Vec<f32>, Vec<f32>, Scaling) {
    let inputs: Vec<f32> = (0..2 * samples).map(noise).collect();
    let own: Vec<f32> = inputs.chunks(2).map(|p| 1000.0 * p[0] - 2000.0 * p[1] + 5000.0).collect();
    let scaling = Scaling { mean: vec![5000.0], deviation: vec![640.0] };
    let mut targets = own.clone();
    scaling.scale(&mut targets);
    let (x, y) = (Shape::from([2]), Shape::from([1]));
    let data = InMemory::regression("prices", x, inputs.clone(), y, targets).unwrap();
    (Arc::new(data), inputs, own, scaling)
}

#[test]
fn figures_of_standardised_targets_are_in_their_own_units() {
    let root = tempfile::tempdir().unwrap();
    let (data, inputs, own, scaling) = standardised(64);
    for (loss, power) in [("mse", 2), ("mae", 1)] {
        let optimizer = "adam".parse::<onestep_optimizer::OptimizerSpec>().unwrap().with_lr(0.03);
        let loss = loss.parse().unwrap();
        let config = TrainerConfig { epochs: 40, optimizer, loss, ..small_config() };
        let builder = Trainer::builder(factory::mlp([2], &[], 1)).config(config);
        let record = DataRecord { targets: Some(scaling.clone()), ..DataRecord::default() };
        let mut trainer = builder.record(record).executor(executor()).build().unwrap();
        let history = trainer.fit(data.clone(), Some(data.clone()), &mut []).unwrap();
        trainer.save(root.path()).unwrap();
        let loaded = TrainerBuilder::load(root.path()).unwrap();
        let mut loaded = loaded.executor(executor()).build().unwrap();

        let answers = loaded.predict(&inputs).unwrap().values;
        assert_eq!(loaded.predict_dataset(data.clone()).unwrap().values, answers);
        let errors = answers.iter().zip(&own).map(|(a, b)| f64::from((a - b).abs()));
        let count = own.len() as f64;
        let absolute = errors.clone().sum::<f64>() / count;
        let wanted = errors.map(|error| error.powi(power)).sum::<f64>() / count;
        let got = loaded.evaluate(data.clone()).unwrap().metrics;
        let close = |a: f64, b: f64| (a / b - 1.0).abs() < 1e-3;
        assert!(close(got.mean_absolute_error().unwrap(), absolute), "{got:?} {absolute}");
        assert!(close(got.loss, wanted), "{got:?} {wanted}");
        let epoch = history.last().unwrap().validation.clone().unwrap();
        assert!(close(epoch.loss, got.loss), "{epoch:?} {got:?}");
        // The first loss is that of a batch in the same unit: far above what is left of it.
        assert!(f64::from(history.first_loss.unwrap()) > 2.0 * wanted.min(1000.0));
    }
    let record = DataRecord { targets: Some(scaling), ..DataRecord::default() };
    let error = classifier().set_record(record).unwrap_err().to_string();
    assert!(error.contains("no scale for the loss cross_entropy"), "{error}");
}
