//! What can go wrong with data, each case with what was got and what was wanted.

use std::path::{Path, PathBuf};
use std::time::Duration;

use onestep_memory::MemoryError;

use crate::shown::{escaped, listed, shown, shown_path};

/// An error of a dataset, a file format or the loader.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file or folder that is needed is not there.
    #[error("{}: not found; expected {wanted}", shown_path(path))]
    Missing {
        /// The path that was looked for.
        path: PathBuf,
        /// What should have been there.
        wanted: String,
    },

    /// The operating system refused to read a file or folder.
    #[error("{}: cannot {action}: {source}", shown_path(path))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried, as a verb phrase ("read the folder").
        action: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },

    /// A file's content is not what its format asks for.
    #[error("{}: {what}: expected {wanted}, got {got}", shown_path(path))]
    Format {
        /// The file.
        path: PathBuf,
        /// The part of the file ("magic number", "label 17").
        what: String,
        /// What the format or the rest of the data set asks for.
        wanted: String,
        /// What the file holds.
        got: String,
    },

    /// A picture cannot be decoded.
    #[error(
        "{}: cannot decode the image (expected a png, jpeg, gif, bmp or webp file): {source}",
        shown_path(path)
    )]
    Image {
        /// The picture.
        path: PathBuf,
        /// The decoder's reason.
        source: image::ImageError,
    },

    /// A field of a CSV file is unusable.
    #[error("{}: line {line}, column {column}: expected {wanted}, got {got}", shown_path(path))]
    Csv {
        /// The file.
        path: PathBuf,
        /// The line in the file, counted from 1.
        line: u64,
        /// The column's name where there is a header, else its number counted from 1.
        column: String,
        /// What the column should hold.
        wanted: String,
        /// The field as it stands.
        got: String,
    },

    /// A class label does not exist.
    #[error("{dataset}: sample {index}: expected a label from 0 to {}, got {label}", classes.saturating_sub(1))]
    Label {
        /// The data set.
        dataset: String,
        /// The sample.
        index: usize,
        /// Its label.
        label: i64,
        /// The number of classes.
        classes: usize,
    },

    /// A label or an index of a field does not exist.
    #[error(
        "{dataset}: sample {index}: field `{field}`, element {element}: expected {wanted}, got {got}"
    )]
    Range {
        /// The data set.
        dataset: String,
        /// The sample.
        index: usize,
        /// The field.
        field: String,
        /// The element, counted from 0 in the order of memory.
        element: usize,
        /// The numbers that the field may have.
        wanted: String,
        /// The number it has.
        got: i64,
    },

    /// A field of a sample that is not there, or is not of the type or size that is asked for.
    #[error("field `{}`: expected {wanted}, got {got}", shown(field))]
    Field {
        /// The field's name.
        field: String,
        /// What is asked for.
        wanted: String,
        /// What there is.
        got: String,
    },

    /// A character that the model does not know.
    #[error(
        "{}: line {line}, column {column}: expected one of the {known} characters that the model \
         knows, got {got:?} (U+{:04X})", escaped(text), u32::from(*got)
    )]
    Character {
        /// The text: its file, where it has one.
        text: String,
        /// The line, counted from 1.
        line: usize,
        /// The place in the line, in characters counted from 1.
        column: usize,
        /// How many characters the model knows.
        known: usize,
        /// The character.
        got: char,
    },

    /// Data teaches something else than the model knows.
    #[error("{dataset}: expected the model's classes ({}), got {got}", listed(known))]
    Classes {
        /// The data set.
        dataset: String,
        /// The names that the model knows.
        known: Vec<String>,
        /// What the data has.
        got: String,
    },

    /// Data that has no part to learn from and another to validate on.
    #[error("{dataset}: cannot be divided: expected {wanted}, got {got}")]
    Split {
        /// The data set or the file it was read from.
        dataset: String,
        /// What it takes to divide it.
        wanted: String,
        /// What there is.
        got: String,
    },

    /// Lengths that belong together differ.
    #[error("{dataset}: {what}: expected {wanted}, got {got}")]
    Length {
        /// The data set.
        dataset: String,
        /// What has the wrong length.
        what: &'static str,
        /// The length that fits the rest, in elements.
        wanted: usize,
        /// The length there is, in elements.
        got: usize,
    },

    /// A data set without samples.
    #[error("{dataset}: expected at least one sample, got none")]
    Empty {
        /// The data set or the file it was read from.
        dataset: String,
    },

    /// A sample beyond the end of a data set.
    #[error("{dataset}: expected a sample index below {len}, got {index}")]
    Index {
        /// The data set.
        dataset: String,
        /// The index asked for.
        index: usize,
        /// The number of samples.
        len: usize,
    },

    /// A setting of the loader, a transform or a split that makes no sense.
    #[error("{setting}: expected {wanted}, got {got}")]
    Setting {
        /// The setting's name.
        setting: &'static str,
        /// The values it may have.
        wanted: String,
        /// The value it was given.
        got: String,
    },

    /// A data specification that cannot be read, such as `mnist` without its folder.
    #[error("data `{}`: {reason}; expected {forms}", shown(spec))]
    Spec {
        /// The specification.
        spec: String,
        /// What is wrong with it.
        reason: String,
        /// The texts that there are.
        forms: String,
    },

    /// Reading one sample failed.
    #[error("{dataset}: sample {index}{}: {source}", in_place(location))]
    Sample {
        /// The data set.
        dataset: String,
        /// The sample.
        index: usize,
        /// Its file, where it has one.
        location: Option<String>,
        /// Why it failed.
        #[source]
        source: Box<DataError>,
    },

    /// A dataset or a transform panicked over one sample.
    #[error("{dataset}: sample {index}{}: the reader panicked: {message}", in_place(location))]
    Panicked {
        /// The data set.
        dataset: String,
        /// The sample.
        index: usize,
        /// Its file, where it has one.
        location: Option<String>,
        /// The panic's message.
        message: String,
    },

    /// Any other failure of a user's own dataset or transform.
    #[error("{message}")]
    Other {
        /// What happened.
        message: String,
    },

    /// No staging slot came back: every one is held by a batch that is still alive.
    #[error(
        "loader of {dataset}: all {slots} staging slots were held by unfinished batches for {} s; \
         drop each batch when its step has completed, or raise `in_flight`",
        waited.as_secs_f32()
    )]
    Stalled {
        /// The data set.
        dataset: String,
        /// The number of slots.
        slots: usize,
        /// How long the loader waited.
        waited: Duration,
    },

    /// The loader's threads have ended, so no batch can come any more.
    #[error("loader of {dataset}: its worker threads have ended; build a new loader")]
    WorkersEnded {
        /// The data set.
        dataset: String,
    },

    /// A worker thread could not be started.
    #[error("loader of {dataset}: cannot start a worker thread: {source}")]
    Thread {
        /// The data set.
        dataset: String,
        /// The system's reason.
        source: std::io::Error,
    },

    /// Memory for the staging slots, or a tensor operation on them, failed.
    #[error(transparent)]
    Memory(#[from] MemoryError),
}

impl DataError {
    /// An error of a user's own dataset or transform, from any message.
    pub fn other(message: impl Into<String>) -> Self {
        Self::Other { message: message.into() }
    }

    /// Turns an error of the operating system into [`DataError::Missing`] or [`DataError::Io`].
    pub(crate) fn io(
        path: &Path,
        action: &'static str,
        wanted: &str,
        source: std::io::Error,
    ) -> Self {
        let path = path.to_path_buf();
        if source.kind() == std::io::ErrorKind::NotFound {
            Self::Missing { path, wanted: wanted.to_owned() }
        } else {
            Self::Io { path, action, source }
        }
    }

    /// A [`DataError::Format`] from things that can be printed.
    pub(crate) fn format(
        path: &Path,
        what: impl Into<String>,
        wanted: impl Into<String>,
        got: impl Into<String>,
    ) -> Self {
        Self::Format {
            path: path.to_path_buf(),
            what: what.into(),
            wanted: wanted.into(),
            got: got.into(),
        }
    }

    /// A [`DataError::Field`] from things that can be printed.
    pub(crate) fn field(field: &str, wanted: impl ToString, got: impl ToString) -> Self {
        let (wanted, got) = (wanted.to_string(), got.to_string());
        Self::Field { field: field.to_owned(), wanted, got }
    }

    /// A [`DataError::Setting`] from things that can be printed.
    pub(crate) fn setting(
        setting: &'static str,
        wanted: impl Into<String>,
        got: impl ToString,
    ) -> Self {
        Self::Setting { setting, wanted: wanted.into(), got: got.to_string() }
    }
}

fn in_place(location: &Option<String>) -> String {
    location.as_ref().map(|place| format!(" ({})", escaped(place))).unwrap_or_default()
}
