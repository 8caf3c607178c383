//! The whole conformance table on the Metal executor, on both convolution paths: against PyTorch's
//! numbers, the engine's f64 evaluator and the CPU executor. The errors that were found are written
//! as a table to `metal-parity.md` in the folder that cargo keeps for tests.

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use onestep_backend_cpu::{CpuExecutor, CpuOptions};
use onestep_backend_metal::{ConvolutionPath, MetalExecutor};
use onestep_conformance::properties::{self, Draw};
use onestep_conformance::{
    Case, Comparison, Family, Line, Mode, OnExecutor, Outcome, Report, Source, Subject, Verdict,
    check_dropout, parity, table, values,
};
use onestep_engine::Executor;
use onestep_engine::reference::Array;
use onestep_metal_sys::OpCode;
use support::{PATHS, on};

fn metal(path: ConvolutionPath) -> impl Subject {
    OnExecutor::new(move || {
        MetalExecutor::new(&on(path)).map(|metal| Box::new(metal) as Box<dyn Executor>)
    })
}

fn cpu() -> impl Subject {
    OnExecutor::new(|| {
        let options = CpuOptions { threads: Some(1), ..CpuOptions::default() };
        CpuExecutor::new(options).map(|cpu| Box::new(cpu) as Box<dyn Executor>)
    })
}

/// Cases of ops that the shim lacks, by how their names begin: the executor refuses them by name.
const LACKING: [&str; 11] = [
    "gather_along_",
    "scatter_along_",
    "cumsum_",
    "argsort_",
    "sort_",
    "top_k_",
    "set_rows",
    "distinct_rows",
    "sparse_adam",
    "embedding_max_norm",
    "embedding_bag_max_norm",
];

fn lacking(case: &Case) -> bool {
    LACKING.iter().any(|name| case.name.starts_with(name))
}

fn held(mut cases: Vec<Case>) -> Vec<Case> {
    cases.retain(|case| !lacking(case));
    cases
}

fn holds(cases: Vec<Case>) -> Result<(), String> {
    let cases = &held(cases);
    for path in PATHS {
        let subject = metal(path);
        let mut report = values(cases, &subject);
        report.extend(parity(cases, &subject));
        report.verdict().map_err(|failures| format!("{path:?}: {failures}"))?;
    }
    Ok(())
}

#[test]
fn ops() -> Result<(), String> {
    holds(table::ops())
}

#[test]
fn what_the_shim_lacks_is_refused_by_name() -> Result<(), String> {
    let cases: Vec<Case> = table::ops().into_iter().filter(lacking).collect();
    assert!(cases.len() > 20, "{} cases", cases.len());
    for case in cases {
        let (_, setup) = case.setup().map_err(|error| error.to_string())?;
        let refused = metal(PATHS[0]).run(&setup.run).err();
        let text = refused.ok_or_else(|| format!("{} ran", case.name))?.to_string();
        assert!(text.contains("the shim has no such op yet"), "{}: {text}", case.name);
    }
    Ok(())
}

#[test]
fn layers() -> Result<(), String> {
    holds(table::layers())
}

#[test]
fn losses() -> Result<(), String> {
    holds(table::losses())
}

#[test]
fn optimizers() -> Result<(), String> {
    holds(table::optimizers())
}

/// Twenty steps of training from PyTorch's weights.
#[test]
fn networks() -> Result<(), String> {
    holds(table::networks())
}

#[test]
fn dropout() -> Result<(), String> {
    PATHS.into_iter().try_for_each(|path| check_dropout(&metal(path)))
}

#[test]
fn drawn_shapes() -> Result<(), String> {
    let takes = |draw: &Draw| {
        !matches!(
            draw,
            Draw::GatherAlong(..)
                | Draw::ScatterAlong(..)
                | Draw::CumSum(..)
                | Draw::Sort(..)
                | Draw::TopK(..)
                | Draw::SortBy(..)
        )
    };
    PATHS.into_iter().try_for_each(|path| properties::check_parity_where(350, &metal(path), takes))
}

/// The largest errors of a group of lines.
#[derive(Clone, Copy, Debug, Default)]
struct Worst {
    tensors: usize,
    absolute: f64,
    relative: f64,
    /// Of what is allowed.
    share: f64,
}

impl Worst {
    fn add(&mut self, comparison: &Comparison) {
        self.tensors += 1;
        self.absolute = self.absolute.max(comparison.absolute);
        self.relative = self.relative.max(comparison.relative);
        self.share = self.share.max(comparison.share);
    }
}

/// The row in which a case is counted: cases of ops by their op, of optimizers by their optimizer,
/// others each by itself.
fn row_name(family: Family, case: &str) -> String {
    let short = match family {
        Family::Ops => {
            let codes = OpCode::ALL.iter().map(|code| code.name().to_lowercase());
            let of_case = codes.filter(|name| case.starts_with(name.as_str()));
            of_case.max_by_key(String::len).unwrap_or_else(|| case.to_owned())
        }
        Family::Optimizers => case.split('_').next().unwrap_or(case).to_owned(),
        _ => case.to_owned(),
    };
    format!("{}/{short}", family.name())
}

/// A row of the table: PyTorch, the f64 evaluator, the CPU executor.
type Row = [Worst; 3];
type Rows = BTreeMap<String, Row>;

fn add_report(rows: &mut Rows, report: &Report) {
    let column = |line: &Line| match line.mode {
        Mode::Value => Some(0),
        Mode::Parity => Some(1),
        Mode::Gradient => None,
    };
    for line in &report.lines {
        if let (Some(column), Verdict::Compared(comparison)) = (column(line), &line.verdict) {
            let name = row_name(line.family, &line.case);
            rows.entry(name).or_default()[column].add(comparison);
        }
    }
}

/// Compares everything that two executors give. Both may be off by what is allowed, so twice that
/// is allowed here.
fn add_cpu(rows: &mut Rows, cases: &[Case], subject: &dyn Subject) -> Result<(), String> {
    let mut failures = String::new();
    for case in cases {
        let (golden, setup) = case.setup().map_err(|e| e.to_string())?;
        let run = |subject: &dyn Subject| subject.run(&setup.run).map_err(|e| e.to_string());
        let (ours, theirs) = (run(subject)?, run(&cpu())?);
        let name = row_name(case.family, &case.name);
        for (tensor, got, wanted) in pairs(&ours, &theirs)? {
            // The case's tolerance is for what PyTorch computed too. The loss that a case of an op
            // or layer is differentiated by is a sum of ours, whose order is the executor's own.
            if tensor == "loss" && !setup.expect.iter().any(|e| is_of(&e.source, "loss")) {
                continue;
            }
            let of_case = setup.expect.iter().map(|e| golden.error_of(&e.golden));
            let pytorch = of_case.fold(0.0, f64::max);
            let finite = wanted.data.iter().filter(|x| x.is_finite());
            let largest = finite.fold(0.0, |m: f64, x| m.max(x.abs()));
            let tolerance = case.tolerance_of(&tensor);
            let comparison =
                Comparison::with(got, wanted, |x| 2.0 * tolerance.allowed(x, largest, pytorch));
            rows.entry(name.clone()).or_default()[2].add(&comparison);
            if !comparison.passes() {
                writeln!(failures, "{} {tensor}: {comparison:?}", case.name)
                    .map_err(|e| e.to_string())?;
            }
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures) }
}

/// Whether a source is the tensor of this name.
fn is_of(source: &Source, tensor: &str) -> bool {
    match source {
        Source::First(name) | Source::Last(name) | Source::Each(name) => name == tensor,
    }
}

/// The tensors of two outcomes side by side.
fn pairs<'a>(
    ours: &'a Outcome,
    theirs: &'a Outcome,
) -> Result<Vec<(String, &'a Array, &'a Array)>, String> {
    let steps = ours.steps.iter().zip(&theirs.steps).chain([(&ours.last, &theirs.last)]);
    let mut pairs = Vec::new();
    for (ours, theirs) in steps {
        for (name, wanted) in theirs {
            let got = ours.get(name).ok_or_else(|| format!("there is no {name}"))?;
            pairs.push((name.clone(), got, wanted));
        }
    }
    Ok(pairs)
}

fn markdown(path: ConvolutionPath, rows: &Rows) -> Result<String, std::fmt::Error> {
    let mut text = format!("\n## {path:?} convolutions\n\n");
    writeln!(
        text,
        "| case | tensors | PyTorch: absolute | relative | of allowed | f64: absolute | relative \
         | CPU: absolute | relative |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    )?;
    for (name, [pytorch, f64_evaluator, cpu]) in rows {
        write!(text, "| {name} | {} ", pytorch.tensors)?;
        write!(text, "| {:.1e} | {:.1e} ", pytorch.absolute, pytorch.relative)?;
        write!(text, "| {:.2} ", pytorch.share)?;
        for worst in [f64_evaluator, cpu] {
            match worst.tensors {
                0 => write!(text, "| | ")?,
                _ => write!(text, "| {:.1e} | {:.1e} ", worst.absolute, worst.relative)?,
            }
        }
        writeln!(text, "|")?;
    }
    Ok(text)
}

#[test]
fn the_errors_are_those_of_the_table() -> Result<(), String> {
    let cases = held(table::all());
    let mut text = String::from("# Errors of the Metal executor\n");
    for path in PATHS {
        let subject = metal(path);
        writeln!(text, "\nMeasured on {}.", subject.name()).map_err(|e| e.to_string())?;
        let mut rows = Rows::new();
        add_report(&mut rows, &values(&cases, &subject));
        add_report(&mut rows, &parity(&cases, &subject));
        add_cpu(&mut rows, &cases, &subject)?;
        text.push_str(&markdown(path, &rows).map_err(|e| e.to_string())?);
    }
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("metal-parity.md");
    std::fs::write(&file, text).map_err(|e| e.to_string())?;
    println!("{}", file.display());
    Ok(())
}
