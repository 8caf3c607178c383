//! How data that comes in one piece is divided.

use std::path::Path;
use std::sync::Arc;

use crate::divide::{divide, divide_by_place};
use crate::shown::{listed, shown_path};
use crate::{DataError, DataSplits, Dataset, Division, Subset, TargetSpec};

/// Which part of a data set that comes in two parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Split {
    /// The samples to learn from.
    Train,
    /// The samples that are held out.
    Test,
}

/// Divides the sets that come without a held-out part: the same seed always, so that runs compare.
pub(crate) const SPLIT_SEED: u64 = 20_240_117;

/// The share that is held out of what is not said to be large.
pub(crate) const HELD_OUT: f64 = 0.2;

/// About that share of the samples is held out; `place` names the data in errors. By its keys always the
/// same ones, whatever other samples there are.
pub(crate) fn hold_out(
    place: &Path,
    name: String,
    all: Arc<dyn Dataset>,
    share: f64,
    division: Division,
) -> Result<DataSplits, DataError> {
    let divide = match division {
        Division::Place => divide_by_place,
        _ => divide,
    };
    let (first, second) = divide(all.as_ref(), &shown_path(place), share, SPLIT_SEED)?;
    let train = Subset::new(all.clone(), first)?;
    let validation = Subset::new(all, second)?;
    let unseen = classes_without_samples(&train);
    let mut splits = DataSplits::new(name, Arc::new(train), Arc::new(validation))?;
    splits.record.division = Some(division);
    if !unseen.is_empty() {
        splits = splits.with_note(format!(
            "no sample to learn from of these classes, which have few samples or none: {}",
            listed(&unseen)
        ));
    }
    Ok(splits)
}

fn classes_without_samples(train: &Subset) -> Vec<String> {
    let TargetSpec::Classes { names } = train.target() else { return Vec::new() };
    let mut seen = vec![false; names.len()];
    for class in (0..train.len()).filter_map(|index| train.class(index)) {
        seen[class] = true;
    }
    names.iter().zip(seen).filter(|(_, seen)| !seen).map(|(name, _)| name.clone()).collect()
}
