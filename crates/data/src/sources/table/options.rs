//! How a table is read.

use super::number::DecimalMark;

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
    /// Whether [`csv_splits`](crate::csv_splits) standardises the features and the values to predict; [`csv_file`](crate::csv_file) leaves
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
