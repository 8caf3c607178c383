//! How a data set is divided in two.

use std::sync::Arc;

use crate::random::{Purpose, SampleRng, spread};
use crate::{DataError, Dataset, Subset, sample_key};

/// Divides a data set in two: the second part gets about `fraction` of the samples, drawn by `seed`.
///
/// A sample's part follows from its [key](Dataset::key) and the seed alone: from what the sample is, never
/// from where it stands. So samples that are added, moved or removed move no other, samples of one key are
/// in the same part, and the shares (of each class too) are about those asked for. The parts share no
/// sample, both are in the order of the whole set, and the same seed gives the same parts on every platform.
/// Only where a part would be empty it gets the samples of the key that is nearest.
///
/// Where a data set knows no keys, each sample is read once.
///
/// # Errors
/// [`DataError::Split`] where the fraction leaves one of the parts empty, and where all samples have one
/// key; those of reading the samples.
///
/// ```
/// use std::sync::Arc;
/// use onestep_data::{Dataset, digits, split};
///
/// let (train, validation) = split(Arc::new(digits()?), 0.2, 7)?;
/// assert_eq!(train.len() + validation.len(), 1797);
/// assert!((320..400).contains(&validation.len()));
/// # Ok::<(), onestep_data::DataError>(())
/// ```
pub fn split(
    dataset: Arc<dyn Dataset>,
    fraction: f64,
    seed: u64,
) -> Result<(Subset, Subset), DataError> {
    size_of_second(dataset.as_ref(), dataset.name(), fraction)?;
    let (first, second) = divide(dataset.as_ref(), dataset.name(), fraction, seed)?;
    Ok((Subset::new(dataset.clone(), first)?, Subset::new(dataset, second)?))
}

/// The samples of both parts of a [`split`] of data that errors call `name`, by any share.
pub(crate) fn divide(
    dataset: &dyn Dataset,
    name: &str,
    fraction: f64,
    seed: u64,
) -> Result<(Vec<usize>, Vec<usize>), DataError> {
    let key = |index| Ok(spread(sample_key(dataset, index)?, seed));
    let keys: Vec<u64> = (0..dataset.len()).map(key).collect::<Result<_, DataError>>()?;
    divide_by_key(name, &keys, fraction)
}

/// The samples that a share asks for, which leaves some in both parts.
fn size_of_second(dataset: &dyn Dataset, name: &str, fraction: f64) -> Result<usize, DataError> {
    let len = dataset.len();
    let second = (fraction * len as f64).round();
    if second >= 1.0 && second < len as f64 {
        return Ok(second as usize);
    }
    let wanted = "a share that leaves samples in both parts".to_owned();
    let got = format!("{fraction} of {len} samples");
    Err(DataError::Split { dataset: name.to_owned(), wanted, got })
}

/// Divides samples by numbers that are spread evenly: the second part has those below the share `fraction`
/// of all numbers.
fn divide_by_key(
    name: &str,
    keys: &[u64],
    fraction: f64,
) -> Result<(Vec<usize>, Vec<usize>), DataError> {
    let (Some(&least), Some(&most)) = (keys.iter().min(), keys.iter().max()) else {
        return Err(DataError::Empty { dataset: name.to_owned() });
    };
    if least == most {
        let (dataset, wanted) = (name.to_owned(), "two different samples at least".to_owned());
        let got = format!("{} of one kind", keys.len());
        return Err(DataError::Split { dataset, wanted, got });
    }
    let bound = (fraction * 2f64.powi(64)) as u64;
    let bound = bound.clamp(least.saturating_add(1), most);
    let (second, first) = (0..keys.len()).partition(|&index| keys[index] < bound);
    Ok((first, second))
}

/// The samples of both parts as they once were drawn, by their places: exact shares of each class
/// (by largest remainders). For runs that were begun so.
pub(crate) fn divide_by_place(
    dataset: &dyn Dataset,
    name: &str,
    fraction: f64,
    seed: u64,
) -> Result<(Vec<usize>, Vec<usize>), DataError> {
    let second = size_of_second(dataset, name, fraction)?;
    let mut groups = by_class(dataset);
    let quotas = quotas(&groups, fraction, second);
    let mut in_second = vec![false; dataset.len()];
    for (group, (members, quota)) in groups.iter_mut().zip(quotas).enumerate() {
        SampleRng::keyed(Purpose::Split, seed, 0, group as u64).shuffle(members);
        for &index in members.iter().take(quota) {
            in_second[index] = true;
        }
    }
    let (second, first) = (0..dataset.len()).partition(|&index| in_second[index]);
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
    use crate::{InMemory, TargetSpec};

    fn uneven() -> Arc<dyn Dataset> {
        let labels: Vec<i32> = (0..100).map(|i| i32::from(i % 10 == 0)).collect();
        let inputs = (0..100).map(|i| i as f32).collect();
        let classes = TargetSpec::classes(2);
        let set = InMemory::classification("uneven", Shape::from([1]), inputs, labels, classes);
        Arc::new(set.unwrap())
    }

    #[test]
    fn the_seed_decides() {
        let part = |seed| split(uneven(), 0.2, seed).unwrap().1.indices().to_vec();
        assert_eq!(part(3), part(3));
        assert_ne!(part(3), part(4));
        // Written down once: the parts must never change between versions or platforms.
        assert_eq!(part(3)[..6], [3, 4, 17, 19, 26, 37]);
    }

    #[test]
    fn parts_of_earlier_runs_stay_as_they_were() {
        let divide = |seed| divide_by_place(uneven().as_ref(), "uneven", 0.2, seed).unwrap();
        let (first, second) = divide(3);
        // Written down when all was divided so.
        assert_eq!(second[..6], [2, 4, 8, 11, 37, 38]);
        assert_eq!(second.iter().filter(|index| **index % 10 == 0).count(), 2);
        assert_eq!((first.len(), second.len()), (80, 20));
        assert_ne!(divide(4).1, second);
    }

    #[test]
    fn keys_decide_and_no_part_is_empty() {
        let divide = |keys: &[u64]| divide_by_key("t.csv", keys, 0.25).unwrap();
        let quarter = 1 << 62;
        let keys = [quarter, 0, quarter - 1, u64::MAX, 0];
        assert_eq!(divide(&keys), (vec![0, 3], vec![1, 2, 4]));
        assert_eq!(divide(&[9, 7, 8, 9]), (vec![0, 3], vec![1, 2]));
        assert_eq!(divide(&[u64::MAX, 1 << 63, u64::MAX]), (vec![0, 2], vec![1]));
        assert_eq!(divide(&[u64::MAX, u64::MAX - 1]), (vec![0], vec![1]));
        let error = divide_by_key("t.csv", &[3, 3], 0.25).unwrap_err().to_string();
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
    }
}
