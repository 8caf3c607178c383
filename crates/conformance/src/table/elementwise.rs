//! Elementwise ops, comparisons, casts and random numbers.

use onestep_engine::{DType, Graph, GraphError, Value};

use super::op::{EDGES, INFINITE, NO_GRADIENT, TIES, op};
use crate::case::Case;
use crate::tolerance::Tolerance;

const EXACT: Tolerance = Tolerance::EXACT;
const ROUNDED: Tolerance = Tolerance::ROUNDED;
const FUNCTION: Tolerance = Tolerance::FUNCTION;
const CANCELLING: Tolerance = Tolerance::CANCELLING;
const SUMS: Tolerance = Tolerance::SUMS;

type Unary = fn(&mut Graph, Value) -> Result<Value, GraphError>;
type Binary = fn(&mut Graph, Value, Value) -> Result<Value, GraphError>;

/// On random numbers, and on edges.
fn unary(name: &str, tolerance: Tolerance, f: Unary) -> [Case; 2] {
    [
        op(name, tolerance, move |g, x| f(g, x[0])),
        op(&format!("{name}_edges"), tolerance, move |g, x| f(g, x[0])).without(EDGES),
    ]
}

/// On operands of one shape, and with the three kinds of broadcasting, whose gradients are sums.
fn binary(name: &str, tolerance: Tolerance, f: Binary) -> [Case; 4] {
    let case = |suffix: &str, tolerance| {
        op(&format!("{name}{suffix}"), tolerance, move |g, x| f(g, x[0], x[1]))
    };
    [case("", tolerance), case("_broadcast", SUMS), case("_row", SUMS), case("_scalar", SUMS)]
}

fn compare(name: &str, f: Binary) -> Case {
    Case::value_only(name, EXACT, NO_GRADIENT, move |g, x, _| f(g, x[0], x[1]))
}

/// To another dtype and back.
fn cast(name: &str, through: DType) -> Case {
    Case::value_only(name, EXACT, NO_GRADIENT, move |g, x, _| {
        let low = g.cast(x[0], through)?;
        g.cast(low, DType::F32)
    })
}

pub(super) fn cases() -> Vec<Case> {
    let pairs = [
        unary("neg", EXACT, Graph::neg),
        unary("abs", EXACT, Graph::abs),
        unary("sign", EXACT, Graph::sign),
        unary("floor", EXACT, Graph::floor),
        unary("relu", EXACT, Graph::relu),
        unary("exp", FUNCTION, Graph::exp),
        // The golden is PyTorch's `grad * (y + 1)`, which cancels where y is near -1.
        unary("expm1", FUNCTION, Graph::expm1).map(|c| c.gradients_within(CANCELLING)),
        unary("log", FUNCTION, Graph::log),
        unary("log1p", FUNCTION, Graph::log1p),
        unary("sqrt", ROUNDED, Graph::sqrt),
        unary("rsqrt", FUNCTION, Graph::rsqrt),
        unary("reciprocal", ROUNDED, Graph::reciprocal),
        unary("sin", CANCELLING, Graph::sin),
        unary("cos", CANCELLING, Graph::cos),
        unary("tanh", CANCELLING, Graph::tanh),
        unary("sigmoid", CANCELLING, Graph::sigmoid),
        unary("erf", CANCELLING, Graph::erf),
    ];
    let fours = [
        binary("add", ROUNDED, Graph::add),
        binary("sub", ROUNDED, Graph::sub),
        binary("mul", ROUNDED, Graph::mul),
        binary("div", ROUNDED, Graph::div),
        binary("max", EXACT, Graph::max),
        binary("min", EXACT, Graph::min),
        binary("pow", FUNCTION, Graph::pow),
    ];
    let others = [
        op("max_ties", EXACT, |g, x| g.max(x[0], x[1])).without(TIES),
        op("min_ties", EXACT, |g, x| g.min(x[0], x[1])).without(TIES),
        op("max_infinite", EXACT, |g, x| g.max(x[0], x[1])).without(INFINITE),
        op("min_infinite", EXACT, |g, x| g.min(x[0], x[1])).without(INFINITE),
        op("div_negative", ROUNDED, |g, x| g.div(x[0], x[1])),
        op("pow_edges", FUNCTION, |g, x| g.pow(x[0], x[1])).without(EDGES),
        op("pow_zero", FUNCTION, |g, x| g.pow(x[0], x[1])).without(INFINITE),
        compare("eq", Graph::eq),
        compare("ne", Graph::ne),
        compare("lt", Graph::lt),
        compare("le", Graph::le),
        compare("gt", Graph::gt),
        compare("ge", Graph::ge),
        op("constant_scalar", ROUNDED, |g, x| g.scale(x[0], 1.75)),
        op("constant_tensor", ROUNDED, |g, x| {
            let c = g.constant_tensor(&[2, 3], &[1.5, -2.0, 0.25, 0.0, 3.0, -1.0])?;
            g.mul(x[0], c)
        }),
        op("constant_indices", SUMS, |g, x| {
            let rows = g.constant_indices(&[3], &[1, 0, 1])?;
            g.gather(x[0], rows)
        }),
        op("select", EXACT, |g, x| g.select(x[0], x[1], x[2])),
        Case::value_only("cast_i32", EXACT, NO_GRADIENT, |g, x, _| g.cast(x[0], DType::I32)),
        Case::value_only("cast_f32", EXACT, NO_GRADIENT, |g, x, _| g.cast(x[0], DType::F32)),
        cast("cast_f16", DType::F16),
        cast("cast_bf16", DType::BF16),
        random("random_uniform_0"),
        random("random_uniform_1"),
    ];
    pairs.into_iter().flatten().chain(fours.into_iter().flatten()).chain(others).collect()
}

/// The stream that the golden names, after the streams before it.
fn random(name: &str) -> Case {
    let mut case = Case::value_only(name, EXACT, NO_GRADIENT, |g, _, _| g.constant(0.0));
    case.build = Box::new(|golden| {
        let mut g = Graph::new();
        let dims = golden.array("output")?.shape.clone();
        for _ in 0..golden.field::<u32>("stream")? {
            g.random_uniform(&[2])?;
        }
        let output = g.random_uniform(dims.dims())?;
        let mut setup = super::op::finish(golden, g, output, None)?;
        setup.run.seed = golden.field("seed")?;
        setup.run.first_step = golden.field("step")?;
        Ok(setup)
    });
    case
}
