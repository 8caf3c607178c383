//! Clipping by norm over all groups, and by value.

use onestep_optimizer::{Clip, GRAD_NORM, Grouping, Optimizer, OptimizerSpec, Sgd};

use crate::simulation::{Simulation, assert_close, parameter};

fn step(clip: Option<Clip>, gradients: &[f64]) -> (Vec<f64>, Option<f64>) {
    let optimizer = Optimizer::from_spec(OptimizerSpec::Sgd(Sgd::default()))
        .and_then(|o| o.with_grouping(Grouping::no_decay_on_biases_and_norms()))
        .and_then(|o| o.with_clip(clip))
        .unwrap();
    let parameters = [parameter("w", &[1, 2]), parameter("b", &[1])];
    let mut simulation = Simulation::new(&optimizer, &parameters, &[0.0; 3]);
    let reports = simulation.step(1.0, gradients);
    let mut after = simulation.values("no_decay", "parameter").to_vec();
    after.extend(simulation.values("decay", "parameter"));
    (after.iter().map(|p| -p).collect(), reports.get(GRAD_NORM).copied())
}

#[test]
fn the_norm_is_that_of_all_groups_together() {
    // 2^2 + 3^2 + 6^2 = 7^2
    let (used, norm) = step(Some(Clip::Norm(1.0)), &[2.0, 3.0, 6.0]);
    let scale = 1.0 / (7.0 + 1e-6);
    assert_close(&used, &[2.0 * scale, 3.0 * scale, 6.0 * scale], 1e-12, "gradient");
    assert_eq!(norm, Some(7.0));
}

#[test]
fn small_gradients_stay_as_they_are() {
    let gradients = [0.25, -0.5, 0.125];
    let (used, norm) = step(Some(Clip::Norm(1.0)), &gradients);
    assert_eq!(used, gradients);
    assert_close(&[norm.unwrap()], &[0.328_125_f64.sqrt()], 1e-15, "norm");
}

#[test]
fn an_infinite_norm_only_reports() {
    let (used, norm) = step(Some(Clip::Norm(f64::INFINITY)), &[2.0, 3.0, 6.0]);
    assert_eq!((used, norm), (vec![2.0, 3.0, 6.0], Some(7.0)));
}

#[test]
fn a_gradient_that_is_not_a_number_is_not_hidden() {
    let (used, norm) = step(Some(Clip::Norm(1.0)), &[f64::NAN, 3.0, 6.0]);
    assert!(used.iter().all(|u| u.is_nan()) && norm.unwrap().is_nan());
}

#[test]
fn by_value_each_element_is_bounded_and_there_is_no_report() {
    let (used, norm) = step(Some(Clip::Value(2.5)), &[2.0, -3.0, 6.0]);
    assert_eq!((used, norm), (vec![2.0, -2.5, 2.5], None));
}

#[test]
fn no_clipping_changes_nothing() {
    assert_eq!(step(None, &[2.0, -3.0, 6.0]), (vec![2.0, -3.0, 6.0], None));
}

#[test]
fn bounds_are_checked() {
    for clip in [Clip::Norm(0.0), Clip::Value(-1.0), Clip::Norm(f64::NAN)] {
        let error = clip.validate().unwrap_err().to_string();
        assert!(error.contains("clip") && error.contains("above 0"), "{error}");
    }
    assert_eq!(serde_json::from_str::<Clip>(r#"{"norm": 1.0}"#).unwrap(), Clip::Norm(1.0));
    assert_eq!(serde_json::from_str::<Clip>(r#"{"value": 0.5}"#).unwrap(), Clip::Value(0.5));
}
