//! Comparison and choice.

use onestep_memory::DType;

use super::{Gradients, OpRule, Site, expect_dtype, expect_inputs, expect_shape};
use crate::array::{Array, Context};
use crate::graph::{Graph, GraphError, Type, Value};

/// An elementwise comparison of two f32 operands of the same shape: 1 where it holds, else 0.
/// As in IEEE 754, every comparison with NaN but [`Compare::Ne`] is false.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compare {
    /// `a == b`
    Eq,
    /// `a != b`
    Ne,
    /// `a < b`
    Lt,
    /// `a <= b`
    Le,
    /// `a > b`
    Gt,
    /// `a >= b`
    Ge,
}

impl Compare {
    /// All of them.
    pub const ALL: [Compare; 6] =
        [Compare::Eq, Compare::Ne, Compare::Lt, Compare::Le, Compare::Gt, Compare::Ge];

    /// The comparison itself.
    pub fn apply(self, a: f64, b: f64) -> bool {
        match self {
            Compare::Eq => a == b,
            Compare::Ne => a != b,
            Compare::Lt => a < b,
            Compare::Le => a <= b,
            Compare::Gt => a > b,
            Compare::Ge => a >= b,
        }
    }
}

impl OpRule for Compare {
    fn name(&self) -> &'static str {
        match self {
            Compare::Eq => "eq",
            Compare::Ne => "ne",
            Compare::Lt => "lt",
            Compare::Le => "le",
            Compare::Gt => "gt",
            Compare::Ge => "ge",
        }
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, GraphError> {
        expect_inputs(self.name(), inputs, 2)?;
        expect_dtype(self.name(), &inputs[0], DType::F32)?;
        expect_dtype(self.name(), &inputs[1], DType::F32)?;
        expect_shape(self.name(), &inputs[1], &inputs[0].shape)?;
        Ok(inputs[0].clone())
    }

    fn gradient(&self, _: &mut Graph, _: &Site<'_>, _: Value) -> Result<Gradients, GraphError> {
        Ok(vec![None, None])
    }

    fn evaluate(&self, _: &Context, inputs: &[&Array], out: &Type) -> Array {
        let pairs = inputs[0].data.iter().zip(&inputs[1].data);
        let data = pairs.map(|(&a, &b)| f64::from(u8::from(self.apply(a, b)))).collect();
        Array { shape: out.shape.clone(), data }
    }
}

/// Elementwise `condition != 0 ? a : b` of three f32 operands of the same shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Select;

impl OpRule for Select {
    fn name(&self) -> &'static str {
        "select"
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, GraphError> {
        expect_inputs(self.name(), inputs, 3)?;
        for input in inputs {
            expect_dtype(self.name(), input, DType::F32)?;
            expect_shape(self.name(), input, &inputs[0].shape)?;
        }
        Ok(inputs[0].clone())
    }

    fn gradient(
        &self,
        g: &mut Graph,
        site: &Site<'_>,
        grad: Value,
    ) -> Result<Gradients, GraphError> {
        let zero = g.constant(0.0)?;
        let zeros = g.broadcast_like(zero, grad)?;
        let da = g.select(site.inputs[0], grad, zeros)?;
        let db = g.select(site.inputs[0], zeros, grad)?;
        Ok(vec![None, Some(da), Some(db)])
    }

    fn evaluate(&self, _: &Context, inputs: &[&Array], out: &Type) -> Array {
        let choices = inputs[1].data.iter().zip(&inputs[2].data);
        let both = inputs[0].data.iter().zip(choices);
        let data = both.map(|(&c, (&a, &b))| if c != 0.0 { a } else { b }).collect();
        Array { shape: out.shape.clone(), data }
    }
}
