//! Recordings.

use crate::builder::ModelBuilder;
use crate::layer::{AdaptiveAvgPool1d, Conv1d, MaxPool1d};
use crate::spec::ModelSpec;

/// M5 of Dai et al. ("Very Deep Convolutional Neural Networks for Raw Waveforms", 2016), with 32 channels:
/// `[channels, length]` to `[classes]`. The first convolution is 80 wide with a stride of 4, as a bank of filters
/// is; a recording has at least 1,000 samples.
pub(super) fn audio_cnn(input: &[usize], classes: usize) -> ModelSpec {
    let mut model = ModelBuilder::new(input);
    for (number, (channels, kernel, stride)) in
        (1..).zip([(32, 80, 4), (32, 3, 1), (64, 3, 1), (64, 3, 1)])
    {
        let conv = Conv1d { stride: stride.into(), ..Conv1d::new(channels, kernel) };
        let pool = MaxPool1d::new(if number < 4 { 4 } else { 2 });
        model = model
            .layer(conv.named(&format!("conv{number}")))
            .batch_norm(&format!("bn{number}"))
            .relu(&format!("relu{number}"))
            .layer(pool.named(&format!("pool{number}")));
    }
    model
        .layer(AdaptiveAvgPool1d::new(1).named("mean"))
        .flatten("flat")
        .dense(classes, true, "fc")
        .spec()
}
