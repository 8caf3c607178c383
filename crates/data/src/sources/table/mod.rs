//! Tables of numbers in CSV files.

mod file;
mod form;
mod kind;
mod layout;
mod lines;
mod number;
mod options;
mod splits;
mod target;

use std::path::Path;

use csv::StringRecord;
use onestep_memory::Shape;

use crate::{Columns, DataError, DataRecord, Field, InMemory, shown};
use file::TableFile;
use form::{Form, all_but};
use layout::Layout;
use lines::Lines;
use target::Targets;

pub(super) use kind::KIND;
pub use number::DecimalMark;
pub use options::{Column, CsvOptions, CsvTarget};
pub use splits::csv_splits;

/// A table: a line per sample, one column the target, every other a number.
///
/// Inputs are `[columns - 1]`, as they stand in the file (see [`Normalise`](crate::Normalise)). The
/// file is UTF-8, with or without a byte order mark.
///
/// # Errors
/// [`DataError::Missing`] or [`DataError::Io`] where the file cannot be read, [`DataError::Csv`] for a
/// field that is no finite number or no valid label (with line and column), [`DataError::Format`] for
/// a line with another number of fields, a target column that does not exist, two columns of one name,
/// or a form that can be read in two ways, [`DataError::Empty`] without samples.
pub fn csv_file(path: impl AsRef<Path>, options: &CsvOptions) -> Result<InMemory, DataError> {
    Ok(Table::read(path.as_ref(), options, &DataRecord::default())?.samples)
}

/// A table that has been read.
pub(super) struct Table {
    samples: InMemory,
    columns: Columns,
    notes: Vec<String>,
}

impl Table {
    /// Reads a table, as a model knows it that learnt `known`.
    fn read(path: &Path, options: &CsvOptions, known: &DataRecord) -> Result<Self, DataError> {
        let file = TableFile::open(path)?;
        let mut lines = match &known.columns {
            Some(columns) => Lines::known(file, options, columns)?,
            None => {
                let form = Form::find(&file, options, None, &all_but(&options.target))?;
                let layout = |first: &StringRecord| Layout::of(path, first, form.header, options);
                Lines::read(file, &form, layout)?
            }
        };
        if lines.layout.target.is_none() {
            let target = &lines.layout.columns.target;
            return Err(layout::missing(path, target, &lines.names));
        }
        let wanted = lines.layout.columns.weight.as_ref();
        if let (Some(weight), None) = (wanted, lines.layout.weight) {
            return Err(layout::missing(path, &weight.name, &lines.names));
        }
        let is_values = known.columns.is_some() && known.classes.is_none();
        let kind = if is_values { CsvTarget::Values } else { options.kind };
        let mut notes = std::mem::take(&mut lines.notes);
        let targets = target::read(&lines, kind, known.classes.as_deref(), &mut notes)?;
        let keys = lines.keys();
        let name = shown(&path.file_stem().unwrap_or_default().to_string_lossy());
        let shape = Shape::from([lines.width()]);
        let inputs = std::mem::take(&mut lines.inputs);
        let weights = std::mem::take(&mut lines.weights);
        let mut samples = match targets {
            Targets::Values(values) => {
                InMemory::regression(name, shape, inputs, Shape::from([1]), values)?
            }
            Targets::Labels(labels, classes) => {
                InMemory::classification(name, shape, inputs, labels, classes)?
            }
        };
        if lines.layout.weight.is_some() {
            samples = samples.with_field(Field::weight("weight"), weights)?;
        }
        let samples = samples.with_keys(keys)?;
        Ok(Self { samples, columns: lines.layout.columns, notes })
    }
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
        self.values.chunks_exact(self.width.max(1))
    }
}

impl DataRecord {
    /// Reads a table for predictions, as the table was read that the model was trained on.
    ///
    /// Features are found by their names and put in the model's order where both tables have names, else
    /// they are taken as they stand; the target's column may be there or not, and other columns are
    /// passed over where there are names. A model that was not trained on a table takes all columns.
    ///
    /// # Errors
    /// Those of [`csv_file`]; [`DataError::Format`] where a column is missing.
    pub fn read_table(&self, path: impl AsRef<Path>) -> Result<TableRows, DataError> {
        let file = TableFile::open(path.as_ref())?;
        let options = CsvOptions::default();
        let lines = match &self.columns {
            Some(columns) => Lines::known(file, &options, columns)?,
            None => {
                let form = Form::find(&file, &options, None, &|first| vec![true; first.len()])?;
                Lines::read(file, &form, |first| Ok(Layout::all(first.len())))?
            }
        };
        Ok(TableRows { width: lines.width(), values: lines.inputs, lines: lines.numbers })
    }
}
