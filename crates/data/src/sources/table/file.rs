//! The bytes of a table: its beginning, to see what form it has, and then all of it.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use csv::{Reader, ReaderBuilder, StringRecord, Trim};

use crate::DataError;

/// So much of a file is looked at to find its form.
const BEGINNING: u64 = 1 << 20;

/// And of that so many lines.
const LINES: usize = 1000;

const UTF8_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

/// A file that has been opened and begun.
pub(super) struct TableFile<'a> {
    pub(super) path: &'a Path,
    beginning: Vec<u8>,
    whole: bool,
    rest: File,
}

impl<'a> TableFile<'a> {
    pub(super) fn open(path: &'a Path) -> Result<Self, DataError> {
        let failed = |source| DataError::io(path, "read", "a CSV file", source);
        let rest = File::open(path).map_err(failed)?;
        let mut beginning = Vec::new();
        (&rest).take(BEGINNING).read_to_end(&mut beginning).map_err(failed)?;
        if beginning.starts_with(&UTF8_MARK) {
            beginning.drain(..UTF8_MARK.len());
        }
        if let [0xff, 0xfe, ..] | [0xfe, 0xff, ..] = beginning[..] {
            let wanted = "UTF-8 text; save the table as UTF-8";
            return Err(DataError::format(path, "encoding", wanted, "UTF-16"));
        }
        let whole = (beginning.len() as u64) < BEGINNING - UTF8_MARK.len() as u64;
        Ok(Self { path, beginning, whole, rest })
    }

    /// The first lines, as `delimiter` divides them; what is no text is left for the reading itself to
    /// refuse.
    pub(super) fn first_lines(&self, delimiter: u8) -> Vec<StringRecord> {
        let mut reader = builder(delimiter).flexible(true).from_reader(&self.beginning[..]);
        let mut lines: Vec<_> = reader.records().take(LINES).map_while(Result::ok).collect();
        if !self.whole && lines.len() < LINES {
            lines.pop();
        }
        lines
    }

    /// All lines.
    pub(super) fn reader(self, delimiter: u8) -> Reader<impl Read> {
        builder(delimiter).from_reader(Cursor::new(self.beginning).chain(self.rest))
    }
}

fn builder(delimiter: u8) -> ReaderBuilder {
    let mut builder = ReaderBuilder::new();
    builder.has_headers(false).trim(Trim::All).delimiter(delimiter);
    builder
}

/// What a reader's error means.
pub(super) fn unreadable(path: &Path, error: csv::Error) -> DataError {
    let line = |position: Option<csv::Position>| {
        format!("line {}", position.map_or(0, |position| position.line()))
    };
    match error.into_kind() {
        csv::ErrorKind::Io(source) => DataError::io(path, "read", "a CSV file", source),
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let (wanted, got) = (format!("{expected_len} fields"), len.to_string());
            DataError::format(path, line(pos), wanted, got)
        }
        csv::ErrorKind::Utf8 { pos, err } => {
            let got = format!("other bytes in field {}", err.field() + 1);
            DataError::format(path, line(pos), "UTF-8 text", got)
        }
        other => DataError::format(path, "content", "CSV", format!("{other:?}")),
    }
}
