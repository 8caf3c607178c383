//! Formulas that a user writes in a specification, such as `x * tanh(softplus(x))`, as graph ops: so they
//! are differentiated and fused like all else.
//!
//! ```text
//! comparison = sum [("<" | "<=" | ">" | ">=" | "==" | "!=") sum]
//! sum        = product {("+" | "-") product}
//! product    = signed {("*" | "/") signed}
//! signed     = "-" signed | power
//! power      = atom ["^" signed]
//! atom       = number | name | name "(" comparison {"," comparison} ")" | "(" comparison ")"
//! ```

use std::fmt;

use onestep_engine::{Graph, GraphError, Value};

use crate::layer::{log_sigmoid, softplus};

/// The longest formula, and how deep one may be nested: a file must not exhaust the stack.
const MAX_LENGTH: usize = 4096;
const MAX_DEPTH: usize = 64;

/// Which character of a formula, from 1, could not be understood, and what was wanted there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Misread {
    pub(crate) at: usize,
    pub(crate) wanted: String,
}

impl fmt::Display for Misread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at character {}", self.wanted, self.at)
    }
}

/// A formula that was understood.
#[derive(Clone, Debug)]
pub(crate) enum Formula {
    Number(f32),
    /// One of the variables, by its place in their list.
    Variable(usize),
    One(UnaryOp, Box<Formula>),
    Two(BinaryOp, Box<[Formula; 2]>),
    /// A condition, what it is where that holds, and where not.
    Where(Box<[Formula; 3]>),
}

type UnaryOp = fn(&mut Graph, Value) -> Result<Value, GraphError>;
type BinaryOp = fn(&mut Graph, Value, Value) -> Result<Value, GraphError>;

/// The functions of one operand by name.
const UNARY: &[(&str, UnaryOp)] = &[
    ("abs", Graph::abs),
    ("sign", Graph::sign),
    ("floor", Graph::floor),
    ("exp", Graph::exp),
    ("expm1", Graph::expm1),
    ("log", Graph::log),
    ("log1p", Graph::log1p),
    ("sqrt", Graph::sqrt),
    ("sin", Graph::sin),
    ("cos", Graph::cos),
    ("tanh", Graph::tanh),
    ("sigmoid", Graph::sigmoid),
    ("erf", Graph::erf),
    ("relu", Graph::relu),
    ("softplus", softplus),
    ("log_sigmoid", log_sigmoid),
];

/// The functions of two operands by name.
const BINARY: &[(&str, BinaryOp)] = &[("min", Graph::min), ("max", Graph::max)];

/// The function of three.
const WHERE: &str = "where";

/// The operators by sign, loosest first; of those of one strength the longer signs first.
const COMPARISONS: &[(&str, BinaryOp)] = &[
    ("<=", Graph::le),
    (">=", Graph::ge),
    ("==", Graph::eq),
    ("!=", Graph::ne),
    ("<", Graph::lt),
    (">", Graph::gt),
];
const SUMS: &[(&str, BinaryOp)] = &[("+", Graph::add), ("-", Graph::sub)];
const PRODUCTS: &[(&str, BinaryOp)] = &[("*", Graph::mul), ("/", Graph::div)];

fn find<T: Copy>(list: &[(&str, T)], name: &str) -> Option<T> {
    list.iter().find(|(own, _)| *own == name).map(|(_, op)| *op)
}

impl Formula {
    /// Reads a formula over these variables.
    pub(crate) fn parse(text: &str, variables: &[&str]) -> Result<Formula, Misread> {
        if text.len() > MAX_LENGTH {
            let wanted = format!("a formula of at most {MAX_LENGTH} characters, not one");
            return Err(Misread { at: MAX_LENGTH + 1, wanted });
        }
        let mut reader = Reader { text, at: 0, depth: 0, variables };
        let formula = reader.comparison()?;
        match reader.peek() {
            None => Ok(formula),
            Some(_) => Err(reader.misread("an operator or the end")),
        }
    }

    /// The formula of these values of its variables.
    pub(crate) fn build(&self, g: &mut Graph, variables: &[Value]) -> Result<Value, GraphError> {
        match self {
            Formula::Number(number) => g.constant(*number),
            Formula::Variable(place) => Ok(variables[*place]),
            Formula::One(op, operand) => {
                let x = operand.build(g, variables)?;
                op(g, x)
            }
            Formula::Two(op, operands) => {
                let a = operands[0].build(g, variables)?;
                let b = operands[1].build(g, variables)?;
                op(g, a, b)
            }
            Formula::Where(operands) => {
                let condition = operands[0].build(g, variables)?;
                let a = operands[1].build(g, variables)?;
                let b = operands[2].build(g, variables)?;
                g.select(condition, a, b)
            }
        }
    }

    /// Operations for one element.
    pub(crate) fn flops(&self) -> u64 {
        match self {
            Formula::Number(_) | Formula::Variable(_) => 0,
            Formula::One(_, operand) => 1 + operand.flops(),
            Formula::Two(_, operands) => 1 + operands.iter().map(Formula::flops).sum::<u64>(),
            Formula::Where(operands) => 1 + operands.iter().map(Formula::flops).sum::<u64>(),
        }
    }
}

/// `a^b`; a square as a product, which is cheap and has its gradient everywhere.
fn power(base: Formula, exponent: Formula) -> Formula {
    match exponent {
        Formula::Number(2.0) => Formula::One(Graph::square, Box::new(base)),
        exponent => Formula::Two(Graph::pow, Box::new([base, exponent])),
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    variables: &'a [&'a str],
}

type Read = Result<Formula, Misread>;

impl Reader<'_> {
    /// The next character that is no space.
    fn peek(&mut self) -> Option<char> {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
        self.text[self.at..].chars().next()
    }

    fn misread(&self, wanted: impl Into<String>) -> Misread {
        Misread { at: self.text[..self.at].chars().count() + 1, wanted: wanted.into() }
    }

    /// Takes a sign if it comes next.
    fn takes(&mut self, sign: &str) -> bool {
        let comes = self.peek().is_some() && self.text[self.at..].starts_with(sign);
        if comes {
            self.at += sign.len();
        }
        comes
    }

    /// Takes one of the operators if it comes next.
    fn operator(&mut self, list: &[(&str, BinaryOp)]) -> Option<BinaryOp> {
        list.iter().find(|(sign, _)| self.takes(sign)).map(|(_, op)| *op)
    }

    fn expect(&mut self, sign: &str) -> Result<(), Misread> {
        if self.takes(sign) { Ok(()) } else { Err(self.misread(format!("`{sign}`"))) }
    }

    /// One level deeper.
    fn nested(&mut self, read: impl FnOnce(&mut Self) -> Read) -> Read {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.misread(format!("at most {MAX_DEPTH} levels, not one more")));
        }
        let formula = read(self)?;
        self.depth -= 1;
        Ok(formula)
    }

    fn comparison(&mut self) -> Read {
        let left = self.sum()?;
        let Some(op) = self.operator(COMPARISONS) else { return Ok(left) };
        let right = self.sum()?;
        Ok(Formula::Two(op, Box::new([left, right])))
    }

    fn sum(&mut self) -> Read {
        let mut left = self.product()?;
        while let Some(op) = self.operator(SUMS) {
            left = Formula::Two(op, Box::new([left, self.product()?]));
        }
        Ok(left)
    }

    fn product(&mut self) -> Read {
        let mut left = self.signed()?;
        while let Some(op) = self.operator(PRODUCTS) {
            left = Formula::Two(op, Box::new([left, self.signed()?]));
        }
        Ok(left)
    }

    fn signed(&mut self) -> Read {
        if !self.takes("-") {
            return self.power();
        }
        match self.nested(Self::signed)? {
            Formula::Number(number) => Ok(Formula::Number(-number)),
            operand => Ok(Formula::One(Graph::neg, Box::new(operand))),
        }
    }

    fn power(&mut self) -> Read {
        let base = self.atom()?;
        if !self.takes("^") {
            return Ok(base);
        }
        let exponent = self.nested(Self::signed)?;
        Ok(power(base, exponent))
    }

    fn atom(&mut self) -> Read {
        match self.peek() {
            Some('(') => {
                self.at += 1;
                let inner = self.nested(Self::comparison)?;
                self.expect(")")?;
                Ok(inner)
            }
            Some(c) if c.is_ascii_digit() || c == '.' => self.number(),
            Some(c) if c.is_alphabetic() || c == '_' => self.name(),
            _ => Err(self.misread("a number, a name or `(`")),
        }
    }

    fn number(&mut self) -> Read {
        let rest = &self.text.as_bytes()[self.at..];
        let belongs = |(i, byte): &(usize, &u8)| match byte {
            b'0'..=b'9' | b'.' | b'e' | b'E' => true,
            b'+' | b'-' => *i > 0 && matches!(rest[i - 1], b'e' | b'E'),
            _ => false,
        };
        let length = rest.iter().enumerate().take_while(belongs).count();
        match self.text[self.at..self.at + length].parse::<f32>() {
            Ok(number) if number.is_finite() => {
                self.at += length;
                Ok(Formula::Number(number))
            }
            _ => Err(self.misread("a finite number")),
        }
    }

    fn name(&mut self) -> Read {
        let start = self.at;
        let rest = &self.text[start..];
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let name = &rest[..end];
        self.at += end;
        if !self.takes("(") {
            let known = self.variables.iter().position(|variable| *variable == name);
            self.at = if known.is_some() { start + end } else { start };
            let names = self.variables.join(", ");
            return known
                .map(Formula::Variable)
                .ok_or_else(|| self.misread(format!("a variable ({names})")));
        }
        let mut operands = vec![self.nested(Self::comparison)?];
        while self.takes(",") {
            operands.push(self.nested(Self::comparison)?);
        }
        self.expect(")")?;
        let after = std::mem::replace(&mut self.at, start);
        let formula = self.call(name, operands)?;
        self.at = after;
        Ok(formula)
    }

    /// A function of its operands.
    fn call(&self, name: &str, operands: Vec<Formula>) -> Read {
        let wrong = |wanted: usize| self.misread(format!("{wanted} operand(s) of `{name}`"));
        if let Some(op) = find(UNARY, name) {
            let [x] = <[Formula; 1]>::try_from(operands).map_err(|_| wrong(1))?;
            return Ok(Formula::One(op, Box::new(x)));
        }
        if let Some(op) = find(BINARY, name) {
            let both = <[Formula; 2]>::try_from(operands).map_err(|_| wrong(2))?;
            return Ok(Formula::Two(op, Box::new(both)));
        }
        if name == WHERE {
            let three = <[Formula; 3]>::try_from(operands).map_err(|_| wrong(3))?;
            return Ok(Formula::Where(Box::new(three)));
        }
        let names = UNARY.iter().map(|(name, _)| *name).chain(BINARY.iter().map(|(name, _)| *name));
        let names: Vec<&str> = names.chain([WHERE]).collect();
        Err(self.misread(format!("a function ({})", names.join(", "))))
    }
}

#[cfg(test)]
mod tests {
    use onestep_engine::reference::{Array, Context, evaluate};
    use onestep_engine::{DType, Shape};

    use super::*;

    fn value(text: &str, x: f64) -> f64 {
        let mut g = Graph::new();
        let input = g.input("x", &[1], DType::F32).unwrap();
        let formula = Formula::parse(text, &["x"]).unwrap_or_else(|e| panic!("{text}: {e}"));
        let y = formula.build(&mut g, &[input]).unwrap();
        let y = g.sum_all(y).unwrap();
        let leaves = [("x".to_owned(), Array::new(Shape::from([1]), vec![x]).unwrap())].into();
        evaluate(&g, &leaves, &Context::default(), &[y]).unwrap()[0].data[0]
    }

    #[test]
    fn operators_bind_as_everywhere() {
        for (text, wanted) in [
            ("1 + 2 * 3 + 0 * x", 7.0),
            ("(1 + 2) * 3 + 0*x", 9.0),
            ("x - 1 - 2", -1.0),
            ("x / 4 / 2", 0.25),
            ("-x ^ 2", -4.0),
            ("2 ^ 3 ^ x", 512.0),
            ("x ^ -1", 0.5),
            ("--x", 2.0),
            ("2e-1 * x + .5", 0.9),
            ("x > 1", 1.0),
            ("where(x <= 1, 10, x * 3)", 6.0),
            ("max(min(x, 1.5), -1)", 1.5),
            ("log(exp(x)) + sigmoid(0*x)", 2.5),
            ("x-1", 1.0),
        ] {
            let got = value(text, 2.0);
            assert!((got - wanted).abs() < 1e-6, "{text}: {got}, wanted {wanted}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_placed() {
        for (text, at, wanted) in [
            ("", 1, "a number"),
            ("x +", 4, "a number"),
            ("x y", 3, "an operator or the end"),
            ("(x", 3, "`)`"),
            ("x * z", 5, "a variable (x)"),
            ("tan(x)", 1, "a function (abs, sign"),
            ("1 + min(x)", 5, "2 operand(s) of `min`"),
            ("1.2.3", 1, "a finite number"),
            ("1e99 * x", 1, "a finite number"),
            ("µ + x", 1, "a variable"),
            ("µ", 1, "a variable"),
            ("x + µ(x", 8, "`)`"),
            ("x < 1 < 2", 7, "an operator or the end"),
        ] {
            let misread = Formula::parse(text, &["x"]).unwrap_err();
            assert!(misread.at == at && misread.wanted.contains(wanted), "{text}: {misread:?}");
        }
    }

    #[test]
    fn the_stack_is_not_exhausted() {
        for text in ["(".repeat(4000), "-".repeat(4000), "x^".repeat(2000), "abs(".repeat(1000)] {
            let misread = Formula::parse(&text, &["x"]).unwrap_err();
            assert!(misread.wanted.contains("levels"), "{misread:?}");
        }
        let long = "x".repeat(5000);
        assert!(Formula::parse(&long, &["x"]).unwrap_err().wanted.contains("4096 characters"));
        // Long without being deep, but for the tree that it makes.
        let sum = vec!["x"; 2000].join("+");
        let formula = Formula::parse(&sum, &["x"]).unwrap();
        assert_eq!(formula.flops(), 1999);
    }
}
