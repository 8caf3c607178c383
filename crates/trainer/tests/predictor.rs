//! Answers for several threads at a time.

mod support;

use onestep_optimizer::OptimizerSpec;
use onestep_trainer::{Predictor, PredictorOptions, Trainer, TrainerConfig, factory};
use support::{cpu, quadrants, small_config};

fn make(model: onestep_layers::ModelSpec, config: TrainerConfig) -> Trainer {
    Trainer::builder(model).config(config).executor(cpu()).build().unwrap()
}

#[test]
fn threads_share_the_weights_of_a_checkpoint() {
    let root = tempfile::tempdir().unwrap();
    let mut trainer = make(factory::mlp([2], &[8], 2), small_config());
    trainer.fit(quadrants(64), None, &mut []).unwrap();
    trainer.save(root.path()).unwrap();
    let inputs: Vec<f32> = (0..2 * 50).map(support::noise).collect();
    let wanted = trainer.predict(&inputs).unwrap();
    for (batch, lanes) in [(1, 1), (8, 3), (64, 2)] {
        let options = PredictorOptions { batch, lanes, ..Default::default() };
        let predictor = Predictor::load(root.path(), &options).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let got = predictor.predict(&inputs).unwrap();
                    assert_eq!((got.classes(), &got.shape), (wanted.classes(), &wanted.shape));
                    let pairs = got.values.iter().zip(&wanted.values);
                    assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-5));
                });
            }
        });
    }
    // What is trained later does not change its answers.
    let predictor = trainer.predictor(&PredictorOptions::default()).unwrap();
    let before = predictor.predict(&inputs).unwrap();
    trainer.train_batch(&inputs[..4], &[0, 1]).unwrap();
    assert_eq!(predictor.predict(&inputs).unwrap(), before);
}

#[test]
fn answers_are_in_the_units_of_the_data_and_bad_questions_are_refused() {
    let config = TrainerConfig {
        loss: "mse".parse().unwrap(),
        optimizer: "adam".parse::<OptimizerSpec>().unwrap().with_lr(0.05),
        augmentation: "+normalise=0.5:2".into(),
        ..small_config()
    };
    let mut trainer = make(factory::mlp([1, 1, 2], &[], 1), config);
    let scaling = onestep_data::Scaling { mean: vec![100.0], deviation: vec![10.0] };
    let record = onestep_data::DataRecord { targets: Some(scaling), ..Default::default() };
    trainer.set_record(record).unwrap();
    let wanted = trainer.predict(&[0.1, 0.2, 0.3, 0.4]).unwrap();
    let predictor = trainer.predictor(&PredictorOptions::default()).unwrap();
    let got = predictor.predict(&[0.1, 0.2, 0.3, 0.4]).unwrap();
    assert!(got.values.iter().zip(&wanted.values).all(|(a, b)| (a - b).abs() < 1e-4), "{got:?}");
    let error = |result: Result<_, onestep_trainer::TrainerError>| result.unwrap_err().to_string();
    assert!(error(predictor.predict(&[0.0; 3]).map(|_| ())).contains("2 elements each"));
    assert!(error(predictor.predict(&[0; 2]).map(|_| ())).contains("expected f32"));
    let mut short = [0.0; 1];
    let refused = error(predictor.predict_into(&[0.0; 4], &mut short));
    assert!(refused.contains("expected 2 elements"), "{refused}");
    let options = PredictorOptions { lanes: 0, ..Default::default() };
    assert!(error(trainer.predictor(&options).map(|_| ())).contains("lanes: expected at least 1"));
}

#[test]
fn averaged_weights_are_predicted_with() {
    let optimizer = r#"{"type": "schedule_free", "lr": 0.05}"#.parse().unwrap();
    let mut trainer =
        make(factory::mlp([2], &[8], 2), TrainerConfig { optimizer, ..small_config() });
    trainer.fit(quadrants(64), None, &mut []).unwrap();
    let inputs: Vec<f32> = (0..2 * 10).map(support::noise).collect();
    let got = trainer.predict(&inputs).unwrap();
    let predictor = trainer.predictor(&PredictorOptions::default()).unwrap();
    let alone = predictor.predict(&inputs).unwrap();
    assert!(alone.values.iter().zip(&got.values).all(|(a, b)| (a - b).abs() < 1e-5));
    // With the averages in the place of the trained weights, a plain optimizer says the same.
    let mut plain = make(factory::mlp([2], &[8], 2), small_config());
    let names: Vec<String> =
        plain.model().parameters().iter().map(|p| p.info.name.clone()).collect();
    let mut differ = false;
    for name in names {
        let average = trainer.engine().state().read(&format!("x.{name}")).unwrap();
        differ |= average != trainer.parameter(&name).unwrap();
        plain.set_parameter(&name, &average).unwrap();
    }
    assert!(differ);
    assert_eq!(plain.predict(&inputs).unwrap(), got);
}
