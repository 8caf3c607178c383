//! MNIST and the sets that share its files (Fashion-MNIST, KMNIST).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use onestep_memory::Shape;

use super::idx::{IdxArray, read_idx};
use super::kind::DataKind;
use super::parts::{Split, hold_out};
use crate::{DataError, DataSplits, Division, InMemory, TargetSpec};

pub(super) const KIND: DataKind = DataKind {
    name: "mnist",
    place: Some("DIR"),
    about: "MNIST's four files, gzipped or not, `[1, 28, 28]`",
    parts: "`t10k` to validate on; with one part alone about a tenth of it, which is said",
    options: &[],
    open: |opening| mnist_splits_as(opening.place, opening.record.own_division()),
};

const CLASSES: usize = 10;

/// The share that is held out when a folder has only one of MNIST's two parts: with the 10,000
/// pictures of t10k, about 9,000 to learn from and 1,000 to validate on.
const HELD_OUT: f64 = 0.1;

fn prefix(part: Split) -> &'static str {
    match part {
        Split::Train => "train",
        Split::Test => "t10k",
    }
}

/// One part of MNIST from a folder with its original files, gzipped or not.
///
/// [`Split::Train`] reads `train-images-idx3-ubyte` and `train-labels-idx1-ubyte`, [`Split::Test`]
/// the files that start with `t10k`. Inputs are `[1, rows, columns]` from 0 to 1.
///
/// # Errors
/// [`DataError::Missing`] where one of the two files is not there; else those of [`mnist_files`].
pub fn mnist(dir: impl AsRef<Path>, part: Split) -> Result<InMemory, DataError> {
    let dir = dir.as_ref();
    let [images, labels] = ["images-idx3", "labels-idx1"].map(|kind| {
        find(dir, part, kind).ok_or_else(|| DataError::Missing {
            path: dir.to_path_buf(),
            wanted: format!("{}-{kind}-ubyte or {0}-{kind}-ubyte.gz", prefix(part)),
        })
    });
    mnist_files(images?, labels?)
}

/// Pictures and labels from two idx files, gzipped or not.
///
/// # Errors
/// Those of [`read_idx`]; [`DataError::Format`] where the arrays are not 3 and 1 dimensional, where
/// their counts differ or where a label is above 9; [`DataError::Empty`] without pictures.
pub fn mnist_files(
    images: impl AsRef<Path>,
    labels: impl AsRef<Path>,
) -> Result<InMemory, DataError> {
    let (images_path, labels_path) = (images.as_ref(), labels.as_ref());
    let images = read_idx(images_path)?;
    let [count, rows, columns] = images.dims[..] else {
        return Err(wrong_rank(images_path, "pictures", 3, &images));
    };
    let labels = read_idx(labels_path)?;
    let [label_count] = labels.dims[..] else {
        return Err(wrong_rank(labels_path, "labels", 1, &labels));
    };
    if count != label_count {
        let wanted = format!("{count}, as many as {} has pictures", images_path.display());
        return Err(DataError::format(
            labels_path,
            "number of labels",
            wanted,
            label_count.to_string(),
        ));
    }
    if images.data.is_empty() {
        return Err(DataError::Empty { dataset: images_path.display().to_string() });
    }
    if let Some(index) = labels.data.iter().position(|&label| usize::from(label) >= CLASSES) {
        let (what, got) = (format!("label {index}"), labels.data[index].to_string());
        return Err(DataError::format(labels_path, what, "0 to 9", got));
    }
    let shape = Shape::from([1, rows, columns]);
    let labels = labels.data.into_iter().map(i32::from).collect();
    InMemory::pixels("mnist", shape, images.data, 255.0, labels, TargetSpec::classes(CLASSES))
}

fn wrong_rank(path: &Path, what: &str, rank: usize, array: &IdxArray) -> DataError {
    let wanted = format!("an array of {rank} dimensions");
    DataError::format(path, format!("shape of the {what}"), wanted, format!("{:?}", array.dims))
}

/// MNIST from whatever of its four files a folder has.
///
/// With both parts, `train` is learned from and `t10k` validated on. With only one of them, about a
/// tenth is held out, by what each picture is: the same ones in every run.
///
/// # Errors
/// [`DataError::Missing`] where the folder has neither part; else those of [`mnist_files`].
pub fn mnist_splits(dir: impl AsRef<Path>) -> Result<DataSplits, DataError> {
    mnist_splits_as(dir.as_ref(), Division::Key)
}

/// The same, where one part alone is divided in this way.
fn mnist_splits_as(dir: &Path, division: Division) -> Result<DataSplits, DataError> {
    let has = |part| find(dir, part, "images-idx3").is_some();
    let only = match (has(Split::Train), has(Split::Test)) {
        (true, true) => {
            let train = Arc::new(mnist(dir, Split::Train)?);
            let test = Arc::new(mnist(dir, Split::Test)?);
            return DataSplits::new("mnist", train, test);
        }
        (true, false) => Split::Train,
        (false, true) => Split::Test,
        (false, false) => {
            return Err(DataError::Missing {
                path: dir.to_path_buf(),
                wanted: "train-images-idx3-ubyte(.gz) and train-labels-idx1-ubyte(.gz), \
                         t10k-images-idx3-ubyte(.gz) and t10k-labels-idx1-ubyte(.gz), or both pairs"
                    .to_owned(),
            });
        }
    };
    let all = Arc::new(mnist(dir, only)?);
    let splits = hold_out(dir, "mnist".to_owned(), all, HELD_OUT, division)?;
    let note = format!(
        "{}: only the {} files are there, so the model learns from {} of their samples and is \
         validated on the other {}",
        dir.display(),
        prefix(only),
        splits.train.len(),
        splits.validation.len()
    );
    Ok(splits.with_note(note))
}

/// Finds a file under the names that MNIST's mirrors use.
fn find(dir: &Path, part: Split, kind: &str) -> Option<PathBuf> {
    let (start, (name, rank)) = (prefix(part), kind.split_once('-')?);
    [
        format!("{start}-{name}-{rank}-ubyte"),
        format!("{start}-{name}-{rank}-ubyte.gz"),
        format!("{start}-{name}.{rank}-ubyte"),
        format!("{start}-{name}.{rank}-ubyte.gz"),
    ]
    .into_iter()
    .map(|file| dir.join(file))
    .find(|path| path.is_file())
}
