//! Samples of different lengths in batches.

mod support;

use std::sync::Arc;

use onestep_data::{
    Batch, Collation, DataError, DataLoader, Dataset, Field, Fields, IGNORED, Role, Sample,
    SampleMut, Subset,
};
use onestep_memory::MemoryManager;
use proptest::prelude::*;
use support::within_a_minute;

const LONGEST: usize = 12;

/// Sample i is its number, `lengths[i]` times.
struct Repeated {
    lengths: Vec<usize>,
    fields: Fields,
}

impl Repeated {
    fn new(lengths: &[usize]) -> Self {
        let fields = [
            Field::indices("tokens", [LONGEST], 1000).varying(),
            Field::f32("points", [LONGEST, 2]).varying(),
            Field::labels("next", [LONGEST], ["a", "b"]).ignoring().varying(),
        ];
        Self { lengths: lengths.to_vec(), fields: fields.into() }
    }

    fn with(lengths: &[usize], field: Field) -> Arc<Self> {
        Arc::new(Self { lengths: lengths.to_vec(), fields: [field].into() })
    }
}

impl Dataset for Repeated {
    fn name(&self) -> &str {
        "repeated"
    }

    fn len(&self) -> usize {
        self.lengths.len()
    }

    fn fields(&self) -> Fields {
        self.fields.clone()
    }

    fn length(&self, index: usize) -> Option<usize> {
        Some(self.lengths[index])
    }

    fn read(&self, index: usize, sample: &mut SampleMut<'_>) -> Result<(), DataError> {
        sample.put("tokens", &vec![index as i32; self.lengths[index]])?;
        sample.f32("points")?.fill(index as f32 + 0.5);
        sample.i32("next")?.fill(1);
        Ok(())
    }
}

fn loader(set: Arc<dyn Dataset>, bounds: &[usize], workers: usize, seed: u64) -> DataLoader {
    DataLoader::builder(set)
        .batch_size(4)
        .workers(workers)
        .shuffle(true)
        .seed(seed)
        .collate(Collation::buckets(bounds).with_mask("mask").with_length("length"))
        .build(&MemoryManager::host())
        .unwrap()
}

/// Holds a batch against the lengths that its samples have; gives its samples and its length.
fn check(batch: &Batch, lengths: &[usize]) -> (Vec<usize>, usize) {
    let dims = batch.tensor("tokens").unwrap().shape().dims().to_vec();
    let [size, padded] = dims[..] else { panic!("{dims:?}") };
    assert_eq!(batch.tensor("points").unwrap().shape().dims(), [size, padded, 2]);
    let tokens = batch.tensor("tokens").unwrap().read::<i32>().unwrap();
    let points = batch.tensor("points").unwrap().read::<f32>().unwrap();
    let next = batch.tensor("next").unwrap().read::<i32>().unwrap();
    let mask = batch.tensor("mask").unwrap().read::<u8>().unwrap();
    let told = batch.tensor("length").unwrap().read::<i32>().unwrap();
    for (row, &sample) in batch.samples().iter().enumerate() {
        let length = lengths[sample];
        assert_eq!(told[row] as usize, length);
        for position in 0..padded {
            let (at, there) = (row * padded + position, position < length);
            assert_eq!(tokens[at], if there { sample as i32 } else { 0 });
            assert_eq!(points[2 * at + 1], if there { sample as f32 + 0.5 } else { 0.0 });
            assert_eq!(next[at], if there { 1 } else { IGNORED });
            assert_eq!(mask[at], u8::from(there));
        }
    }
    (batch.samples().to_vec(), padded)
}

fn epoch(
    loader: &mut DataLoader,
    epoch: u64,
    first: usize,
    lengths: &[usize],
) -> Vec<(Vec<usize>, usize)> {
    let batches = loader.epoch_from(epoch, first).unwrap();
    batches.map(|batch| check(&batch.unwrap(), lengths)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_sample_comes_once_in_its_bucket(
        lengths in proptest::collection::vec(0..=LONGEST, 1..60),
        cuts in proptest::collection::btree_set(1..LONGEST, 0..4),
        workers in 0usize..3,
        seed: u64,
    ) {
        let bounds: Vec<usize> = cuts.into_iter().collect();
        within_a_minute(move || {
            let set: Arc<dyn Dataset> = Arc::new(Repeated::new(&lengths));
            let mut one = loader(set.clone(), &bounds, workers, seed);
            let all = epoch(&mut one, 3, 0, &lengths);
            assert_eq!(all.len(), one.batches_per_epoch());
            let mut seen: Vec<usize> = all.iter().flat_map(|batch| batch.0.clone()).collect();
            assert_eq!(seen, one.order(3));
            seen.sort_unstable();
            assert_eq!(seen, (0..lengths.len()).collect::<Vec<_>>());
            let mut ends = bounds.clone();
            ends.push(LONGEST);
            for (number, (samples, padded)) in all.iter().enumerate() {
                assert_eq!(&one.samples(3, number), samples);
                for &sample in samples {
                    let bucket = ends.iter().find(|bound| lengths[sample] <= **bound);
                    assert_eq!(bucket, Some(padded));
                }
            }
            // Neither a resumption nor the threads change what comes.
            let first = all.len() / 2;
            assert_eq!(epoch(&mut one, 3, first, &lengths), all[first..]);
            let mut other = loader(set, &bounds, 2 - workers, seed);
            assert_eq!(epoch(&mut other, 3, 0, &lengths), all);
        });
    }
}

#[test]
fn without_buckets_all_are_padded_to_the_longest() {
    within_a_minute(|| {
        let lengths = [1, 3, 2];
        let set = Arc::new(Repeated::new(&lengths));
        let mut loader = DataLoader::builder(set).build(&MemoryManager::host()).unwrap();
        let batch = loader.epoch(0).next().unwrap().unwrap();
        assert_eq!(batch.input().shape().dims(), [3, LONGEST]);
        assert_eq!(batch.samples(), [0, 1, 2]);
    });
}

#[test]
fn parts_keep_their_lengths() {
    let set = Arc::new(Repeated::new(&[1, 3, 2]));
    let part = Subset::new(set, vec![2, 1]).unwrap();
    assert_eq!((part.length(0), part.length(1)), (Some(2), Some(3)));
    assert_eq!(Sample::read(&part, 0).unwrap().i32("tokens").unwrap(), [2, 2]);
}

#[test]
fn what_cannot_be_collated_is_refused() {
    let refused = |set: Arc<dyn Dataset>, collation: Collation| {
        let builder = DataLoader::builder(set).collate(collation);
        builder.build(&MemoryManager::host()).unwrap_err().to_string()
    };
    let set = || Arc::new(Repeated::new(&[1, 2]));
    for bounds in [vec![0, 4], vec![5, 4], vec![4, 4], vec![13]] {
        let error = refused(set(), Collation::buckets(bounds));
        assert!(error.starts_with("buckets: expected rising lengths from 1 to 12, got"), "{error}");
    }
    let still = Repeated::with(&[1], Field::f32("x", [3]));
    assert_eq!(
        refused(still, Collation::buckets([2])),
        "collation: expected a field that varies in length, to collate by, got x"
    );
    let long = Arc::new(Repeated::new(&[1, 13]));
    assert_eq!(
        refused(long, Collation::default()),
        "repeated: sample 1: field `tokens`: expected a length up to 12, got 13"
    );
    let labels = Field::labels("kind", [3], ["a"]).varying().with_role(Role::Input);
    let labels = Repeated::with(&[1], labels);
    let error = refused(labels, Collation::default());
    assert!(
        error.contains("labels that may be ignored (`ignoring`), as they are padded"),
        "{error}"
    );
    let twice = Collation::default().with_mask("tokens");
    assert!(refused(set(), twice).contains("a name of its own"));
    let builder = DataLoader::builder(set()).pipeline("+normalise@points=0:1".parse().unwrap());
    let error = builder.build(&MemoryManager::host()).unwrap_err().to_string();
    assert!(error.contains("field `points`: expected one length for the transform"), "{error}");
}
