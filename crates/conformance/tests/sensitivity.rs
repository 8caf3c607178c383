//! The table can fail: a subject that is slightly wrong is found out in every case.

use std::collections::BTreeSet;

use onestep_conformance::{
    ConformanceError, Mode, Outcome, Reference, Report, Run, Subject, Verdict, check_dropout,
    properties, table, values,
};
use onestep_engine::reference::Array;

/// The reference with something done to every tensor it gives.
struct Tampered(fn(&str, &mut Array));

impl Subject for Tampered {
    fn name(&self) -> String {
        "tampered".to_owned()
    }

    fn run(&self, run: &Run) -> Result<Outcome, ConformanceError> {
        let mut outcome = Reference.run(run)?;
        for (name, array) in outcome.steps.iter_mut().flatten().chain(&mut outcome.last) {
            (self.0)(name, array);
        }
        Ok(outcome)
    }
}

/// The cases that hold for a tampered subject.
fn undetected(report: &Report) -> BTreeSet<String> {
    let cases = |failed: bool| -> BTreeSet<String> {
        let lines = report.lines.iter().filter(|l| l.mode == Mode::Value && l.failed() == failed);
        lines.map(|l| format!("{}/{}", l.family.name(), l.case)).collect()
    };
    cases(false).difference(&cases(true)).cloned().collect()
}

#[test]
fn an_error_of_one_in_ten_thousand_is_found_in_every_case() {
    let report =
        values(&table::all(), &Tampered(|_, a| a.data.iter_mut().for_each(|x| *x *= 1.0001)));
    let undetected = undetected(&report);
    // With a single class everything is zero.
    let zero: BTreeSet<String> = [
        "losses/cross_entropy_one_class",
        "ops/cross_entropy_grad_one_class",
        "ops/cross_entropy_one_class",
        "ops/log_softmax_one",
    ]
    .map(str::to_owned)
    .into();
    assert_eq!(undetected, zero);
}

#[test]
fn a_wrong_gradient_is_found_where_there_is_one() {
    let halve = |name: &str, array: &mut Array| {
        if name.starts_with("grad.") {
            array.data.iter_mut().for_each(|x| *x *= 0.5);
        }
    };
    let report = values(&table::all(), &Tampered(halve));
    let missed = report.lines.iter().filter(|line| {
        let Verdict::Compared(comparison) = &line.verdict else { return false };
        let golden = line.family.golden(&line.case).and_then(|g| g.array(&line.tensor));
        // A bias before a batch normalisation has a gradient of rounding errors alone.
        let zero = golden.is_ok_and(|g| g.data.iter().all(|&x| x.abs() < 1e-12));
        line.tensor.starts_with("grad.") && comparison.passes() && !zero
    });
    let missed: Vec<String> = missed.map(ToString::to_string).collect();
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn drawn_shapes_and_dropout_find_errors_too() {
    let off = Tampered(|_, a| a.data.iter_mut().for_each(|x| *x *= 1.001));
    assert!(properties::check_parity(50, &off).is_err());
    assert!(check_dropout(&off).is_err());
}
