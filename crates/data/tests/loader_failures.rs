//! Errors, panics, abandoned epochs: nothing hangs, nothing is lost, and the message names the sample.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use onestep_data::{DataError, DataLoader, Dataset};
use onestep_memory::MemoryManager;
use support::{Scripted, counting, samples_of, within_a_minute};

fn loader(dataset: Arc<dyn Dataset>, workers: usize) -> DataLoader {
    DataLoader::builder(dataset)
        .batch_size(2)
        .workers(workers)
        .prefetch(2)
        .in_flight(1)
        .slot_timeout(Duration::from_millis(200))
        .build(&MemoryManager::host())
        .unwrap()
}

/// The batches before the first error, and the error.
fn until_error(loader: &mut DataLoader, epoch: u64) -> (Vec<Vec<usize>>, Option<DataError>) {
    let mut batches = Vec::new();
    let mut epoch = loader.epoch(epoch);
    while let Some(batch) = epoch.next() {
        match batch {
            Ok(batch) => batches.push(samples_of(&batch)),
            Err(error) => {
                assert!(epoch.next().is_none(), "an error ends the epoch");
                return (batches, Some(error));
            }
        }
    }
    (batches, None)
}

#[test]
fn an_error_comes_in_its_place_and_names_the_sample() {
    for workers in [0, 1, 3] {
        within_a_minute(move || {
            let broken = Arc::new(AtomicBool::new(true));
            let flag = broken.clone();
            let script = move |index| {
                // The batches before the broken one are slow, so that it is done first.
                std::thread::sleep(Duration::from_millis(if index < 6 { 5 } else { 0 }));
                let broken = index == 7 && flag.load(Ordering::SeqCst);
                if broken { Err(DataError::other("torn page")) } else { Ok(()) }
            };
            let mut loader = loader(Arc::new(Scripted { len: 20, script }), workers);
            let (batches, error) = until_error(&mut loader, 0);
            assert_eq!(batches, [[0, 1], [2, 3], [4, 5]]);
            let error = error.unwrap();
            assert_eq!(error.to_string(), "scripted: sample 7 (file-7): torn page");
            // The loader goes on working.
            broken.store(false, Ordering::SeqCst);
            let (batches, error) = until_error(&mut loader, 1);
            assert!(error.is_none());
            assert_eq!(batches.concat(), (0..20).collect::<Vec<_>>());
        });
    }
}

#[test]
fn a_panic_becomes_an_error_that_names_the_sample() {
    for workers in [0, 1, 3] {
        within_a_minute(move || {
            let script = |index| {
                assert!(index != 5, "index {index} is cursed");
                Ok(())
            };
            let mut loader = loader(Arc::new(Scripted { len: 20, script }), workers);
            for epoch in 0..5 {
                let (batches, error) = until_error(&mut loader, epoch);
                assert_eq!(batches, [[0, 1], [2, 3]]);
                let wanted = "scripted: sample 5 (file-5): the reader panicked: index 5 is cursed";
                assert_eq!(error.unwrap().to_string(), wanted);
            }
        });
    }
}

#[test]
fn every_sample_may_fail() {
    within_a_minute(|| {
        let script = |_| Err(DataError::other("no"));
        let mut loader = loader(Arc::new(Scripted { len: 50, script }), 3);
        for epoch in 0..20 {
            let (batches, error) = until_error(&mut loader, epoch);
            assert!(batches.is_empty());
            assert_eq!(error.unwrap().to_string(), "scripted: sample 0 (file-0): no");
        }
    });
}

#[test]
fn labels_out_of_range_are_refused() {
    use onestep_data::{SimpleDataset, TargetMut, TargetSpec};
    use onestep_memory::Shape;

    struct Wrong;
    impl SimpleDataset for Wrong {
        fn name(&self) -> &str {
            "wrong"
        }
        fn len(&self) -> usize {
            4
        }
        fn input_shape(&self) -> Shape {
            Shape::from([1])
        }
        fn target(&self) -> TargetSpec {
            TargetSpec::classes(3)
        }
        fn read(&self, index: usize, _: &mut [f32], t: TargetMut<'_>) -> Result<(), DataError> {
            t.set_label(index as i32)
        }
    }
    within_a_minute(|| {
        let (_, error) = {
            let mut loader = loader(Arc::new(Wrong), 2);
            let first = loader.epoch(0).next().unwrap().map(|_| ());
            let error = loader.epoch(0).find_map(Result::err);
            (first, error)
        };
        let wanted = "wrong: sample 3: expected a label from 0 to 2, got 3";
        assert_eq!(error.unwrap().to_string(), wanted);
    });
}

#[test]
fn abandoned_epochs_leave_nothing_behind() {
    for workers in [0, 1, 3] {
        within_a_minute(move || {
            let mut loader = loader(counting(101), workers);
            for epoch in 0..200u64 {
                let taken = (epoch % 7) as usize;
                let first: Vec<_> = loader
                    .epoch(epoch)
                    .take(taken)
                    .map(|batch| samples_of(&batch.unwrap()))
                    .collect();
                assert_eq!(first.concat(), (0..2 * taken).collect::<Vec<_>>());
            }
            let (batches, error) = until_error(&mut loader, 0);
            assert!(error.is_none());
            assert_eq!(batches.concat(), (0..101).collect::<Vec<_>>());
        });
    }
}

#[test]
fn a_forgotten_epoch_does_no_harm() {
    within_a_minute(|| {
        let mut loader = loader(counting(30), 2);
        let mut epoch = loader.epoch(0);
        samples_of(&epoch.next().unwrap().unwrap());
        std::mem::forget(epoch);
        let (batches, error) = until_error(&mut loader, 1);
        assert!(error.is_none());
        assert_eq!(batches.len(), 15);
        std::mem::forget(loader.epoch(2));
        drop(loader);
    });
}

#[test]
fn dropping_the_loader_ends_its_threads() {
    within_a_minute(|| {
        let alive = Arc::new(());
        let held = alive.clone();
        let script = move |_| {
            let _held = &held;
            std::thread::sleep(Duration::from_millis(1));
            Ok(())
        };
        let mut loader = loader(Arc::new(Scripted { len: 1000, script }), 3);
        let batch = loader.epoch(0).next().unwrap().unwrap();
        assert_eq!(samples_of(&batch), [0, 1]);
        drop(loader);
        // The threads have been joined: nobody has the data set any more. The batch still lives.
        assert_eq!(Arc::strong_count(&alive), 1);
        assert_eq!(samples_of(&batch), [0, 1]);
    });
}

#[test]
fn holding_every_slot_is_an_error_instead_of_a_hang() {
    for workers in [0, 2] {
        within_a_minute(move || {
            let mut loader = loader(counting(40), workers);
            let mut held = Vec::new();
            let mut error = None;
            for batch in loader.epoch(0) {
                match batch {
                    Ok(batch) => held.push(batch),
                    Err(stalled) => error = Some(stalled),
                }
            }
            assert_eq!(held.len(), 3);
            let error = error.unwrap();
            assert!(matches!(error, DataError::Stalled { slots: 3, .. }), "{error}");
            drop(held);
            assert!(until_error(&mut loader, 1).1.is_none());
        });
    }
}

#[test]
fn a_slow_reader_is_no_stall() {
    within_a_minute(|| {
        let calls = Arc::new(AtomicUsize::new(0));
        let counter = calls.clone();
        let script = move |_| {
            counter.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(300));
            Ok(())
        };
        let mut loader = loader(Arc::new(Scripted { len: 4, script }), 1);
        assert!(until_error(&mut loader, 0).1.is_none());
        assert_eq!(calls.load(Ordering::SeqCst), 4);
        assert!(loader.statistics().stall > Duration::ZERO);
    });
}

#[test]
fn a_tensor_that_outlives_its_batch_is_found_out() {
    within_a_minute(|| {
        let mut loader = loader(counting(40), 1);
        let mut epoch = loader.epoch(0);
        let kept = epoch.next().unwrap().unwrap().input().clone();
        let error = epoch.find_map(Result::err).unwrap().to_string();
        assert!(error.contains("shared by 2 handles"), "{error}");
        drop(kept);
    });
}
