//! Pairs of any classified data, by a text.

use std::sync::Arc;

use super::kind::{DataKind, Opening};
use super::parts::SPLIT_SEED;
use crate::{DataError, DataRecord, DataSplits, Dataset, Pairs};

pub(super) const KIND: DataKind = DataKind {
    name: "pairs",
    place: Some("DATA"),
    about: "pairs of other data's samples, `a` and `b`, and whether both are of one class: \
            `pairs:mnist:DIR`",
    parts: "those of the other data",
    options: &[],
    open,
};

fn open(opening: &Opening<'_>) -> Result<DataSplits, DataError> {
    // The model knows `different` and `same`, not the classes of the single samples.
    let singles = DataRecord { classes: None, fields: None, ..opening.record.clone() };
    let singles = (opening.open)(opening.text, &singles)?;
    let pairs = |part: Arc<dyn Dataset>| -> Result<Arc<dyn Dataset>, DataError> {
        Ok(Arc::new(Pairs::new(part, SPLIT_SEED)?))
    };
    let (train, validation) = (pairs(singles.train)?, pairs(singles.validation)?);
    let mut splits = DataSplits::new(format!("pairs of {}", singles.name), train, validation)?;
    if let Some(test) = singles.test {
        splits = splits.with_test(pairs(test)?)?;
    }
    let (classes, fields) = (splits.record.classes.take(), splits.record.fields.take());
    splits.record = DataRecord { classes, fields, ..singles.record };
    splits.notes = singles.notes;
    Ok(splits.with_augmentation(singles.augmentation))
}
