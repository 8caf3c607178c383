//! What several test files need.
#![allow(dead_code, reason = "each test file uses a part")]

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use onestep_data::{Batch, DataError, Dataset, InMemory, SimpleDataset, TargetMut, TargetSpec};
use onestep_memory::Shape;

/// Runs a test body on a thread of its own and fails when it hangs.
pub(crate) fn within_a_minute<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = channel();
    let thread = std::thread::spawn(move || {
        let result = body();
        // The receiver is gone only if the test has failed already.
        let _ = sender.send(());
        result
    });
    match receiver.recv_timeout(Duration::from_secs(60)) {
        Err(std::sync::mpsc::RecvTimeoutError::Timeout) => panic!("the test hangs"),
        // A panic of the body closes the channel; joining passes it on.
        _ => thread.join().unwrap_or_else(|payload| std::panic::resume_unwind(payload)),
    }
}

/// Sample i is the number i, its label i modulo 10.
pub(crate) fn counting(len: usize) -> Arc<dyn Dataset> {
    let inputs = (0..len).map(|i| i as f32).collect();
    let labels = (0..len).map(|i| (i % 10) as i32).collect();
    let classes = TargetSpec::classes(10);
    let set = InMemory::classification("counting", Shape::from([1]), inputs, labels, classes);
    Arc::new(set.unwrap())
}

/// A data set of `len` samples made by a closure that gets the index and may fail.
pub(crate) struct Scripted<F> {
    pub(crate) len: usize,
    pub(crate) script: F,
}

impl<F: Fn(usize) -> Result<(), DataError> + Send + Sync> SimpleDataset for Scripted<F> {
    fn name(&self) -> &str {
        "scripted"
    }

    fn len(&self) -> usize {
        self.len
    }

    fn input_shape(&self) -> Shape {
        Shape::from([1])
    }

    fn target(&self) -> TargetSpec {
        TargetSpec::classes(10)
    }

    fn read(
        &self,
        index: usize,
        input: &mut [f32],
        target: TargetMut<'_>,
    ) -> Result<(), DataError> {
        (self.script)(index)?;
        input[0] = index as f32;
        target.set_label((index % 10) as i32)
    }

    fn location(&self, index: usize) -> Option<String> {
        Some(format!("file-{index}"))
    }
}

/// The samples of a batch of `counting` or `Scripted`, read from its tensors and held against what
/// the batch says of itself.
pub(crate) fn samples_of(batch: &Batch) -> Vec<usize> {
    let inputs = batch.input().read::<f32>().unwrap();
    let labels = batch.target().read::<i32>().unwrap();
    let samples: Vec<usize> = inputs.iter().map(|&value| value as usize).collect();
    let wanted: Vec<i32> = samples.iter().map(|i| (i % 10) as i32).collect();
    assert_eq!(labels, wanted);
    assert_eq!(batch.samples(), samples);
    assert_eq!(batch.size(), samples.len());
    assert_eq!(batch.input().shape().dims(), [batch.size(), 1]);
    assert_eq!(batch.target().shape().dims(), [batch.size()]);
    samples
}
