//! Elementwise functions of one operand.

use onestep_memory::DType;

use super::{Gradients, OpRule, Site, expect_dtype, expect_inputs};
use crate::array::{Array, Context};
use crate::graph::{Graph, GraphError, Type, Value};

/// An elementwise function of one f32 operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unary {
    /// `-x`
    Neg,
    /// `|x|`; the gradient at 0 is 0.
    Abs,
    /// -1, 0 or 1; the gradient is 0.
    Sign,
    /// The largest integer not above x; the gradient is 0.
    Floor,
    /// `e^x`
    Exp,
    /// `e^x - 1`, accurate near 0.
    Expm1,
    /// The natural logarithm.
    Log,
    /// `ln(1 + x)`, accurate near 0.
    Log1p,
    /// The square root.
    Sqrt,
    /// `1 / sqrt(x)`
    Rsqrt,
    /// `1 / x`
    Reciprocal,
    /// `sin x`
    Sin,
    /// `cos x`
    Cos,
    /// `tanh x`
    Tanh,
    /// `1 / (1 + e^-x)`
    Sigmoid,
    /// The error function.
    Erf,
    /// `max(x, 0)`; the gradient at 0 is 0.
    Relu,
}

impl Unary {
    /// All of them.
    pub const ALL: [Unary; 17] = [
        Unary::Neg,
        Unary::Abs,
        Unary::Sign,
        Unary::Floor,
        Unary::Exp,
        Unary::Expm1,
        Unary::Log,
        Unary::Log1p,
        Unary::Sqrt,
        Unary::Rsqrt,
        Unary::Reciprocal,
        Unary::Sin,
        Unary::Cos,
        Unary::Tanh,
        Unary::Sigmoid,
        Unary::Erf,
        Unary::Relu,
    ];

    /// The function itself in f64.
    pub fn apply(self, x: f64) -> f64 {
        match self {
            Unary::Neg => -x,
            Unary::Abs => x.abs(),
            Unary::Sign if x == 0.0 => 0.0,
            Unary::Sign => x.signum(),
            Unary::Floor => x.floor(),
            Unary::Exp => x.exp(),
            Unary::Expm1 => x.exp_m1(),
            Unary::Log => x.ln(),
            Unary::Log1p => x.ln_1p(),
            Unary::Sqrt => x.sqrt(),
            Unary::Rsqrt => x.sqrt().recip(),
            Unary::Reciprocal => x.recip(),
            Unary::Sin => x.sin(),
            Unary::Cos => x.cos(),
            Unary::Tanh => x.tanh(),
            Unary::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Unary::Erf => erf(x),
            // Comparison rather than `max`, so that NaN stays NaN.
            Unary::Relu if x <= 0.0 => 0.0,
            Unary::Relu => x,
        }
    }
}

/// The error function by its Maclaurin series, and by the continued fraction of erfc for large
/// arguments (Abramowitz and Stegun, 7.1.5 and 7.1.14).
fn erf(x: f64) -> f64 {
    let a = x.abs();
    if a < 3.0 {
        let (mut term, mut sum, mut n) = (a, a, 0.0);
        while term.abs() > 1e-17 * sum.abs() {
            n += 1.0;
            term *= -a * a / n;
            sum += term / (2.0 * n + 1.0);
        }
        return x.signum() * sum * 2.0 / std::f64::consts::PI.sqrt();
    }
    let mut fraction = a;
    for k in (1..60).rev() {
        fraction = a + f64::from(k) / 2.0 / fraction;
    }
    let erfc = (-a * a).exp() / fraction / std::f64::consts::PI.sqrt();
    x.signum() * (1.0 - erfc)
}

impl OpRule for Unary {
    fn name(&self) -> &'static str {
        match self {
            Unary::Neg => "neg",
            Unary::Abs => "abs",
            Unary::Sign => "sign",
            Unary::Floor => "floor",
            Unary::Exp => "exp",
            Unary::Expm1 => "expm1",
            Unary::Log => "log",
            Unary::Log1p => "log1p",
            Unary::Sqrt => "sqrt",
            Unary::Rsqrt => "rsqrt",
            Unary::Reciprocal => "reciprocal",
            Unary::Sin => "sin",
            Unary::Cos => "cos",
            Unary::Tanh => "tanh",
            Unary::Sigmoid => "sigmoid",
            Unary::Erf => "erf",
            Unary::Relu => "relu",
        }
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, GraphError> {
        expect_inputs(self.name(), inputs, 1)?;
        expect_dtype(self.name(), &inputs[0], DType::F32)?;
        Ok(inputs[0].clone())
    }

    fn gradient(
        &self,
        g: &mut Graph,
        site: &Site<'_>,
        grad: Value,
    ) -> Result<Gradients, GraphError> {
        let (x, y) = (site.inputs[0], site.output);
        let dx = match self {
            Unary::Neg => g.neg(grad)?,
            Unary::Sign | Unary::Floor => return Ok(vec![None]),
            Unary::Relu => {
                // From the output, so that the operand need not be kept.
                // NaN is not 0 or less: the gradient goes through, as in PyTorch.
                let zero = g.constant(0.0)?;
                let flat = g.le(y, zero)?;
                let zeros = g.broadcast_like(zero, y)?;
                g.select(flat, zeros, grad)?
            }
            _ => {
                let slope = self.slope(g, x, y)?;
                g.mul(grad, slope)?
            }
        };
        Ok(vec![Some(dx)])
    }

    fn evaluate(&self, _: &Context, inputs: &[&Array], out: &Type) -> Array {
        let data = inputs[0].data.iter().map(|&x| self.apply(x)).collect();
        Array { shape: out.shape.clone(), data }
    }
}

impl Unary {
    /// `dy/dx` in terms of the operand and the result.
    fn slope(self, g: &mut Graph, x: Value, y: Value) -> Result<Value, GraphError> {
        let one = g.constant(1.0)?;
        match self {
            Unary::Abs => g.sign(x),
            Unary::Exp => Ok(y),
            // Not `y + 1`, whose digits are gone where y is near -1.
            Unary::Expm1 => g.exp(x),
            Unary::Log => g.reciprocal(x),
            Unary::Log1p => {
                let sum = g.add(x, one)?;
                g.reciprocal(sum)
            }
            Unary::Sqrt => {
                let half = g.constant(0.5)?;
                g.div(half, y)
            }
            Unary::Rsqrt => {
                let ratio = g.div(y, x)?;
                let half = g.constant(-0.5)?;
                g.mul(ratio, half)
            }
            Unary::Reciprocal => {
                let square = g.mul(y, y)?;
                g.neg(square)
            }
            Unary::Sin => g.cos(x),
            Unary::Cos => {
                let sin = g.sin(x)?;
                g.neg(sin)
            }
            Unary::Tanh => {
                let square = g.mul(y, y)?;
                g.sub(one, square)
            }
            Unary::Sigmoid => {
                let rest = g.sub(one, y)?;
                g.mul(y, rest)
            }
            Unary::Erf => {
                let square = g.mul(x, x)?;
                let negative = g.neg(square)?;
                let bell = g.exp(negative)?;
                let factor = g.constant(std::f32::consts::FRAC_2_SQRT_PI)?;
                g.mul(bell, factor)
            }
            // Handled by the gradient rule itself.
            Unary::Neg | Unary::Sign | Unary::Floor | Unary::Relu => Ok(one),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn erf_matches_published_values() {
        // Abramowitz and Stegun, table 7.1.
        for (x, want) in [(0.0, 0.0), (0.5, 0.5204998778), (1.0, 0.8427007929), (2.0, 0.9953222650)]
        {
            assert!((erf(x) - want).abs() < 1e-10, "erf({x})");
            assert!((erf(-x) + want).abs() < 1e-10, "erf(-{x})");
        }
        assert!((erf(3.5) - 0.999_999_256_9).abs() < 1e-9);
        assert!((erf(3.0 - 1e-9) - erf(3.0)).abs() < 1e-12, "the two branches meet");
    }

    #[test]
    fn relu_keeps_nan() {
        assert!(Unary::Relu.apply(f64::NAN).is_nan());
        assert_eq!(Unary::Relu.apply(-1.0), 0.0);
    }

    #[test]
    fn integers_are_refused() {
        let ty = Type { shape: onestep_memory::Shape::scalar(), dtype: DType::I32 };
        let error = Unary::Exp.infer(&[ty]).unwrap_err().to_string();
        assert!(error.contains("exp") && error.contains("f32") && error.contains("i32"), "{error}");
    }
}
