//! What can go wrong while a graph is built.

use std::fmt::Display;

use onestep_memory::MemoryError;
use thiserror::Error;

/// A graph that cannot be built.
#[derive(Clone, Debug, Error)]
pub enum GraphError {
    /// An operand has the wrong shape, rank or number.
    #[error("{op}: expected {wanted}, got {got}")]
    Shape {
        /// The op.
        op: &'static str,
        /// What the rule asks for.
        wanted: String,
        /// What was given.
        got: String,
    },
    /// An attribute is out of its range.
    #[error("{op}: {attribute} must be {wanted}, got {got}")]
    Attribute {
        /// The op.
        op: &'static str,
        /// The attribute's name.
        attribute: &'static str,
        /// The range.
        wanted: String,
        /// The value given.
        got: String,
    },
    /// Two leaves of one graph have the same name.
    #[error("the graph already has a leaf named `{name}`; names must be unique")]
    DuplicateLeaf {
        /// The name.
        name: String,
    },
    /// A leaf that was asked for is not there.
    #[error("the graph has no leaf named `{name}`; it has: {known}")]
    UnknownLeaf {
        /// The name.
        name: String,
        /// The names there are.
        known: String,
    },
    /// A gradient was asked for through an op that has none.
    #[error("{op} cannot be differentiated: {reason}")]
    NotDifferentiable {
        /// The op.
        op: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// A shape is beyond the limits of a tensor. Boxed, so that results stay small.
    #[error(transparent)]
    Memory(Box<MemoryError>),
}

impl From<MemoryError> for GraphError {
    fn from(error: MemoryError) -> Self {
        GraphError::Memory(Box::new(error))
    }
}

impl GraphError {
    /// A shape error.
    pub fn shape(op: &'static str, wanted: impl Display, got: impl Display) -> Self {
        GraphError::Shape { op, wanted: wanted.to_string(), got: got.to_string() }
    }

    /// An attribute error.
    pub fn attribute(
        op: &'static str,
        attribute: &'static str,
        wanted: impl Display,
        got: impl Display,
    ) -> Self {
        GraphError::Attribute { op, attribute, wanted: wanted.to_string(), got: got.to_string() }
    }
}
