//! What is said to people, and what to programs.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use anyhow::{Context, Result};
use serde::Serialize;

/// Where lines for people go: standard output, or standard error where standard output carries
/// JSON.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Console {
    json: bool,
}

impl Console {
    pub(crate) fn new(json: bool) -> Self {
        Console { json }
    }

    /// Writes a line for people. A closed pipe is no reason to stop training.
    pub(crate) fn say(&self, line: impl Display) {
        let _ = if self.json {
            writeln!(io::stderr().lock(), "{line}")
        } else {
            writeln!(io::stdout().lock(), "{line}")
        };
    }

    /// Whether progress bars would be seen, and disturb nothing.
    pub(crate) fn shows_progress(&self) -> bool {
        !self.json && io::stderr().is_terminal()
    }

    /// Writes one JSON object as a line on standard output, where that was asked for.
    pub(crate) fn object(&self, object: &impl Serialize) -> Result<()> {
        if !self.json {
            return Ok(());
        }
        let line = serde_json::to_string(object).context("the result has no JSON form")?;
        let mut out = io::stdout().lock();
        writeln!(out, "{line}").and_then(|()| out.flush()).context("standard output is closed")
    }
}

/// Writes an error with its causes to standard error, one a line, each said once.
pub(crate) fn report(error: &anyhow::Error) {
    let mut said = error.to_string();
    let _ = writeln!(io::stderr(), "error: {said}");
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !said.contains(&cause) {
            let _ = writeln!(io::stderr(), "  because: {cause}");
        }
        said = cause;
    }
}
