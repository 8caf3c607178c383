//! The real data sets, where they are at hand: in the folder that ONESTEP_DATA names, or in
//! `shared/data` beside the workspace.

mod support;

use std::path::PathBuf;

use onestep_data::{DataLoader, Dataset, Normalise, open};
use onestep_memory::MemoryManager;
use support::within_a_minute;

/// A folder of the real data; says why the test is skipped where it is missing.
fn real(name: &str) -> Option<String> {
    let default = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let root = std::env::var_os("ONESTEP_DATA").map_or_else(default, PathBuf::from);
    let path = root.join(name);
    if path.is_dir() {
        return Some(path.display().to_string());
    }
    eprintln!("skipped: {} is not there (set ONESTEP_DATA to the folder above)", path.display());
    None
}

/// Reads an epoch and counts the labels.
fn count_labels(dataset: std::sync::Arc<dyn Dataset>) -> Vec<usize> {
    let mut counts = vec![0; dataset.target().class_count().unwrap()];
    let memory = MemoryManager::host();
    let mut loader =
        DataLoader::builder(dataset).batch_size(128).shuffle(true).build(&memory).unwrap();
    for batch in loader.epoch(0) {
        for label in batch.unwrap().target().read::<i32>().unwrap() {
            counts[label as usize] += 1;
        }
    }
    counts
}

#[test]
fn mnist() {
    let Some(path) = real("mnist") else { return };
    let data = open(&format!("mnist:{path}")).unwrap();
    assert_eq!(data.train.input_shape().dims(), [1, 28, 28]);
    if data.train.len() + data.validation.len() == 10_000 {
        assert!((900..1_100).contains(&data.validation.len()), "{}", data.validation.len());
        let validation = data.validation.clone();
        let counts = within_a_minute(move || [count_labels(data.train), count_labels(validation)]);
        // The 10,000 pictures of t10k, by digit.
        let wanted = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009];
        let sums: Vec<usize> = (0..10).map(|digit| counts[0][digit] + counts[1][digit]).collect();
        assert_eq!(sums, wanted);
        // A tenth of each digit, within four standard errors.
        assert!(counts[1].iter().zip(wanted).all(|(&part, all)| part.abs_diff(all / 10) <= 40));
    }
}

#[test]
fn cifar10_in_folders() {
    let Some(path) = real("cifar10-images") else { return };
    let data = open(&format!("images:{path}")).unwrap();
    assert_eq!(data.train.input_shape().dims(), [3, 32, 32]);
    assert_eq!(data.train.target().class_count(), Some(10));
    let counts = within_a_minute(move || {
        // Without val/, some of train/ is held out, and test/ is a part of its own.
        if let Some(test) = data.test {
            let counts = count_labels(test);
            assert!(counts.iter().all(|&count| count == counts[0] && count > 0), "{counts:?}");
        }
        // What is known of CIFAR-10's colours.
        let statistics = Normalise::of(data.validation.as_ref()).unwrap().to_string();
        assert!(statistics.starts_with("normalise=0.4"), "{statistics}");
        let parts = [count_labels(data.train), count_labels(data.validation)];
        (0..10).map(|class| parts[0][class] + parts[1][class]).collect::<Vec<_>>()
    });
    assert!(counts.iter().all(|&count| count == counts[0] && count > 0), "{counts:?}");
}
