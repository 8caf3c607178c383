//! Running cases in each mode.

use onestep_engine::Shape;
use onestep_engine::reference::Array;

use crate::case::{Case, Expect, Setup, Source};
use crate::error::ConformanceError;
use crate::finite_difference;
use crate::golden::Golden;
use crate::reference::Reference;
use crate::report::{Mode, Place, Report, Verdict};
use crate::subject::{Outcome, Subject};
use crate::table;
use crate::tolerance::{Comparison, Tolerance};

/// Runs the whole table on `subject`: values against PyTorch and parity with the f64 evaluator.
pub fn run_all(subject: &dyn Subject) -> Report {
    let cases = table::all();
    let mut report = values(&cases, subject);
    report.extend(parity(&cases, subject));
    report
}

/// Runs cases on `subject` and compares with PyTorch's numbers.
pub fn values(cases: &[Case], subject: &dyn Subject) -> Report {
    each(cases, Mode::Value, |case, place, report| {
        let (golden, setup) = case.setup()?;
        let outcome = subject.run(&setup.run)?;
        for expect in &setup.expect {
            let wanted = golden.array(&expect.golden)?;
            compare(case, place, report, golden, expect, &outcome, wanted)?;
        }
        Ok(())
    })
}

/// Runs cases on `subject` and compares with the engine's f64 evaluator, also what PyTorch's
/// numbers do not cover.
pub fn parity(cases: &[Case], subject: &dyn Subject) -> Report {
    each(cases, Mode::Parity, |case, place, report| {
        let (golden, setup) = case.setup()?;
        let outcome = subject.run(&setup.run)?;
        let reference = Reference.run(&setup.run)?;
        for expect in &setup.expect {
            let wanted = find(&reference, expect, case)?;
            compare(case, place, report, golden, expect, &outcome, &wanted)?;
        }
        Ok(())
    })
}

/// Holds the gradient graphs of cases against finite differences, in f64.
pub fn gradients(cases: &[Case]) -> Report {
    const REASON: Tolerance = Tolerance {
        reason: "central differences in f64: see finite_difference.rs",
        ..Tolerance::EXACT
    };
    each(cases, Mode::Gradient, |case, place, report| {
        let (_, Setup { run, .. }) = case.setup()?;
        for (name, comparison) in finite_difference::check(&run)? {
            report.push(place, &name, Verdict::Compared(comparison), &REASON);
        }
        Ok(())
    })
}

fn each(
    cases: &[Case],
    mode: Mode,
    f: impl Fn(&Case, Place<'_>, &mut Report) -> Result<(), ConformanceError>,
) -> Report {
    let mut report = Report::default();
    for case in cases {
        let place = Place { family: case.family, case: &case.name, mode };
        if let Some(reason) = case.exclusion(mode) {
            report.push(place, "", Verdict::Excluded(reason), &case.tolerance);
        } else if let Err(error) = f(case, place, &mut report) {
            report.push(place, "", Verdict::Error(error.to_string()), &case.tolerance);
        }
    }
    report
}

fn compare(
    case: &Case,
    place: Place<'_>,
    report: &mut Report,
    golden: &Golden,
    expect: &Expect,
    outcome: &Outcome,
    wanted: &Array,
) -> Result<(), ConformanceError> {
    let got = find(outcome, expect, case)?;
    let pytorch = golden.error_of(&expect.golden);
    let tolerance = case.tolerance_of(&expect.golden);
    let comparison = Comparison::new(&got, wanted, tolerance, pytorch);
    report.push(place, &expect.golden, Verdict::Compared(comparison), tolerance);
    Ok(())
}

/// Where an outcome has what is expected.
fn find(outcome: &Outcome, expect: &Expect, case: &Case) -> Result<Array, ConformanceError> {
    let missing = |name: &str| {
        ConformanceError::subject(
            "reading the results",
            format!("{}: the subject gave no `{name}`", case.name),
        )
    };
    match &expect.source {
        Source::First(name) => {
            let first = outcome.steps.first().and_then(|step| step.get(name));
            first.cloned().ok_or_else(|| missing(name))
        }
        Source::Last(name) => outcome.last.get(name).cloned().ok_or_else(|| missing(name)),
        Source::Each(name) => {
            let steps: Option<Vec<&Array>> = outcome.steps.iter().map(|s| s.get(name)).collect();
            stack(&steps.ok_or_else(|| missing(name))?)
        }
    }
}

/// Arrays of one shape behind each other along a new first axis.
fn stack(arrays: &[&Array]) -> Result<Array, ConformanceError> {
    let inner = arrays.first().map_or(&[][..], |a| a.shape.dims());
    let dims = [&[arrays.len()], inner].concat();
    let shape = Shape::new(&dims).map_err(onestep_engine::GraphError::from)?;
    let data = arrays.iter().flat_map(|a| a.data.iter().copied()).collect();
    Ok(Array::new(shape, data)?)
}
