//! What a checkpoint keeps of a schedule.

use serde::{Deserialize, Serialize};

use super::PlateauState;

/// What a checkpoint keeps of a schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ScheduleState {
    /// Nothing: the schedule is a function of the step.
    Stateless {},
    /// The past of [`ReduceOnPlateau`](super::ReduceOnPlateau).
    ReduceOnPlateau(PlateauState),
}

impl ScheduleState {
    /// What it is the state of.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            ScheduleState::Stateless {} => "no state",
            ScheduleState::ReduceOnPlateau(_) => "the state of reduce_on_plateau",
        }
    }
}
