//! Runs an update graph step by step with the engine's f64 evaluator.

use std::collections::HashMap;

use onestep_engine::reference::{Array, Context, evaluate};
use onestep_engine::{ParameterInfo, Shape, UpdateGraph};
use onestep_optimizer::{LR, Optimizer, STEP, StateShape};

/// A parameter by name and shape.
pub(crate) fn parameter(name: &str, dims: &[usize]) -> ParameterInfo {
    ParameterInfo::new(name, Shape::new(dims).unwrap())
}

/// The parameters and the state of an optimizer, and the graph that changes them.
pub(crate) struct Simulation {
    update: UpdateGraph,
    values: HashMap<String, Array>,
    step: u32,
}

impl Simulation {
    /// All parameters start at `initial`, which is in the order of the groups.
    pub(crate) fn new(
        optimizer: &Optimizer,
        parameters: &[ParameterInfo],
        initial: &[f64],
    ) -> Self {
        let groups = optimizer.groups(parameters).unwrap();
        let update = optimizer.update_graph(&groups).unwrap();
        let mut values = HashMap::new();
        let mut rest = initial;
        for (group, entry) in groups.iter().zip(&update.groups) {
            let (own, others) = rest.split_at(group.elements());
            rest = others;
            values.insert(format!("{}.parameter", group.name), vector(own));
            for state in &entry.states {
                let start = match state.shape {
                    StateShape::Copy => own.to_vec(),
                    shape => vec![f64::from(state.initial); shape.elements(group)],
                };
                values.insert(format!("{}.{}", group.name, state.kind), vector(&start));
            }
        }
        for shared in &update.shared {
            values.insert(shared.name.clone(), scalar(f64::from(shared.initial)));
        }
        Simulation { update, values, step: 0 }
    }

    /// Sets a scalar of the steps to come.
    pub(crate) fn feed(&mut self, name: &str, number: f64) {
        self.values.insert(name.to_owned(), scalar(number));
    }

    /// One step with these gradients, in the order of the groups. Returns the reports.
    pub(crate) fn step(&mut self, lr: f64, gradients: &[f64]) -> HashMap<String, f64> {
        self.step += 1;
        self.values.insert(LR.to_owned(), scalar(lr));
        self.values.insert(STEP.to_owned(), scalar(f64::from(self.step)));
        let mut rest = gradients;
        let (mut names, mut targets) = (Vec::new(), Vec::new());
        for group in &self.update.groups {
            let length = self.update.graph.shape(group.gradient).elements();
            let (own, others) = rest.split_at(length);
            rest = others;
            self.values.insert(format!("{}.gradient", group.group), vector(own));
            names.push(format!("{}.parameter", group.group));
            targets.push(group.new_parameter);
            for state in &group.states {
                names.push(format!("{}.{}", group.group, state.kind));
                targets.push(state.new);
            }
        }
        for shared in &self.update.shared {
            names.push(shared.name.clone());
            targets.push(shared.new);
        }
        let state_count = targets.len();
        targets.extend(self.update.reports.iter().map(|report| report.value));
        let context = Context::default();
        let mut results = evaluate(&self.update.graph, &self.values, &context, &targets).unwrap();
        let reports = results.split_off(state_count);
        self.values.extend(names.into_iter().zip(results));
        let names = self.update.reports.iter().map(|report| report.name.clone());
        names.zip(reports.iter().map(|array| array.data[0])).collect()
    }

    /// The parameters and the states of all groups.
    pub(crate) fn all_values(&self) -> Vec<f64> {
        let mut all = Vec::new();
        for group in &self.update.groups {
            all.extend(self.values(&group.group, "parameter"));
            let states = group.states.iter();
            states.for_each(|state| all.extend(self.values(&group.group, &state.kind)));
        }
        all
    }

    /// The parameters, or a kind of state, of a group.
    pub(crate) fn values(&self, group: &str, kind: &str) -> &[f64] {
        &self.values[&format!("{group}.{kind}")].data
    }

    /// A number that groups share.
    pub(crate) fn shared(&self, name: &str) -> f64 {
        self.values[name].data[0]
    }

    /// The graph.
    pub(crate) fn update(&self) -> &UpdateGraph {
        &self.update
    }
}

fn vector(data: &[f64]) -> Array {
    Array::new(Shape::new(&[data.len()]).unwrap(), data.to_vec()).unwrap()
}

fn scalar(value: f64) -> Array {
    Array::new(Shape::scalar(), vec![value]).unwrap()
}

/// Fails unless all elements are within `tolerance`, relative to 1 or to the element.
#[track_caller]
pub(crate) fn assert_close(got: &[f64], wanted: &[f64], tolerance: f64, what: &str) {
    assert_eq!(got.len(), wanted.len(), "{what}");
    for (i, (g, w)) in got.iter().zip(wanted).enumerate() {
        let close = (g - w).abs() <= tolerance * w.abs().max(1.0);
        assert!(close, "{what}[{i}]: expected {w}, got {g}");
    }
}
