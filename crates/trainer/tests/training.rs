//! Real training on the default device, small enough for an unoptimised build.

mod support;

use std::sync::Arc;

use onestep_data::{Dataset, InMemory, TargetSpec, open};
use onestep_memory::Shape;
use onestep_optimizer::OptimizerSpec;
use onestep_trainer::{Trainer, TrainerConfig, TrainerError, factory};
use support::{halves, small_config, stateful_model};

fn adam(lr: f64) -> OptimizerSpec {
    "adam".parse::<OptimizerSpec>().unwrap().with_lr(lr)
}

#[test]
fn a_small_network_learns_xor() {
    let xor: Arc<dyn Dataset> = Arc::new(
        InMemory::classification(
            "xor",
            Shape::from([2]),
            vec![0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0],
            vec![0, 1, 1, 0],
            TargetSpec::classes(2),
        )
        .unwrap(),
    );
    let config = TrainerConfig {
        epochs: 300,
        batch_size: 4,
        workers: 0,
        threads: 1,
        optimizer: adam(0.05),
        ..TrainerConfig::default()
    };
    let mut trainer = Trainer::new(factory::mlp([2], &[16], 2), config).unwrap();
    trainer.fit(xor.clone(), None, &mut []).unwrap();
    let evaluation = trainer.evaluate(xor).unwrap();
    assert_eq!(evaluation.metrics.accuracy(), Some(1.0), "{evaluation:?}");
    assert!(evaluation.metrics.loss < 0.05, "{evaluation:?}");
    let answers = trainer.predict(&[0.0, 1.0, 1.0, 1.0]).unwrap();
    assert_eq!(answers.classes(), [1, 0]);
    assert!(answers.probabilities()[0][1] > 0.9);
}

#[test]
fn a_network_fits_a_curve() {
    let x: Vec<f32> = (0..128).map(|i| i as f32 / 64.0 - 1.0).collect();
    let y: Vec<f32> = x.iter().map(|x| (3.0 * x).sin()).collect();
    let sine = InMemory::regression("sine", Shape::from([1]), x, Shape::from([1]), y).unwrap();
    let config = TrainerConfig {
        epochs: 150,
        batch_size: 32,
        threads: 1,
        loss: "mse".parse().unwrap(),
        optimizer: adam(0.01),
        ..TrainerConfig::default()
    };
    let mut trainer = Trainer::new(factory::mlp([1], &[32, 32], 1), config).unwrap();
    let history = trainer.fit(Arc::new(sine), None, &mut []).unwrap();
    let error = history.last().unwrap().train.mean_absolute_error().unwrap();
    assert!(error < 0.05, "{error}");
    let at = trainer.predict(&[0.5]).unwrap().values[0];
    assert!((at - 1.5f32.sin()).abs() < 0.1, "{at}");
}

#[test]
fn a_convolutional_network_reads_digits() {
    let data = open("digits").unwrap();
    let config = TrainerConfig { epochs: 5, ..factory::cnn_config() };
    let mut trainer = Trainer::new(factory::cnn([1, 8, 8], 10), config).unwrap();
    let history = trainer.fit(data.train, Some(data.validation.clone()), &mut []).unwrap();
    let accuracy = history.last().unwrap().validation.as_ref().unwrap().accuracy().unwrap();
    assert!(accuracy >= 0.98, "{accuracy}");
    let evaluation = trainer.evaluate(data.validation).unwrap();
    assert!((evaluation.metrics.accuracy().unwrap() - accuracy).abs() < 1e-6);
    assert!(evaluation.top_k.unwrap().accuracy() > 0.99);
    assert!(history.planned_bytes > 0 && history.peak_device_bytes >= history.planned_bytes);
}

#[test]
fn the_same_seed_gives_the_same_bits() {
    let weights = |seed, workers| {
        let config = TrainerConfig {
            seed,
            workers,
            threads: 2,
            augmentation: "crop=1".into(),
            ..small_config()
        };
        let mut trainer = Trainer::new(stateful_model(), config).unwrap();
        trainer.fit(halves(36), None, &mut []).unwrap();
        trainer.snapshot().unwrap()
    };
    let first = weights(3, 1);
    assert_eq!(first, weights(3, 2));
    assert_ne!(first, weights(4, 1));
}

#[test]
fn too_little_memory_is_refused_before_the_first_step() {
    let config = TrainerConfig {
        memory_budget: Some(256 << 10),
        batch_size: 64,
        ..TrainerConfig::default()
    };
    let model = factory::mlp([1, 8, 8], &[256, 256], 10);
    let error = match Trainer::new(model, config) {
        Err(error) => error,
        Ok(mut trainer) => trainer.fit(open("digits").unwrap().train, None, &mut []).unwrap_err(),
    };
    let text = error.to_string();
    assert!(matches!(error, TrainerError::Engine(_) | TrainerError::Memory(_)), "{text}");
    assert!(text.contains("budget"), "{text}");
}

/// The folder of data sets that are too large for the repository.
fn data_folder() -> std::path::PathBuf {
    let beside = || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    std::env::var_os("ONESTEP_DATA").map_or_else(beside, Into::into)
}

#[test]
fn a_dense_network_reads_mnist() {
    let folder = data_folder().join("mnist");
    if !folder.is_dir() {
        println!(
            "skipped: there is no {}; set ONESTEP_DATA to a folder with mnist",
            folder.display()
        );
        return;
    }
    let data = open(&format!("mnist:{}", folder.display())).unwrap();
    let config = TrainerConfig { epochs: 1, optimizer: adam(3e-3), ..TrainerConfig::default() };
    let model = factory::mlp(data.train.input_shape().dims(), &[64], 10);
    let mut trainer = Trainer::new(model, config).unwrap();
    let history = trainer.fit(data.train, Some(data.validation), &mut []).unwrap();
    let accuracy = history.last().unwrap().validation.as_ref().unwrap().accuracy().unwrap();
    assert!(accuracy > 0.88, "{accuracy}");
}
