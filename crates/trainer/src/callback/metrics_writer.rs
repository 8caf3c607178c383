//! Metrics as files, one row an epoch.

use std::io;
use std::path::{Path, PathBuf};

use crate::TrainerError;
use crate::atomic_file::write_atomically;
use crate::callback::{Callback, Flow, Mishap};
use crate::history::EpochRecord;
use crate::trainer::Trainer;

/// Writes a CSV file with a header and one row an epoch, anew after each epoch, so that it is
/// complete at any time and covers the epochs before a resumption.
#[derive(Clone, Debug)]
pub struct MetricsCsv {
    path: PathBuf,
    mishap: Mishap,
}

impl MetricsCsv {
    /// The columns of the file. Figures that a run does not have are empty.
    pub const COLUMNS: [&'static str; 14] = [
        "epoch",
        "step",
        "learning_rate",
        "train_loss",
        "train_accuracy",
        "train_mean_absolute_error",
        "validation_loss",
        "validation_accuracy",
        "validation_mean_absolute_error",
        "steps_per_second",
        "samples_per_second",
        "data_seconds",
        "train_seconds",
        "validation_seconds",
    ];

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
            table.write_record(Self::COLUMNS).map_err(io::Error::from)?;
            for epoch in epochs {
                table.write_record(row(epoch)).map_err(io::Error::from)?;
            }
            table.flush()
        })
    }
}

fn row(epoch: &EpochRecord) -> [String; 14] {
    let number = |value: Option<f64>| value.map(|v| v.to_string()).unwrap_or_default();
    let (train, validation) = (&epoch.train, epoch.validation.as_ref());
    [
        epoch.epoch.to_string(),
        epoch.step.to_string(),
        epoch.learning_rate.to_string(),
        train.loss.to_string(),
        number(train.accuracy),
        number(train.mean_absolute_error),
        number(validation.map(|v| v.loss)),
        number(validation.and_then(|v| v.accuracy)),
        number(validation.and_then(|v| v.mean_absolute_error)),
        format!("{:.3}", epoch.steps_per_second()),
        format!("{:.3}", epoch.samples_per_second()),
        format!("{:.6}", epoch.phases.data_seconds),
        format!("{:.6}", epoch.phases.train_seconds),
        format!("{:.6}", epoch.phases.validation_seconds),
    ]
}

impl Callback for MetricsCsv {
    fn name(&self) -> &str {
        "metrics_csv"
    }

    fn on_epoch_end(
        &mut self,
        trainer: &mut Trainer,
        _: &EpochRecord,
    ) -> Result<Flow, TrainerError> {
        self.mishap.note(Self::write(&self.path, trainer.epochs()))
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
        trainer: &mut Trainer,
        _: &EpochRecord,
    ) -> Result<Flow, TrainerError> {
        self.mishap.note(Self::write(&self.path, trainer.epochs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Metrics;

    #[test]
    fn rows_can_be_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let train = Metrics { loss: 0.25, accuracy: Some(0.75), mean_absolute_error: None };
        let epochs = [EpochRecord { epoch: 1, train, ..EpochRecord::default() }];
        let path = folder.path().join("metrics.csv");
        MetricsCsv::write(&path, &epochs).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 2);
        assert!(text.lines().nth(1).unwrap().starts_with("1,0,0,0.25,0.75,,,,"), "{text}");

        let path = folder.path().join("metrics.json");
        MetricsJson::write(&path, &epochs).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(serde_json::from_str::<Vec<EpochRecord>>(&text).unwrap(), epochs);
    }
}
