//! Numbers of a batch that kernels could only answer with NaN are refused by name on the host.

mod support;

use std::sync::Arc;

use onestep_data::{Dataset, InMemory};
use onestep_layers::{BceWithLogits, LossSpec, ModelBuilder};
use onestep_memory::Shape;
use onestep_trainer::{TrainerConfig, factory};
use support::{small_config, trainer};

#[test]
fn indices_beyond_the_table_are_refused() {
    let words =
        ModelBuilder::indices([3]).embedding(5, 2, "table").flatten("flat").dense(2, true, "fc");
    let mut trainer = trainer(words.spec(), small_config());
    let wanted = "input: sample 1, position [2]: expected an index from 0 to 4 for `table`, got ";
    for bad in [5, -1, i32::MAX] {
        let input = [0, 1, 2, 3, 4, bad];
        let error = trainer.train_batch(&input, &[0, 1]).unwrap_err().to_string();
        assert_eq!(error, format!("{wanted}{bad}"));
        let error = trainer.predict(&input).unwrap_err().to_string();
        assert_eq!(error, format!("{wanted}{bad}"));
    }
    assert!(trainer.train_batch(&[0, 1, 2, 3, 4, 4], &[0, 1]).unwrap().loss.is_finite());
}

fn logits() -> TrainerConfig {
    TrainerConfig { loss: LossSpec::from(BceWithLogits::default()), ..small_config() }
}

#[test]
fn targets_that_are_no_probabilities_are_refused() {
    let mut trainer = trainer(factory::mlp([2], &[], 2), logits());
    for bad in [1.5, -0.5, f32::NAN] {
        let error = trainer.train_batch(&[0.0; 4], &[0.0, 1.0, bad, 0.5]).unwrap_err().to_string();
        let wanted = "target: sample 1, position [0]: expected a probability from 0 to 1 for \
                      bce_with_logits, got";
        assert!(error.starts_with(wanted), "{error}");
    }
    assert!(trainer.train_batch(&[0.0; 4], &[0.0, 1.0, 1.0, 0.5]).is_ok());
}

#[test]
fn a_data_set_s_targets_are_looked_at_too() {
    let data = |bad: f32| -> Arc<dyn Dataset> {
        let mut targets = vec![0.5; 20];
        targets[13] = bad;
        let (x, y) = (Shape::from([2]), Shape::from([1]));
        Arc::new(InMemory::regression("odds", x, vec![0.1; 40], y, targets).unwrap())
    };
    let mut trainer = trainer(factory::mlp([2], &[], 1), logits());
    for error in [
        trainer.fit(data(2.0), None, &mut []).unwrap_err().to_string(),
        trainer.fit(data(1.0), Some(data(2.0)), &mut []).unwrap_err().to_string(),
        trainer.evaluate(data(2.0)).unwrap_err().to_string(),
    ] {
        assert!(error.contains("odds") && error.contains("sample 13"), "{error}");
        assert!(error.contains("expected probabilities from 0 to 1"), "{error}");
    }
    assert!(trainer.evaluate(data(1.0)).is_ok());
}
