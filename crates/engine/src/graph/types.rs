//! Values, nodes and their types.

use std::fmt;

use onestep_memory::{DType, Shape};

use crate::ops::Op;

/// One value of a graph: the output of one node.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Value(u32);

impl Value {
    pub(crate) fn new(index: usize) -> Self {
        // A graph of four billion nodes does not fit in memory.
        Value(index as u32)
    }

    /// The position of the node in its graph.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "%{}", self.0)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "%{}", self.0)
    }
}

/// A value with the name it is reported under.
#[derive(Clone, Debug)]
pub struct Named {
    /// The name.
    pub name: String,
    /// The value.
    pub value: Value,
}

impl Named {
    /// Pairs a name with a value.
    pub fn new(name: impl Into<String>, value: Value) -> Self {
        Named { name: name.into(), value }
    }
}

/// Shape and dtype of a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Type {
    /// The static shape.
    pub shape: Shape,
    /// The element type.
    pub dtype: DType,
}

impl Type {
    /// An f32 type.
    pub fn f32(shape: Shape) -> Self {
        Type { shape, dtype: DType::F32 }
    }

    /// Bytes of a contiguous value of this type.
    pub fn bytes(&self) -> usize {
        self.shape.elements() * self.dtype.size()
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.dtype, self.shape)
    }
}

/// One op applied to its inputs.
#[derive(Clone, Debug)]
pub struct Node {
    /// What is computed.
    pub op: Op,
    /// The operands, each defined earlier in the graph.
    pub inputs: Vec<Value>,
    /// The type of the result.
    pub ty: Type,
    /// A name for dumps and errors.
    pub label: Option<String>,
    /// The part of a step that it belongs to.
    pub phase: Phase,
}

/// A part of a step, in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// From the batch to the loss.
    #[default]
    Forward,
    /// From the loss to the gradients.
    Backward,
    /// From the gradients to the new state.
    Update,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Phase::Forward => "forward",
            Phase::Backward => "backward",
            Phase::Update => "update",
        })
    }
}
