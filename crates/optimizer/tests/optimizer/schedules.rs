//! Schedules against numbers worked out by hand.

use onestep_optimizer::{Horizon, LinearWarmup, Schedule, ScheduleSpec, ScheduleState};
use serde_json::json;

use crate::simulation::assert_close;

pub(crate) fn build(text: &str, lr: f64, epochs: u64, steps_per_epoch: u64) -> Schedule {
    let horizon = Horizon::new(epochs, steps_per_epoch).unwrap();
    text.parse::<ScheduleSpec>().unwrap().build(lr, horizon).unwrap()
}

fn rates(schedule: &Schedule, steps: &[u64]) -> Vec<f64> {
    steps.iter().map(|&step| schedule.lr(step)).collect()
}

#[track_caller]
fn assert_rates(text: &str, lr: f64, (epochs, per): (u64, u64), wanted: &[(u64, f64)]) {
    let schedule = build(text, lr, epochs, per);
    let (steps, wanted): (Vec<u64>, Vec<f64>) = wanted.iter().copied().unzip();
    assert_close(&rates(&schedule, &steps), &wanted, 1e-14, text);
}

#[test]
fn constant() {
    assert_rates("constant", 0.3, (2, 10), &[(0, 0.3), (19, 0.3), (1000, 0.3)]);
}

#[test]
fn step_counts_epochs_unless_told_otherwise() {
    assert_rates(
        "step:2:0.5",
        0.8,
        (10, 10),
        &[(0, 0.8), (19, 0.8), (20, 0.4), (39, 0.4), (40, 0.2)],
    );
    assert_rates("step:2:0.5@step", 0.8, (10, 10), &[(1, 0.8), (2, 0.4), (4, 0.2)]);
    assert_rates("step:1", 1.0, (10, 1), &[(0, 1.0), (1, 0.1), (2, 0.01)]);
}

#[test]
fn multi_step() {
    assert_rates(
        "multi_step:3,5:0.5",
        1.0,
        (10, 1),
        &[(2, 1.0), (3, 0.5), (4, 0.5), (5, 0.25), (9, 0.25)],
    );
}

#[test]
fn exponential() {
    assert_rates("exponential:0.5", 1.0, (10, 2), &[(0, 1.0), (1, 1.0), (2, 0.5), (6, 0.125)]);
}

#[test]
fn cosine_falls_over_the_run_unless_told_otherwise() {
    // cos(pi/3) = 1/2, cos(2 pi/3) = -1/2
    assert_rates(
        "cosine",
        1.0,
        (6, 5),
        &[(0, 1.0), (4, 1.0), (10, 0.75), (15, 0.5), (20, 0.25), (30, 0.0)],
    );
    assert_rates("cosine:3:0.2", 1.0, (9, 1), &[(0, 1.0), (1, 0.8), (2, 0.4), (3, 0.2), (6, 1.0)]);
    assert_rates("cosine@step", 1.0, (3, 2), &[(2, 0.75), (3, 0.5), (4, 0.25)]);
    assert_rates("cosine::0.5", 1.0, (2, 1), &[(0, 1.0), (1, 0.75), (2, 0.5)]);
}

#[test]
fn warmup_comes_before_any() {
    assert_rates(
        "warmup:4:0.2",
        1.0,
        (10, 1),
        &[(0, 0.2), (1, 0.4), (2, 0.6), (3, 0.8), (4, 1.0), (9, 1.0)],
    );
    assert_rates("warmup:1+step:2:0.5", 0.9, (9, 1), &[(0, 0.3), (1, 0.9), (2, 0.9), (3, 0.45)]);
    // The cosine has the two epochs that are left.
    assert_rates(
        "warmup:2:0.5+cosine",
        1.0,
        (4, 3),
        &[(0, 0.5), (3, 0.75), (6, 1.0), (9, 0.5), (12, 0.0)],
    );
    // Steps before, epochs of two steps after.
    assert_rates(
        "warmup:4:0.0@step+exponential:0.5",
        1.0,
        (9, 2),
        &[(0, 0.0), (1, 0.25), (4, 1.0), (5, 1.0), (6, 0.5), (8, 0.25)],
    );
    assert_rates("warmup:0+exponential:0.5", 1.0, (9, 1), &[(0, 1.0), (1, 0.5)]);
    assert_rates("warmup:9:0.1", 1.0, (2, 1), &[(0, 0.1), (9, 1.0)]);
}

#[test]
fn one_cycle_rises_and_falls() {
    // Ten steps, of which 0.3 * 10 - 1 = 2 rise; seven fall.
    let last = 1.0 / 25.0 / 1e4;
    let half_up = (0.04 + 1.0) / 2.0;
    assert_rates(
        "one_cycle:1.0",
        0.5,
        (2, 5),
        &[(0, 0.04), (1, half_up), (2, 1.0), (9, last), (10, last), (99, last)],
    );
    // The highest is the optimizer's own where none is given.
    assert_rates("one_cycle", 0.5, (2, 5), &[(0, 0.02), (2, 0.5)]);
    assert_rates("one_cycle:1.0:20", 0.5, (100, 1), &[(5, 1.0), (19, last)]);
}

#[test]
fn one_cycle_in_three_phases_and_straight_lines() {
    let spec: ScheduleSpec = serde_json::from_value(json!({
        "type": "one_cycle", "max_lr": 1.0, "total_steps": 10, "pct_start": 0.3,
        "anneal_strategy": "linear", "div_factor": 2.0, "final_div_factor": 5.0,
        "three_phase": true
    }))
    .unwrap();
    let schedule = spec.build(0.1, Horizon::new(10, 1).unwrap()).unwrap();
    let wanted = [0.5, 0.75, 1.0, 0.75, 0.5, 0.42, 0.34, 0.26, 0.18, 0.1];
    let steps: Vec<u64> = (0..10).collect();
    assert_close(&rates(&schedule, &steps), &wanted, 1e-14, "one_cycle");
}

#[test]
fn one_cycle_of_any_length_is_finite() {
    for total in 1..8 {
        let schedule = build(&format!("one_cycle:1.0:{total}"), 0.1, 8, 1);
        assert!((0..8).all(|step| schedule.lr(step).is_finite()), "{total} steps");
    }
}

/// The learning rate that each step uses, when `metrics` are reported behind each.
fn watch(json: serde_json::Value, metrics: &[f64]) -> Vec<f64> {
    let spec: ScheduleSpec = serde_json::from_value(json).unwrap();
    let mut schedule = spec.build(1.0, Horizon::new(100, 1).unwrap()).unwrap();
    assert!(schedule.watches_metric());
    let mut rates = vec![schedule.lr(0)];
    for (step, &metric) in metrics.iter().enumerate() {
        let before = schedule.lr(step as u64);
        let reduced = schedule.observe(metric);
        rates.push(schedule.lr(step as u64 + 1));
        assert_eq!(reduced, rates[step + 1] < before);
    }
    rates
}

#[test]
fn plateau_bears_patience_and_no_more() {
    let spec = json!({ "type": "reduce_on_plateau", "factor": 0.5, "patience": 1 });
    let rates = watch(spec, &[1.0, 1.0, 1.0, 0.5, 0.5, 0.499_99, 0.4]);
    assert_eq!(rates, [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25]);
}

#[test]
fn plateau_options() {
    let spec = json!({ "type": "reduce_on_plateau", "factor": 0.5, "patience": 0, "cooldown": 2 });
    assert_eq!(watch(spec, &[1.0; 6]), [1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25]);
    let spec = json!({ "type": "reduce_on_plateau", "factor": 0.5, "patience": 0, "min_lr": 0.4 });
    assert_eq!(watch(spec, &[1.0; 4]), [1.0, 1.0, 0.5, 0.4, 0.4]);
    let spec = json!({ "type": "reduce_on_plateau", "factor": 0.5, "patience": 0, "mode": "max",
                       "threshold": 0.1, "threshold_mode": "abs" });
    assert_eq!(watch(spec, &[1.0, 1.2, 1.25, 1.4]), [1.0, 1.0, 1.0, 0.5, 0.5]);
    let spec = json!({ "type": "reduce_on_plateau", "factor": 0.5, "patience": 0 });
    assert_eq!(watch(spec, &[1.0, f64::NAN]), [1.0, 1.0, 0.5]);
}

#[test]
fn plateau_goes_on_from_a_checkpoint() {
    let text = "warmup:2:0.5+reduce_on_plateau:0.3:2";
    let metrics = [0.1 + 0.2, 0.7, 0.3, 0.31, 0.3, 1.0 / 3.0, 0.29, 0.29, 0.29, 0.29];
    let mut whole = build(text, 0.1, 20, 1);
    assert_eq!(whole.state(), build(text, 0.1, 20, 1).state(), "starts at infinity");
    for (i, &metric) in metrics.iter().enumerate() {
        let saved = serde_json::to_string(&whole.state()).unwrap();
        let mut resumed = build(text, 0.1, 20, 1);
        resumed.restore(serde_json::from_str(&saved).unwrap()).unwrap();
        assert_eq!(resumed, whole, "to the bit");
        assert_eq!(resumed.observe(metric), whole.observe(metric), "{i}");
        assert_eq!(resumed.lr(i as u64 + 1).to_bits(), whole.lr(i as u64 + 1).to_bits());
    }
    assert!(whole.lr(10) < 0.1);
}

#[test]
fn states_of_other_schedules_are_refused() {
    let mut cosine = build("cosine", 0.1, 2, 2);
    assert_eq!(cosine.state(), ScheduleState::Stateless {});
    assert_eq!(cosine.restore(ScheduleState::Stateless {}).map_err(|e| e.to_string()), Ok(()));
    assert!(!cosine.watches_metric() && !cosine.observe(1.0));
    let plateau = build("reduce_on_plateau", 0.1, 2, 2);
    let error = cosine.restore(plateau.state()).unwrap_err().to_string();
    assert!(error.contains("expected no state"), "{error}");
    let wrong =
        r#"{"type":"reduce_on_plateau","lr":"x","best":"1","bad_observations":0,"cooldown":0}"#;
    assert!(serde_json::from_str::<ScheduleState>(wrong).is_err());
}

#[test]
fn texts_that_are_no_schedule_list_the_forms() {
    for (text, reason) in [
        ("", "there is no schedule ``"),
        ("cosin", "there is no schedule `cosin`"),
        ("step", "step needs SIZE"),
        ("step:x", "SIZE must be a number, got `x`"),
        ("step:3:0.1:4", "step takes at most 2 arguments, got 3"),
        ("multi_step:3,x", "AT must be a whole number, got `x`"),
        ("cosine+step:3", "only a warmup can stand before `+`, got `cosine`"),
        ("warmup:5+", "there is no schedule ``"),
        ("cosine@minute", "`@minute` is neither `@step` nor `@epoch`"),
        ("reduce_on_plateau@step", "reduce_on_plateau counts neither steps nor epochs"),
    ] {
        let error = text.parse::<ScheduleSpec>().unwrap_err().to_string();
        assert!(error.contains(reason) && error.contains("step:SIZE[:GAMMA]"), "{text}: {error}");
    }
}

#[test]
fn json_round_trips_and_refuses_what_is_unknown() {
    for text in [
        "constant",
        "step:30:0.1",
        "multi-step:30,60:0.1@step",
        "exponential:0.95",
        "cosine:10",
        "one_cycle:0.1",
        "reduce_on_plateau:0.5:3",
        "warmup:5+cosine",
    ] {
        let spec: ScheduleSpec = text.parse().unwrap();
        let json = serde_json::to_value(&spec).unwrap();
        assert_eq!(json["type"], spec.name());
        assert_eq!(serde_json::from_value::<ScheduleSpec>(json).unwrap(), spec);
        assert_eq!(serde_json::from_value::<ScheduleSpec>(json!(text)).unwrap(), spec);
    }
    let nested = json!({ "type": "linear_warmup", "total_iters": 5, "then": "cosine" });
    let nested: ScheduleSpec = serde_json::from_value(nested).unwrap();
    assert_eq!(nested, "warmup:5+cosine".parse().unwrap());
    for unknown in [
        json!({ "type": "constant", "gamma": 0.1 }),
        json!({ "type": "cosine", "T_min": 3 }),
        json!({ "type": "linear_warmup", "then": { "type": "step", "step_size": 1, "x": 1 } }),
    ] {
        let error = serde_json::from_value::<ScheduleSpec>(unknown).unwrap_err().to_string();
        assert!(error.contains("unknown field"), "{error}");
    }
    let schema = schemars::schema_for!(ScheduleSpec).to_value();
    assert_eq!(schema["anyOf"][0]["type"], "string");
}

#[test]
fn options_out_of_their_range_are_named() {
    let horizon = || Horizon::new(3, 3).unwrap();
    for (text, wanted) in [
        ("step:0", "step: `step_size` must be at least 1, got 0"),
        ("exponential:-1", "exponential: `gamma` must be finite and not negative, got -1"),
        ("cosine:0", "cosine: `T_max` must be at least 1, got 0"),
        ("one_cycle:-1", "one_cycle: `max_lr` must be finite and above 0, got -1"),
        ("warmup:1:2", "linear_warmup: `start_factor` must be between 0 and 1, got 2"),
        (
            "reduce_on_plateau:1",
            "reduce_on_plateau: `factor` must be at least 0 and below 1, got 1",
        ),
        ("warmup:1+step:0", "step: `step_size` must be at least 1, got 0"),
    ] {
        let error = text.parse::<ScheduleSpec>().unwrap().build(0.1, horizon()).unwrap_err();
        assert_eq!(error.to_string(), wanted);
    }
    let error = ScheduleSpec::default().build(-0.1, horizon()).unwrap_err().to_string();
    assert_eq!(error, "constant: `lr` must be finite and not negative, got -0.1");
    let error = Horizon::new(3, 0).unwrap_err().to_string();
    assert_eq!(error, "schedule: `steps_per_epoch` must be at least 1, got 0");
}

/// A text, a value and JSON of too many schedules are refused with words, on the small stack of a test's
/// thread, and so is what is made of code; a row that may be read may be written.
#[test]
fn too_many_schedules_in_a_row_are_refused() {
    let text = format!("{}cosine", "warmup:1+".repeat(200_000));
    let error = text.parse::<ScheduleSpec>().unwrap_err().to_string();
    assert!(error.contains("at most 16 schedules") && error.contains("200001"), "{error}");
    assert!(error.len() < 1000, "{} characters", error.len());

    let row = |warmups: usize| {
        (0..warmups).fold(ScheduleSpec::default(), |then, _| {
            ScheduleSpec::LinearWarmup(LinearWarmup::new(1, then))
        })
    };
    let longest = row(ScheduleSpec::MOST_IN_A_ROW - 1);
    longest.validate().unwrap();
    let json = serde_json::to_string(&longest).unwrap();
    assert_eq!(serde_json::from_str::<ScheduleSpec>(&json).unwrap(), longest);
    for warmups in [ScheduleSpec::MOST_IN_A_ROW, 200_000] {
        let long = row(warmups).clone();
        let horizon = Horizon::new(3, 3).unwrap();
        for error in [long.validate().unwrap_err(), long.build(0.1, horizon).unwrap_err()] {
            let error = error.to_string();
            assert!(error.contains("at most 16 schedules in a row"), "{error}");
        }
        let error = serde_json::to_string(&long).unwrap_err().to_string();
        assert!(error.contains("more than 16 schedules"), "{error}");
    }
}
