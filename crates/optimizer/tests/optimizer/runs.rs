//! Schedules and the runs they are given: resumed in another way, too short, watched otherwise.

use onestep_optimizer::{Horizon, Leg, PlateauMode, Schedule, ScheduleSpec};
use serde_json::json;

use crate::schedules::build;

/// A run of `epochs` that had `before` steps in each epoch and has `after` from epoch `at` on.
fn two_legs(text: &str, epochs: u64, (at, before, after): (u64, u64, u64)) -> Schedule {
    let legs = [
        Leg { epoch: 0, step: 0, steps_per_epoch: before },
        Leg { epoch: at, step: at * before, steps_per_epoch: after },
    ];
    let horizon = Horizon::of_legs(epochs, &legs).unwrap();
    text.parse::<ScheduleSpec>().unwrap().build(1.0, horizon).unwrap()
}

#[test]
fn another_number_of_steps_an_epoch_does_not_bend_what_counts_epochs() {
    for (before, after) in [(25, 4), (4, 25), (10, 10)] {
        for text in
            ["step:1:0.5", "multi_step:2,5:0.5", "exponential:0.9", "cosine", "warmup:2+cosine"]
        {
            let (legs, plain) = (two_legs(text, 8, (4, before, after)), build(text, 1.0, 8, 7));
            for epoch in 0..8 {
                let first =
                    if epoch < 4 { epoch * before } else { 4 * before + (epoch - 4) * after };
                let last = first + if epoch < 4 { before } else { after } - 1;
                for step in [first, last] {
                    assert_eq!(legs.lr(step), plain.lr(7 * epoch), "{text}, step {step}");
                }
            }
        }
    }
}

#[test]
fn another_number_of_steps_an_epoch_bends_no_share_of_the_run() {
    for text in ["one_cycle", "cosine@step", "warmup:50@step+cosine@step"] {
        let legs = two_legs(text, 8, (4, 100, 10));
        // What the run would be without the change, at the same share of it.
        let before = build(text, 1.0, 8, 100);
        for step in [0, 30, 50, 200, 399] {
            let (got, wanted) = (legs.lr(step), before.lr(step));
            assert!((got - wanted).abs() < 0.06, "{text}, step {step}: {got}, {wanted}");
        }
        for (step, share) in [(400, 400), (420, 600), (439, 790)] {
            let (got, wanted) = (legs.lr(step), before.lr(share));
            assert!((got - wanted).abs() < 0.04, "{text}, step {step}: {got}, {wanted}");
        }
    }
}

#[test]
fn given_numbers_of_steps_count_steps() {
    let legs = two_legs("step:500:0.5@step", 8, (4, 100, 200));
    assert_eq!([499, 500, 999, 1000].map(|step| legs.lr(step)), [1.0, 0.5, 0.5, 0.25]);
    let legs = two_legs("warmup:450:0.0@step", 8, (4, 100, 200));
    assert_eq!((legs.lr(225), legs.lr(450)), (0.5, 1.0));
}

#[test]
fn legs_out_of_their_order_are_refused() {
    let leg = |epoch, step| Leg { epoch, step, steps_per_epoch: 3 };
    for legs in [vec![], vec![leg(2, 6), leg(0, 0)], vec![leg(0, 6), leg(2, 0)]] {
        let error = Horizon::of_legs(3, &legs).unwrap_err().to_string();
        assert!(error.contains("schedule: `legs` must be"), "{error}");
    }
}

#[test]
fn another_learning_rate_reaches_a_plateau() {
    let mut old = build("reduce_on_plateau:0.1:0", 0.1, 20, 1);
    assert!(!old.observe(1.0) && old.observe(1.0));
    assert!((old.lr(2) - 0.01).abs() < 1e-15);
    let mut same = build("reduce_on_plateau:0.1:0", 0.1, 20, 1);
    same.restore(old.state()).unwrap();
    assert_eq!(same.lr(2), old.lr(2));
    let mut other = build("reduce_on_plateau:0.1:0", 0.5, 20, 1);
    other.restore(old.state()).unwrap();
    assert_eq!(other.lr(2), 0.5);
    assert!(other.observe(1.0), "what it knows of the metric stays");
    old.set_base_lr(0.7).unwrap();
    assert_eq!(old.lr(2), 0.7);
    let error = build("one_cycle:1.0", 0.1, 2, 2).set_base_lr(0.2).unwrap_err().to_string();
    assert!(error.contains("one_cycle: `lr` must be left as it is"), "{error}");
}

#[test]
fn the_direction_of_a_plateau_follows_what_is_watched() {
    let spec: ScheduleSpec = "warmup:0+reduce_on_plateau:0.5:0".parse().unwrap();
    let up = spec.clone().with_plateau_mode(PlateauMode::Max);
    let mut up = up.build(1.0, Horizon::new(9, 1).unwrap()).unwrap();
    assert_eq!(
        [0.1, 0.2, 0.3, 0.2].map(|accuracy| up.observe(accuracy)),
        [false, false, false, true]
    );
    let mut down = spec.build(1.0, Horizon::new(9, 1).unwrap()).unwrap();
    assert_eq!([0.3, 0.2, 0.1, 0.2].map(|loss| down.observe(loss)), [false, false, false, true]);
    let own = json!({ "type": "reduce_on_plateau", "mode": "min" });
    let own: ScheduleSpec = serde_json::from_value(own).unwrap();
    let own = own.with_plateau_mode(PlateauMode::Max);
    assert_eq!(own.plateau().unwrap().mode, Some(PlateauMode::Min), "what is said stays");
}

#[test]
fn schedules_that_do_nothing_in_their_run_are_told_of() {
    for (text, wanted) in [
        ("warmup:50:0.1", "the warm-up takes 50 epochs, but the run has 10"),
        ("warmup:10+cosine", "the warm-up takes 10 epochs, but the run has 10"),
        ("warmup:100@step+cosine", "the warm-up takes 100 steps, but the run has 50"),
        ("step:10", "first changes after 10 epochs, but the run has 10: it stays at 0.5"),
        ("multi_step:30,60", "first changes after 30 epochs"),
        ("warmup:2+step:8", "first changes after 8 epochs, but the run has 8"),
        ("cosine:4", "falls for 4 epochs (T_max) and rises again"),
        ("one_cycle:0.1:51", "the cycle takes 51 steps, but the run has 50"),
        ("reduce_on_plateau", "reduced after 12 epochs at the earliest, but the run has 10"),
    ] {
        let warnings = build(text, 0.5, 10, 5).warnings();
        assert!(warnings.len() == 1 && warnings[0].contains(wanted), "{text}: {warnings:?}");
    }
    for text in [
        "constant",
        "warmup:9",
        "step:9",
        "multi_step:9",
        "exponential:0.9",
        "cosine",
        "cosine:9",
        "one_cycle",
        "one_cycle:0.1:50",
        "reduce_on_plateau:0.1:7",
        "warmup:2@step+cosine",
    ] {
        assert_eq!(build(text, 0.5, 10, 5).warnings(), [""; 0], "{text}");
    }
    for text in ["cosine", "exponential:0.9"] {
        let warnings = build(text, 0.5, 1, 5).warnings();
        assert!(warnings[0].contains("after 1 epoch, but the run has 1"), "{warnings:?}");
    }
}
