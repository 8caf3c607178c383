//! Models and settings to start from.

use onestep_layers::presets::perceptron;
use onestep_layers::{ModelBuilder, ModelSpec};
use onestep_optimizer::{AdamW, OneCycle, OptimizerSpec, ScheduleSpec};

use crate::config::TrainerConfig;

/// The smallest side of a picture that is still halved.
const SMALLEST_SIDE: usize = 4;

/// A convolutional classifier for pictures of `[channels, height, width]`: stages of two 3x3
/// convolutions with batch normalisation, each of which halves the sides and doubles the channels
/// (32, 64, 128 at most), then dropout and a dense layer of `classes` logits. It has as many
/// stages as the sides allow, three at most.
///
/// ```
/// let model = onestep_trainer::factory::cnn([1, 8, 8], 10).compile()?;
/// assert_eq!(model.output_shape().dims(), &[10]);
/// # Ok::<(), onestep_layers::LayerError>(())
/// ```
pub fn cnn(input_shape: impl Into<Vec<usize>>, classes: usize) -> ModelSpec {
    let input_shape = input_shape.into();
    let mut side = input_shape.iter().skip(1).copied().min().unwrap_or(0);
    let mut model = ModelBuilder::new(input_shape).name("cnn");
    for (stage, channels) in [(1, 32), (2, 64), (3, 128)] {
        if stage > 1 && side < SMALLEST_SIDE {
            break;
        }
        for layer in ["a", "b"] {
            model = model
                .conv2d(channels, 3, 1, 1, false, &format!("conv{stage}{layer}"))
                .batch_norm(&format!("bn{stage}{layer}"))
                .relu(&format!("relu{stage}{layer}"));
        }
        if side >= 2 {
            model = model.max_pool2d(2, &format!("pool{stage}"));
        }
        side /= 2;
    }
    model.flatten("flatten").dropout(0.25, "dropout").dense(classes, true, "fc").spec()
}

/// A fully connected network on samples of any shape: a layer with ReLU for each of `hidden`, then
/// `outputs` numbers.
///
/// ```
/// let model = onestep_trainer::factory::mlp([784], &[256, 128], 10).compile()?;
/// let names: Vec<_> = model.parameters().iter().map(|p| p.info.name.as_str()).collect();
/// assert_eq!(names[..2], ["fc1.weight", "fc1.bias"]);
/// # Ok::<(), onestep_layers::LayerError>(())
/// ```
pub fn mlp(input_shape: impl Into<Vec<usize>>, hidden: &[usize], outputs: usize) -> ModelSpec {
    ModelSpec { name: "mlp".to_owned(), ..perceptron(&input_shape.into(), hidden, outputs) }
}

/// Settings that suit [`cnn`] on small pictures: AdamW along a one-cycle schedule.
pub fn cnn_config() -> TrainerConfig {
    TrainerConfig {
        epochs: 12,
        batch_size: 32,
        optimizer: OptimizerSpec::AdamW(AdamW { lr: 3e-3, ..AdamW::default() }),
        schedule: ScheduleSpec::OneCycle(OneCycle::default()),
        ..TrainerConfig::default()
    }
}
