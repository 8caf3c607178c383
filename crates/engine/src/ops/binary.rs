//! Elementwise functions of two operands.

use onestep_memory::DType;

use super::{Gradients, OpRule, Site, expect_dtype, expect_inputs, expect_shape};
use crate::array::{Array, Context};
use crate::graph::{Graph, GraphError, Type, Value};

/// An elementwise function of two f32 operands of the same shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Binary {
    /// `a + b`
    Add,
    /// `a - b`
    Sub,
    /// `a * b`
    Mul,
    /// `a / b`
    Div,
    /// The larger; where they are equal each gets half of the gradient.
    Max,
    /// The smaller; where they are equal each gets half of the gradient.
    Min,
    /// `a` to the power `b`.
    Pow,
}

impl Binary {
    /// All of them.
    pub const ALL: [Binary; 7] =
        [Binary::Add, Binary::Sub, Binary::Mul, Binary::Div, Binary::Max, Binary::Min, Binary::Pow];

    /// The function itself in f64.
    pub fn apply(self, a: f64, b: f64) -> f64 {
        match self {
            Binary::Add => a + b,
            Binary::Sub => a - b,
            Binary::Mul => a * b,
            Binary::Div => a / b,
            _ if a.is_nan() || b.is_nan() => f64::NAN,
            Binary::Max => a.max(b),
            Binary::Min => a.min(b),
            Binary::Pow => a.powf(b),
        }
    }
}

impl OpRule for Binary {
    fn name(&self) -> &'static str {
        match self {
            Binary::Add => "add",
            Binary::Sub => "sub",
            Binary::Mul => "mul",
            Binary::Div => "div",
            Binary::Max => "max",
            Binary::Min => "min",
            Binary::Pow => "pow",
        }
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, GraphError> {
        expect_inputs(self.name(), inputs, 2)?;
        expect_dtype(self.name(), &inputs[0], DType::F32)?;
        expect_dtype(self.name(), &inputs[1], DType::F32)?;
        expect_shape(self.name(), &inputs[1], &inputs[0].shape)?;
        Ok(inputs[0].clone())
    }

    fn gradient(
        &self,
        g: &mut Graph,
        site: &Site<'_>,
        grad: Value,
    ) -> Result<Gradients, GraphError> {
        let (a, b) = (site.inputs[0], site.inputs[1]);
        let (da, db) = match self {
            Binary::Add => (grad, grad),
            Binary::Sub => (grad, g.neg(grad)?),
            Binary::Mul => (g.mul(grad, b)?, g.mul(grad, a)?),
            Binary::Div => {
                let da = g.div(grad, b)?;
                let ratio = g.div(site.output, b)?;
                let product = g.mul(grad, ratio)?;
                (da, g.neg(product)?)
            }
            Binary::Max => (share(g, grad, a, b)?, share(g, grad, b, a)?),
            Binary::Min => (share(g, grad, b, a)?, share(g, grad, a, b)?),
            Binary::Pow => pow_gradient(g, site, grad)?,
        };
        Ok(vec![Some(da), Some(db)])
    }

    fn evaluate(&self, _: &Context, inputs: &[&Array], out: &Type) -> Array {
        let pairs = inputs[0].data.iter().zip(&inputs[1].data);
        Array { shape: out.shape.clone(), data: pairs.map(|(&a, &b)| self.apply(a, b)).collect() }
    }
}

/// `grad` where `winner > loser`, half of it where they are equal, else 0: chosen rather than
/// multiplied, since 0 times an infinite gradient would be NaN.
fn share(g: &mut Graph, grad: Value, winner: Value, loser: Value) -> Result<Value, GraphError> {
    let half = g.scale(grad, 0.5)?;
    let equal = g.eq(winner, loser)?;
    let kept = g.select(equal, half, grad)?;
    let below = g.lt(winner, loser)?;
    let zero = g.constant(0.0)?;
    let zeros = g.broadcast_like(zero, grad)?;
    g.select(below, zeros, kept)
}

/// `b a^(b-1)`, which is 0 where `b` is 0, and `a^b ln a`, which is 0 where `a` is 0 and `b` is not
/// negative: the power does not change there.
fn pow_gradient(g: &mut Graph, site: &Site<'_>, grad: Value) -> Result<(Value, Value), GraphError> {
    let (a, b) = (site.inputs[0], site.inputs[1]);
    let one = g.constant(1.0)?;
    let less = g.sub(b, one)?;
    let power = g.pow(a, less)?;
    let slope = g.mul(b, power)?;
    let da = g.mul(grad, slope)?;
    let zero = g.constant(0.0)?;
    let zeros = g.broadcast_like(zero, a)?;
    let constant = g.eq(b, zero)?;
    let da = g.select(constant, zeros, da)?;

    let log = g.log(a)?;
    let slope = g.mul(site.output, log)?;
    let db = g.mul(grad, slope)?;
    let at_zero = g.eq(a, zero)?;
    let not_negative = g.ge(b, zero)?;
    let flat = g.mul(at_zero, not_negative)?;
    Ok((da, g.select(flat, zeros, db)?))
}
