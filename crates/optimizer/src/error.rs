//! What can go wrong in the choice of an optimizer, of groups or of a schedule.

use std::fmt::Display;

use onestep_base::{ConstructError, RegistryError};
use onestep_engine::GraphError;
use thiserror::Error;

/// An optimizer, a grouping or a schedule that cannot be used.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum OptimizerError {
    /// An option is out of its range.
    #[error("{subject}: `{field}` must be {wanted}, got {got}")]
    Option {
        /// The optimizer, schedule or group it belongs to.
        subject: String,
        /// The option.
        field: &'static str,
        /// Its range.
        wanted: String,
        /// The value given.
        got: String,
    },
    /// An optimizer that does not exist, or whose options cannot be read.
    #[error(transparent)]
    Spec(RegistryError),
    /// An optimizer of one's own that is not registered, or refuses its options.
    #[error("{0}; register it before the settings are read")]
    Custom(ConstructError),
    /// A schedule of an option that has none.
    #[error("the {rule} has no option `{name}` that a schedule could change; it has: {known}")]
    UnknownHyperparameter {
        /// The optimizer.
        rule: String,
        /// The name given.
        name: String,
        /// The options that can be changed.
        known: String,
    },
    /// A text that is not a schedule.
    #[error("`{text}` is not a schedule: {reason}; the forms are: {forms}")]
    ScheduleForm {
        /// The text given.
        text: String,
        /// What is wrong with it.
        reason: String,
        /// What a schedule looks like.
        forms: &'static str,
    },
    /// Two groups have the same name.
    #[error("two parameter groups are named `{name}`; names must be unique")]
    DuplicateGroup {
        /// The name.
        name: String,
    },
    /// A group that the grouping has no options for.
    #[error("the grouping has no group named `{name}`; it has: {known}")]
    UnknownGroup {
        /// The name.
        name: String,
        /// The names there are.
        known: String,
    },
    /// A parameter is listed twice.
    #[error("parameter `{name}` is listed twice; each parameter belongs to one group")]
    DuplicateParameter {
        /// The parameter.
        name: String,
    },
    /// An update rule returned something that does not fit its own description.
    #[error("update rule {rule}: expected {wanted}, got {got}")]
    Rule {
        /// The rule.
        rule: String,
        /// What its description and the group ask for.
        wanted: String,
        /// What it returned.
        got: String,
    },
    /// A saved state belongs to another kind of schedule.
    #[error("cannot restore the schedule's state: expected {wanted}, got {got}")]
    ScheduleState {
        /// What the schedule keeps.
        wanted: &'static str,
        /// What was saved.
        got: &'static str,
    },
    /// A graph that cannot be built.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

impl OptimizerError {
    /// An option out of its range.
    pub(crate) fn option(
        subject: impl Into<String>,
        field: &'static str,
        wanted: impl Display,
        got: impl Display,
    ) -> Self {
        OptimizerError::Option {
            subject: subject.into(),
            field,
            wanted: wanted.to_string(),
            got: got.to_string(),
        }
    }
}
