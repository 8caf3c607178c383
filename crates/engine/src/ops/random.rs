//! Random numbers that need no stored state.

use onestep_memory::Shape;

use super::{Gradients, OpRule, Site};
use crate::array::{Array, Context};
use crate::graph::{Graph, GraphError, Type, Value};
use onestep_base::philox;

/// Uniform f32 numbers in `[0, 1)` by Philox 4x32-10, keyed by the run's seed, the step and the
/// op's stream: see [`philox::uniform`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RandomUniform {
    /// The shape of the result.
    pub shape: Shape,
    /// Tells the random ops of one graph apart.
    pub stream: u32,
}

impl OpRule for RandomUniform {
    fn name(&self) -> &'static str {
        "random_uniform"
    }

    fn infer(&self, _inputs: &[Type]) -> Result<Type, GraphError> {
        Ok(Type::f32(self.shape.clone()))
    }

    fn gradient(&self, _: &mut Graph, _: &Site<'_>, _: Value) -> Result<Gradients, GraphError> {
        Ok(Vec::new())
    }

    fn evaluate(&self, context: &Context, _: &[&Array], out: &Type) -> Array {
        let numbers = (0..out.shape.elements() as u64)
            .map(|i| philox::uniform(context.seed, context.step, self.stream, i))
            .map(f64::from);
        Array { shape: out.shape.clone(), data: numbers.collect() }
    }
}
