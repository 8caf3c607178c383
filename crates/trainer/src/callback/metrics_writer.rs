//! Metrics as files, one row an epoch.

use std::io;
use std::path::{Path, PathBuf};

use crate::TrainerError;
use crate::atomic_file::write_atomically;
use crate::callback::{Callback, Flow, Mishap, RunView};
use crate::history::EpochRecord;
use crate::metrics::Metrics;

/// Writes a CSV file with a header and one row an epoch, anew after each epoch, so that it is
/// complete at any time and covers the epochs before a resumption.
#[derive(Clone, Debug)]
pub struct MetricsCsv {
    path: PathBuf,
    mishap: Mishap,
}

impl MetricsCsv {
    /// The columns of the file for runs with these metrics besides the loss.
    pub fn columns<'a>(metrics: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        let metrics: Vec<&str> = ["loss"].into_iter().chain(metrics).collect();
        let of = |part: &'static str| metrics.iter().map(move |name| format!("{part}_{name}"));
        let first = ["epoch", "step", "learning_rate"].map(str::to_owned).into_iter();
        let last = [
            "steps_per_second",
            "samples_per_second",
            "data_seconds",
            "train_seconds",
            "validation_seconds",
        ];
        let figures = of("train").chain(of("validation"));
        first.chain(figures).chain(last.map(str::to_owned)).collect()
    }

    /// A file at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        MetricsCsv { path: path.into(), mishap: Mishap::default() }
    }

    /// Why the file could not be written last, which ends no training; none where it was.
    pub fn failure(&self) -> Option<&str> {
        self.mishap.0.as_deref()
    }

    /// Writes the epochs to a file.
    ///
    /// # Errors
    /// [`TrainerError::File`].
    pub fn write(path: &Path, epochs: &[EpochRecord]) -> Result<(), TrainerError> {
        write_atomically(path, |file| {
            let mut table = csv::Writer::from_writer(file);
            let metrics = names(epochs);
            table.write_record(Self::columns(metrics.iter().copied())).map_err(io::Error::from)?;
            for epoch in epochs {
                table.write_record(row(epoch, &metrics)).map_err(io::Error::from)?;
            }
            table.flush()
        })
    }
}

/// The metrics of all epochs, in the order in which they came up: a run that is resumed may measure
/// others than before.
fn names(epochs: &[EpochRecord]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for name in epochs.iter().flat_map(|epoch| epoch.train.names()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The values of the columns. Figures that an epoch does not have are empty.
fn row(epoch: &EpochRecord, metrics: &[&str]) -> Vec<String> {
    let figures = |part: Option<&Metrics>| -> Vec<String> {
        let values = ["loss"].iter().chain(metrics).map(|name| part.and_then(|p| p.get(name)));
        values.map(|value| value.map(|v| v.to_string()).unwrap_or_default()).collect()
    };
    let mut row =
        vec![epoch.epoch.to_string(), epoch.step.to_string(), epoch.learning_rate.to_string()];
    row.extend(figures(Some(&epoch.train)));
    row.extend(figures(epoch.validation.as_ref()));
    row.extend([
        format!("{:.3}", epoch.steps_per_second()),
        format!("{:.3}", epoch.samples_per_second()),
        format!("{:.6}", epoch.phases.data_seconds),
        format!("{:.6}", epoch.phases.train_seconds),
        format!("{:.6}", epoch.phases.validation_seconds),
    ]);
    row
}

impl Callback for MetricsCsv {
    fn name(&self) -> &str {
        "metrics_csv"
    }

    fn on_epoch_end(
        &mut self,
        run: &mut RunView<'_>,
        _: &EpochRecord,
    ) -> Result<Flow, TrainerError> {
        self.mishap.note(Self::write(&self.path, run.epochs()))
    }
}

/// Writes a JSON file, an array with one object an epoch, anew after each epoch.
#[derive(Clone, Debug)]
pub struct MetricsJson {
    path: PathBuf,
    mishap: Mishap,
}

impl MetricsJson {
    /// A file at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        MetricsJson { path: path.into(), mishap: Mishap::default() }
    }

    /// Why the file could not be written last, which ends no training; none where it was.
    pub fn failure(&self) -> Option<&str> {
        self.mishap.0.as_deref()
    }

    /// Writes the epochs to a file.
    ///
    /// # Errors
    /// [`TrainerError::File`].
    pub fn write(path: &Path, epochs: &[EpochRecord]) -> Result<(), TrainerError> {
        write_atomically(path, |file| {
            serde_json::to_writer_pretty(&mut *file, epochs)?;
            file.write_all(b"\n")
        })
    }
}

impl Callback for MetricsJson {
    fn name(&self) -> &str {
        "metrics_json"
    }

    fn on_epoch_end(
        &mut self,
        run: &mut RunView<'_>,
        _: &EpochRecord,
    ) -> Result<Flow, TrainerError> {
        self.mishap.note(Self::write(&self.path, run.epochs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_can_be_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let train = Metrics::new(0.25).with("accuracy", 0.75);
        let epochs = [EpochRecord { epoch: 1, train, ..EpochRecord::default() }];
        let path = folder.path().join("metrics.csv");
        MetricsCsv::write(&path, &epochs).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 2);
        assert!(text.lines().nth(1).unwrap().starts_with("1,0,0,0.25,0.75,,,0.000"), "{text}");

        let path = folder.path().join("metrics.json");
        MetricsJson::write(&path, &epochs).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(serde_json::from_str::<Vec<EpochRecord>>(&text).unwrap(), epochs);
    }
}
