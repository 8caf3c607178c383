//! Copies of a model's parameters on the host, and which of them are in use.

use onestep_engine::{StateEntry, StateKind, StateLayout};
use serde::{Deserialize, Serialize};

/// Weights that a model may be used with: parameters and model states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weights {
    /// Those of the last step, from which training goes on.
    #[default]
    Last,
    /// Those of the best epoch, which early stopping keeps.
    Best,
}

impl Weights {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Weights::Last => "last",
            Weights::Best => "best",
        }
    }
}

/// A copy on the host of a model's parameters and states, and of averages of them; without what else
/// the optimizer keeps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    pub(crate) tensors: Vec<(String, Vec<f32>)>,
    /// What the optimizer keeps as copies of the parameters.
    pub(crate) copies: Vec<(String, Vec<f32>)>,
}

impl Snapshot {
    /// The elements of a tensor, where it has it.
    pub(crate) fn get(&self, name: &str) -> Option<&[f32]> {
        let found = self.tensors.iter().chain(&self.copies).find(|(own, _)| own == name);
        found.map(|(_, values)| values.as_slice())
    }
}

/// Whether an entry is state of the optimizer that starts as a copy of a parameter.
pub(crate) fn is_copy(layout: &StateLayout, entry: &StateEntry) -> bool {
    entry.kind == StateKind::Optimizer && layout.buffers()[entry.buffer].copy_of.is_some()
}
