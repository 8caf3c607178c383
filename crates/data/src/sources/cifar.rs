//! CIFAR-10 in its binary version.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use onestep_memory::Shape;

use super::kind::DataKind;
use super::parts::{Split, hold_out};
use crate::{DataError, DataSplits, Division, InMemory, Pipeline, TargetSpec};

pub(super) const KIND: DataKind = DataKind {
    name: "cifar10",
    place: Some("DIR"),
    about: "CIFAR-10's binary files, `[3, 32, 32]`",
    parts: "`test_batch.bin` to validate on; without it about a tenth, which is said",
    options: &[],
    open: |opening| cifar10_splits_as(opening.place, opening.record.own_division()),
};

const CLASSES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];
const PIXELS: usize = 3 * 32 * 32;
/// A label, then the red, the green and the blue plane.
const RECORD: usize = 1 + PIXELS;
const BATCHES: usize = 5;
const HELD_OUT: f64 = 0.1;

/// One part of CIFAR-10 (Krizhevsky, *Learning multiple layers of features from tiny images*, 2009)
/// from a folder with the files of `cifar-10-binary.tar.gz`, or from the folder above.
///
/// [`Split::Train`] reads those of `data_batch_1.bin` to `data_batch_5.bin` that are there,
/// [`Split::Test`] reads `test_batch.bin`. Inputs are `[3, 32, 32]` from 0 to 1.
///
/// # Errors
/// [`DataError::Missing`] without such a file, [`DataError::Format`] where a file is not a whole
/// number of records or has a label above 9, [`DataError::Empty`] for empty files.
pub fn cifar10(dir: impl AsRef<Path>, part: Split) -> Result<InMemory, DataError> {
    let dir = dir.as_ref();
    let files = files(dir, part);
    if files.is_empty() {
        let wanted = match part {
            Split::Train => "data_batch_1.bin to data_batch_5.bin",
            Split::Test => "test_batch.bin",
        };
        return Err(DataError::Missing { path: dir.to_path_buf(), wanted: wanted.to_owned() });
    }
    let mut pixels = Vec::new();
    let mut labels = Vec::new();
    for file in &files {
        read_batch(file, &mut pixels, &mut labels)?;
    }
    let shape = Shape::from([3, 32, 32]);
    let classes = TargetSpec::named_classes(CLASSES);
    InMemory::pixels("cifar10", shape, pixels, 255.0, labels, classes)
}

/// CIFAR-10 to learn from and to validate on; without `test_batch.bin` about a tenth of the training
/// pictures is held out, by what each is: the same ones in every run.
///
/// The suggested augmentation is the usual one: a crop with a border of 4, and horizontal flips.
///
/// # Errors
/// Those of [`cifar10`].
pub fn cifar10_splits(dir: impl AsRef<Path>) -> Result<DataSplits, DataError> {
    cifar10_splits_as(dir.as_ref(), Division::Key)
}

/// The same, where the training pictures alone are divided in this way.
fn cifar10_splits_as(dir: &Path, division: Division) -> Result<DataSplits, DataError> {
    let train = Arc::new(cifar10(dir, Split::Train)?);
    let found = files(dir, Split::Train).len();
    let mut splits = if files(dir, Split::Test).is_empty() {
        let splits = hold_out(dir, "cifar10".to_owned(), train, HELD_OUT, division)?;
        let count = splits.validation.len();
        splits.with_note(format!(
            "there is no test_batch.bin, so {count} of the training pictures are held out to validate on"
        ))
    } else {
        DataSplits::new("cifar10", train, Arc::new(cifar10(dir, Split::Test)?))?
    };
    if found < BATCHES {
        splits = splits.with_note(format!("{found} of the {BATCHES} training batches are there"));
    }
    Ok(splits.with_augmentation(Pipeline::new().random_crop(4).random_horizontal_flip(0.5)))
}

fn files(dir: &Path, part: Split) -> Vec<PathBuf> {
    let names: Vec<String> = match part {
        Split::Train => (1..=BATCHES).map(|n| format!("data_batch_{n}.bin")).collect(),
        Split::Test => vec!["test_batch.bin".to_owned()],
    };
    let present = |dir: &Path| -> Vec<PathBuf> {
        names.iter().map(|name| dir.join(name)).filter(|path| path.is_file()).collect()
    };
    let here = present(dir);
    if here.is_empty() { present(&dir.join("cifar-10-batches-bin")) } else { here }
}

fn read_batch(path: &Path, pixels: &mut Vec<u8>, labels: &mut Vec<i32>) -> Result<(), DataError> {
    let content = std::fs::read(path)
        .map_err(|source| DataError::io(path, "read", "a CIFAR-10 batch", source))?;
    if content.is_empty() || !content.len().is_multiple_of(RECORD) {
        let wanted = format!("a multiple of {RECORD} bytes (a label and 3 planes of 32x32)");
        return Err(DataError::format(path, "size", wanted, format!("{} bytes", content.len())));
    }
    for (index, record) in content.chunks_exact(RECORD).enumerate() {
        let label = record[0];
        if usize::from(label) >= CLASSES.len() {
            let what = format!("label of record {index}");
            return Err(DataError::format(path, what, "0 to 9", label.to_string()));
        }
        labels.push(i32::from(label));
        pixels.extend_from_slice(&record[1..]);
    }
    Ok(())
}
