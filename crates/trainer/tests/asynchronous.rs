//! The trainer over an executor whose steps finish later, on another thread.

mod support;

use std::sync::mpsc::channel;
use std::time::Duration;

use onestep_trainer::{Progress, ProgressEvent, StepEvent, Trainer, TrainerConfig, factory};
use support::reference_executor::Reference;
use support::{StopAt, halves, plane, quadrants, small_config, stateful_model, trainer};

fn optimizer(text: &str, lr: f64) -> onestep_optimizer::OptimizerSpec {
    text.parse::<onestep_optimizer::OptimizerSpec>().unwrap().with_lr(lr)
}

#[test]
fn losses_arrive_late_and_all_of_them() {
    let config = TrainerConfig {
        epochs: 6,
        batch_size: 10,
        optimizer: optimizer("adam", 0.02),
        ..small_config()
    };
    let (go_on, first) = channel();
    let mut trainer = Trainer::builder(factory::mlp([2], &[8], 2))
        .config(config)
        .executor(Reference::held_up(first))
        .build()
        .unwrap();
    let mut late = 0;
    let mut progress = Progress::new(|event| {
        if let ProgressEvent::Step(StepEvent { batch: 1, epoch: 1, loss, .. }) = event {
            late += usize::from(loss.is_none());
            let _ = go_on.send(());
        }
    });
    let data = quadrants(64);
    let history = trainer.fit(data.clone(), Some(data.clone()), &mut [&mut progress]).unwrap();
    assert_eq!(late, 1, "the first loss is not there when the first step was submitted");
    assert_eq!((history.steps, history.samples), (42, 384));
    assert_eq!(history.per_step.native_calls, 1.0);
    let last = history.last().unwrap();
    assert!(last.train.loss < history.epochs[0].train.loss);
    assert!(history.first_loss.is_some_and(f32::is_finite));

    let evaluation = trainer.evaluate(data).unwrap();
    assert_eq!(Some(&evaluation.metrics), last.validation.as_ref());
    assert_eq!(evaluation.samples, 64);
    let confusion = evaluation.confusion.unwrap();
    assert!((confusion.accuracy() - evaluation.metrics.accuracy().unwrap()).abs() < 1e-6);
    assert_eq!(evaluation.top_k.unwrap().accuracy(), 1.0, "two classes, k is clamped to 2");
}

#[test]
fn steps_in_flight_change_nothing() {
    let weights = |steps_in_flight, workers| {
        let config = TrainerConfig { steps_in_flight, workers, ..small_config() };
        let mut trainer = Trainer::builder(stateful_model())
            .config(config)
            .executor(Reference::boxed(Duration::from_micros(200)))
            .build()
            .unwrap();
        trainer.fit(halves(36), None, &mut []).unwrap();
        trainer.snapshot().unwrap()
    };
    let reference = weights(1, 0);
    assert_eq!(reference, weights(3, 2));
    assert_eq!(reference, weights(8, 1));
}

#[test]
fn regression_reports_the_mean_absolute_error() {
    let config = TrainerConfig {
        epochs: 12,
        loss: "mse".parse().unwrap(),
        optimizer: optimizer("sgd", 0.3),
        ..small_config()
    };
    let mut trainer = Trainer::builder(factory::mlp([2], &[], 1))
        .config(config)
        .executor(Reference::boxed(Duration::ZERO))
        .build()
        .unwrap();
    let history = trainer.fit(plane(64), None, &mut []).unwrap();
    let error = history.last().unwrap().train.mean_absolute_error().unwrap();
    assert!(error < 0.02, "{error}");
    assert_eq!(history.last().unwrap().train.accuracy(), None);
    let weights = trainer.parameter("fc1.weight").unwrap();
    assert!((weights[0] - 1.0).abs() < 0.05 && (weights[1] + 2.0).abs() < 0.05, "{weights:?}");
}

#[test]
fn a_stop_in_the_middle_of_an_epoch_can_be_gone_on_from() {
    let trainer = || trainer(stateful_model(), small_config());
    let mut whole = trainer();
    let history = whole.fit(halves(36), None, &mut []).unwrap();
    // 36 samples are five batches of 8, the last of them short.
    for stop in [1, 4, 5, 7] {
        let mut parts = trainer();
        let first = parts.fit(halves(36), None, &mut [&mut StopAt(stop)]).unwrap();
        assert_eq!(first.stop, onestep_trainer::Stop::Callback { name: "stop_at".into() });
        assert_eq!(first.steps, stop);
        assert_eq!(first.epochs.len(), (stop / 5) as usize);
        let second = parts.fit(halves(36), None, &mut []).unwrap();
        assert_eq!(second.steps + stop, 10);
        assert_eq!(parts.snapshot().unwrap(), whole.snapshot().unwrap(), "stopped at {stop}");
        let losses = |h: &onestep_trainer::History| -> Vec<f64> {
            h.epochs.iter().map(|e| e.train.loss).collect()
        };
        assert_eq!(losses(&second), losses(&history));
    }
}
