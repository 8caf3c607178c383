//! Parts of data sets, and how to divide a set into two.

use std::path::Path;
use std::sync::Arc;

use crate::random::{Purpose, SampleRng};
use crate::shown::shown_path;
use crate::{DataError, Dataset, Fields, SampleMut};

/// Some samples of another data set, in a given order.
#[derive(Clone)]
pub struct Subset {
    dataset: Arc<dyn Dataset>,
    indices: Vec<usize>,
}

impl Subset {
    /// The samples of `dataset` that `indices` names; one may be named more than once.
    ///
    /// # Errors
    /// [`DataError::Index`] for an index past the end, [`DataError::Empty`] without indices.
    pub fn new(dataset: Arc<dyn Dataset>, indices: Vec<usize>) -> Result<Self, DataError> {
        let len = dataset.len();
        if let Some(&index) = indices.iter().find(|&&index| index >= len) {
            return Err(DataError::Index { dataset: dataset.name().to_owned(), index, len });
        }
        if indices.is_empty() {
            return Err(DataError::Empty { dataset: format!("a subset of {}", dataset.name()) });
        }
        Ok(Self { dataset, indices })
    }

    /// The index, in the whole set, of each sample.
    pub fn indices(&self) -> &[usize] {
        &self.indices
    }

    fn original(&self, index: usize) -> Result<usize, DataError> {
        let len = self.indices.len();
        self.indices.get(index).copied().ok_or_else(|| DataError::Index {
            dataset: self.name().to_owned(),
            index,
            len,
        })
    }
}

impl Dataset for Subset {
    fn name(&self) -> &str {
        self.dataset.name()
    }

    fn len(&self) -> usize {
        self.indices.len()
    }

    fn fields(&self) -> Fields {
        self.dataset.fields()
    }

    fn read(&self, index: usize, sample: &mut SampleMut<'_>) -> Result<(), DataError> {
        self.dataset.read(self.original(index)?, sample)
    }

    fn class(&self, index: usize) -> Option<usize> {
        self.dataset.class(*self.indices.get(index)?)
    }

    fn length(&self, index: usize) -> Option<usize> {
        self.dataset.length(*self.indices.get(index)?)
    }

    fn location(&self, index: usize) -> Option<String> {
        let original = *self.indices.get(index)?;
        let place = self.dataset.location(original);
        Some(place.unwrap_or_else(|| format!("sample {original} of the whole set")))
    }
}

/// Divides a data set in two: the second part gets `fraction` of the samples, drawn by `seed`.
///
/// Where the classes are known without reading the inputs, each class is divided in the same
/// proportion (by largest remainders). The second part has `round(fraction * len)` samples, the
/// parts share none, both are in the order of the whole set, and the same seed gives the same
/// parts on every platform.
///
/// # Errors
/// [`DataError::Split`] where the fraction leaves one of the parts empty.
///
/// ```
/// use std::sync::Arc;
/// use onestep_data::{Dataset, digits, split};
///
/// let (train, validation) = split(Arc::new(digits()?), 0.2, 7)?;
/// assert_eq!((train.len(), validation.len()), (1438, 359));
/// # Ok::<(), onestep_data::DataError>(())
/// ```
pub fn split(
    dataset: Arc<dyn Dataset>,
    fraction: f64,
    seed: u64,
) -> Result<(Subset, Subset), DataError> {
    let name = dataset.name().to_owned();
    split_called(dataset, fraction, seed, name)
}

/// [`split`] of data that errors call `name`.
pub(crate) fn split_called(
    dataset: Arc<dyn Dataset>,
    fraction: f64,
    seed: u64,
    name: String,
) -> Result<(Subset, Subset), DataError> {
    let len = dataset.len();
    let second = (fraction * len as f64).round();
    if !(second >= 1.0 && second < len as f64) {
        let wanted = "a share that leaves samples in both parts".to_owned();
        let got = format!("{fraction} of {len} samples");
        return Err(DataError::Split { dataset: name, wanted, got });
    }
    let mut groups = by_class(dataset.as_ref());
    let quotas = quotas(&groups, fraction, second as usize);
    let mut in_second = vec![false; len];
    for (group, (members, quota)) in groups.iter_mut().zip(quotas).enumerate() {
        SampleRng::keyed(Purpose::Split, seed, 0, group as u64).shuffle(members);
        for &index in members.iter().take(quota) {
            in_second[index] = true;
        }
    }
    let (second, first) = (0..len).partition(|&index| in_second[index]);
    Ok((Subset::new(dataset.clone(), first)?, Subset::new(dataset, second)?))
}

/// Divides samples by their keys: the second part has those below the share `fraction` of all keys.
///
/// A sample's part follows from its key alone, so samples that are added move no other, and equal ones
/// stay together. Only where a part would be empty it gets the samples of the key that is nearest.
pub(crate) fn divide_by_key(
    place: &Path,
    keys: &[u64],
    fraction: f64,
) -> Result<(Vec<usize>, Vec<usize>), DataError> {
    let (Some(&least), Some(&most)) = (keys.iter().min(), keys.iter().max()) else {
        return Err(DataError::Empty { dataset: shown_path(place) });
    };
    if least == most {
        let (dataset, wanted) = (shown_path(place), "two different samples at least".to_owned());
        let got = format!("{} of one kind", keys.len());
        return Err(DataError::Split { dataset, wanted, got });
    }
    let bound = (fraction * 2f64.powi(64)) as u64;
    let bound = bound.clamp(least.saturating_add(1), most);
    let (second, first) = (0..keys.len()).partition(|&index| keys[index] < bound);
    Ok((first, second))
}

/// The samples of each class; one group of all where a class is not known.
fn by_class(dataset: &dyn Dataset) -> Vec<Vec<usize>> {
    let mut groups = vec![Vec::new(); dataset.target().class_count().unwrap_or(0)];
    for index in 0..dataset.len() {
        match dataset.class(index).and_then(|class| groups.get_mut(class)) {
            Some(group) => group.push(index),
            None => return vec![(0..dataset.len()).collect()],
        }
    }
    groups
}

/// How many of each group go to the second part, so that they sum to `total`.
fn quotas(groups: &[Vec<usize>], fraction: f64, total: usize) -> Vec<usize> {
    let exact: Vec<f64> = groups.iter().map(|group| group.len() as f64 * fraction).collect();
    let mut quotas: Vec<usize> = exact.iter().map(|share| share.floor() as usize).collect();
    let mut by_remainder: Vec<usize> = (0..groups.len()).collect();
    by_remainder.sort_by(|&a, &b| exact[b].fract().total_cmp(&exact[a].fract()).then(a.cmp(&b)));
    let mut missing = total.saturating_sub(quotas.iter().sum());
    for group in by_remainder {
        if missing > 0 && quotas[group] < groups[group].len() {
            quotas[group] += 1;
            missing -= 1;
        }
    }
    quotas
}

#[cfg(test)]
mod tests {
    use onestep_memory::Shape;

    use super::*;
    use crate::{InMemory, TargetSpec, read_sample};

    fn uneven() -> Arc<dyn Dataset> {
        let labels: Vec<i32> = (0..100).map(|i| i32::from(i % 10 == 0)).collect();
        let inputs = (0..100).map(|i| i as f32).collect();
        let classes = TargetSpec::classes(2);
        let set = InMemory::classification("uneven", Shape::from([1]), inputs, labels, classes);
        Arc::new(set.unwrap())
    }

    #[test]
    fn parts_are_disjoint_complete_and_stratified() {
        let (train, validation) = split(uneven(), 0.2, 3).unwrap();
        let mut all = [train.indices(), validation.indices()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..100).collect::<Vec<_>>());
        let minority = (0..validation.len()).filter(|&i| validation.class(i) == Some(1)).count();
        assert_eq!((validation.len(), minority), (20, 2));
    }

    #[test]
    fn the_seed_decides() {
        let part = |seed| split(uneven(), 0.2, seed).unwrap().1.indices().to_vec();
        assert_eq!(part(3), part(3));
        assert_ne!(part(3), part(4));
        // Written down once: the parts must never change between versions or platforms.
        assert_eq!(part(3)[..6], [2, 4, 8, 11, 37, 38]);
    }

    #[test]
    fn keys_decide_and_no_part_is_empty() {
        let divide = |keys: &[u64]| divide_by_key(Path::new("t.csv"), keys, 0.25).unwrap();
        let quarter = 1 << 62;
        let keys = [quarter, 0, quarter - 1, u64::MAX, 0];
        assert_eq!(divide(&keys), (vec![0, 3], vec![1, 2, 4]));
        assert_eq!(divide(&[9, 7, 8, 9]), (vec![0, 3], vec![1, 2]));
        assert_eq!(divide(&[u64::MAX, 1 << 63, u64::MAX]), (vec![0, 2], vec![1]));
        assert_eq!(divide(&[u64::MAX, u64::MAX - 1]), (vec![0], vec![1]));
        let error = divide_by_key(Path::new("t.csv"), &[3, 3], 0.25).unwrap_err().to_string();
        assert_eq!(
            error,
            "t.csv: cannot be divided: expected two different samples at least, got 2 of one kind"
        );
    }

    #[test]
    fn empty_parts_are_refused() {
        for fraction in [0.0, 1.0, 0.001, -0.5, f64::NAN] {
            let error = split(uneven(), fraction, 0).err().unwrap().to_string();
            let wanted = "uneven: cannot be divided: expected a share that leaves samples in both";
            assert!(error.starts_with(wanted), "{error}");
        }
        assert!(Subset::new(uneven(), vec![]).is_err());
        assert!(Subset::new(uneven(), vec![100]).is_err());
    }

    #[test]
    fn a_subset_reads_the_named_samples() {
        let set = Subset::new(uneven(), vec![42, 7]).unwrap();
        assert_eq!(read_sample(&set, 1).unwrap().0, [7.0]);
        assert!(read_sample(&set, 2).is_err());
        assert_eq!(set.location(0).unwrap(), "sample 42 of the whole set");
    }
}
