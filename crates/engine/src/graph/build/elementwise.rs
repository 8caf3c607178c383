//! Builder methods: elementwise ops, with numpy's broadcasting where operands meet.

use onestep_memory::{DType, Shape};

use crate::graph::{Graph, GraphError, Value};
use crate::ops::{Binary, Cast, Compare, Op, Select, Unary};

macro_rules! unary {
    ($($(#[$doc:meta])* $name:ident => $op:ident;)*) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        /// The operand is not f32.
        pub fn $name(&mut self, x: Value) -> Result<Value, GraphError> {
            self.push(Op::Unary(Unary::$op), &[x])
        }
    )*};
}

macro_rules! binary {
    ($($(#[$doc:meta])* $name:ident => $family:ident :: $op:ident;)*) => {$(
        $(#[$doc])*
        /// The operands are broadcast to one shape.
        ///
        /// # Errors
        /// The shapes do not broadcast, or an operand is not f32.
        pub fn $name(&mut self, a: Value, b: Value) -> Result<Value, GraphError> {
            let [a, b] = self.broadcast_together(stringify!($name), [a, b])?;
            self.push(Op::$family($family::$op), &[a, b])
        }
    )*};
}

/// Elementwise ops.
impl Graph {
    unary! {
        /// `-x`
        neg => Neg;
        /// `|x|`
        abs => Abs;
        /// -1, 0 or 1.
        sign => Sign;
        /// The largest integer not above x.
        floor => Floor;
        /// `e^x`
        exp => Exp;
        /// `e^x - 1`
        expm1 => Expm1;
        /// The natural logarithm.
        log => Log;
        /// `ln(1 + x)`
        log1p => Log1p;
        /// The square root.
        sqrt => Sqrt;
        /// `1 / sqrt(x)`
        rsqrt => Rsqrt;
        /// `1 / x`
        reciprocal => Reciprocal;
        /// The sine.
        sin => Sin;
        /// The cosine.
        cos => Cos;
        /// The hyperbolic tangent.
        tanh => Tanh;
        /// `1 / (1 + e^-x)`
        sigmoid => Sigmoid;
        /// The error function.
        erf => Erf;
        /// `max(x, 0)`
        relu => Relu;
    }

    binary! {
        /// `a + b`.
        add => Binary::Add;
        /// `a - b`.
        sub => Binary::Sub;
        /// `a * b`.
        mul => Binary::Mul;
        /// `a / b`.
        div => Binary::Div;
        /// The larger of two.
        max => Binary::Max;
        /// The smaller of two.
        min => Binary::Min;
        /// `a` to the power `b`.
        pow => Binary::Pow;
        /// 1 where `a == b`, else 0.
        eq => Compare::Eq;
        /// 1 where `a != b`, else 0.
        ne => Compare::Ne;
        /// 1 where `a < b`, else 0.
        lt => Compare::Lt;
        /// 1 where `a <= b`, else 0.
        le => Compare::Le;
        /// 1 where `a > b`, else 0.
        gt => Compare::Gt;
        /// 1 where `a >= b`, else 0.
        ge => Compare::Ge;
    }

    /// `condition != 0 ? a : b`. The operands are broadcast to one shape.
    ///
    /// # Errors
    /// The shapes do not broadcast, or an operand is not f32.
    pub fn select(&mut self, condition: Value, a: Value, b: Value) -> Result<Value, GraphError> {
        let operands = self.broadcast_together("select", [condition, a, b])?;
        self.push(Op::Select(Select), &operands)
    }

    /// `x` as another dtype.
    ///
    /// # Errors
    /// None in practice; the signature is that of its siblings.
    pub fn cast(&mut self, x: Value, to: DType) -> Result<Value, GraphError> {
        if self.type_of(x).dtype == to { Ok(x) } else { self.push(Op::Cast(Cast { to }), &[x]) }
    }

    /// `x` times a number.
    ///
    /// # Errors
    /// The operand is not f32.
    pub fn scale(&mut self, x: Value, factor: f32) -> Result<Value, GraphError> {
        let factor = self.constant(factor)?;
        self.mul(x, factor)
    }

    /// `x` plus a number.
    ///
    /// # Errors
    /// The operand is not f32.
    pub fn offset(&mut self, x: Value, term: f32) -> Result<Value, GraphError> {
        let term = self.constant(term)?;
        self.add(x, term)
    }

    /// `x * x`
    ///
    /// # Errors
    /// The operand is not f32.
    pub fn square(&mut self, x: Value) -> Result<Value, GraphError> {
        self.mul(x, x)
    }

    fn broadcast_together<const N: usize>(
        &mut self,
        op: &'static str,
        operands: [Value; N],
    ) -> Result<[Value; N], GraphError> {
        let mut shape = self.shape(operands[0]).clone();
        for &operand in &operands[1..] {
            let other = self.shape(operand);
            shape = Shape::broadcast(&shape, other).map_err(|_| {
                GraphError::shape(op, format!("an operand that broadcasts with {shape}"), other)
            })?;
        }
        let mut result = operands;
        for operand in &mut result {
            *operand = self.broadcast(*operand, shape.dims())?;
        }
        Ok(result)
    }
}
