//! Where parameters and state lie, and what of them stays as it is.

use std::sync::Arc;

use onestep_engine::{ParameterGroup, ParameterInfo, StateInfo, StateLayout, UpdateGraph};
use onestep_layers::Model;
use onestep_optimizer::Optimizer;

use crate::TrainerError;
use crate::pattern::name_matches;

/// What stays as it is.
#[derive(Clone, Default)]
pub(super) struct Frozen {
    pub(super) patterns: Arc<[String]>,
    pub(super) statistics: bool,
    /// The running statistics that stay as they are.
    pub(super) held: Arc<[String]>,
}

impl Frozen {
    pub(super) fn new(patterns: &[String], statistics: bool, model: &Model) -> Self {
        let patterns: Arc<[String]> = patterns.into();
        let mut frozen = Frozen { patterns, statistics, held: Arc::default() };
        if statistics {
            let states = model.states().iter().map(|state| &state.name);
            frozen.held = states.filter(|name| frozen.holds(name)).cloned().collect();
        }
        frozen
    }

    pub(super) fn holds(&self, name: &str) -> bool {
        self.patterns.iter().any(|pattern| name_matches(pattern, name))
    }
}

/// The name of the group of what stays as it is.
const FROZEN: &str = "frozen";

pub(super) type Groups = (Arc<[ParameterGroup]>, Arc<UpdateGraph>, StateLayout);

/// Where parameters and state lie: a group without an update is neither differentiated nor written.
pub(super) fn groups(
    model: &Model,
    optimizer: &Optimizer,
    held: &Frozen,
) -> Result<Groups, TrainerError> {
    let parameters = model.parameters().iter().map(|parameter| parameter.info.clone());
    let (frozen, learned): (Vec<ParameterInfo>, Vec<ParameterInfo>) =
        parameters.partition(|parameter| held.holds(&parameter.name));
    let mut groups = optimizer.groups(&learned)?;
    let update = optimizer.update_graph(&groups)?;
    if !frozen.is_empty() {
        groups.push(ParameterGroup::new(FROZEN, frozen));
    }
    let states: Vec<StateInfo> = model.states().iter().map(state_info).collect();
    let layout = StateLayout::new(&groups, &states, Some(&update))?;
    Ok((groups.into(), Arc::new(update), layout))
}

pub(super) fn state_info(state: &onestep_layers::StateSpec) -> StateInfo {
    StateInfo { name: state.name.clone(), shape: state.shape.clone(), initial: state.initial }
}
