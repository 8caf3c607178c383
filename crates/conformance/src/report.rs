//! What a run found, one line a tensor.

use std::fmt;

use crate::golden::Family;
use crate::tolerance::{Comparison, Tolerance};

/// A way to run a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mode {
    /// Against PyTorch's numbers.
    Value,
    /// The gradient graph against finite differences of the forward graph, both in f64.
    Gradient,
    /// An executor against the engine's f64 evaluator.
    Parity,
}

impl Mode {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Value => "value",
            Mode::Gradient => "gradient",
            Mode::Parity => "parity",
        }
    }
}

/// What became of one tensor of one case.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It was compared.
    Compared(Comparison),
    /// It was not run, for a reason that the table gives.
    Excluded(&'static str),
    /// It could not be run.
    Error(String),
}

/// One line of a report.
#[derive(Clone, Debug)]
pub struct Line {
    /// The family of the case.
    pub family: Family,
    /// The case.
    pub case: String,
    /// How it was run.
    pub mode: Mode,
    /// The tensor, such as `output` or `grad.conv1.weight`; empty for the case as a whole.
    pub tensor: String,
    /// What was found.
    pub verdict: Verdict,
    /// What was allowed, and why.
    pub reason: &'static str,
}

impl Line {
    /// Whether something is wrong.
    pub fn failed(&self) -> bool {
        match &self.verdict {
            Verdict::Compared(comparison) => !comparison.passes(),
            Verdict::Excluded(_) => false,
            Verdict::Error(_) => true,
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = format!("{}/{} {}", self.family.name(), self.case, self.tensor);
        write!(f, "{:8} {name:56} ", self.mode.name())?;
        match &self.verdict {
            Verdict::Excluded(reason) => write!(f, "excluded: {reason}"),
            Verdict::Error(error) => write!(f, "ERROR {error}"),
            Verdict::Compared(c) => {
                let word = if c.passes() { "ok" } else { "FAIL" };
                write!(f, "{word} absolute {:.2e} relative {:.2e}", c.absolute, c.relative)?;
                write!(f, " of allowed {:.2}", c.share)?;
                if c.passes() {
                    return Ok(());
                }
                if let Some(shapes) = &c.shapes {
                    write!(f, ": {shapes}")?;
                }
                if let Some((position, got, wanted)) = c.worst {
                    write!(f, ": element {position} is {got:e}, wanted {wanted:e}")?;
                }
                write!(f, " ({})", self.reason)
            }
        }
    }
}

/// All lines of a run.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// In the order of the table.
    pub lines: Vec<Line>,
}

impl Report {
    /// The lines that failed.
    pub fn failures(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| line.failed())
    }

    /// The lines that were excluded.
    pub fn exclusions(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| matches!(line.verdict, Verdict::Excluded(_)))
    }

    /// Appends another run.
    pub fn extend(&mut self, other: Report) {
        self.lines.extend(other.lines);
    }

    /// `Err` with all failures, one a line, if there are any, or if nothing was compared.
    ///
    /// # Errors
    /// The text to show.
    pub fn verdict(&self) -> Result<(), String> {
        let compared = self.lines.iter().any(|l| matches!(l.verdict, Verdict::Compared(_)));
        let failures: Vec<String> = self.failures().map(Line::to_string).collect();
        if failures.is_empty() && compared {
            return Ok(());
        }
        Err(format!(
            "{} of {} lines failed\n{}",
            failures.len(),
            self.lines.len(),
            failures.join("\n")
        ))
    }

    pub(crate) fn push(
        &mut self,
        at: Place<'_>,
        tensor: &str,
        verdict: Verdict,
        tolerance: &Tolerance,
    ) {
        self.lines.push(Line {
            family: at.family,
            case: at.case.to_owned(),
            mode: at.mode,
            tensor: tensor.to_owned(),
            verdict,
            reason: tolerance.reason,
        });
    }
}

/// Where a line of a report belongs.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) family: Family,
    pub(crate) case: &'a str,
    pub(crate) mode: Mode,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            writeln!(f, "{line}")?;
        }
        let (failed, excluded) = (self.failures().count(), self.exclusions().count());
        write!(f, "{} lines, {failed} failed, {excluded} excluded", self.lines.len())
    }
}
