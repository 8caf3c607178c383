//! The instructions of a fused program as statements.

use onestep_engine::DType;
use onestep_engine::ops::{Binary, Compare, ReduceKind, Unary};
use onestep_engine::plan::{Fused, Instruction, Register};

use super::space::Space;
use crate::argument::Access;
use crate::places::{Arguments, Pointer, literal, stored};

/// A program with pointers for its places.
pub(super) struct Code<'a> {
    fused: &'a Fused,
    space: &'a Space,
    /// The pointer of each load.
    loads: Vec<Option<Pointer>>,
    /// The key of the random numbers.
    key: Option<String>,
    /// The registers that are needed.
    live: Vec<bool>,
}

impl<'a> Code<'a> {
    /// The part of the program that some registers need.
    pub(super) fn new(
        fused: &'a Fused,
        space: &'a Space,
        roots: impl Iterator<Item = Register>,
        arguments: &mut Arguments,
    ) -> Self {
        let mut live = vec![false; fused.code.len()];
        roots.for_each(|root| live[root] = true);
        for (at, instruction) in fused.code.iter().enumerate().rev() {
            if live[at] {
                instruction.operands().for_each(|operand| live[operand] = true);
            }
        }
        let (mut loads, mut key) = (vec![None; fused.code.len()], None);
        for (at, instruction) in fused.code.iter().enumerate().filter(|(at, _)| live[*at]) {
            match instruction {
                Instruction::Load(place) => {
                    loads[at] = Some(arguments.place(place, Access::Read));
                }
                Instruction::Random { .. } if key.is_none() => key = Some(arguments.random_key()),
                _ => {}
            }
        }
        Code { fused, space, loads, key, live }
    }

    /// The statements that set register `N` as `rN`, at the multi-index `x0, x1, …` and the row-major position
    /// `i`.
    pub(super) fn statements(&self, indent: &str) -> String {
        let mut text = String::new();
        for (at, instruction) in self.fused.code.iter().enumerate().filter(|(at, _)| self.live[*at])
        {
            let value = self.value(at, instruction);
            text += &format!("{indent}const float r{at} = {value};\n");
        }
        text
    }

    fn value(&self, at: Register, instruction: &Instruction) -> String {
        match instruction {
            Instruction::Load(_) => match (&self.loads[at], &self.space.loads[at]) {
                (Some(pointer), Some(strides)) => pointer.load(&index(strides)),
                _ => "0.0f".into(),
            },
            Instruction::Splat(x) => literal(*x),
            Instruction::Random { stream } => {
                let key = self.key.as_deref().unwrap_or("0");
                format!("random_uniform({key}, {stream}u, i >> 2, i & 3u)")
            }
            Instruction::Unary(op, a) => unary(*op, &format!("r{a}")),
            Instruction::Binary(Binary::Pow, a, b) => self.power(*a, *b),
            Instruction::Binary(op, a, b) => binary(*op, &format!("r{a}"), &format!("r{b}")),
            Instruction::Compare(op, a, b) => {
                format!("r{a} {} r{b} ? 1.0f : 0.0f", comparison(*op))
            }
            Instruction::Select(c, a, b) => format!("r{c} != 0.0f ? r{a} : r{b}"),
            Instruction::Round(dtype, a) => rounded(*dtype, &format!("r{a}")),
        }
    }

    /// Powers with the usual constant exponents are cheap, and are products to the last bit.
    fn power(&self, a: Register, b: Register) -> String {
        match self.fused.code[b] {
            Instruction::Splat(1.0) => format!("r{a}"),
            Instruction::Splat(2.0) => format!("r{a} * r{a}"),
            Instruction::Splat(-1.0) => format!("1.0f / r{a}"),
            _ => format!("power(r{a}, r{b})"),
        }
    }
}

/// The position of the element at `x0, x1, …`.
pub(crate) fn index(strides: &[usize]) -> String {
    let terms = strides.iter().enumerate().filter(|(_, stride)| **stride != 0);
    let terms: Vec<String> = terms
        .map(|(axis, stride)| match stride {
            1 => format!("x{axis}"),
            _ => format!("x{axis} * {stride}u"),
        })
        .collect();
    if terms.is_empty() { "0u".into() } else { terms.join(" + ") }
}

fn unary(op: Unary, x: &str) -> String {
    match op {
        Unary::Neg => format!("-{x}"),
        Unary::Abs => format!("float_of(bits_of({x}) & 0x7fffffffu)"),
        Unary::Sign => format!("sign_of({x})"),
        Unary::Floor => format!("FLOOR({x})"),
        Unary::Exp => format!("EXP({x})"),
        Unary::Expm1 => format!("exp_minus_1({x})"),
        Unary::Log => format!("LOG({x})"),
        Unary::Log1p => format!("log_1_plus({x})"),
        Unary::Sqrt => format!("SQRT({x})"),
        Unary::Rsqrt => format!("1.0f / SQRT({x})"),
        Unary::Reciprocal => format!("1.0f / {x}"),
        Unary::Sin => format!("SIN({x})"),
        Unary::Cos => format!("COS({x})"),
        Unary::Tanh => format!("TANH({x})"),
        Unary::Sigmoid => format!("sigmoid({x})"),
        Unary::Erf => format!("error_function({x})"),
        Unary::Relu => format!("relu({x})"),
    }
}

fn binary(op: Binary, a: &str, b: &str) -> String {
    match op {
        Binary::Add => format!("{a} + {b}"),
        Binary::Sub => format!("{a} - {b}"),
        Binary::Mul => format!("{a} * {b}"),
        Binary::Div => format!("{a} / {b}"),
        Binary::Max => format!("maximum({a}, {b})"),
        Binary::Min => format!("minimum({a}, {b})"),
        Binary::Pow => format!("power({a}, {b})"),
    }
}

fn comparison(op: Compare) -> &'static str {
    match op {
        Compare::Eq => "==",
        Compare::Ne => "!=",
        Compare::Lt => "<",
        Compare::Le => "<=",
        Compare::Gt => ">",
        Compare::Ge => ">=",
    }
}

/// The value as it would be after a store and a load.
fn rounded(dtype: DType, x: &str) -> String {
    let stored = stored(dtype, x);
    match dtype {
        DType::F32 => stored,
        DType::F16 => format!("from_half({stored})"),
        DType::BF16 => format!("from_bfloat({stored})"),
        DType::I32 | DType::U8 => format!("(float){stored}"),
    }
}

/// What a reduction begins with.
pub(super) fn identity(kind: ReduceKind) -> &'static str {
    match kind {
        ReduceKind::Sum | ReduceKind::Mean => "0.0f",
        ReduceKind::Max => "-infinity()",
        ReduceKind::Min => "infinity()",
    }
}

/// Two parts of a reduction as one. NaN wins.
pub(crate) fn combined(kind: ReduceKind, a: &str, b: &str) -> String {
    match kind {
        ReduceKind::Sum | ReduceKind::Mean => format!("{a} + {b}"),
        ReduceKind::Max => format!("maximum({a}, {b})"),
        ReduceKind::Min => format!("minimum({a}, {b})"),
    }
}
