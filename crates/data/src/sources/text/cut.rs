//! Where the samples of a text begin and end.

use std::path::Path;

use super::{TextFile, TextOptions, Windows};
use crate::shown::shown_path;
use crate::{DataError, Vocabulary};

/// A text as numbers, and the number that ends a line, where lines are samples. The pieces of a tokenizer
/// span no lines then: each line is encoded by itself.
pub(super) fn encode(
    vocabulary: &Vocabulary,
    path: &Path,
    text: &str,
    lines: bool,
) -> Result<(Vec<i32>, Option<i32>), DataError> {
    let name = path.display().to_string();
    if !lines || vocabulary.tokenizer_json().is_none() {
        return Ok((vocabulary.encode_called(&name, text)?, vocabulary.token('\n')));
    }
    let [newline] = vocabulary.encode_called(&name, "\n")?[..] else {
        let wanted = "windows with a tokenizer that has no piece for the end of a line";
        return Err(DataError::setting("cut of the text", wanted, "lines"));
    };
    let mut tokens = Vec::new();
    for line in text.split_inclusive('\n') {
        let inner = line.strip_suffix('\n');
        tokens.extend(vocabulary.encode_called(&name, inner.unwrap_or(line))?);
        tokens.extend(inner.map(|_| newline));
    }
    Ok((tokens, Some(newline)))
}

impl TextFile {
    /// The samples within some characters: windows that are `step` apart, or lines.
    pub(super) fn part(
        &self,
        path: &Path,
        range: std::ops::Range<usize>,
        options: &TextOptions,
        step: usize,
    ) -> Result<Self, DataError> {
        if !options.lines {
            return self.windows(path, range, step);
        }
        let lines = self.lines(range.clone());
        if lines.is_empty() {
            let wanted = "a line with a character and another behind it in each part".to_owned();
            let got = format!("{} characters without one", range.len());
            return Err(DataError::Split { dataset: shown_path(path), wanted, got });
        }
        Ok(Self { windows: Windows::Lines(lines.into()), ..self.clone() })
    }

    /// The lines that begin within some characters, without what ends them, and no longer than a window.
    /// What follows each of their characters is in the same part.
    fn lines(&self, range: std::ops::Range<usize>) -> Vec<(usize, usize)> {
        let newline = self.newline;
        let mut lines = Vec::new();
        let mut start = range.start;
        // The end of a line that began in the part before is none of this part's.
        if start > 0 && newline != self.tokens.get(start - 1).copied() {
            let rest = &self.tokens[range.clone()];
            let end = rest.iter().position(|&token| Some(token) == newline);
            start += end.map_or(rest.len(), |end| end + 1);
        }
        let first = start;
        for at in first..range.end {
            let is_end = Some(self.tokens[at]) == newline;
            if is_end || at + 1 == range.end || at - start == self.length {
                // The last one of the samples' characters is the one before `at`, which follows it.
                if at > start {
                    lines.push((start, at - start));
                }
                start = at + 1;
            }
        }
        lines
    }

    /// The windows within some characters, `step` apart.
    fn windows(
        &self,
        path: &Path,
        range: std::ops::Range<usize>,
        step: usize,
    ) -> Result<Self, DataError> {
        // A window takes one character more than its length: what follows its last.
        let room = range.len().checked_sub(self.length + 1);
        let Some(room) = room else {
            let wanted = format!(
                "at least {} characters in each part, for windows of {}",
                self.length + 1,
                self.length
            );
            let (dataset, got) = (shown_path(path), format!("{} in one", range.len()));
            return Err(DataError::Split { dataset, wanted, got });
        };
        let windows = Windows::Even { first: range.start, step, len: room / step + 1 };
        Ok(Self { windows, ..self.clone() })
    }
}
