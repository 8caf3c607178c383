//! Runs of so many updates, and epochs that end before the data does.

mod support;

use onestep_trainer::{EpochStart, RunView, Trainer, TrainerBuilder, TrainerConfig, TrainerError};
use support::{StopAt, cpu, halves, small_config};

fn make(config: TrainerConfig) -> Result<Trainer, TrainerError> {
    Trainer::builder(support::stateful_model()).config(config).executor(cpu()).build()
}

/// Ten batches of four are all of the data.
fn config() -> TrainerConfig {
    TrainerConfig { batch_size: 4, schedule: "cosine@step".parse().unwrap(), ..small_config() }
}

fn bits(trainer: &Trainer) -> Vec<Vec<u32>> {
    let state = trainer.learner().state();
    let bits = |name: &str| state.read(name).unwrap().iter().map(|x| x.to_bits()).collect();
    state.layout().entries().iter().map(|entry| bits(&entry.name)).collect()
}

fn counts(trainer: &Trainer) -> Vec<u64> {
    trainer.epochs().iter().map(|epoch| epoch.steps).collect()
}

#[test]
fn a_run_ends_with_its_last_step() -> Result<(), TrainerError> {
    for (steps, per_epoch, accumulate, wanted) in [
        (25, None, 1, vec![10, 10, 5]),
        (20, None, 1, vec![10, 10]),
        (7, None, 1, vec![7]),
        (7, Some(3), 1, vec![3, 3, 1]),
        (15, Some(99), 1, vec![10, 5]),
        // Ten batches are four updates, of three, three, three and one.
        (9, None, 3, vec![4, 4, 1]),
        (5, Some(2), 3, vec![2, 2, 1]),
    ] {
        let config = TrainerConfig {
            steps: Some(steps),
            steps_per_epoch: per_epoch,
            accumulate,
            ..config()
        };
        let mut trainer = make(config)?;
        let history = trainer.fit(halves(40), Some(halves(8)), &mut [])?;
        assert_eq!(counts(&trainer), wanted);
        assert_eq!((history.steps, trainer.progress().step), (steps, steps));
        assert_eq!(trainer.config().epochs, wanted.len());
        assert!(trainer.epochs().iter().all(|epoch| epoch.validation.is_some()));
        // A step past the end, where half a cosine has come down.
        assert!(trainer.learning_rate() < 1e-9, "{}", trainer.learning_rate());
    }
    Ok(())
}

#[test]
fn epochs_that_end_early_are_beginnings_of_their_own_orders() -> Result<(), TrainerError> {
    // The same three batches begin the first epoch of both.
    let whole = TrainerConfig { epochs: 1, schedule: "constant".parse()?, ..config() };
    let short = TrainerConfig { steps_per_epoch: Some(3), epochs: 2, ..whole.clone() };
    let mut first = make(whole)?;
    first.fit(halves(40), None, &mut [&mut StopAt(3)])?;
    let mut second = make(short)?;
    second.fit(halves(40), None, &mut [&mut StopAt(3)])?;
    assert_eq!(bits(&first), bits(&second));
    second.fit(halves(40), None, &mut [])?;
    first.fit(halves(40), None, &mut [&mut StopAt(6)])?;
    assert_eq!((counts(&second), second.progress().step), (vec![3, 3], 6));
    // The first went on with its own epoch, the second with another.
    assert_ne!(bits(&first), bits(&second));
    Ok(())
}

#[test]
fn a_run_of_steps_that_is_cut_goes_on_to_the_same_bits() -> Result<(), TrainerError> {
    for (per_epoch, accumulate) in [(None, 1), (Some(4), 1), (Some(3), 2)] {
        let config =
            TrainerConfig { steps: Some(13), steps_per_epoch: per_epoch, accumulate, ..config() };
        let mut whole = make(config.clone())?;
        whole.fit(halves(40), None, &mut [])?;
        for stop in [2, 3, 4, 11, 12] {
            let root = tempfile::tempdir().unwrap();
            let mut first = make(config.clone())?;
            first.fit(halves(40), None, &mut [&mut StopAt(stop)])?;
            first.save(root.path())?;
            let mut resumed = TrainerBuilder::load(root.path())?.executor(cpu()).build()?;
            resumed.fit(halves(40), None, &mut [])?;
            assert_eq!(bits(&resumed), bits(&whole), "{per_epoch:?} from step {stop}");
            assert_eq!(resumed.epochs().len(), whole.epochs().len());
        }
    }
    Ok(())
}

#[test]
fn more_steps_go_on_and_fewer_than_are_done_are_refused() -> Result<(), TrainerError> {
    let root = tempfile::tempdir().unwrap();
    let mut trainer = make(TrainerConfig { steps: Some(13), ..config() })?;
    trainer.fit(halves(40), None, &mut [])?;
    trainer.save(root.path())?;
    let with = |change: fn(&mut TrainerConfig)| {
        TrainerBuilder::load(root.path())?.executor(cpu()).configure(change).build()
    };
    let mut more = with(|config| config.steps = Some(30))?;
    more.fit(halves(40), None, &mut [])?;
    assert_eq!((counts(&more), more.progress().step), (vec![10, 3, 10, 7], 30));
    let error = with(|config| config.steps = Some(12)).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("steps: expected at least 13, which are done, got 12"), "{error}");
    let mut none = with(|_| {})?;
    assert_eq!(none.fit(halves(40), None, &mut [])?.steps, 0);

    let mut half = make(TrainerConfig { steps_per_epoch: Some(8), ..config() })?;
    half.fit(halves(40), None, &mut [&mut StopAt(5)])?;
    half.save(root.path())?;
    let error = with(|config| config.steps_per_epoch = None).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("steps_per_epoch: expected 8 until the epoch"), "{error}");
    Ok(())
}

#[test]
fn callbacks_know_how_long_an_epoch_is() -> Result<(), TrainerError> {
    struct Starts(Vec<(usize, usize)>);
    impl onestep_trainer::Callback for Starts {
        fn name(&self) -> &str {
            "starts"
        }
        fn on_epoch_start(
            &mut self,
            _: &mut RunView<'_>,
            start: &EpochStart,
        ) -> Result<onestep_trainer::Flow, TrainerError> {
            self.0.push((start.batches, start.epochs));
            Ok(onestep_trainer::Flow::Continue)
        }
    }
    let mut starts = Starts(Vec::new());
    let mut trainer = make(TrainerConfig { steps: Some(13), ..config() })?;
    trainer.fit(halves(40), None, &mut [&mut starts])?;
    assert_eq!(starts.0, [(10, 2), (3, 2)]);
    Ok(())
}
