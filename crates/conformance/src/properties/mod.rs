//! Ops on drawn shapes, and drawn graphs: what no table foresees. Each draw becomes a run with a loss, which is held
//! against finite differences, and on an executor against the f64 evaluator.

mod build;
mod graph;
mod large;
mod strategy;

use onestep_engine::GraphError;
use onestep_engine::ops::{Binary, ConvWindow, PoolWindow, ReduceKind, Unary};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use crate::finite_difference;
use crate::reference::Reference;
use crate::subject::{Run, Subject};
use crate::tolerance::{Comparison, Tolerance};

pub use graph::GraphStep;
pub use large::large;
pub use strategy::draws;

/// An op with a drawn shape and attributes.
#[derive(Clone, Debug)]
pub enum Draw {
    /// Of one operand.
    Unary(Unary, Vec<usize>),
    /// Of two operands that broadcast: an axis where a flag is set has size 1 on that side.
    Binary(Binary, Vec<usize>, Vec<(bool, bool)>),
    /// Choice by a mask.
    Select(Vec<usize>),
    /// Over the axes whose flag is set.
    Reduce(ReduceKind, Vec<usize>, Vec<bool>),
    /// To a flat shape.
    Flatten(Vec<usize>),
    /// To another order of axes.
    Permute(Vec<usize>, Vec<usize>),
    /// Between the fractions (start, length) of each axis.
    Slice(Vec<usize>, Vec<(usize, usize)>),
    /// Of operands with these sizes along an axis.
    Concat(Vec<usize>, usize, Vec<usize>),
    /// By so much before and behind.
    Pad(Vec<usize>, Vec<(usize, usize)>),
    /// Batch, m, k, n and the two transpositions.
    MatMul(Vec<usize>, [usize; 3], bool, bool),
    /// Of pictures `[n, groups * c, h, w]` with `groups * o` outputs; sizes `[n, c, o, h, w]`.
    Conv([usize; 5], [usize; 2], ConvWindow),
    /// The largest, or else the sum, of windows over `[n, c, h, w]`.
    Pool(bool, [usize; 4], PoolWindow),
    /// Softmax, or else log-softmax, over an axis.
    Softmax(bool, Vec<usize>, usize),
    /// Rows, classes and smoothing in eighths.
    CrossEntropy(usize, usize, u8),
    /// Rows and width of the table, and how many rows are taken.
    Gather(usize, usize, usize),
    /// Rows and width of the table, and how many rows are added.
    ScatterAdd(usize, usize, usize),
    /// Along an axis, elements by as many places as the last number says.
    GatherAlong(Vec<usize>, usize, usize),
    /// Along an axis, updates added to as many places as the last number says; some name no place.
    ScatterAlong(Vec<usize>, usize, usize),
    /// Running sums along an axis, or reversed ones.
    CumSum(Vec<usize>, usize, bool),
    /// The elements along an axis in ascending or descending order.
    Sort(Vec<usize>, usize, bool),
    /// Along an axis the largest, as many as the last number says.
    TopK(Vec<usize>, usize, usize),
    /// The elements along an axis in the ascending or descending order of keys, among which are equal
    /// ones, both zeros, infinities and NaN.
    SortBy(Vec<usize>, usize, bool, Vec<u8>),
    /// A whole graph on two operands of these sizes.
    Graph([usize; 2], Vec<GraphStep>),
}

impl Draw {
    /// A run of the op with a loss, on numbers that are far from kinks and ties.
    ///
    /// # Errors
    /// The engine refuses the op: an error of its shape rule.
    pub fn run(&self) -> Result<Run, GraphError> {
        build::run(self)
    }
}

/// Draws `cases` ops, the same each time, and holds their gradients against finite differences.
///
/// # Errors
/// The first failure, made as small as possible.
pub fn check_gradients(cases: u32) -> Result<(), String> {
    for_each(
        cases,
        |_| true,
        |run| {
            for (name, comparison) in finite_difference::check(run).map_err(|e| e.to_string())? {
                passes(&name, &comparison)?;
            }
            Ok(())
        },
    )
}

/// Draws `cases` ops, the same each time, and holds `subject` against the f64 evaluator.
///
/// # Errors
/// The first failure, made as small as possible.
pub fn check_parity(cases: u32, subject: &dyn Subject) -> Result<(), String> {
    check_parity_where(cases, subject, |_| true)
}

/// As [`check_parity`], of the draws that `takes` says yes to: for a subject that refuses some ops.
///
/// # Errors
/// The first failure, made as small as possible.
pub fn check_parity_where(
    cases: u32,
    subject: &dyn Subject,
    takes: impl Fn(&Draw) -> bool,
) -> Result<(), String> {
    for_each(cases, takes, |run| same(run, subject))
}

/// Holds `subject` against the f64 evaluator on [`large`] ops.
///
/// # Errors
/// All failures, one a line.
pub fn check_large(subject: &dyn Subject) -> Result<(), String> {
    let mut failures = Vec::new();
    for draw in large() {
        let run = draw.run().map_err(|e| e.to_string())?;
        if let Err(failure) = same(&run, subject) {
            failures.push(format!("{draw:?}: {failure}"));
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

fn same(run: &Run, subject: &dyn Subject) -> Result<(), String> {
    // Without a golden PyTorch's error is not known: 16 units of the largest element stand for it.
    const DRAWN: Tolerance =
        Tolerance { of_largest: 16.0, of_element: 8.0, of_one: 4.0, ..Tolerance::SUMS };
    let wanted = Reference.run(run).map_err(|e| e.to_string())?;
    let got = subject.run(run).map_err(|e| e.to_string())?;
    for (wanted, got) in wanted.steps.iter().zip(&got.steps) {
        for (name, wanted) in wanted.iter().filter(|(name, _)| *name != "loss") {
            let got = got.get(name).ok_or_else(|| format!("there is no {name}"))?;
            passes(name, &Comparison::new(got, wanted, &DRAWN, 0.0))?;
        }
    }
    Ok(())
}

fn passes(name: &str, comparison: &Comparison) -> Result<(), String> {
    if comparison.passes() { Ok(()) } else { Err(format!("{name}: {comparison:?}")) }
}

fn for_each(
    cases: u32,
    takes: impl Fn(&Draw) -> bool,
    check: impl Fn(&Run) -> Result<(), String>,
) -> Result<(), String> {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let outcome = TestRunner::new_with_rng(config, rng).run(&draws(), |draw| {
        if !takes(&draw) {
            return Ok(());
        }
        let run = draw.run().map_err(|e| TestCaseError::fail(e.to_string()))?;
        check(&run).map_err(TestCaseError::fail)
    });
    outcome.map_err(|e| e.to_string())
}
