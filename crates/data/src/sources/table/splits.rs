//! A table to learn from and to validate on.

use std::path::Path;
use std::sync::Arc;

use super::super::parts::{HELD_OUT, SPLIT_SEED, hold_out};
use super::Table;
use super::lines::Lines;
use super::options::CsvOptions;
use crate::divide::divide;
use crate::random::KeyHasher;
use crate::shown::shown_path;
use crate::{DataError, DataRecord, DataSplits, Dataset, Division, Normalise, Pipeline, shown};

/// A table of which a fifth of the rows is held out, with what standardises it.
///
/// Which part a row is in depends on what it says alone, so rows that are added later move no other, and
/// equal rows are in the same part. Unless [`CsvOptions::standardise`] is off, the suggested pipeline
/// brings each feature to a mean of 0 and a deviation of 1 over the rows to learn from, and values to
/// predict are delivered in the same form; [`DataRecord::targets`] leads back to their own units.
///
/// # Errors
/// Those of [`csv_file`](super::csv_file); [`DataError::Setting`] where all rows are the same.
pub fn csv_splits(path: impl AsRef<Path>, options: &CsvOptions) -> Result<DataSplits, DataError> {
    csv_splits_as(path.as_ref(), options, &DataRecord::default())
}

/// The same, as a model knows it that learnt `known`.
pub(crate) fn csv_splits_as(
    path: &Path,
    options: &CsvOptions,
    known: &DataRecord,
) -> Result<DataSplits, DataError> {
    let Table { mut samples, columns, notes } = Table::read(path, options, known)?;
    let is_new = known.columns.is_none();
    let targets = match is_new {
        true if options.standardise => {
            let (train, _) = divide(&samples, &shown_path(path), HELD_OUT, SPLIT_SEED)?;
            samples.scaling_of(&train)
        }
        true => None,
        false => known.targets.clone(),
    };
    let samples = match &targets {
        Some(targets) => samples.scaled(targets)?,
        None => samples,
    };
    let name = samples.name().to_owned();
    let mut splits = hold_out(path, name, Arc::new(samples), HELD_OUT, Division::Key)?;
    for note in notes {
        splits = splits.with_note(note);
    }
    if is_new && options.standardise {
        let normalise = Normalise::of(splits.train.as_ref())?;
        for (column, mean, deviation) in normalise.coarse() {
            splits = splits.with_note(format!(
                "column `{}` lies far from 0 for its spread (mean {mean}, deviation {deviation}), \
                 so that f32 cannot tell its numbers apart; subtract a constant from it first",
                shown(columns.features.get(column).map_or("", String::as_str)),
            ));
        }
        splits = splits.with_augmentation(Pipeline::new().always(normalise)).with_note(
            "features (and values to predict) are standardised by the rows that are learnt from; \
             `standardise=no` leaves them as they are",
        );
    }
    splits.record.columns = Some(columns);
    splits.record.targets = targets;
    Ok(splits)
}

impl Lines<'_> {
    /// A number for what each row says: its features and its target, in the model's order and however
    /// they are written.
    pub(super) fn keys(&self) -> Vec<u64> {
        let rows = self.inputs.chunks_exact(self.width().max(1));
        let key = |(row, (_, target)): (&[f32], &(u64, String))| {
            let mut hasher = KeyHasher::new();
            // Adding 0 makes one zero of the two.
            row.iter().for_each(|value| hasher.add(&(value + 0.0).to_bits().to_le_bytes()));
            let number = self.mark.canonical(target);
            hasher.add(number.as_deref().unwrap_or(target).as_bytes());
            hasher.finish()
        };
        rows.zip(&self.targets).map(key).collect()
    }
}
