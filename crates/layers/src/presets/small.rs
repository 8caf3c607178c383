//! Small models to start from.

use crate::builder::ModelBuilder;
use crate::layer::Permute;
use crate::spec::ModelSpec;

pub(super) fn mlp(input: &[usize], classes: usize) -> ModelSpec {
    perceptron(input, &[256, 128], classes)
}

/// A fully connected network on samples of any shape: a layer with ReLU for each of `hidden`, then
/// `outputs` numbers.
///
/// ```
/// let model = onestep_layers::presets::perceptron(&[784], &[256, 128], 10).compile()?;
/// let names: Vec<_> = model.parameters().iter().map(|p| p.info.name.as_str()).collect();
/// assert_eq!(names[..2], ["fc1.weight", "fc1.bias"]);
/// # Ok::<(), onestep_layers::LayerError>(())
/// ```
pub fn perceptron(input: &[usize], hidden: &[usize], outputs: usize) -> ModelSpec {
    let mut model = ModelBuilder::new(input);
    if input.len() > 1 {
        model = model.flatten("flatten");
    }
    for (number, &features) in (1..).zip(hidden) {
        model = model.dense(features, true, &format!("fc{number}")).relu(&format!("relu{number}"));
    }
    model.dense(outputs, true, &format!("fc{}", hidden.len() + 1)).spec()
}

/// LeNet-5 (LeCun et al., "Gradient-Based Learning Applied to Document Recognition", 1998) with full
/// connections between its convolutions, and logits in place of radial units.
pub(super) fn lenet5(input: &[usize], classes: usize) -> ModelSpec {
    ModelBuilder::new(input)
        .conv2d(6, 5, 1, 2, true, "conv1")
        .tanh("tanh1")
        .avg_pool2d(2, "pool1")
        .conv2d(16, 5, 1, 0, true, "conv2")
        .tanh("tanh2")
        .avg_pool2d(2, "pool2")
        .flatten("flatten")
        .dense(120, true, "fc1")
        .tanh("tanh3")
        .dense(84, true, "fc2")
        .tanh("tanh4")
        .dense(classes, true, "fc3")
        .spec()
}

/// For each position the classes of what stands behind it: `[positions]` indices of `classes` rows to
/// `[classes, positions]`.
pub(super) fn next_char(input: &[usize], classes: usize) -> ModelSpec {
    ModelBuilder::indices(input)
        .embedding(classes, 64, "embed")
        .dense(128, true, "fc1")
        .relu("relu1")
        .dense(classes, true, "fc2")
        .layer(Permute::new([0, 2, 1]).named("classes_first"))
        .spec()
}
