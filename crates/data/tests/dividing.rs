//! How data that comes in one piece is divided: by what each sample is, wherever it stands.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use onestep_data::{
    ConcatDataset, DataError, DataRecord, Dataset, Division, Field, Fields, InMemory, SampleMut,
    SimpleDataset, Subset, TargetMut, TargetSpec, open, open_as, read_sample, relabel, sample_key,
    split,
};
use onestep_memory::Shape;
use proptest::prelude::*;

/// Two numbers a sample, and a label.
fn set(samples: &[(i32, i32)], labels: &[i32]) -> Arc<dyn Dataset> {
    let inputs = samples.iter().flat_map(|&(a, b)| [a as f32, b as f32]).collect();
    let classes = TargetSpec::classes(4);
    let set = InMemory::classification("x", Shape::from([2]), inputs, labels.to_vec(), classes);
    Arc::new(set.unwrap())
}

fn labels(count: usize) -> Vec<i32> {
    (0..4).cycle().take(count).collect()
}

/// Which samples, by what they hold, are in the second part.
fn second(samples: &[(i32, i32)], seed: u64) -> BTreeMap<(i32, i32), bool> {
    let all = set(samples, &labels(samples.len()));
    let (first, second) = split(all, 0.25, seed).unwrap();
    let mut places: Vec<usize> = [first.indices(), second.indices()].concat();
    places.sort_unstable();
    assert_eq!(places, (0..samples.len()).collect::<Vec<_>>(), "each sample is in one part");
    assert!(!first.is_empty() && !second.is_empty());
    for part in [&first, &second] {
        assert!(part.indices().is_sorted(), "in the order of the whole");
    }
    let of = |part: &Subset, is_second| -> BTreeMap<(i32, i32), bool> {
        part.indices().iter().map(|&index| (samples[index], is_second)).collect()
    };
    let (first, second) = (of(&first, false), of(&second, true));
    assert!(first.keys().all(|sample| !second.contains_key(sample)), "equal samples stay together");
    first.into_iter().chain(second).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_sample_stays_where_it_is(
        samples in proptest::collection::vec((0i32..30, 0i32..30), 40..200),
        more in proptest::collection::vec((0i32..60, 0i32..60), 0..200),
        turn in 0usize..40,
        seed: u64,
    ) {
        let distinct: BTreeSet<_> = samples.iter().collect();
        prop_assume!(distinct.len() >= 20);
        let before = second(&samples, seed);
        // Others before and behind it, all in another order.
        let mut grown = samples.clone();
        grown.extend(&more);
        grown.rotate_left(turn);
        grown.reverse();
        let after = second(&grown, seed);
        for (sample, part) in &before {
            prop_assert_eq!(after[sample], *part, "{:?}", sample);
        }
        // Some gone.
        let fewer = second(&samples[samples.len() / 4..], seed);
        for (sample, part) in &fewer {
            prop_assert_eq!(before[sample], *part, "{:?}", sample);
        }
    }

    #[test]
    fn shares_are_about_those_asked_for(seed: u64, share in 0.05f64..0.95) {
        let samples: Vec<(i32, i32)> = (0..4_000).map(|i| (i, -i)).collect();
        let (_, second) = split(set(&samples, &labels(4_000)), share, seed).unwrap();
        // Six standard errors of a binomial count, of all and of a class.
        let within = |got: usize, of: f64| {
            (got as f64 - share * of).abs() <= 6.0 * (share * (1.0 - share) * of).sqrt()
        };
        prop_assert!(within(second.len(), 4_000.0), "{} of 4000 for {share}", second.len());
        for class in 0..4 {
            let got = (0..second.len()).filter(|&i| second.class(i) == Some(class)).count();
            prop_assert!(within(got, 1_000.0), "{got} of 1000 of class {class} for {share}");
        }
    }
}

#[test]
fn a_label_that_is_mended_moves_nothing() {
    let samples: Vec<(i32, i32)> = (0..100).map(|i| (i % 60, 0)).collect();
    let mut mended = labels(100);
    mended[17] = (mended[17] + 1) % 4;
    let parts = |labels: &[i32]| split(set(&samples, labels), 0.3, 5).unwrap().1.indices().to_vec();
    assert_eq!(parts(&labels(100)), parts(&mended));
}

#[test]
fn wholes_and_parts_of_data_agree_on_what_a_sample_is() {
    let one = set(&[(1, 2), (3, 4)], &[0, 1]);
    let other = set(&[(5, 6), (1, 2)], &[2, 3]);
    let both: Arc<dyn Dataset> =
        Arc::new(ConcatDataset::new(vec![one.clone(), other.clone()]).unwrap());
    let keys: Vec<u64> = (0..4).map(|i| sample_key(both.as_ref(), i).unwrap()).collect();
    assert_eq!(keys[0], keys[3]);
    assert_eq!(keys[2], sample_key(other.as_ref(), 0).unwrap());
    let part: Arc<dyn Dataset> = Arc::new(Subset::new(both.clone(), vec![2, 1]).unwrap());
    assert_eq!(sample_key(part.as_ref(), 0).unwrap(), keys[2]);
    let names: Vec<String> = ["3", "2", "1", "0"].map(String::from).into();
    assert_eq!(sample_key(relabel(one, &names).unwrap().as_ref(), 1).unwrap(), keys[1]);
    assert!(sample_key(both.as_ref(), 4).is_err());
}

/// Pictures of patients, several of each.
struct Patients;

impl Dataset for Patients {
    fn name(&self) -> &str {
        "patients"
    }
    fn len(&self) -> usize {
        300
    }
    fn fields(&self) -> Fields {
        [Field::f32("picture", [1]), Field::labels("ill", [], ["no", "yes"])].into()
    }
    fn key(&self, index: usize) -> Option<u64> {
        Some(index as u64 % 60)
    }
    fn read(&self, index: usize, _: &mut SampleMut<'_>) -> Result<(), DataError> {
        Err(DataError::other(format!("{index} is not to be read")))
    }
}

#[test]
fn a_key_of_ones_own_keeps_samples_together_and_spares_reading_them() {
    let (first, second) = split(Arc::new(Patients), 0.2, 1).unwrap();
    let patients = |part: &Subset| -> BTreeSet<usize> {
        part.indices().iter().map(|index| index % 60).collect()
    };
    let (first, second) = (patients(&first), patients(&second));
    assert!(first.is_disjoint(&second));
    assert_eq!(first.len() + second.len(), 60);
    assert!((4..=22).contains(&second.len()), "{}", second.len());
}

#[test]
fn keys_of_a_set_in_memory() {
    let builder = || InMemory::builder("x").field(Field::f32("a", [1]), vec![1.0, 1.0, 2.0]);
    let set = builder().keys([7, 8, 7]).build().unwrap();
    assert_eq!((set.key(0), set.key(1), set.key(3)), (Some(7), Some(8), None));
    let set = set.with_field(Field::weight("w"), vec![1.0; 3]).unwrap();
    assert_eq!(set.key(1), Some(8));
    let error = builder().keys([7]).build().unwrap_err().to_string();
    assert_eq!(error, "x: keys: expected 3, got 1");
    let error = builder().build().unwrap().with_keys([1, 2]).unwrap_err().to_string();
    assert_eq!(error, "x: keys: expected 3, got 2");
}

struct Broken;

impl SimpleDataset for Broken {
    fn name(&self) -> &str {
        "broken"
    }
    fn len(&self) -> usize {
        10
    }
    fn input_shape(&self) -> Shape {
        Shape::from([1])
    }
    fn target(&self) -> TargetSpec {
        TargetSpec::classes(2)
    }
    fn read(&self, index: usize, _: &mut [f32], _: TargetMut<'_>) -> Result<(), DataError> {
        Err(DataError::other(format!("cannot read {index}")))
    }
    fn location(&self, index: usize) -> Option<String> {
        Some(format!("{index}.bin"))
    }
}

#[test]
fn what_cannot_be_divided_is_named() {
    let text = |result: Result<(Subset, Subset), DataError>| result.err().unwrap().to_string();
    let error = text(split(Arc::new(Broken), 0.2, 0));
    assert_eq!(error, "broken: sample 0 (0.bin): cannot read 0");
    let error = text(split(set(&[(1, 2); 9], &labels(9)), 0.2, 0));
    let wanted = "x: cannot be divided: expected two different samples at least, got 9 of one kind";
    assert_eq!(error, wanted);
    // Two kinds are enough, whatever the share.
    let (first, second) = split(set(&[(1, 2), (3, 4), (1, 2)], &labels(3)), 0.4, 0).unwrap();
    assert_eq!(first.len() + second.len(), 3);
}

fn held_out(record: &DataRecord) -> Vec<Vec<f32>> {
    let data = open_as("digits", record).unwrap();
    (0..data.validation.len()).map(|i| read_sample(&*data.validation, i).unwrap().0).collect()
}

/// A model goes on with the parts that it was trained with, and its record says which.
#[test]
fn runs_keep_the_parts_that_they_were_begun_with() {
    let now = open("digits").unwrap();
    assert_eq!(now.record.division, Some(Division::Key));
    assert!((300..420).contains(&now.validation.len()), "{}", now.validation.len());
    assert_eq!(held_out(&now.record).len(), now.validation.len());

    // A record of a run that was begun when the digits were divided by their places.
    let mut old = DataRecord { division: None, ..now.record.clone() };
    let parts = open_as("digits", &old).unwrap();
    assert_eq!((parts.train.len(), parts.validation.len()), (1438, 359));
    assert_eq!(parts.record.division, Some(Division::Place));
    old.division = parts.record.division;
    assert_eq!(held_out(&old), held_out(&DataRecord { division: None, ..old.clone() }));
    // Pairs are of the parts of their singles.
    let pairs = open("pairs:digits").unwrap();
    assert_eq!(pairs.record.division, Some(Division::Key));
    assert_eq!(pairs.validation.len(), now.validation.len());
    let old = DataRecord { division: None, ..pairs.record.clone() };
    assert_eq!(open_as("pairs:digits", &old).unwrap().validation.len(), 359);
}

#[test]
fn the_same_data_in_other_parts_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let (file, other) = (dir.path().join("a.txt"), dir.path().join("b.txt"));
    let text: String = (0..4_000).map(|i| char::from(b'a' + (i * i % 23) as u8)).collect();
    std::fs::write(&file, &text).unwrap();
    std::fs::write(&other, &text).unwrap();
    let spec = |file: &std::path::Path, options: &str| format!("text:{}{options}", file.display());
    let by_key = open(&spec(&file, "?length=8&split=hash")).unwrap();
    assert_eq!(by_key.record.division, Some(Division::Key));
    // Without a word it is divided as it was.
    let again = open_as(&spec(&file, ""), &by_key.record).unwrap();
    assert_eq!(again.validation.len(), by_key.validation.len());
    let error = open_as(&spec(&file, "?split=position"), &by_key.record).unwrap_err().to_string();
    assert_eq!(
        error,
        "division of the data: expected parts by what each sample is, as when the model was trained \
         on it, got parts by position; leave the option out, or give other data"
    );
    // Other data may be divided as one likes.
    assert!(open_as(&spec(&other, "?split=position"), &by_key.record).is_ok());
    let by_position = open(&spec(&file, "?length=8")).unwrap();
    assert_eq!(by_position.record.division, Some(Division::Position));
    assert!(open_as(&spec(&file, "?split=hash"), &by_position.record).is_err());
}

#[test]
fn a_record_says_how_its_data_was_divided() {
    let record = open("digits").unwrap().record;
    let json = serde_json::to_value(&record).unwrap();
    assert_eq!(json["division"], "key");
    assert_eq!(serde_json::from_value::<DataRecord>(json).unwrap(), record);
}
