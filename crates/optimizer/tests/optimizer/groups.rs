//! Groups: every parameter in exactly one, and options of their own.

use std::collections::BTreeSet;

use onestep_engine::{Graph, GraphError, ParameterGroup, ParameterInfo};
use onestep_optimizer::{
    GroupLeaves, GroupOptions, Grouping, Optimizer, OptimizerError, OptimizerSpec, Selector, Sgd,
    StateKind, UpdateRule, Updated,
};
use proptest::prelude::*;

use crate::simulation::{Simulation, assert_close, parameter};

fn selectors() -> impl Strategy<Value = Selector> {
    prop_oneof![
        (0usize..5).prop_map(Selector::MaxRank),
        "[a-c]".prop_map(Selector::Prefix),
        "[0-9]".prop_map(Selector::Suffix),
        prop::collection::vec("[a-c]\\.[0-9]", 0..4).prop_map(Selector::Names),
    ]
}

fn groupings() -> impl Strategy<Value = Grouping> {
    prop::collection::vec(selectors(), 0..5).prop_map(|selectors| {
        selectors.into_iter().enumerate().fold(Grouping::single(), |grouping, (i, selector)| {
            grouping.with_rule(selector, GroupOptions::new(format!("group{i}")))
        })
    })
}

fn parameters() -> impl Strategy<Value = Vec<ParameterInfo>> {
    let dims = prop::collection::vec(1usize..4, 0..5);
    prop::collection::btree_map("[a-d]\\.[0-9]{1,2}", dims, 0..30).prop_map(|entries| {
        entries.into_iter().map(|(name, dims)| parameter(&name, &dims)).collect()
    })
}

proptest! {
    #[test]
    fn groups_partition_the_parameters(grouping in groupings(), parameters in parameters()) {
        let groups = grouping.groups(&parameters).unwrap();
        prop_assert!(groups.iter().all(|group| !group.parameters.is_empty()));
        let names: BTreeSet<&str> = groups.iter().map(|group| group.name.as_str()).collect();
        prop_assert_eq!(names.len(), groups.len());

        let mut found: Vec<&ParameterInfo> = groups.iter().flat_map(|g| &g.parameters).collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        let given: Vec<&ParameterInfo> = parameters.iter().collect();
        prop_assert_eq!(found, given);
        let elements: usize = parameters.iter().map(|p| p.shape.elements()).sum();
        prop_assert_eq!(groups.iter().map(ParameterGroup::elements).sum::<usize>(), elements);

        // The first rule that takes a parameter gets it, and each group keeps the order.
        for group in &groups {
            prop_assert!(group.parameters.windows(2).all(|pair| pair[0].name < pair[1].name));
            for parameter in &group.parameters {
                let first = grouping.rules.iter().find(|rule| rule.select.matches(parameter));
                let wanted = first.map_or("all", |rule| &rule.group.name);
                prop_assert_eq!(&group.name, wanted);
            }
        }
    }
}

#[test]
fn biases_and_norms_do_not_decay() {
    let spec = Sgd { weight_decay: 0.5, ..Sgd::default() };
    let optimizer = Optimizer::from_spec(OptimizerSpec::Sgd(spec))
        .and_then(|o| o.with_grouping(Grouping::no_decay_on_biases_and_norms()))
        .unwrap();
    let parameters =
        [parameter("fc.weight", &[1, 2]), parameter("fc.bias", &[2]), parameter("scale", &[])];
    let mut simulation = Simulation::new(&optimizer, &parameters, &[1.0, 2.0, 3.0, 10.0, 20.0]);
    simulation.step(0.5, &[0.0; 5]);
    assert_eq!(simulation.values("no_decay", "parameter"), [1.0, 2.0, 3.0]);
    assert_eq!(simulation.values("decay", "parameter"), [7.5, 15.0]);
}

#[test]
fn a_group_may_have_its_own_learning_rate() {
    let head = GroupOptions::new("head").with_lr_scale(4.0).with_weight_decay(0.5);
    let grouping = Grouping::single().with_rule(Selector::Prefix("head.".to_owned()), head);
    let optimizer = Optimizer::from_spec(OptimizerSpec::Sgd(Sgd::default()))
        .and_then(|o| o.with_grouping(grouping))
        .unwrap();
    let parameters = [parameter("body.w", &[1]), parameter("head.w", &[1])];
    let mut simulation = Simulation::new(&optimizer, &parameters, &[2.0, 2.0]);
    simulation.step(0.125, &[1.0, 1.0]);
    assert_close(simulation.values("head", "parameter"), &[2.0 - 0.5 * 2.0], 1e-15, "head");
    assert_close(simulation.values("all", "parameter"), &[2.0 - 0.125], 1e-15, "body");
}

#[test]
fn empty_groups_are_left_out() {
    let grouping = Grouping::no_decay_on_biases_and_norms();
    let groups = grouping.groups(&[parameter("w", &[2, 2])]).unwrap();
    assert_eq!(groups.len(), 1);
    assert_eq!(groups[0].name, "decay");
    assert!(grouping.groups(&[]).unwrap().is_empty());
}

#[test]
fn a_large_parameter_is_alone_with_the_options_of_its_group() {
    let decayed = GroupOptions::new("body").with_weight_decay(0.5);
    let grouping = Grouping::single().with_rule(Selector::Prefix("body.".to_owned()), decayed);
    let optimizer = Optimizer::from_spec(OptimizerSpec::Sgd(Sgd::default()))
        .and_then(|o| o.with_grouping(grouping))
        .unwrap();
    let large = [256, 128];
    let parameters =
        [parameter("body.large", &large), parameter("body.small", &[1]), parameter("head", &large)];
    let groups = optimizer.groups(&parameters).unwrap();
    let named: Vec<(&str, &str)> =
        groups.iter().map(|g| (g.name.as_str(), g.options.as_str())).collect();
    assert_eq!(named, [("body", "body"), ("body/body.large", "body"), ("all/head", "all")]);

    let mut simulation = Simulation::new(&optimizer, &parameters, &vec![1.0; 2 * 256 * 128 + 1]);
    simulation.step(0.5, &vec![0.0; 2 * 256 * 128 + 1]);
    assert_eq!(simulation.values("body", "parameter"), [0.75]);
    assert!(simulation.values("body/body.large", "parameter").iter().all(|&x| x == 0.75));
    assert!(simulation.values("all/head", "parameter").iter().all(|&x| x == 1.0));

    // No other group may have the name.
    let clash = GroupOptions::new("body/body.large");
    let grouping = optimizer.grouping().clone();
    let grouping = grouping.with_rule(Selector::Prefix("head".to_owned()), clash);
    let optimizer = optimizer.clone().with_grouping(grouping).unwrap();
    let small_head = [parameters[0].clone(), parameter("head", &[1])];
    let error = optimizer.groups(&small_head).unwrap_err().to_string();
    assert!(error.contains("`body/body.large`"), "{error}");
}

/// Keeps the parameters of `frozen` as they are.
#[derive(Debug)]
struct Freezing;

impl UpdateRule for Freezing {
    fn name(&self) -> &str {
        "freezing"
    }

    fn states(&self) -> Vec<StateKind> {
        Vec::new()
    }

    fn update(&self, g: &mut Graph, leaves: GroupLeaves<'_>) -> Result<Updated, GraphError> {
        let parameter = match leaves.group {
            "frozen" => leaves.parameter,
            _ => g.sub(leaves.parameter, leaves.gradient)?,
        };
        Ok(Updated { parameter, states: Vec::new() })
    }
}

#[test]
fn a_rule_sees_the_name_that_was_given_for_large_parameters_too() {
    let frozen = GroupOptions::new("frozen");
    let grouping = Grouping::single().with_rule(Selector::Prefix("frozen.".to_owned()), frozen);
    let optimizer = Optimizer::new(Freezing, 0.5).and_then(|o| o.with_grouping(grouping)).unwrap();
    let parameters = [parameter("frozen.large", &[256, 128]), parameter("w", &[1])];
    let count = 256 * 128 + 1;
    let mut simulation = Simulation::new(&optimizer, &parameters, &vec![1.0; count]);
    simulation.step(0.5, &vec![1.0; count]);
    let frozen = simulation.values("frozen/frozen.large", "parameter");
    assert!(frozen.iter().all(|&x| x == 1.0));
    assert_eq!(simulation.values("all", "parameter"), [0.0]);
}

#[test]
fn bad_groups_are_refused() {
    let message = |grouping: Grouping| grouping.validate().unwrap_err().to_string();
    let twice = Grouping::single().with_rule(Selector::MaxRank(1), GroupOptions::new("all"));
    assert_eq!(message(twice), "two parameter groups are named `all`; names must be unique");
    let negative = GroupOptions::new("slow").with_lr_scale(-1.0);
    let negative = Grouping::single().with_rule(Selector::MaxRank(1), negative);
    let wanted = "parameter group `slow`: `lr_scale` must be finite and not negative, got -1";
    assert_eq!(message(negative), wanted);

    let same = [parameter("w", &[1]), parameter("w", &[2])];
    let error = Grouping::single().groups(&same).unwrap_err().to_string();
    assert!(error.contains("`w` is listed twice"), "{error}");

    let optimizer = Optimizer::from_spec(OptimizerSpec::default()).unwrap();
    let strange = ParameterGroup::new("strange", vec![parameter("w", &[1])]);
    let error = optimizer.update_graph(&[strange]).unwrap_err().to_string();
    assert!(error.contains("`strange`") && error.contains("all"), "{error}");
}

#[test]
fn groupings_are_configuration() {
    let text = r#"{
        "rules": [{ "select": { "max_rank": 1 }, "group": { "name": "no_decay", "weight_decay": 0.0 } }],
        "rest": { "name": "decay" }
    }"#;
    let grouping: Grouping = serde_json::from_str(text).unwrap();
    assert_eq!(grouping, Grouping::no_decay_on_biases_and_norms());
    let written = serde_json::to_string(&grouping).unwrap();
    assert_eq!(serde_json::from_str::<Grouping>(&written).unwrap(), grouping);
}

/// A rule that does not do what it says.
#[derive(Debug)]
struct Broken {
    states: usize,
    scalar: bool,
}

impl UpdateRule for Broken {
    fn name(&self) -> &str {
        "broken"
    }

    fn states(&self) -> Vec<StateKind> {
        vec![StateKind::zeros("memory")]
    }

    fn update(&self, _: &mut Graph, leaves: GroupLeaves<'_>) -> Result<Updated, GraphError> {
        let parameter = if self.scalar { leaves.lr } else { leaves.parameter };
        Ok(Updated { parameter, states: vec![leaves.state("memory")?; self.states] })
    }
}

#[test]
fn a_rule_must_return_what_it_lists() {
    let message = |rule: Broken| {
        let optimizer = Optimizer::new(rule, 0.1).unwrap();
        let groups = optimizer.groups(&[parameter("w", &[3])]).unwrap();
        optimizer.update_graph(&groups).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(message(Broken { states: 1, scalar: false }), Ok(()));
    let error = message(Broken { states: 0, scalar: false }).unwrap_err();
    assert_eq!(error, "update rule broken: expected 1 states, as many as it lists, got 0");
    let error = message(Broken { states: 1, scalar: true }).unwrap_err();
    assert_eq!(error, "update rule broken: expected values of f32[3], got f32[]");
    let negative = Optimizer::new(Broken { states: 1, scalar: false }, -0.1).unwrap_err();
    assert!(matches!(negative, OptimizerError::Option { field: "lr", .. }));
}
