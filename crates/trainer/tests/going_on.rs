//! Runs that are cut and go on to the same bits: every optimizer, with averages, gradients of several
//! batches and schedules of options.

mod support;

use onestep_base::Registered;
use onestep_optimizer::{Averaging, Ema, OptimizerSpec, Swa};
use onestep_trainer::{
    EarlyStoppingConfig, Trainer, TrainerBuilder, TrainerConfig, TrainerError, Weights,
};
use support::{StopAt, cpu, halves, small_config};

fn make(config: TrainerConfig) -> Result<Trainer, TrainerError> {
    Trainer::builder(support::stateful_model()).config(config).executor(cpu()).build()
}

/// Each tensor of a trainer's state, by name, as bits.
fn state(trainer: &Trainer) -> Vec<(String, Vec<u32>)> {
    let state = trainer.learner().state();
    let bits = |name: &str| state.read(name).unwrap().iter().map(|x| x.to_bits()).collect();
    state.layout().entries().iter().map(|e| (e.name.clone(), bits(&e.name))).collect()
}

fn named(name: &str) -> TrainerConfig {
    let optimizer = match name {
        "sgd" => r#"{"type": "sgd", "momentum": 0.9, "weight_decay": 0.01, "lr": 0.05}"#.parse(),
        name => name.parse::<OptimizerSpec>(),
    };
    TrainerConfig { batch_size: 4, epochs: 3, optimizer: optimizer.unwrap(), ..small_config() }
}

#[test]
fn every_optimizer_goes_on_to_the_same_bits() -> Result<(), TrainerError> {
    for name in OptimizerSpec::plain_names() {
        let averaging = match name {
            // It has an average of its own.
            "schedule_free" => None,
            "adam" | "muon" | "prodigy" => Some(Averaging::Swa(Swa::default())),
            _ => Some(Averaging::Ema(Ema { decay: 0.9, warmup: true })),
        };
        let config = TrainerConfig { accumulate: 3, averaging, ..named(name) };
        let mut whole = make(config.clone())?;
        whole.fit(halves(40), None, &mut [])?;
        for stop in [2, 7] {
            let root = tempfile::tempdir().unwrap();
            let mut first = make(config.clone())?;
            first.fit(halves(40), None, &mut [&mut StopAt(stop)])?;
            first.save(root.path())?;
            let mut resumed = TrainerBuilder::load(root.path())?.executor(cpu()).build()?;
            resumed.fit(halves(40), None, &mut [])?;
            assert!(state(&resumed) == state(&whole), "{name} from step {stop}");
        }
    }
    Ok(())
}

#[test]
fn schedules_of_options_go_on_to_the_same_bits() -> Result<(), TrainerError> {
    for (name, option, schedule) in [
        ("sgd", "momentum", "cosine"),
        ("adamw", "weight_decay", "warmup:3@step+exponential:0.9@step"),
        ("adam", "beta1", "step:1:0.9"),
        ("rmsprop", "alpha", "multi_step:2,5:0.9@step"),
    ] {
        let schedules = [(option.to_owned(), schedule.parse()?)].into();
        let config = TrainerConfig { option_schedules: schedules, ..named(name) };
        let mut whole = make(config.clone())?;
        whole.fit(halves(40), None, &mut [])?;
        let mut plain =
            make(TrainerConfig { option_schedules: Default::default(), ..config.clone() })?;
        plain.fit(halves(40), None, &mut [])?;
        assert!(state(&plain) != state(&whole), "{name}: {option} does not change");
        let root = tempfile::tempdir().unwrap();
        let mut first = make(config)?;
        first.fit(halves(40), None, &mut [&mut StopAt(13)])?;
        first.save(root.path())?;
        let mut resumed = TrainerBuilder::load(root.path())?.executor(cpu()).build()?;
        assert_eq!(resumed.config().option_schedules[option], schedule.parse()?);
        resumed.fit(halves(40), None, &mut [])?;
        assert!(state(&resumed) == state(&whole), "{name}: {option}");
    }
    Ok(())
}

#[test]
fn schedules_of_options_that_do_not_fit_are_refused_by_name() {
    let error = |name: &str, option: &str, schedule: &str| {
        let schedules = [(option.to_owned(), schedule.parse().unwrap())].into();
        let config = TrainerConfig { option_schedules: schedules, ..named(name) };
        make(config).map(|_| ()).unwrap_err().to_string()
    };
    assert!(error("adam", "momentum", "cosine").contains("momentum"));
    assert!(error("adam", "weight_decay", "cosine").contains("above 0 to be scheduled"));
    assert!(error("sgd", "momentum", "reduce_on_plateau").contains("goes by the step alone"));
    assert!(error("sgd", "momentum", "step:0").contains("step_size"));
    // A loop of one's own must say how long its epochs are.
    for (schedules, averaging, wanted) in [
        ([("momentum".to_owned(), "cosine".parse().unwrap())].into(), None, "`momentum` goes"),
        (Default::default(), Some(Averaging::Swa(Swa::default())), "`swa` goes"),
    ] {
        let config = TrainerConfig { option_schedules: schedules, averaging, ..named("sgd") };
        let mut trainer = make(config).unwrap();
        let error = trainer.train_batch(&[0.5; 64], &[0, 1, 0, 1]).unwrap_err().to_string();
        assert!(error.contains("steps_per_epoch") && error.contains(wanted), "{error}");
    }
}

#[test]
fn an_average_that_the_state_was_not_made_for_is_refused_by_name() -> Result<(), TrainerError> {
    let ema = Some(Averaging::Ema(Ema::default()));
    for (before, now, wanted) in [(None, ema, "expected none"), (ema, None, "expected ema")] {
        let root = tempfile::tempdir().unwrap();
        let mut trainer = make(TrainerConfig { averaging: before, ..named("sgd") })?;
        trainer.save(root.path())?;
        let builder = TrainerBuilder::load(root.path())?.executor(cpu());
        let built = builder.configure(|config| config.averaging = now).build();
        let error = built.map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("averaging") && error.contains(wanted), "{error}");
    }
    Ok(())
}

/// What is evaluated is put back: an average, and what its optimizer needs to go on.
#[test]
fn the_best_epoch_comes_back_with_its_average() -> Result<(), TrainerError> {
    for name in ["sgd", "schedule_free"] {
        let averaging =
            (name == "sgd").then_some(Averaging::Ema(Ema { decay: 0.6, warmup: false }));
        let optimizer = named(name).optimizer.with_lr(if name == "sgd" { 1.5 } else { 0.5 });
        let config = TrainerConfig {
            averaging,
            optimizer,
            epochs: 9,
            early_stopping: Some(EarlyStoppingConfig { patience: 20, ..Default::default() }),
            ..named(name)
        };
        let mut whole = make(config.clone())?;
        let history = whole.fit(halves(40), Some(halves(24)), &mut [])?;
        let best = history.best(&config.monitor).unwrap().clone();
        assert!(best.epoch < 9, "{name}: the best epoch is the last one");
        assert_eq!(whole.weights(), Weights::Best);
        let evaluated = whole.evaluate(halves(24))?.metrics;
        assert_eq!(Some(evaluated.loss), best.validation.as_ref().map(|v| v.loss), "{name}");
        // A checkpoint has both, and files of weights what is used.
        let root = tempfile::tempdir().unwrap();
        whole.save(root.path())?;
        let mut loaded = TrainerBuilder::load(root.path())?.executor(cpu()).build()?;
        assert_eq!(loaded.evaluate(halves(24))?.metrics, evaluated, "{name}");
        assert!(state(&loaded) == state(&whole), "{name}");
        let mut plain = make(named("adagrad"))?;
        plain.load_weights(root.path().join("weights.safetensors"))?;
        assert_eq!(plain.evaluate(halves(24))?.metrics, evaluated, "{name}");
        // Training goes on from the last step, as if nothing had been put back.
        let mut longer = make(TrainerConfig { epochs: 11, ..config.clone() })?;
        longer.fit(halves(40), Some(halves(24)), &mut [])?;
        loaded.set_epochs(11)?;
        loaded.fit(halves(40), Some(halves(24)), &mut [])?;
        for trainer in [&mut loaded, &mut longer] {
            trainer.use_weights(Weights::Last)?;
        }
        assert!(state(&loaded) == state(&longer), "{name}");
    }
    Ok(())
}

/// A snapshot of a run without an average is where the average of another begins.
#[test]
fn snapshots_pass_between_runs_with_and_without_averages() -> Result<(), TrainerError> {
    let with = || TrainerConfig { averaging: Some(Averaging::Ema(Ema::default())), ..named("sgd") };
    let (mut plain, mut averaged) = (make(named("adam"))?, make(with())?);
    plain.fit(halves(40), None, &mut [])?;
    averaged.restore_snapshot(&plain.snapshot()?)?;
    assert_eq!(averaged.parameter("ema.fc1.weight")?, plain.parameter("fc1.weight")?);
    averaged.fit(halves(40), None, &mut [])?;
    plain.restore_snapshot(&averaged.snapshot()?)?;
    assert_eq!(plain.parameter("fc1.weight")?, averaged.parameter("fc1.weight")?);
    Ok(())
}
