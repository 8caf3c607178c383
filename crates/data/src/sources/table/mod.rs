//! Tables of numbers in CSV files.

mod file;
mod form;
mod kind;
mod layout;
mod number;
mod splits;
mod target;

use std::collections::HashSet;
use std::path::Path;

use csv::StringRecord;
use onestep_memory::Shape;

use crate::shown::shown_path;
use crate::{Columns, DataError, DataRecord, Field, InMemory, shown};
use file::{TableFile, unreadable};
use form::{Form, all_but, has_all};
use layout::Layout;
use target::Targets;

pub(super) use kind::KIND;
pub use number::DecimalMark;
pub use splits::csv_splits;
pub(crate) use splits::csv_splits_as;
pub(crate) use target::MOST_LABELS;

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
    /// Values where every target is a number and one at least has a fraction, or where there are more
    /// than 50 different whole numbers (more than 10, where most of them come once); else classes.
    #[default]
    Auto,
    /// Classes: the distinct texts by text, or the distinct numbers in their order where all are
    /// numbers (`1`, `01`, `+1` and `1.0` are one class).
    Classes,
    /// Labels that are whole numbers from 0 to below this count.
    Labels(usize),
    /// Numbers to predict.
    Values,
}

/// How a CSV file is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvOptions {
    /// Whether the first line holds names; `None` finds out from the first lines, and refuses a file
    /// whose first line may be either.
    pub header: Option<bool>,
    /// The target's column; all others are features, in their order.
    pub target: Column,
    /// The column that says how much a row counts in the loss: numbers from 0 on, delivered as the field
    /// `weight`.
    pub weight: Option<Column>,
    /// What the target means.
    pub kind: CsvTarget,
    /// The character between fields; `None` finds out which of `,`, `;`, `|` and the tab it is, and
    /// refuses a file that can be read with two.
    pub delimiter: Option<u8>,
    /// How numbers are written; `None` finds out, and refuses what can be read in two ways. Commas
    /// cannot be decimal marks where they stand between fields.
    pub decimal: Option<DecimalMark>,
    /// Whether [`csv_splits`] standardises the features and the values to predict; [`csv_file`] leaves
    /// all numbers as they stand.
    pub standardise: bool,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self {
            header: None,
            target: Column::Last,
            weight: None,
            kind: CsvTarget::Auto,
            delimiter: None,
            decimal: None,
            standardise: true,
        }
    }
}

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
    /// What tells a sample apart from others, whatever else the table holds.
    keys: Vec<u64>,
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
        Ok(Self { samples, columns: lines.layout.columns, keys, notes })
    }
}

/// The fields of a table: features as numbers, targets still as texts.
struct Lines<'a> {
    path: &'a Path,
    mark: DecimalMark,
    layout: Layout,
    /// What the columns of the file are called.
    names: Vec<String>,
    inputs: Vec<f32>,
    weights: Vec<f32>,
    /// The line of each sample.
    numbers: Vec<u64>,
    /// The line and the text of each target, where there is a target.
    targets: Vec<(u64, String)>,
    notes: Vec<String>,
}

impl<'a> Lines<'a> {
    /// The lines of a table for a model that knows its columns.
    fn known(
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

    fn read(
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

    fn width(&self) -> usize {
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
