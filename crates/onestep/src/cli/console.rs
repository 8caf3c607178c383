//! What is said to people, and what to programs.

use std::borrow::Cow;
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
        let line = line.to_string();
        let line = printable(&line);
        let _ = if self.json {
            writeln!(io::stderr().lock(), "{line}")
        } else {
            writeln!(io::stdout().lock(), "{line}")
        };
    }

    /// Writes what was decided where nobody had said so.
    pub(crate) fn notes(&self, notes: &[String]) {
        for note in notes {
            self.say(format_args!("note: {note}"));
        }
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

/// The most characters of an error that are shown: what it echoes may be a whole file.
const LONGEST: usize = 1500;

/// Characters of the end of an error that is shortened.
const TAIL: usize = 300;

/// Writes an error with its causes to standard error, one a line, each said once.
pub(crate) fn report(error: &anyhow::Error) {
    let mut said = error.to_string();
    let _ = writeln!(io::stderr(), "error: {}", printable(&shortened(&said)));
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !said.contains(&cause) {
            let _ = writeln!(io::stderr(), "  because: {}", printable(&shortened(&cause)));
        }
        said = cause;
    }
}

/// Text as a terminal may be given it: names of files and classes are other people's, and what
/// would steer the terminal or turn the direction of writing is shown by its code.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    let steers = |c: char| onestep::data::steers(c) && c != '\n' && c != '\t';
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::new();
    for c in text.chars() {
        if steers(c) { shown.extend(c.escape_unicode()) } else { shown.push(c) }
    }
    Cow::Owned(shown)
}

/// A text without its middle, where it is long.
fn shortened(text: &str) -> Cow<'_, str> {
    let count = text.chars().count();
    if count <= LONGEST {
        return Cow::Borrowed(text);
    }
    let cut = |at: usize| text.char_indices().nth(at).map_or(text.len(), |(place, _)| place);
    let (head, tail) = (&text[..cut(LONGEST - TAIL)], &text[cut(count - TAIL)..]);
    Cow::Owned(format!("{head} … ({} characters left out) … {tail}", count - LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_the_terminal() {
        assert_eq!(printable("a\u{1b}[31mb\rc\u{202e}d"), r"a\u{1b}[31mb\u{d}c\u{202e}d");
        assert_eq!(printable("Füße 猫\n\tx"), "Füße 猫\n\tx");
    }

    #[test]
    fn long_errors_are_shortened() {
        let text = format!("file: line 3: {} is no number", "é".repeat(30_000_000));
        let short = shortened(&text);
        assert!(short.starts_with("file: line 3: éé") && short.ends_with("éé is no number"));
        assert!(short.chars().count() < LONGEST + 60, "{}", short.len());
        assert_eq!(shortened("short"), "short");
    }
}
