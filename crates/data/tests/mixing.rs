//! Batches whose samples are mixed.

mod support;

use std::sync::Arc;

use onestep_data::{DataLoader, Dataset, Field, InMemory, Meaning, Mixing, digits};
use onestep_memory::MemoryManager;
use support::within_a_minute;

fn loader(set: Arc<dyn Dataset>, mixing: &str, workers: usize, training: bool) -> DataLoader {
    DataLoader::builder(set)
        .batch_size(100)
        .workers(workers)
        .shuffle(true)
        .seed(5)
        .training(training)
        .mix(mixing.parse().unwrap())
        .build(&MemoryManager::host())
        .unwrap()
}

/// Inputs and targets of the batches of epoch 2 from one on.
fn read(mixing: &str, workers: usize, first: usize) -> Vec<(Vec<f32>, Vec<f32>)> {
    let mut loader = loader(Arc::new(digits().unwrap()), mixing, workers, true);
    let batches = loader.epoch_from(2, first).unwrap().map(Result::unwrap);
    let read = |batch: onestep_data::Batch| {
        (batch.input().read::<f32>().unwrap(), batch.target().read::<f32>().unwrap())
    };
    batches.map(read).collect()
}

#[test]
fn mixing_depends_on_seed_epoch_and_batch_alone() {
    within_a_minute(|| {
        for mixing in ["mixup", "cutmix=0.5"] {
            let all = read(mixing, 0, 0);
            assert_eq!(all.len(), 18);
            assert_eq!(all, read(mixing, 3, 0));
            // After an interruption the rest is the same.
            assert_eq!(all[7..], read(mixing, 2, 7));
        }
    });
}

#[test]
fn each_sample_is_mixed_with_the_one_before() {
    within_a_minute(|| {
        let set = Arc::new(digits().unwrap());
        for mixing in ["mixup=0.4", "cutmix"] {
            let mut plain = DataLoader::builder(set.clone())
                .batch_size(100)
                .shuffle(true)
                .seed(5)
                .build(&MemoryManager::host())
                .unwrap();
            let plain: Vec<_> = plain
                .epoch(2)
                .map(Result::unwrap)
                .map(|batch| {
                    (batch.input().read::<f32>().unwrap(), batch.target().read::<i32>().unwrap())
                })
                .collect();
            let mut shares = Vec::new();
            for ((inputs, labels), (mixed, soft)) in plain.iter().zip(read(mixing, 1, 0)) {
                let size = labels.len();
                assert_eq!(soft.len(), size * 10);
                let other =
                    (0..size).find(|&i| labels[i] != labels[(i + size - 1) % size]).unwrap();
                let share = soft[other * 10 + labels[other] as usize];
                shares.push(share);
                for row in 0..size {
                    let before = (row + size - 1) % size;
                    let sum: f32 = soft[row * 10..][..10].iter().sum();
                    assert!((sum - 1.0).abs() < 1e-6);
                    let own = soft[row * 10 + labels[row] as usize];
                    assert!(labels[row] == labels[before] || (own - share).abs() < 1e-6);
                    for at in 0..64 {
                        let [x, y] = [row, before].map(|row| inputs[row * 64 + at]);
                        let got = mixed[row * 64 + at];
                        match mixing {
                            "cutmix" => assert!(got == x || got == y),
                            _ => assert!((got - (share * x + (1.0 - share) * y)).abs() < 1e-6),
                        }
                    }
                }
            }
            shares.sort_by(f32::total_cmp);
            shares.dedup();
            assert!(shares.len() > 5, "{mixing}: {shares:?}");
        }
    });
}

#[test]
fn only_training_is_mixed() {
    within_a_minute(|| {
        let set: Arc<dyn Dataset> = Arc::new(digits().unwrap());
        let plain = loader(set.clone(), "mixup", 0, false);
        assert_eq!(plain.fields(), &set.fields());
        let mixed = loader(set, "mixup", 0, true);
        let target = mixed.fields().target().unwrap().clone();
        assert_eq!((target.name.as_str(), target.shape.dims()), ("target", &[10][..]));
        assert!(matches!(target.meaning, Meaning::Probabilities { names } if names.len() == 10));
    });
}

#[test]
fn what_cannot_be_mixed_is_refused() {
    let refused = |set: InMemory, mixing: Mixing| {
        let builder = DataLoader::builder(Arc::new(set)).training(true).mix(mixing);
        builder.build(&MemoryManager::host()).unwrap_err().to_string()
    };
    let mixup = Mixing::MixUp { alpha: 1.0 };
    let values = InMemory::regression("v", [1].into(), vec![1.0], [1].into(), vec![1.0]).unwrap();
    assert!(refused(values, mixup).contains("expected class labels that all count, to mix"));
    let tokens = InMemory::builder("t")
        .field(Field::indices("tokens", [2], 5), vec![1, 2])
        .field(Field::labels("kind", [], ["a"]), vec![0])
        .build()
        .unwrap();
    assert!(
        refused(tokens, mixup).contains("field `tokens`: expected f32 of one shape for mixup=1")
    );
    let row = InMemory::builder("t")
        .field(Field::f32("x", [2]), vec![1.0, 2.0])
        .field(Field::labels("kind", [], ["a"]), vec![0])
        .build()
        .unwrap();
    assert!(refused(row.clone(), Mixing::CutMix { alpha: 1.0 }).contains("rows and columns"));
    assert!(
        refused(row, Mixing::MixUp { alpha: 0.0 }).contains("expected a number above 0, got 0")
    );
    for text in ["mix", "mixup=x", "cutmix=1=2"] {
        assert!(text.parse::<Mixing>().is_err(), "{text}");
    }
    assert_eq!("cutmix".parse::<Mixing>().unwrap().to_string(), "cutmix=1");
}
