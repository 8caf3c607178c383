//! What the loader delivers: every sample, once, in order, whatever the number of workers.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use onestep_data::{DataError, DataLoader, DataLoaderBuilder, Dataset, InMemory, Pipeline, digits};
use onestep_memory::{MemoryManager, Shape};
use proptest::prelude::*;
use support::{Scripted, counting, samples_of, within_a_minute};

fn batches(loader: &mut DataLoader, epoch: u64, first: usize) -> Vec<Vec<usize>> {
    let epoch = loader.epoch_from(epoch, first).unwrap();
    epoch.map(|batch| samples_of(&batch.unwrap())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_loader_delivers_its_order(
        len in 1usize..60,
        batch_size in 1usize..20,
        workers in 0usize..4,
        prefetch in 1usize..4,
        in_flight in 1usize..3,
        shuffle: bool,
        drop_last: bool,
        seed: u64,
        epoch in 0u64..3,
    ) {
        prop_assume!(!drop_last || batch_size <= len);
        let delivered = within_a_minute(move || {
            let mut loader = DataLoader::builder(counting(len))
                .batch_size(batch_size)
                .workers(workers)
                .prefetch(prefetch)
                .in_flight(in_flight)
                .shuffle(shuffle)
                .drop_last(drop_last)
                .seed(seed)
                .build(&MemoryManager::host())
                .unwrap();
            let order = loader.order(epoch);
            let all = batches(&mut loader, epoch, 0);
            assert_eq!(all.len(), loader.batches_per_epoch());
            // Resuming at any batch gives the rest of the same epoch.
            let first = all.len() / 2;
            assert_eq!(batches(&mut loader, epoch, first), all[first..]);
            (order, all.concat())
        });
        let (order, delivered) = delivered;
        let wanted = if drop_last { len / batch_size * batch_size } else { len };
        prop_assert_eq!(&delivered[..], &order[..wanted]);
    }
}

#[test]
fn batches_have_their_numbers_and_the_last_is_short() {
    within_a_minute(|| {
        let memory = MemoryManager::host();
        let mut loader = DataLoader::builder(counting(10)).batch_size(4).build(&memory).unwrap();
        for epoch in 0..3 {
            let sizes: Vec<_> = loader
                .epoch(epoch)
                .map(|batch| batch.map(|b| (b.epoch(), b.index(), b.size())).unwrap())
                .collect();
            assert_eq!(sizes, [(epoch, 0, 4), (epoch, 1, 4), (epoch, 2, 2)]);
        }
        let statistics = loader.take_statistics();
        assert_eq!((statistics.batches, statistics.samples), (9, 30));
        assert_eq!(loader.statistics().batches, 0);
    });
}

#[test]
fn values_have_their_shape() {
    within_a_minute(|| {
        let inputs = (0..12).map(|i| i as f32).collect();
        let targets: Vec<f32> = (0..18).map(|i| i as f32).collect();
        let (input, target) = (Shape::from([2]), Shape::from([3, 1]));
        let set = InMemory::regression("values", input, inputs, target, targets.clone()).unwrap();
        let mut loader =
            DataLoader::builder(Arc::new(set)).batch_size(4).build(&MemoryManager::host()).unwrap();
        let mut read = Vec::new();
        for batch in loader.epoch(0) {
            let batch = batch.unwrap();
            assert_eq!(batch.target().shape().dims(), [batch.size(), 3, 1]);
            read.extend(batch.target().read::<f32>().unwrap());
        }
        assert_eq!(read, targets);
    });
}

#[test]
fn augmentation_does_not_depend_on_the_workers() {
    within_a_minute(|| {
        let inputs = |workers: usize, training: bool, epoch: u64| {
            let pipeline: Pipeline = "crop=1,flip,+normalise=0.3:0.4".parse().unwrap();
            let mut loader = DataLoader::builder(Arc::new(digits().unwrap()))
                .batch_size(100)
                .workers(workers)
                .shuffle(true)
                .seed(5)
                .training(training)
                .pipeline(pipeline)
                .build(&MemoryManager::host())
                .unwrap();
            let read = |b: Result<onestep_data::Batch, DataError>| b.unwrap().input().read::<f32>();
            loader.epoch(epoch).flat_map(|batch| read(batch).unwrap()).collect::<Vec<_>>()
        };
        let reference = inputs(0, true, 1);
        assert_eq!(reference, inputs(1, true, 1));
        assert_eq!(reference, inputs(4, true, 1));
        assert_ne!(reference, inputs(4, true, 2));
        assert_ne!(reference, inputs(4, false, 1));
    });
}

#[test]
fn workers_wait_while_the_ring_is_full() {
    within_a_minute(|| {
        let read = Arc::new(AtomicUsize::new(0));
        let counter = read.clone();
        let script = move |_| {
            counter.fetch_add(1, Ordering::SeqCst);
            Ok(())
        };
        let mut loader = DataLoader::builder(Arc::new(Scripted { len: 100, script }))
            .batch_size(1)
            .workers(3)
            .prefetch(2)
            .in_flight(2)
            .build(&MemoryManager::host())
            .unwrap();
        let mut epoch = loader.epoch(0);
        let held = [epoch.next().unwrap().unwrap(), epoch.next().unwrap().unwrap()];
        // Two slots are held here; the other two are filled, and then nothing can go on.
        while read.load(Ordering::SeqCst) < 4 {
            std::thread::yield_now();
        }
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(read.load(Ordering::SeqCst), 4);
        assert_eq!(held.each_ref().map(|batch| samples_of(batch)[0]), [0, 1]);
        drop(held);
        let rest: Vec<_> = epoch.map(|batch| samples_of(&batch.unwrap())[0]).collect();
        assert_eq!(rest, (2..100).collect::<Vec<_>>());
        assert_eq!(read.load(Ordering::SeqCst), 100);
    });
}

#[test]
fn a_staged_handle_keeps_the_content() {
    within_a_minute(|| {
        let memory = MemoryManager::host();
        let builder = DataLoader::builder(counting(40)).batch_size(2).prefetch(1).in_flight(2);
        let mut loader = builder.build(&memory).unwrap();
        let mut epoch = loader.epoch(0);
        let staged = epoch.next().unwrap().unwrap().staged().clone();
        for batch in epoch {
            samples_of(&batch.unwrap());
            assert_eq!(staged.tensors()[0].read::<f32>().unwrap(), [0.0, 1.0]);
        }
        drop(loader);
        assert_eq!(staged.tensors()[1].read::<i32>().unwrap(), [0, 1]);
    });
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let memory = MemoryManager::host();
    let error = |builder: DataLoaderBuilder| builder.build(&memory).unwrap_err().to_string();
    let new = || DataLoader::builder(counting(10));
    assert_eq!(error(new().batch_size(0)), "batch size: expected at least 1, got 0");
    assert_eq!(error(new().prefetch(0)), "prefetch: expected at least 1, got 0");
    assert_eq!(error(new().in_flight(0)), "in_flight: expected at least 1, got 0");
    // No thread is started and no slot taken for what no machine can serve.
    assert_eq!(error(new().workers(100_000)), "workers: expected at most 256, got 100000");
    assert_eq!(
        error(new().prefetch(1 << 60)),
        format!("prefetch: expected at most 4096, got {}", 1u64 << 60)
    );
    assert!(error(new().in_flight(usize::MAX)).starts_with("in_flight: expected at most 4096"));
    assert!(error(new().workers(usize::MAX)).starts_with("workers: expected at most 256"));
    // A batch is never larger than the data set, nor its slots.
    assert_eq!(new().batch_size(1 << 60).build(&memory).unwrap().epoch(0).count(), 1);
    assert!(DataLoaderBuilder::check_threads(256, Some(4096)).is_ok());
    assert!(DataLoaderBuilder::check_threads(257, None).is_err());
    assert!(error(new().batch_size(11).drop_last(true)).contains("at most the 10 samples"));
    assert!(error(new().pipeline("flip".parse().unwrap())).starts_with("random horizontal flip"));
    let empty = Arc::new(Scripted { len: 0, script: |_| Ok(()) });
    assert_eq!(
        error(DataLoader::builder(empty as Arc<dyn Dataset>)),
        "scripted: expected at least one sample, got none"
    );
    let small = MemoryManager::host().with_budget(4096);
    let wide = new().batch_size(1 << 20).build(&small).unwrap_err();
    assert!(matches!(wide, DataError::Memory(_)), "{wide}");
    let mut loader = new().build(&memory).unwrap();
    assert!(loader.epoch_from(0, 1).unwrap().next().is_none());
    let late = loader.epoch_from(0, 2).unwrap_err().to_string();
    assert_eq!(late, "first batch: expected at most 1, the batches of an epoch, got 2");
}

#[test]
fn loaders_and_batches_may_change_threads() {
    fn is_send<T: Send>() {}
    is_send::<DataLoader>();
    is_send::<onestep_data::Batch>();
    is_send::<DataError>();
}
