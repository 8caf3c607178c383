//! How a line about an op becomes a case.

use onestep_engine::{DType, Graph, GraphError, Named, Shape, Value};

use crate::case::{Case, Expect, Setup, gradient_program, one_step, operand, weighted_sum};
use crate::error::ConformanceError;
use crate::golden::{Family, Golden};
use crate::report::Mode;
use crate::tolerance::Tolerance;

/// At kinks and in the tails a difference quotient is no derivative.
pub(super) const EDGES: &[(Mode, &str)] = &[(
    Mode::Gradient,
    "at kinks and in the tails a difference quotient is no derivative; PyTorch's gradient decides",
)];

/// Beside what is infinite there is no difference quotient.
pub(super) const INFINITE: &[(Mode, &str)] = &[(
    Mode::Gradient,
    "beside infinite numbers there are no difference quotients; PyTorch's gradient decides",
)];

/// Ties have no two-sided derivative.
pub(super) const TIES: &[(Mode, &str)] =
    &[(Mode::Gradient, "a tie has no two-sided derivative; PyTorch's gradient decides")];

/// The result cannot be differentiated.
pub(super) const NO_GRADIENT: &[(Mode, &str)] =
    &[(Mode::Gradient, "the op has no gradient: it gives masks, indices or random numbers")];

/// The engine refuses second derivatives of the op.
pub(super) const FIRST_ORDER: &[(Mode, &str)] =
    &[(Mode::Gradient, "itself a gradient whose own derivative the engine refuses with an error")];

/// An op of its operands.
pub(super) fn op(
    name: &str,
    tolerance: Tolerance,
    f: impl Fn(&mut Graph, &[Value]) -> Result<Value, GraphError> + Send + Sync + 'static,
) -> Case {
    shaped(name, tolerance, move |g, x, _| f(g, x))
}

/// An op of its operands and of the shape of its result.
pub(super) fn shaped(
    name: &str,
    tolerance: Tolerance,
    f: impl Fn(&mut Graph, &[Value], &Shape) -> Result<Value, GraphError> + Send + Sync + 'static,
) -> Case {
    Case {
        family: Family::Ops,
        name: name.to_owned(),
        build: Box::new(move |golden| setup(golden, &f)),
        tolerance,
        gradient_tolerance: None,
        exclusions: &[],
    }
}

impl Case {
    /// The case without gradients: of the result alone.
    pub(super) fn value_only(
        name: &str,
        tolerance: Tolerance,
        exclusions: &'static [(Mode, &'static str)],
        f: impl Fn(&mut Graph, &[Value], &Shape) -> Result<Value, GraphError> + Send + Sync + 'static,
    ) -> Case {
        let build = move |golden: &Golden| {
            let (mut g, x) = operands(golden)?;
            let output = f(&mut g, &x, &golden.array("output")?.shape)?;
            finish(golden, g, output, None)
        };
        let build = Box::new(build);
        Case {
            family: Family::Ops,
            name: name.to_owned(),
            build,
            tolerance,
            gradient_tolerance: None,
            exclusions,
        }
    }
}

fn operands(golden: &Golden) -> Result<(Graph, Vec<Value>), ConformanceError> {
    let mut g = Graph::new();
    let count = (0..).take_while(|i| golden.tensors.contains_key(&format!("x{i}"))).count();
    let x =
        (0..count).map(|i| operand(&mut g, golden, &format!("x{i}"))).collect::<Result<_, _>>()?;
    Ok((g, x))
}

fn setup(
    golden: &Golden,
    f: &impl Fn(&mut Graph, &[Value], &Shape) -> Result<Value, GraphError>,
) -> Result<Setup, ConformanceError> {
    let (mut g, x) = operands(golden)?;
    let output = f(&mut g, &x, &golden.array("output")?.shape)?;
    let loss = weighted_sum(&mut g, golden, output)?;
    finish(golden, g, output, Some(loss))
}

pub(super) fn finish(
    golden: &Golden,
    mut g: Graph,
    output: Value,
    loss: Option<Value>,
) -> Result<Setup, ConformanceError> {
    // Outputs are read as f32; the integers of the goldens are exact there.
    let output = g.cast(output, DType::F32)?;
    let program = gradient_program(g, loss, vec![Named::new("output", output)])?;
    let mut expect = vec![Expect::first("output", "output")];
    if loss.is_some() {
        let gradients = golden.with_prefix("grad.").map(|(i, _)| i);
        expect.extend(gradients.map(|i| Expect::first(format!("grad.{i}"), format!("grad.x{i}"))));
    }
    let run = one_step(program, |name| Ok(golden.array(name)?.clone()))?;
    Ok(Setup { run, expect })
}
