//! Pairs of samples for networks that compare.

use std::sync::Arc;

use onestep_data::{
    DataError, DataLoader, Dataset, Field, InMemory, Pairs, Sample, TargetSpec, digits, open,
    open_as,
};
use onestep_memory::{MemoryManager, Shape};
use proptest::prelude::*;

fn text<T>(result: Result<T, DataError>) -> String {
    result.err().expect("an error").to_string()
}

/// Sample i is the number i.
fn labelled(labels: &[i32], classes: usize) -> Arc<dyn Dataset> {
    let inputs = (0..labels.len()).map(|i| i as f32).collect();
    let classes = TargetSpec::classes(classes);
    let set =
        InMemory::classification("numbers", Shape::from([1]), inputs, labels.to_vec(), classes);
    Arc::new(set.unwrap())
}

proptest! {
    #[test]
    fn pairs_are_what_they_say(labels in proptest::collection::vec(0i32..5, 3..80), seed: u64) {
        let classes: std::collections::BTreeSet<i32> = labels.iter().copied().collect();
        let repeated = classes.len() < labels.len();
        prop_assume!(classes.len() > 1 && repeated);
        let pairs = Pairs::new(labelled(&labels, 5), seed).unwrap();
        let again = Pairs::new(labelled(&labels, 5), seed).unwrap();
        let mut same = 0;
        for index in 0..pairs.len() {
            let sample = Sample::read(&pairs, index).unwrap();
            prop_assert_eq!(&sample, &Sample::read(&again, index).unwrap());
            let [a, b] = ["a", "b"].map(|name| sample.f32(name).unwrap()[0] as usize);
            let target = sample.i32("target").unwrap()[0];
            prop_assert_eq!(a, index);
            prop_assert_ne!(a, b);
            prop_assert_eq!(target == 1, labels[a] == labels[b]);
            prop_assert_eq!(pairs.class(index), Some(target as usize));
            same += target as usize;
        }
        // Every other one of each class that has two.
        let count = |class: i32| labels.iter().filter(|label| **label == class).count();
        let wanted: usize = classes.iter().map(|&class| count(class)).filter(|n| *n > 1)
            .map(|n| n.div_ceil(2)).sum();
        prop_assert_eq!(same, wanted);
    }
}

#[test]
fn pairs_go_through_the_loader() {
    let data = open("pairs:digits").unwrap();
    assert_eq!(data.record.source.as_deref(), Some("pairs:digits"));
    assert_eq!(data.record.classes.as_ref().unwrap(), &["different", "same"]);
    assert_eq!((data.train.len(), data.validation.len()), (1439, 358));
    let builder = DataLoader::builder(data.train.clone()).batch_size(50).training(true);
    let builder = builder.pipeline("crop=1".parse().unwrap());
    let mut loader = builder.build(&MemoryManager::host()).unwrap();
    let batch = loader.epoch(0).next().unwrap().unwrap();
    assert_eq!(batch.tensor("b").unwrap().shape().dims(), [50, 1, 8, 8]);
    let same: i32 = batch.tensor("target").unwrap().read::<i32>().unwrap().iter().sum();
    assert!((15..36).contains(&same), "{same}");
    let again = open_as("pairs:digits", &data.record).unwrap();
    assert_eq!(again.record, data.record);
    let place = data.train.location(0).unwrap();
    assert!(place.contains("of the whole set and sample"), "{place}");
}

#[test]
fn what_makes_no_pairs_is_refused() {
    let pairs = |set| text(Pairs::new(set, 0));
    assert!(pairs(labelled(&[1, 1, 1], 3)).contains("expected samples of two classes"));
    assert!(pairs(labelled(&[0, 1, 2], 3)).contains("expected two samples of one class"));
    let values = InMemory::regression("v", [1].into(), vec![1.0], [1].into(), vec![1.0]).unwrap();
    assert!(pairs(Arc::new(values)).contains("expected one input and one class label"));
    let weighted = digits().unwrap().with_field(Field::weight("w"), vec![1.0; 1797]).unwrap();
    assert!(pairs(Arc::new(weighted)).contains("`w` (weight, f32 [])"));
    assert!(text(open("pairs:")).contains("its data is missing"));
    assert!(text(open("pairs:minst:x")).contains("unknown kind `minst`"));
    let classes = open("digits").unwrap().record;
    assert!(text(open_as("pairs:digits", &classes)).contains("expected the model's classes (0, 1"));
}
