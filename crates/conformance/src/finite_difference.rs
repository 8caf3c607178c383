//! The gradient graph against central differences of the forward graph, both in f64.
//!
//! `(f(x + h) - f(x - h)) / 2h` differs from `f'(x)` by `h^2 f'''/6` from truncation and by about
//! `epsilon |f| / h` from rounding. With h = 1e-5 both are near 1e-10 for the sizes in the table;
//! the 1e-6 allowed (of the largest gradient, at least 1) is far above that and far below any
//! wrong rule.

use onestep_engine::reference::{Array, Context, evaluate};

use crate::error::ConformanceError;
use crate::reference::{Reference, scalar};
use crate::subject::{Run, Subject, Tensors};
use crate::tolerance::Comparison;

const STEP: f64 = 1e-5;
const ALLOWED: f64 = 1e-6;
/// Elements of each tensor that are tried alone; a direction through all of them comes on top.
const ELEMENTS: usize = 24;

/// Compares the gradients of the loss in each parameter of a run's first step.
///
/// # Errors
/// The program has no loss or cannot be evaluated.
pub fn check(run: &Run) -> Result<Vec<(String, Comparison)>, ConformanceError> {
    let outcome = Reference.run(run)?;
    let mut leaves = run.initial.clone();
    for feeds in run.steps.iter().take(1) {
        leaves.extend(feeds.inputs.clone());
        leaves.extend(feeds.scalars.iter().map(|(n, &x)| (n.clone(), scalar(f64::from(x)))));
    }
    let first = outcome.steps.first();
    let mut results = Vec::new();
    for parameter in run.program.groups.iter().flat_map(|g| &g.parameters) {
        let name = format!("grad.{}", parameter.name);
        let gradient = first.and_then(|step| step.get(&name)).ok_or_else(|| {
            ConformanceError::subject("finite differences", format!("the run has no {name}"))
        })?;
        let comparison = check_parameter(run, &mut leaves, &parameter.name, gradient)?;
        results.push((name, comparison));
    }
    Ok(results)
}

fn check_parameter(
    run: &Run,
    leaves: &mut Tensors,
    name: &str,
    gradient: &Array,
) -> Result<Comparison, ConformanceError> {
    let mut analytic = Vec::new();
    let mut numeric = Vec::new();
    let count = gradient.data.len();
    let stride = count.div_ceil(ELEMENTS).max(1);
    for element in (0..count).step_by(stride) {
        let direction = [(element, 1.0)];
        analytic.push(gradient.data[element]);
        numeric.push(difference(run, leaves, name, &direction)?);
    }
    // Alternating signs of uneven size: no two elements can trade places unseen.
    let all: Vec<(usize, f64)> = (0..count).map(|i| (i, (1.0 + i as f64).sin())).collect();
    analytic.push(all.iter().map(|&(i, d)| gradient.data[i] * d).sum());
    numeric.push(difference(run, leaves, name, &all)?);

    let largest = analytic.iter().fold(1.0, |m: f64, x| m.max(x.abs()));
    Ok(Comparison::with(&vector(analytic), &vector(numeric), |_| ALLOWED * largest))
}

fn vector(data: Vec<f64>) -> Array {
    Array { shape: onestep_engine::Shape::from([data.len()]), data }
}

/// The central difference of the loss along a direction of one leaf.
fn difference(
    run: &Run,
    leaves: &mut Tensors,
    name: &str,
    direction: &[(usize, f64)],
) -> Result<f64, ConformanceError> {
    let original = leaves.get(name).cloned().ok_or_else(|| ConformanceError::Missing {
        case: name.to_owned(),
        missing: "initial value".to_owned(),
    })?;
    let mut side = |sign: f64| -> Result<f64, ConformanceError> {
        let mut moved = original.clone();
        for &(element, amount) in direction {
            moved.data[element] += sign * STEP * amount;
        }
        leaves.insert(name.to_owned(), moved);
        loss(run, leaves)
    };
    let (above, below) = (side(1.0)?, side(-1.0)?);
    leaves.insert(name.to_owned(), original);
    Ok((above - below) / (2.0 * STEP))
}

fn loss(run: &Run, leaves: &Tensors) -> Result<f64, ConformanceError> {
    let no_loss = || ConformanceError::subject("finite differences", "the program has no loss");
    let target = run.program.loss.ok_or_else(no_loss)?;
    let context = Context { seed: run.seed, step: run.first_step };
    let arrays = evaluate(&run.program.graph, leaves, &context, &[target])?;
    arrays.first().and_then(|a| a.data.first()).copied().ok_or_else(no_loss)
}
