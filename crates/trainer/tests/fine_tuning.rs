//! Weights of another model, parameters that stay as they are, gradients of several batches, and what
//! can be read of a step.

mod support;

use onestep_layers::{Lora, ModelBuilder, ModelSpec, WeightLayout};
use onestep_trainer::{Trainer, TrainerBuilder, TrainerConfig, TrainerError, factory};
use support::{StopAt, cpu, halves, quadrants, small_config};

fn network(hidden: usize, classes: usize, head: &str) -> ModelSpec {
    ModelBuilder::new([1, 4, 4])
        .flatten("flatten")
        .dense(hidden, true, "body")
        .batch_norm("norm")
        .relu("relu")
        .dense(classes, true, head)
        .spec()
}

fn make(model: ModelSpec, config: TrainerConfig) -> Trainer {
    Trainer::builder(model).config(config).executor(cpu()).build().unwrap()
}

#[test]
fn what_fits_is_taken_and_the_rest_is_named() {
    let root = tempfile::tempdir().unwrap();
    let mut old = make(network(8, 2, "head"), small_config());
    old.fit(halves(32), None, &mut []).unwrap();
    let (folder, file) = (root.path().join("run"), root.path().join("theirs.safetensors"));
    old.save(folder.join("last")).unwrap();
    old.save_weights_in(&file, WeightLayout::Pytorch).unwrap();
    for path in [&folder, &file] {
        let mut new = make(network(8, 3, "new"), small_config());
        let taken = new.init_from(path, None, false).unwrap();
        assert_eq!(taken.taken.len(), 6, "{taken}");
        for name in ["body.weight", "norm.running_mean"] {
            assert_eq!(new.parameter(name).unwrap(), old.parameter(name).unwrap(), "{name}");
        }
        let left: Vec<&str> = taken.left.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(left, ["head.bias", "head.weight"]);
        assert_eq!(taken.new, ["new.weight", "new.bias"]);
        assert_eq!(taken.layout.name(), if path == &file { "pytorch" } else { "onestep" });
        let strict = new.init_from(path, None, true).unwrap_err().to_string();
        assert!(strict.contains("strict") && strict.contains("new.weight"), "{strict}");
    }
    let mut other = make(network(8, 5, "head"), small_config());
    let taken = other.init_from(&file, None, false).unwrap().to_string();
    assert!(taken.contains("head.weight ([8, 2], the model's is [8, 5])"), "{taken}");
    let mut same = make(network(8, 2, "head"), small_config());
    assert!(same.init_from(&file, None, true).unwrap().is_complete());
    let mut foreign = make(factory::mlp([2], &[4], 2), small_config());
    let error = foreign.init_from(&file, None, false).unwrap_err().to_string();
    assert!(error.contains("nothing in it fits the model"), "{error}");
}

#[test]
fn frozen_parameters_stay_without_gradient_or_state() {
    let config = TrainerConfig {
        freeze: vec!["body*".into(), "norm*".into()],
        keep_gradients: true,
        ..small_config()
    };
    let fit = |config: TrainerConfig| {
        let mut trainer = make(network(8, 2, "head"), config);
        let before = trainer.snapshot().unwrap();
        trainer.fit(halves(32), None, &mut []).unwrap();
        (trainer, before)
    };
    let same = |trainer: &mut Trainer, before: &mut Trainer, name: &str| {
        trainer.parameter(name).unwrap() == before.parameter(name).unwrap()
    };
    for statistics in [false, true] {
        let config = TrainerConfig { freeze_statistics: statistics, ..config.clone() };
        let (mut trainer, _) = fit(config.clone());
        let mut fresh = make(network(8, 2, "head"), config);
        assert!(same(&mut trainer, &mut fresh, "body.weight"));
        assert!(same(&mut trainer, &mut fresh, "norm.weight"));
        assert!(!same(&mut trainer, &mut fresh, "head.weight"));
        assert_eq!(same(&mut trainer, &mut fresh, "norm.running_mean"), statistics);
        assert!(trainer.gradient("head.weight").is_ok());
        assert!(trainer.gradient("body.weight").is_err());
        assert!(trainer.parameter("exp_avg.head.weight").is_ok());
        assert!(trainer.parameter("exp_avg.body.weight").is_err());
    }
    let error = |freeze: &[&str]| {
        let freeze = freeze.iter().map(|pattern| (*pattern).to_owned()).collect();
        let config = TrainerConfig { freeze, ..small_config() };
        let built = Trainer::builder(network(8, 2, "head")).config(config).executor(cpu()).build();
        built.map(|_| ()).unwrap_err().to_string()
    };
    let statistics = |freeze: &[&str]| {
        let freeze = freeze.iter().map(|pattern| (*pattern).to_owned()).collect();
        let config = TrainerConfig { freeze, freeze_statistics: true, ..small_config() };
        Trainer::builder(network(8, 2, "head")).config(config).executor(cpu()).build().map(|_| ())
    };
    assert!(statistics(&["body*", "*.running_*"]).is_ok());
    let none = statistics(&["body*"]).unwrap_err().to_string();
    assert!(none.contains("freeze_statistics") && none.contains("norm.running_mean"), "{none}");
    let none = statistics(&[]).unwrap_err().to_string();
    assert!(none.contains("freeze_statistics: expected false without `freeze`"), "{none}");
    assert!(error(&["convv*"]).contains("freeze: expected patterns of parameters (body.weight"));
    assert!(error(&["*"]).contains("something to learn"));
}

#[test]
fn adapters_train_alone_and_are_merged() {
    let root = tempfile::tempdir().unwrap();
    let (base, file) = (root.path().join("base"), root.path().join("merged"));
    let mut old = make(network(8, 2, "head"), small_config());
    old.fit(halves(32), None, &mut []).unwrap();
    old.save_weights(&base).unwrap();
    let lora = Lora::new(2, 8.0);
    let adapted = ModelBuilder::new([1, 4, 4])
        .flatten("flatten")
        .dense_lora(8, true, lora, "body")
        .batch_norm("norm")
        .relu("relu")
        .dense_lora(2, true, lora, "head")
        .spec();
    let config = TrainerConfig {
        freeze: vec!["*.weight".into(), "*.bias".into(), "norm*".into()],
        freeze_statistics: true,
        keep_gradients: true,
        ..small_config()
    };
    let mut tuned = make(adapted, config);
    let taken = tuned.init_from(&base, None, false).unwrap();
    assert_eq!(taken.new, ["body.lora_a", "body.lora_b", "head.lora_a", "head.lora_b"]);
    // It begins where the other model is.
    assert_eq!(
        tuned.evaluate(halves(20)).unwrap().metrics,
        old.evaluate(halves(20)).unwrap().metrics
    );
    tuned.fit(halves(32), None, &mut []).unwrap();
    for name in ["body.weight", "body.bias", "norm.weight", "norm.running_mean", "head.weight"] {
        assert_eq!(tuned.parameter(name).unwrap(), old.parameter(name).unwrap(), "{name}");
        assert!(tuned.gradient(name).is_err(), "{name}");
    }
    for name in taken.new {
        assert!(tuned.gradient(&name).is_ok(), "{name}");
        assert!(tuned.parameter(&name).unwrap().iter().any(|&x| x != 0.0), "{name}");
    }
    for layout in WeightLayout::ALL {
        let spec = tuned.save_merged(&file, layout).unwrap();
        assert_eq!(spec, network(8, 2, "head"));
        let mut merged = make(spec, small_config());
        merged.load_weights(&file).unwrap();
        assert_ne!(merged.parameter("body.weight").unwrap(), old.parameter("body.weight").unwrap());
        let [before, after] =
            [&mut tuned, &mut merged].map(|trainer| trainer.predict_dataset(halves(20)).unwrap());
        let numbers = before.rows().flatten().zip(after.rows().flatten());
        for (x, y) in numbers {
            assert!((x - y).abs() < 1e-5, "{x} {y}");
        }
    }
}

#[test]
fn a_frozen_run_is_resumed_as_it_was() {
    let root = tempfile::tempdir().unwrap();
    let config = TrainerConfig { freeze: vec!["body*".into()], ..small_config() };
    let mut first = make(network(8, 2, "head"), config.clone());
    first.fit(halves(32), None, &mut [&mut StopAt(3)]).unwrap();
    first.save(root.path()).unwrap();
    let mut resumed = TrainerBuilder::load(root.path()).unwrap().executor(cpu()).build().unwrap();
    resumed.fit(halves(32), None, &mut []).unwrap();
    let mut whole = make(network(8, 2, "head"), config);
    whole.fit(halves(32), None, &mut []).unwrap();
    assert_eq!(resumed.snapshot().unwrap(), whole.snapshot().unwrap());
    let builder = TrainerBuilder::load(root.path()).unwrap().executor(cpu());
    let error = builder.configure(|config| config.freeze.clear()).build().map(|_| ());
    assert!(error.unwrap_err().to_string().contains("freeze: expected body*"));
}

/// The largest difference of two trainers' weights.
fn apart(one: &mut Trainer, other: &mut Trainer) -> f32 {
    let mut largest = 0f32;
    for name in ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"] {
        let (one, other) = (one.parameter(name).unwrap(), other.parameter(name).unwrap());
        largest = one.iter().zip(&other).fold(largest, |l, (a, b)| l.max((a - b).abs()));
    }
    largest
}

#[test]
fn gradients_of_several_batches_are_those_of_a_large_one() {
    let config = |batch_size: usize, accumulate: usize| TrainerConfig {
        batch_size,
        accumulate,
        shuffle: false,
        epochs: 3,
        optimizer: "adamw".parse().unwrap(),
        schedule: "cosine".parse().unwrap(),
        clip: Some(onestep_optimizer::Clip::Norm(0.1)),
        ..small_config()
    };
    let fit = |config: TrainerConfig| {
        let mut trainer = make(factory::mlp([2], &[6], 2), config);
        // 44 is two updates of 16 and one of 12; of micro-batches 4, 4 and 3.
        let history = trainer.fit(quadrants(44), Some(quadrants(8)), &mut []).unwrap();
        (trainer, history)
    };
    let (mut large, wanted) = fit(config(16, 1));
    let (mut small, got) = fit(config(4, 4));
    assert_eq!((got.steps, small.progress().step), (wanted.steps, large.progress().step));
    assert!(apart(&mut large, &mut small) < 1e-6, "{}", apart(&mut large, &mut small));
    for (one, other) in wanted.epochs.iter().zip(&got.epochs) {
        assert_eq!((one.step, one.learning_rate), (other.step, other.learning_rate));
        assert!((one.train.loss - other.train.loss).abs() < 1e-6, "{one:?} {other:?}");
        let accuracy = |epoch: &onestep_trainer::EpochRecord| epoch.train.accuracy().unwrap();
        // The shares of batches are f32.
        assert!((accuracy(one) - accuracy(other)).abs() < 1e-6, "{one:?} {other:?}");
    }
    // One native call a batch.
    assert!((got.per_step.native_calls - 33.0 / 9.0).abs() < 1e-9, "{:?}", got.per_step);
}

#[test]
fn sums_of_several_batches_are_refused_by_name() {
    let loss = r#"{"type": "mse", "reduction": "sum"}"#.parse().unwrap();
    let config = TrainerConfig { loss, accumulate: 2, ..small_config() };
    let built = Trainer::builder(factory::mlp([2], &[], 1)).config(config).executor(cpu()).build();
    let error = built.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("accumulate: expected 1 with the loss mse as a sum"), "{error}");
}

#[test]
fn accumulation_is_resumed_bit_for_bit() {
    let root = tempfile::tempdir().unwrap();
    let config = TrainerConfig {
        batch_size: 4,
        accumulate: 3,
        epochs: 3,
        schedule: "step:1:0.5".parse().unwrap(),
        ..small_config()
    };
    let model = || support::stateful_model();
    let mut whole = make(model(), config.clone());
    whole.fit(halves(40), None, &mut []).unwrap();
    // In the middle of the first and of the second epoch, which have four updates of ten batches, and
    // of the third.
    let mut resumed = make(model(), config.clone());
    for stop in [1, 2, 6, 7, 11] {
        let mut first = make(model(), config.clone());
        first.fit(halves(40), None, &mut [&mut StopAt(stop)]).unwrap();
        first.save(root.path()).unwrap();
        resumed = TrainerBuilder::load(root.path()).unwrap().executor(cpu()).build().unwrap();
        resumed.fit(halves(40), None, &mut []).unwrap();
        assert_eq!(resumed.snapshot().unwrap(), whole.snapshot().unwrap(), "{stop}");
        let rates = |trainer: &Trainer| -> Vec<f64> {
            trainer.epochs().iter().map(|epoch| epoch.learning_rate).collect()
        };
        assert_eq!(rates(&resumed), rates(&whole), "{stop}");
    }
    assert_eq!(resumed.parameter("exp_avg.fc1.weight").unwrap().len(), 16 * 8);
    let builder = TrainerBuilder::load(root.path()).unwrap().executor(cpu());
    let error = builder.configure(|config| config.accumulate = 1).build().map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("accumulate: expected"), "{error}");
}

#[test]
fn an_average_of_the_weights_is_used_kept_and_resumed_bit_for_bit() {
    use onestep_optimizer::{Averaging, Ema, Per, Swa};
    for averaging in [
        Averaging::Ema(Ema { decay: 0.9, warmup: false }),
        Averaging::Swa(Swa { start: 4, every: 2, per: Per::Step }),
    ] {
        let root = tempfile::tempdir().unwrap();
        let config = TrainerConfig {
            batch_size: 4,
            accumulate: 3,
            epochs: 3,
            augmentation: "crop=1".into(),
            averaging: Some(averaging),
            ..small_config()
        };
        let model = || support::stateful_model();
        let mut whole = make(model(), config.clone());
        whole.fit(halves(40), None, &mut []).unwrap();
        let mut first = make(model(), config.clone());
        first.fit(halves(40), None, &mut [&mut StopAt(6)]).unwrap();
        first.save(root.path()).unwrap();
        let builder = TrainerBuilder::load(root.path()).unwrap();
        let mut resumed = builder.executor(cpu()).build().unwrap();
        resumed.fit(halves(40), None, &mut []).unwrap();
        let name = format!("{}.fc1.weight", averaging.kind());
        for name in ["fc1.weight", name.as_str()] {
            assert_eq!(resumed.parameter(name).unwrap(), whole.parameter(name).unwrap(), "{name}");
        }
        let (last, average) =
            (whole.parameter("fc1.weight").unwrap(), whole.parameter(&name).unwrap());
        assert_ne!(last, average);
        // Evaluation, prediction and files of weights have the average.
        let evaluated = whole.evaluate(halves(20)).unwrap().metrics;
        let said = whole.predict_dataset(halves(5)).unwrap();
        let file = root.path().join("average.safetensors");
        whole.save_weights(&file).unwrap();
        let mut plain = make(model(), TrainerConfig { averaging: None, ..config });
        plain.load_weights(&file).unwrap();
        assert_eq!(plain.parameter("fc1.weight").unwrap(), average);
        assert_eq!(plain.evaluate(halves(20)).unwrap().metrics, evaluated);
        assert_eq!(plain.predict_dataset(halves(5)).unwrap(), said);
    }
}

#[test]
fn a_loop_of_ones_own_accumulates_and_reads_values_of_layers() -> Result<(), TrainerError> {
    let config = |accumulate: usize| TrainerConfig {
        accumulate,
        keep_gradients: true,
        read: vec!["relu1".into()],
        ..small_config()
    };
    let inputs: Vec<f32> = (0..16).map(support::noise).collect();
    let labels: Vec<i32> = (0..8).map(|i| i % 2).collect();
    let mut large = make(factory::mlp([2], &[6], 2), config(1));
    large.train_batch(&inputs, &labels)?;
    let mut small = make(factory::mlp([2], &[6], 2), config(2));
    small.accumulate_batch(&inputs[..8], &labels[..4])?;
    small.train_batch(&inputs[8..], &labels[4..])?;
    assert!(apart(&mut large, &mut small) < 1e-6);
    let hidden = large.value("relu1")?;
    assert!(hidden.len() == 8 * 6 && hidden.iter().all(|value| *value >= 0.0));
    assert!(large.value("fc1").is_err());
    let error = large.accumulate_batch(&inputs, &labels).unwrap_err().to_string();
    assert!(error.contains("accumulate: expected at least 2"), "{error}");
    Ok(())
}

#[test]
fn adapters_that_peft_has_saved_are_taken_in_pytorchs_layout() {
    use safetensors::{Dtype, tensor::TensorView};
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("adapter_model.safetensors");
    // A square weight, whose shape says nothing: A is [rank, in] and B [out, rank] there.
    let (a, b) = ([1.0f32, 2.0, 3.0, 4.0], [5.0f32, 6.0, 7.0, 8.0]);
    let bytes = |values: &[f32]| values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    let (a_bytes, b_bytes, head) = (bytes(&a), bytes(&b), bytes(&[0.5, -0.5]));
    let view = |shape: [usize; 2], bytes| TensorView::new(Dtype::F32, shape.into(), bytes).unwrap();
    let tensors = [
        ("base_model.model.fc.lora_A.weight", view([2, 2], &a_bytes)),
        ("base_model.model.fc.lora_B.weight", view([2, 2], &b_bytes)),
        ("base_model.model.head.modules_to_save.default.weight", view([1, 2], &head)),
    ];
    std::fs::write(&file, safetensors::serialize(tensors, None).unwrap()).unwrap();
    let mut spec = ModelBuilder::new([2]).dense(2, false, "fc").dense(1, false, "head").spec();
    spec.add_lora(Lora::new(2, 2.0), |path| path == "fc").unwrap();
    let config = TrainerConfig { loss: "mse".parse().unwrap(), ..small_config() };
    let mut trainer = make(spec, config);
    let taken = trainer.init_from(&file, None, false).unwrap();
    assert_eq!((taken.layout, taken.taken.len()), (WeightLayout::Pytorch, 3), "{taken}");
    assert_eq!(taken.new, ["fc.weight"]);
    assert_eq!(trainer.parameter("fc.lora_a").unwrap(), [1.0, 3.0, 2.0, 4.0]);
    assert_eq!(trainer.parameter("fc.lora_b").unwrap(), [5.0, 7.0, 6.0, 8.0]);
    assert_eq!(trainer.parameter("head.weight").unwrap(), [0.5, -0.5]);
    // What PEFT computes: y = head (W x + (alpha / rank) B A x), with W = 0 here.
    trainer.set_parameter("fc.weight", &[0.0; 4]).unwrap();
    let x = [1.0f32, -1.0];
    let ax = [a[0] * x[0] + a[1] * x[1], a[2] * x[0] + a[3] * x[1]];
    let bax = [b[0] * ax[0] + b[1] * ax[1], b[2] * ax[0] + b[3] * ax[1]];
    assert_eq!(trainer.predict(&x).unwrap().values, [0.5 * bax[0] - 0.5 * bax[1]]);
}
