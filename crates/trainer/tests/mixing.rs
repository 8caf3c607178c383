//! Training on samples that are mixed, while evaluation keeps their labels.

mod support;

use onestep_data::Dataset;
use onestep_layers::ModelSpec;
use onestep_optimizer::{Averaging, Ema};
use onestep_trainer::{Trainer, TrainerBuilder, TrainerConfig, factory};
use support::{StopAt, cpu, halves, plane, quadrants, small_config, stateful_model};

fn mixing(text: &str) -> TrainerConfig {
    TrainerConfig { mix: Some(text.parse().unwrap()), ..small_config() }
}

fn make(model: ModelSpec, config: TrainerConfig) -> Trainer {
    Trainer::builder(model).config(config).executor(cpu()).build().unwrap()
}

fn refused(model: ModelSpec, config: TrainerConfig, data: std::sync::Arc<dyn Dataset>) -> String {
    let trainer = Trainer::builder(model).config(config).executor(cpu()).build();
    let fitted = trainer.and_then(|mut trainer| trainer.fit(data, None, &mut []));
    fitted.unwrap_err().to_string()
}

#[test]
fn training_learns_from_mixed_labels_and_evaluation_is_of_labels() {
    for text in ["mixup=0.2", "cutmix=1"] {
        let config = TrainerConfig { epochs: 40, ..mixing(text) };
        let mut trainer = make(factory::cnn([1, 4, 4], 2), config);
        let history = trainer.fit(halves(64), Some(halves(32)), &mut []).unwrap();
        let last = history.last().unwrap();
        let validation = last.validation.clone().unwrap();
        assert!(validation.accuracy() > Some(0.8), "{text}: {validation:?}");
        assert!(last.train.accuracy() > Some(0.5), "{text}: {:?}", last.train);
        let evaluation = trainer.evaluate(halves(32)).unwrap();
        assert!((evaluation.metrics.loss - validation.loss).abs() < 1e-6);
        assert!(evaluation.confusion.is_some());
        // Without the setting the same batches have another loss.
        let plain = TrainerConfig { mix: None, ..trainer.config().clone() };
        let mut plain = make(factory::cnn([1, 4, 4], 2), plain);
        let unmixed = plain.fit(halves(64), None, &mut []).unwrap();
        assert_ne!(unmixed.epochs[0].train.loss, history.epochs[0].train.loss, "{text}");
    }
}

#[test]
fn a_run_that_is_cut_in_an_epoch_goes_on_to_the_same_bits() {
    let averaging = Some(Averaging::Ema(Ema { decay: 0.9, ..Ema::default() }));
    let config = TrainerConfig { epochs: 3, accumulate: 2, averaging, ..mixing("mixup=0.4") };
    let model = || stateful_model();
    let mut whole = make(model(), config.clone());
    // Eleven batches an epoch, so that the last update is of one.
    whole.fit(halves(83), Some(halves(16)), &mut []).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut cut = make(model(), config);
    cut.fit(halves(83), Some(halves(16)), &mut [&mut StopAt(9)]).unwrap();
    assert!(cut.progress().batch > 0, "in the middle of an epoch");
    cut.save(folder.path()).unwrap();
    let refused = TrainerBuilder::load(folder.path())
        .unwrap()
        .configure(|config| config.mix = None)
        .executor(cpu())
        .build();
    let error = refused.unwrap_err().to_string();
    assert!(error.contains("mix: expected mixup=0.4 until the epoch"), "{error}");
    let mut resumed = TrainerBuilder::load(folder.path()).unwrap().executor(cpu()).build().unwrap();
    assert_eq!(resumed.config().mix.unwrap().to_string(), "mixup=0.4");
    resumed.fit(halves(83), Some(halves(16)), &mut []).unwrap();
    let figures = |trainer: &Trainer| {
        let epochs = trainer.epochs().iter();
        epochs.map(|epoch| (epoch.train.clone(), epoch.validation.clone())).collect::<Vec<_>>()
    };
    assert_eq!(figures(&resumed), figures(&whole));
    let (one, other) = (folder.path().join("one"), folder.path().join("other"));
    whole.save(&one).unwrap();
    resumed.save(&other).unwrap();
    let mut tensors = 0;
    for entry in std::fs::read_dir(&one).unwrap() {
        let name = entry.unwrap().file_name();
        if name.to_string_lossy().ends_with(".safetensors") {
            let same = std::fs::read(one.join(&name)).unwrap()
                == std::fs::read(other.join(&name)).unwrap();
            assert!(same, "{name:?}");
            tensors += 1;
        }
    }
    assert!(tensors > 0);
}

#[test]
fn what_cannot_be_mixed_is_refused_by_name() {
    let mlp = |outputs| factory::mlp([2], &[], outputs);
    let mse = TrainerConfig { loss: "mse".parse().unwrap(), ..mixing("mixup") };
    let weighted = r#"{"type": "cross_entropy", "weight": [1.0, 2.0]}"#;
    let weighted =
        TrainerConfig { loss: serde_json::from_str(weighted).unwrap(), ..mixing("mixup") };
    for (model, config, data, wanted) in [
        (mlp(1), mse, plane(8), "mix: expected none, or the loss cross_entropy"),
        (mlp(2), weighted, quadrants(8), "mix: expected none, or the loss cross_entropy"),
        (mlp(3), mixing("mixup"), quadrants(8), "quadrants: classes: expected 3, one for each"),
        (mlp(2), mixing("cutmix"), quadrants(8), "rows and columns for cutmix"),
    ] {
        let error = refused(model, config, data);
        assert!(error.contains(wanted), "{error}");
    }
}
