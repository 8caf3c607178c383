//! What rules can be made of: chains, groups with rules of their own, frozen groups, options on a
//! schedule, averages of the weights, and rules of one's own by name.

use std::sync::Arc;

use onestep_base::Constructors;
use onestep_optimizer::transform::{Momentum, ScaleByLr, SkipIfNonfinite};
use onestep_optimizer::{
    AVERAGE, AdamW, Averaging, Chain, CustomOptimizer, Ema, GroupOptions, Grouping,
    HYPERPARAMETERS, Horizon, Leg, Muon, Optimizer, OptimizerSpec, Per, ScheduleFree, Selector,
    Sgd, Swa, UpdateRule,
};

use crate::simulation::{Simulation, assert_close, parameter};

fn sgd(lr: f64, momentum: f64, weight_decay: f64) -> OptimizerSpec {
    Sgd { lr, momentum, weight_decay, ..Sgd::default() }.into()
}

#[test]
fn a_step_with_a_gradient_that_is_not_finite_changes_nothing() {
    let chain =
        Chain::new("careful").then(Momentum::new(0.5)).then(ScaleByLr).then(SkipIfNonfinite);
    let grouping = Grouping::no_decay_on_biases_and_norms();
    let optimizer = Optimizer::new(chain, 0.5).and_then(|o| o.with_grouping(grouping)).unwrap();
    let parameters = [parameter("w", &[1, 2]), parameter("b", &[1])];
    let groups = optimizer.groups(&parameters).unwrap();
    assert_eq!(groups.len(), 2);
    let mut simulation = Simulation::new(&optimizer, &parameters, &[4.0, 1.0, 2.0]);
    simulation.step(0.5, &[2.0, 2.0, 4.0]);
    let all = |s: &Simulation| {
        let of = |kind| [s.values("no_decay", kind), s.values("decay", kind)].concat();
        [of("parameter"), of("momentum_buffer")].concat()
    };
    let before = all(&simulation);
    assert_eq!(before, [3.0, 0.0, 0.0, 2.0, 2.0, 4.0]);
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        // In one group; the other is left as it is too.
        simulation.step(0.5, &[1.0, bad, 1.0]);
        assert_eq!(all(&simulation), before);
    }
    assert_eq!(simulation.shared("skipped.run"), 3.0);
    simulation.step(0.5, &[2.0, 2.0, 4.0]);
    assert_eq!(all(&simulation), [1.5, -1.5, -3.0, 3.0, 3.0, 6.0]);
    assert_eq!(simulation.shared("skipped.run"), 3.0);
}

#[test]
fn frozen_groups_are_left_out_of_the_update() {
    let grouping = Grouping::single()
        .with_rule(Selector::Pattern("layer[12].*".into()), GroupOptions::frozen("early"));
    let optimizer =
        Optimizer::from_spec(sgd(1.0, 0.0, 0.0)).and_then(|o| o.with_grouping(grouping)).unwrap();
    let names = ["layer1.w", "layer2.w", "layer3.w", "head.layer1.w"];
    let parameters: Vec<_> = names.iter().map(|name| parameter(name, &[2])).collect();
    let groups = optimizer.groups(&parameters).unwrap();
    assert_eq!(groups[0].name, "early");
    assert_eq!(groups[0].parameters.len(), 2);
    let update = optimizer.update_graph(&groups).unwrap();
    let updated: Vec<&str> = update.groups.iter().map(|group| group.group.as_str()).collect();
    assert_eq!(updated, ["all"]);
    let wrong = Grouping::single()
        .with_rule(Selector::Pattern("layer[".into()), GroupOptions::frozen("early"));
    let error = Optimizer::from_spec(sgd(1.0, 0.0, 0.0))
        .and_then(|o| o.with_grouping(wrong))
        .unwrap_err()
        .to_string();
    assert!(error.contains("`pattern`") && error.contains("`*`"), "{error}");
}

#[test]
fn a_group_may_have_an_optimizer_of_its_own() {
    let heads = GroupOptions::new("heads").with_optimizer(sgd(0.5, 0.0, 0.0));
    let grouping = Grouping::single().with_rule(Selector::Prefix("head".into()), heads);
    let adamw = AdamW { lr: 0.25, ..AdamW::default() };
    let optimizer =
        Optimizer::from_spec(adamw.into()).and_then(|o| o.with_grouping(grouping)).unwrap();
    let parameters = [parameter("head", &[2]), parameter("body", &[2])];
    let mut simulation = Simulation::new(&optimizer, &parameters, &[1.0, 1.0, 1.0, 1.0]);
    // The schedule has halved the learning rate, of both.
    simulation.step(0.125, &[2.0, 4.0, 1.0, 1.0]);
    assert_eq!(simulation.values("heads", "parameter"), [0.5, 0.0]);
    assert!(simulation.update().groups[0].states.is_empty());
    assert_eq!(simulation.update().groups[1].states.len(), 2);
    // In JSON too.
    let text = r#"{"rules": [{"select": {"rank": 2},
        "group": {"name": "matrices", "optimizer": "muon"}}], "rest": {"name": "rest"}}"#;
    let grouping: Grouping = serde_json::from_str(text).unwrap();
    assert_eq!(grouping.rules[0].group.optimizer, Some(Muon::default().into()));
    let again = serde_json::from_value(serde_json::to_value(&grouping).unwrap()).unwrap();
    assert_eq!(grouping, again);
}

#[test]
fn muon_leaves_what_is_no_matrix_to_adamw() {
    let optimizer = Optimizer::from_spec(Muon::default().into()).unwrap();
    let parameters =
        [parameter("fc1", &[3, 2]), parameter("fc2", &[2, 2]), parameter("bias", &[2])];
    let groups = optimizer.groups(&parameters).unwrap();
    let names: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
    assert_eq!(names, ["all", "all/fc1", "all/fc2"]);
    let update = optimizer.update_graph(&groups).unwrap();
    let kinds = |group: usize| -> Vec<&str> {
        update.groups[group].states.iter().map(|state| state.kind.as_str()).collect()
    };
    assert_eq!(kinds(0), ["exp_avg", "exp_avg_sq"]);
    assert_eq!(kinds(1), ["momentum_buffer"]);
}

/// One step of `torch.optim.Muon(lr=1, weight_decay=0)` from zeros, whose iteration is in bf16.
#[test]
fn muons_iteration_rounds_to_bf16_when_told_to() {
    let gradient = [1.0, -2.0, 0.5, 3.0, 0.25, -1.0];
    let wanted = [
        -0.4162219166755676,
        0.7989546656608582,
        -0.194954514503479,
        -1.2438815832138062,
        -0.08970299363136292,
        0.40665358304977417,
    ];
    let step = |bf16| {
        let spec = Muon { lr: 1.0, weight_decay: 0.0, bf16, ..Muon::default() };
        let optimizer = Optimizer::from_spec(spec.into()).unwrap();
        let mut simulation = Simulation::new(&optimizer, &[parameter("w", &[2, 3])], &[0.0; 6]);
        simulation.step(1.0, &gradient);
        simulation.values("all/w", "parameter").to_vec()
    };
    // Of numbers below 2, bf16 has 8 bits; the last rounding may fall to the other side.
    assert_close(&step(true), &wanted, 2.0_f64.powi(-8), "bf16");
    let off =
        |got: Vec<f64>| got.iter().zip(&wanted).map(|(g, w)| (g - w).abs()).fold(0.0, f64::max);
    assert!(off(step(false)) > off(step(true)) && off(step(false)) < 0.05);
}

#[test]
fn an_option_may_follow_a_schedule() {
    let optimizer = Optimizer::from_spec(sgd(0.5, 0.5, 0.25))
        .and_then(|o| {
            o.with_grouping(Grouping::single().with_rule(
                Selector::Prefix("b".into()),
                GroupOptions::new("half").with_weight_decay(0.125),
            ))
        })
        .and_then(|o| o.with_schedule("weight_decay", "step:1:0.5@step".parse().unwrap()))
        .and_then(|o| o.with_schedule("momentum", "constant".parse().unwrap()))
        .unwrap();
    let fed = optimizer.fed(&Horizon::new(1, 10).unwrap()).unwrap();
    assert_eq!(fed.at(1).collect::<Vec<_>>(), [("weight_decay", 0.125), ("momentum", 0.5)]);
    let parameters = [parameter("a", &[1]), parameter("b", &[1])];
    let mut simulation = Simulation::new(&optimizer, &parameters, &[2.0, 2.0]);
    let (mut wanted, mut buffers) = ([2.0, 2.0], [0.0, 0.0]);
    for step in 0..4 {
        for (name, number) in fed.at(step) {
            simulation.feed(name, number);
        }
        simulation.step(0.5, &[1.0, 1.0]);
        let decay = 0.25 * 0.5_f64.powi(step as i32);
        for (i, decay) in [decay / 2.0, decay].into_iter().enumerate() {
            buffers[i] = 0.5 * buffers[i] + 1.0 + decay * wanted[i];
            wanted[i] -= 0.5 * buffers[i];
        }
        assert_close(simulation.values("half", "parameter"), &wanted[..1], 1e-13, "half");
        assert_close(simulation.values("all", "parameter"), &wanted[1..], 1e-13, "all");
    }
}

/// What is accepted is not ignored: another number at the second step gives other parameters or states.
#[test]
fn whatever_may_follow_a_schedule_changes_the_update() {
    let mut accepted = 0;
    for name in OptimizerSpec::TYPES.iter().filter(|name| **name != "custom") {
        let spec: OptimizerSpec = match *name {
            "sgd" => {
                let text = r#"{"type": "sgd", "momentum": 0.5, "dampening": 0.5}"#;
                serde_json::from_str(text).unwrap()
            }
            "adagrad" => serde_json::from_str(r#"{"type": "adagrad", "lr_decay": 0.5}"#).unwrap(),
            "lars" => serde_json::from_str(r#"{"type": "lars", "eps": 0.5}"#).unwrap(),
            "rmsprop" => serde_json::from_str(r#"{"type": "rmsprop", "momentum": 0.5}"#).unwrap(),
            name => name.parse().unwrap(),
        };
        // A decay of 0 cannot be scheduled.
        let mut json = serde_json::to_value(&spec).unwrap();
        json["weight_decay"] = 0.25.into();
        let spec: OptimizerSpec = serde_json::from_value(json).unwrap();
        for hyper in HYPERPARAMETERS {
            let optimizer = Optimizer::from_spec(spec.clone()).unwrap();
            let schedule = "step:1:0.5@step".parse().unwrap();
            let Ok(optimizer) = optimizer.with_schedule(hyper, schedule) else { continue };
            accepted += 1;
            // Gradients so small that the sign of an average, which is all that Lion goes by, depends on
            // what is kept of the first. Prodigy's distance only grows, and that while they agree.
            let (later, other) = if hyper == "d_coef" { (1.0, 1000.0) } else { (-0.006, 0.001) };
            let after = |number: f64| {
                let parameters = [parameter("w", &[2, 2]), parameter("b", &[2])];
                let initial = [1.0, -2.0, 0.5, 3.0, 0.25, -1.0];
                let mut simulation = Simulation::new(&optimizer, &parameters, &initial);
                for step in 0..3 {
                    simulation.feed(hyper, if step == 0 { 0.5 } else { number });
                    let size = if step == 0 { 1.0 } else { later };
                    let gradient = [0.5, 0.25, -1.0, 2.0, -0.5, 0.125].map(|g| size * g);
                    simulation.step(0.1, &gradient);
                }
                simulation.all_values()
            };
            assert_ne!(after(0.5), after(other), "{name} ignores the schedule of {hyper}");
        }
    }
    assert!(accepted > 35, "{accepted}");
}

#[test]
fn what_cannot_follow_a_schedule_is_refused_by_name() {
    let refused = |name: &str, schedule: &str| {
        let optimizer = Optimizer::from_spec(sgd(0.5, 0.0, 0.25)).unwrap();
        optimizer.with_schedule(name, schedule.parse().unwrap()).unwrap_err().to_string()
    };
    let unknown = refused("beta1", "constant");
    assert!(unknown.contains("`beta1`") && unknown.contains("weight_decay, momentum"), "{unknown}");
    assert!(refused("momentum", "constant").contains("above 0 to be scheduled"));
    assert!(refused("weight_decay", "reduce_on_plateau").contains("goes by the step alone"));
}

#[test]
fn averages_of_the_weights_follow_them() {
    let parameters = [parameter("w", &[1])];
    for averaging in [
        Averaging::Ema(Ema { decay: 0.75, warmup: false }),
        Averaging::Ema(Ema { decay: 0.75, warmup: true }),
        Averaging::Swa(Swa { start: 2, every: 3, per: Per::Step }),
    ] {
        let optimizer = Optimizer::from_spec(sgd(1.0, 0.0, 0.0))
            .and_then(|o| o.with_averaging(averaging))
            .unwrap();
        let kind = averaging.kind();
        assert_eq!(optimizer.weights(), Some(kind));
        let fed = optimizer.fed(&Horizon::new(1, 10).unwrap()).unwrap();
        let mut simulation = Simulation::new(&optimizer, &parameters, &[8.0]);
        assert_eq!(simulation.values("all", kind), [8.0]);
        let (mut average, mut counted) = (8.0, Vec::new());
        for step in 0..10_u64 {
            for (name, number) in fed.at(step) {
                assert_eq!(name, AVERAGE);
                simulation.feed(name, number);
            }
            simulation.step(1.0, &[(step as f64 * 1.3).sin()]);
            let weight = simulation.values("all", "parameter")[0];
            match averaging {
                Averaging::Ema(ema) => {
                    let n = step as f64;
                    let warm = if ema.warmup { (1.0 + n) / (10.0 + n) } else { 1.0 };
                    let decay = if step == 0 { 0.0 } else { ema.decay.min(warm) };
                    average = decay * average + (1.0 - decay) * weight;
                }
                Averaging::Swa(_) => {
                    if [2, 5, 8].contains(&step) {
                        counted.push(weight);
                        average = counted.iter().sum::<f64>() / counted.len() as f64;
                    } else if step < 2 {
                        // What is evaluated before is what is trained.
                        average = weight;
                    }
                }
            }
            assert_close(simulation.values("all", kind), &[average], 1e-12, kind);
        }
    }
}

#[test]
fn schedule_free_says_which_weights_to_use() {
    let optimizer = Optimizer::from_spec(ScheduleFree::default().into()).unwrap();
    assert_eq!(optimizer.weights(), Some("x"));
    let ema = optimizer.with_averaging(Averaging::Ema(Ema::default())).unwrap();
    assert_eq!(ema.weights(), Some("ema"));
}

#[test]
fn a_rule_of_ones_own_is_found_by_name_or_refused() {
    let text = r#"{"type": "custom", "optimizer": "heavy", "lr": 0.5, "options": {"mass": 0.5}}"#;
    let spec: OptimizerSpec = text.parse().unwrap();
    let refused = Optimizer::from_spec(spec.clone()).unwrap_err().to_string();
    assert!(refused.contains("`heavy`"), "{refused}");

    let mut constructors = Constructors::default();
    constructors.add::<dyn UpdateRule>("heavy", |options| {
        let mass = options.get("mass").and_then(|mass| mass.as_f64()).ok_or("`mass` is missing")?;
        Ok(Arc::new(Chain::new("heavy").then(Momentum::new(mass)).then(ScaleByLr)))
    });
    let optimizer = Optimizer::from_spec(spec.clone().resolve(&constructors).unwrap()).unwrap();
    assert_eq!((optimizer.name(), optimizer.lr()), ("heavy", 0.5));
    let mut simulation = Simulation::new(&optimizer, &[parameter("w", &[1])], &[1.0]);
    simulation.step(0.5, &[1.0]);
    simulation.step(0.5, &[1.0]);
    assert_eq!(simulation.values("all", "parameter"), [1.0 - 0.5 - 0.75]);
    // What is saved has the name and the options, and is read again.
    let saved = serde_json::to_string(&optimizer.spec().unwrap()).unwrap();
    assert_eq!(saved.parse::<OptimizerSpec>().unwrap(), spec);

    let without = OptimizerSpec::Custom(CustomOptimizer::new("heavy", Default::default(), 0.5));
    let error = without.resolve(&constructors).unwrap_err().to_string();
    assert!(error.contains("`mass` is missing"), "{error}");
}

#[test]
fn a_mean_counts_epochs_unless_told_otherwise() {
    let legs = [
        Leg { epoch: 0, step: 0, steps_per_epoch: 4 },
        Leg { epoch: 2, step: 8, steps_per_epoch: 2 },
    ];
    let horizon = Horizon::of_legs(6, &legs).unwrap();
    let shares = |text: &str| -> Vec<f64> {
        let swa = Averaging::Swa(text.parse().unwrap());
        (0..16).map(|step| swa.share(step, &horizon)).collect()
    };
    // The ends of the epochs are the steps 3, 7, 9, 11, 13 and 15; those before the first that counts
    // are followed.
    let (third, half, fourth) = (1.0 / 3.0, 0.5, 0.25);
    assert_eq!(
        shares("2"),
        [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, half, 0.0, third, 0.0, fourth]
    );
    let every_third = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, half, 0.0, 0.0, 0.0, 0.0];
    assert_eq!(shares("0:3")[4..], every_third[..]);
    assert_eq!(shares("1:2@step")[..6], [1.0, 1.0, 0.0, half, 0.0, third]);
    for text in ["", "x", "5:", "5@minute", "-1", "1:2:3"] {
        let error = text.parse::<Swa>().unwrap_err();
        assert!(error.contains("START[:EVERY]"), "{text}: {error}");
    }
}
