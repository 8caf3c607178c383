//! A rule's options that may change while training.

use onestep_engine::{Graph, GraphError, Value};

/// The options that a schedule may change, by their names in a specification: those of the rule and,
/// for all rules, `weight_decay`. Each is the name of its scalar leaf too. The learning rate has a schedule
/// of its own. None have choices and counts (`nesterov`, `ns_steps`), what says how state begins (`d0`,
/// `initial_accumulator_value`), the powers and bounds by which a rule makes a rate of its own by the step
/// (`beta2_decay`, `r`, `weight_lr_power`, `growth_rate`), and pairs (Adafactor's `eps`).
pub const HYPERPARAMETERS: [&str; 11] = [
    "weight_decay",
    "momentum",
    "beta1",
    "beta2",
    "alpha",
    "eps",
    "dampening",
    "trust_coefficient",
    "lr_decay",
    "d",
    "d_coef",
];

/// An option of a rule: a number that is part of the compiled step, or a scalar that is fed at each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Hyper {
    /// Part of the step.
    Fixed(f64),
    /// Fed, an f32 scalar.
    Fed(Value),
}

impl Hyper {
    /// Whether it is 0 at every step.
    pub fn is_zero(self) -> bool {
        matches!(self, Hyper::Fixed(number) if number == 0.0)
    }

    /// `self * x`
    ///
    /// # Errors
    /// `x` is not f32.
    pub fn times(self, g: &mut Graph, x: Value) -> Result<Value, GraphError> {
        match self {
            Hyper::Fixed(number) => g.scale(x, number as f32),
            Hyper::Fed(scalar) => g.mul(x, scalar),
        }
    }

    /// The number itself, a scalar.
    ///
    /// # Errors
    /// None in practice; the signature is that of the graph's methods.
    pub fn value(self, g: &mut Graph) -> Result<Value, GraphError> {
        match self {
            Hyper::Fixed(number) => g.constant(number as f32),
            Hyper::Fed(scalar) => Ok(scalar),
        }
    }

    /// `x + self`
    ///
    /// # Errors
    /// `x` is not f32.
    pub fn added(self, g: &mut Graph, x: Value) -> Result<Value, GraphError> {
        match self {
            Hyper::Fixed(number) => g.offset(x, number as f32),
            Hyper::Fed(scalar) => g.add(x, scalar),
        }
    }

    /// `x / self`
    ///
    /// # Errors
    /// `x` is not f32.
    pub fn divided(self, g: &mut Graph, x: Value) -> Result<Value, GraphError> {
        match self {
            Hyper::Fixed(number) => g.scale(x, (1.0 / number) as f32),
            Hyper::Fed(scalar) => g.div(x, scalar),
        }
    }

    /// `1 - self`. Of a fixed number it is taken in f64: in f32 `1 - 0.999` would be off by 1e-5 of
    /// itself.
    ///
    /// # Errors
    /// None in practice; the signature is that of the graph's methods.
    pub fn rest(self, g: &mut Graph) -> Result<Hyper, GraphError> {
        Ok(match self {
            Hyper::Fixed(number) => Hyper::Fixed(1.0 - number),
            Hyper::Fed(scalar) => {
                let one = g.constant(1.0)?;
                Hyper::Fed(g.sub(one, scalar)?)
            }
        })
    }

    /// `self * average + (1 - self) * value`
    ///
    /// # Errors
    /// The operands are not f32 of one shape.
    pub fn average(self, g: &mut Graph, average: Value, value: Value) -> Result<Value, GraphError> {
        let old = self.times(g, average)?;
        let rest = self.rest(g)?;
        let fresh = rest.times(g, value)?;
        g.add(old, fresh)
    }

    /// `1 - self^step` as `-expm1(step * ln self)`, a scalar, so that f32 does not lose its leading
    /// digits at small steps.
    ///
    /// # Errors
    /// None in practice; the signature is that of the graph's methods.
    pub fn bias_correction(self, g: &mut Graph, step: Value) -> Result<Value, GraphError> {
        if self.is_zero() {
            return g.constant(1.0);
        }
        let exponent = match self {
            Hyper::Fixed(number) => g.scale(step, number.ln() as f32)?,
            Hyper::Fed(scalar) => {
                let log = g.log(scalar)?;
                g.mul(step, log)?
            }
        };
        let grown = g.expm1(exponent)?;
        g.neg(grown)
    }
}
