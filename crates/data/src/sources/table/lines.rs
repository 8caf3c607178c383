//! The lines of a table.

use std::collections::HashSet;
use std::path::Path;

use csv::StringRecord;

use super::file::{TableFile, unreadable};
use super::form::{Form, has_all};
use super::layout::Layout;
use super::number::DecimalMark;
use super::options::CsvOptions;
use crate::shown::{shown, shown_path};
use crate::{Columns, DataError};

/// The fields of a table: features as numbers, targets still as texts.
pub(super) struct Lines<'a> {
    pub(super) path: &'a Path,
    pub(super) mark: DecimalMark,
    pub(super) layout: Layout,
    /// What the columns of the file are called.
    pub(super) names: Vec<String>,
    pub(super) inputs: Vec<f32>,
    pub(super) weights: Vec<f32>,
    /// The line of each sample.
    pub(super) numbers: Vec<u64>,
    /// The line and the text of each target, where there is a target.
    pub(super) targets: Vec<(u64, String)>,
    pub(super) notes: Vec<String>,
}

impl<'a> Lines<'a> {
    /// The lines of a table for a model that knows its columns.
    pub(super) fn known(
        file: TableFile<'a>,
        options: &CsvOptions,
        columns: &Columns,
    ) -> Result<Self, DataError> {
        let names = columns.header.then_some(&columns.features[..]);
        let features = |first: &StringRecord| -> Vec<bool> {
            match names.filter(|names| has_all(first, names)) {
                Some(names) => {
                    let names: HashSet<&str> = names.iter().map(String::as_str).collect();
                    first.iter().map(|name| names.contains(name)).collect()
                }
                None if first.len() <= columns.features.len() => vec![true; first.len()],
                None => (0..first.len()).map(|column| column != columns.target_index).collect(),
            }
        };
        let form = Form::find(&file, options, names, &features)?;
        let (path, header) = (file.path, form.header);
        Self::read(file, &form, |first| Layout::known(path, first, header, columns))
    }

    pub(super) fn read(
        file: TableFile<'a>,
        form: &Form,
        layout: impl FnOnce(&StringRecord) -> Result<Layout, DataError>,
    ) -> Result<Self, DataError> {
        let path = file.path;
        let mut reader = file.reader(form.delimiter);
        let mut record = StringRecord::new();
        let mut next = |record: &mut StringRecord| {
            reader.read_record(record).map_err(|error| unreadable(path, error))
        };
        let mut more = next(&mut record)?;
        if !more {
            return Err(DataError::Empty { dataset: shown_path(path) });
        }
        let mut lines = Self {
            path,
            mark: form.mark,
            layout: layout(&record)?,
            names: record.iter().map(str::to_owned).collect(),
            inputs: Vec::new(),
            weights: Vec::new(),
            numbers: Vec::new(),
            targets: Vec::new(),
            notes: form.notes.clone(),
        };
        if form.header {
            more = next(&mut record)?;
        }
        while more {
            lines.push(&record)?;
            more = next(&mut record)?;
        }
        if lines.numbers.is_empty() {
            return Err(DataError::Empty { dataset: shown_path(path) });
        }
        Ok(lines)
    }

    pub(super) fn width(&self) -> usize {
        self.layout.features.len()
    }

    fn push(&mut self, record: &StringRecord) -> Result<(), DataError> {
        let line = record.position().map_or(0, csv::Position::line);
        for &column in &self.layout.features {
            let field = record.get(column).unwrap_or_default();
            let value = self.mark.number(field).ok_or_else(|| {
                // Only the first of all lines can be meant as names.
                let hint = if self.numbers.is_empty() && line == 1 && !field.is_empty() {
                    " (`header=yes` where the line holds names)"
                } else {
                    ""
                };
                self.error(line, self.layout.name(column), format!("a finite number{hint}"), field)
            })?;
            self.inputs.push(value);
        }
        if let Some(weight) = self.layout.weight {
            let field = record.get(weight).unwrap_or_default();
            let value = self.mark.number(field).filter(|value| *value >= 0.0).ok_or_else(|| {
                self.error(line, self.layout.name(weight), "a weight: a number from 0 on", field)
            })?;
            self.weights.push(value);
        }
        if let Some(target) = self.layout.target {
            self.targets.push((line, record.get(target).unwrap_or_default().to_owned()));
        }
        self.numbers.push(line);
        Ok(())
    }

    /// The error of one field.
    pub(super) fn error(
        &self,
        line: u64,
        column: String,
        wanted: impl Into<String>,
        got: &str,
    ) -> DataError {
        let got =
            if got.is_empty() { "an empty field".to_owned() } else { format!("`{}`", shown(got)) };
        DataError::Csv { path: self.path.to_path_buf(), line, column, wanted: wanted.into(), got }
    }
}
