//! Tables of numbers in CSV files.

use std::collections::BTreeSet;
use std::path::Path;

use csv::{ReaderBuilder, StringRecord, Trim};
use onestep_memory::Shape;

use crate::{DataError, DataRecord, InMemory, TargetSpec};

/// Which column of a table holds the target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Column {
    /// The last one.
    #[default]
    Last,
    /// The one with this number, counted from 0.
    Index(usize),
    /// The one with this name in the header.
    Name(String),
}

/// What the target column of a table means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CsvTarget {
    /// Values where every target is a number and one at least is not whole; else classes.
    #[default]
    Auto,
    /// Classes: the distinct texts, in numerical order where all are whole numbers, else by text.
    Classes,
    /// Labels that are whole numbers from 0 to below this count.
    Labels(usize),
    /// Numbers to predict.
    Values,
}

/// How a CSV file is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvOptions {
    /// Whether the first line holds names; `None` takes it for names where none of its fields is a
    /// number.
    pub header: Option<bool>,
    /// The target's column; all others are features, in their order.
    pub target: Column,
    /// What the target means.
    pub kind: CsvTarget,
    /// The character between fields.
    pub delimiter: u8,
}

impl Default for CsvOptions {
    fn default() -> Self {
        let (target, kind) = (Column::Last, CsvTarget::Auto);
        Self { header: None, target, kind, delimiter: b',' }
    }
}

/// A table: a line per sample, one column the target, every other a number.
///
/// Inputs are `[columns - 1]`, as they stand in the file (see [`Normalise`](crate::Normalise)).
///
/// # Errors
/// [`DataError::Missing`] or [`DataError::Io`] where the file cannot be read, [`DataError::Csv`] for a
/// field that is no finite number or no valid label (with line and column), [`DataError::Format`] for
/// a line with another number of fields or a target column that does not exist,
/// [`DataError::Empty`] without samples.
pub fn csv_file(path: impl AsRef<Path>, options: &CsvOptions) -> Result<InMemory, DataError> {
    let path = path.as_ref();
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .trim(Trim::All)
        .delimiter(options.delimiter)
        .from_path(path)
        .map_err(|error| unreadable(path, error))?;
    let mut record = StringRecord::new();
    let mut more = reader.read_record(&mut record).map_err(|error| unreadable(path, error))?;
    let is_header = more && options.header.unwrap_or_else(|| !record.iter().any(is_number));
    let mut table = Table::new(path, &record, is_header, &options.target)?;
    if is_header {
        more = reader.read_record(&mut record).map_err(|error| unreadable(path, error))?;
    }
    while more {
        table.push(&record)?;
        more = reader.read_record(&mut record).map_err(|error| unreadable(path, error))?;
    }
    table.finish(options.kind)
}

/// The samples of a table that is read for predictions.
#[derive(Clone, Debug, PartialEq)]
pub struct TableRows {
    /// The numbers of a sample.
    pub width: usize,
    /// The samples one after the other.
    pub values: Vec<f32>,
    /// The line of each in the file, counted from 1.
    pub lines: Vec<u64>,
}

impl TableRows {
    /// The samples.
    pub fn rows(&self) -> std::slice::ChunksExact<'_, f32> {
        self.values.chunks_exact(self.width)
    }
}

impl DataRecord {
    /// Reads a table for predictions, as the table was read that the model was trained on.
    ///
    /// Features are found by their names and put in the model's order where both tables have names, else
    /// they are taken as they stand; the target's column may be there or not.
    ///
    /// # Errors
    /// Those of [`csv_file`]; [`DataError::Format`] where a column is missing.
    pub fn read_table(&self, path: impl AsRef<Path>) -> Result<TableRows, DataError> {
        let path = path.as_ref();
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .trim(Trim::All)
            .from_path(path)
            .map_err(|error| unreadable(path, error))?;
        let mut rows = TableRows { width: 0, values: Vec::new(), lines: Vec::new() };
        for record in reader.records() {
            let record = record.map_err(|error| unreadable(path, error))?;
            if rows.lines.is_empty() && !record.iter().any(is_number) {
                continue;
            }
            rows.width = record.len();
            let line = record.position().map_or(0, |position| position.line());
            for (column, field) in record.iter().enumerate() {
                let value = field.parse::<f32>().ok().filter(|value| value.is_finite());
                let value = value.ok_or_else(|| DataError::Csv {
                    path: path.to_path_buf(),
                    line,
                    column: (column + 1).to_string(),
                    wanted: "a finite number".to_owned(),
                    got: format!("`{field}`"),
                })?;
                rows.values.push(value);
            }
            rows.lines.push(line);
        }
        if rows.lines.is_empty() {
            return Err(DataError::Empty { dataset: path.display().to_string() });
        }
        Ok(rows)
    }
}

fn is_number(field: &str) -> bool {
    field.parse::<f32>().is_ok()
}

fn unreadable(path: &Path, error: csv::Error) -> DataError {
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

/// What has been read so far.
struct Table<'a> {
    path: &'a Path,
    names: Option<StringRecord>,
    target: usize,
    columns: usize,
    inputs: Vec<f32>,
    targets: Vec<(u64, String)>,
}

impl<'a> Table<'a> {
    fn new(
        path: &'a Path,
        first: &StringRecord,
        is_header: bool,
        target: &Column,
    ) -> Result<Self, DataError> {
        let columns = first.len();
        if columns == 0 {
            return Err(DataError::Empty { dataset: path.display().to_string() });
        }
        if columns < 2 {
            let wanted = "at least 2 (a feature and the target)";
            return Err(DataError::format(path, "number of columns", wanted, columns.to_string()));
        }
        let names = is_header.then(|| first.clone());
        let found = match target {
            Column::Last => Some(columns - 1),
            Column::Index(index) => Some(*index).filter(|&index| index < columns),
            Column::Name(name) => names.iter().flatten().position(|column| column == name),
        };
        let Some(target) = found else {
            let header = names.as_ref().map(|names| names.iter().collect::<Vec<_>>().join(", "));
            let header = header.unwrap_or_else(|| format!("{columns} columns without names"));
            let wanted = format!("a column of the file ({header})");
            return Err(DataError::format(path, "target column", wanted, format!("{target:?}")));
        };
        Ok(Self { path, names, target, columns, inputs: Vec::new(), targets: Vec::new() })
    }

    fn push(&mut self, record: &StringRecord) -> Result<(), DataError> {
        let line = record.position().map_or(0, |position| position.line());
        for (column, field) in record.iter().enumerate() {
            if column == self.target {
                self.targets.push((line, field.to_owned()));
            } else {
                let value = self.number(line, column, field)?;
                self.inputs.push(value);
            }
        }
        Ok(())
    }

    fn number(&self, line: u64, column: usize, field: &str) -> Result<f32, DataError> {
        let value = field.parse::<f32>().ok().filter(|value| value.is_finite());
        value.ok_or_else(|| self.error(line, column, "a finite number", field))
    }

    fn error(&self, line: u64, column: usize, wanted: impl Into<String>, got: &str) -> DataError {
        let name = self.names.as_ref().and_then(|names| names.get(column));
        DataError::Csv {
            path: self.path.to_path_buf(),
            line,
            column: name.map_or_else(|| (column + 1).to_string(), |name| format!("`{name}`")),
            wanted: wanted.into(),
            got: if got.is_empty() { "an empty field".to_owned() } else { format!("`{got}`") },
        }
    }

    fn finish(self, kind: CsvTarget) -> Result<InMemory, DataError> {
        let name = self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let shape = Shape::from([self.columns - 1]);
        if self.targets.is_empty() {
            return Err(DataError::Empty { dataset: self.path.display().to_string() });
        }
        let is_whole = |text: &str| text.parse::<i64>().is_ok();
        let values = match kind {
            CsvTarget::Values => true,
            CsvTarget::Auto => {
                self.targets.iter().all(|(_, text)| is_number(text))
                    && !self.targets.iter().all(|(_, text)| is_whole(text))
            }
            CsvTarget::Classes | CsvTarget::Labels(_) => false,
        };
        if values {
            let targets: Result<_, _> = self
                .targets
                .iter()
                .map(|(line, text)| self.number(*line, self.target, text))
                .collect();
            return InMemory::regression(name, shape, self.inputs, Shape::from([1]), targets?);
        }
        let (labels, classes) = match kind {
            CsvTarget::Labels(count) => (self.labels(count)?, TargetSpec::classes(count)),
            _ => self.classes()?,
        };
        InMemory::classification(name, shape, self.inputs, labels, classes)
    }

    fn labels(&self, count: usize) -> Result<Vec<i32>, DataError> {
        let label = |(line, text): &(u64, String)| {
            let label = text.parse::<i32>().ok().filter(|&label| label >= 0);
            label.filter(|&label| (label as usize) < count).ok_or_else(|| {
                let wanted = format!("a label from 0 to {}", count.saturating_sub(1));
                self.error(*line, self.target, wanted, text)
            })
        };
        self.targets.iter().map(label).collect()
    }

    fn classes(&self) -> Result<(Vec<i32>, TargetSpec), DataError> {
        if let Some((line, text)) = self.targets.iter().find(|(_, text)| text.is_empty()) {
            return Err(self.error(*line, self.target, "a class", text));
        }
        let distinct: BTreeSet<&str> = self.targets.iter().map(|(_, text)| &text[..]).collect();
        let mut names: Vec<&str> = distinct.into_iter().collect();
        let numbers: Option<Vec<i64>> = names.iter().map(|name| name.parse().ok()).collect();
        if numbers.is_some() {
            names.sort_by_key(|name| name.parse::<i64>().unwrap_or_default());
        }
        let places: std::collections::HashMap<&str, i32> = names.iter().copied().zip(0..).collect();
        let labels = self.targets.iter().map(|(_, text)| places[&text[..]]).collect();
        Ok((labels, TargetSpec::named_classes(names)))
    }
}
