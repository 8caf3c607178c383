//! Values from outside the graph.

use super::{Gradients, OpRule, Site};
use crate::array::{Array, Context};
use crate::graph::{Graph, GraphError, Type, Value};

/// Where a leaf's value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LeafKind {
    /// Fed at each step, such as a batch.
    Input,
    /// Learned; lives on the device.
    Parameter,
    /// Kept between steps but not learned by the optimizer, such as running statistics.
    State,
    /// In an update rule, the gradient of a group.
    Gradient,
    /// In an update rule, what it keeps between steps.
    OptimizerState,
    /// A number that may change at each step, such as the learning rate.
    Scalar,
}

impl LeafKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            LeafKind::Input => "input",
            LeafKind::Parameter => "parameter",
            LeafKind::State => "state",
            LeafKind::Gradient => "gradient",
            LeafKind::OptimizerState => "optimizer state",
            LeafKind::Scalar => "scalar",
        }
    }
}

/// A named value from outside the graph.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Leaf {
    /// Where it comes from.
    pub kind: LeafKind,
    /// Its name, unique in the graph.
    pub name: String,
    /// Its type.
    pub ty: Type,
}

impl OpRule for Leaf {
    fn name(&self) -> &'static str {
        self.kind.name()
    }

    fn infer(&self, _inputs: &[Type]) -> Result<Type, GraphError> {
        Ok(self.ty.clone())
    }

    fn gradient(&self, _: &mut Graph, _: &Site<'_>, _: Value) -> Result<Gradients, GraphError> {
        Ok(Vec::new())
    }

    fn evaluate(&self, _: &Context, _: &[&Array], out: &Type) -> Array {
        // The evaluator takes a leaf from its table and never asks here.
        Array::filled(&out.shape, f64::NAN)
    }
}
