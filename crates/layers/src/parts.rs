//! What a model consists of, once its shapes are known.

use onestep_engine::{ParameterInfo, Shape, Value};
use serde::Serialize;

use crate::derived::Derived;
use crate::initializer::{Fan, Initializer};

/// How PyTorch stores a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// As here.
    Same,
    /// With its two axes swapped: dense weights are `[in, out]` here and `[out, in]` there.
    Transposed,
}

/// A learned tensor of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterSpec {
    /// Its name (such as `block1.body.conv1.weight`) and shape.
    pub info: ParameterInfo,
    /// The path of its layer.
    pub layer: String,
    /// How it begins.
    pub init: Initializer,
    /// Where its beginning follows from another parameter's, in place of `init`.
    pub derived: Option<Derived>,
    /// The fans that the initialiser scales with.
    pub fan: Fan,
    /// How PyTorch stores it.
    pub layout: Layout,
    /// A row that begins at 0, such as that of what pads.
    pub zero_row: Option<usize>,
}

impl ParameterSpec {
    /// The numbers before the first step, which depend on the seed and the name alone.
    pub(crate) fn begin(&self, seed: u64) -> Vec<f32> {
        let elements = self.info.shape.elements();
        let mut numbers = self.init.fill(elements, self.fan, seed, &self.info.name);
        if let (Some(row), Some(&rows)) = (self.zero_row, self.info.shape.first()) {
            let width = elements / rows.max(1);
            numbers[row * width..(row + 1) * width].fill(0.0);
        }
        numbers
    }
}

/// A layer's use of a parameter, its own or another's.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Use {
    pub(crate) parameter: String,
    /// How many times the layer's low-rank adapter counts that it adds to the parameter.
    pub(crate) adapter: Option<f32>,
}

/// A tensor that a layer keeps between steps without learning it.
#[derive(Clone, Debug, PartialEq)]
pub struct StateSpec {
    /// Its name, such as `bn1.running_mean`.
    pub name: String,
    /// Its shape.
    pub shape: Shape,
    /// The path of its layer.
    pub layer: String,
    /// What all its elements are before the first step.
    pub initial: f32,
    /// Where its beginning follows from a parameter's, in place of `initial`.
    pub derived: Option<Derived>,
}

/// One layer of a compiled model. Containers such as `residual` have a row of their own, followed
/// by those of their layers; each row counts only what is its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LayerRow {
    /// The path.
    pub name: String,
    /// The type, such as `conv2d`.
    #[serde(rename = "type")]
    pub kind: String,
    /// How deep the path is, from 1.
    pub depth: usize,
    /// The shape of a sample that goes in, of the first input where there are several.
    pub input: Vec<usize>,
    /// The shape of a sample that comes out, of the first output where there are several.
    pub output: Vec<usize>,
    /// Learned numbers.
    pub parameters: usize,
    /// Numbers kept between steps without being learned.
    pub states: usize,
    /// Floating-point operations forward for one sample, a multiply-add as two.
    pub flops: u64,
}

impl LayerRow {
    pub(crate) fn new(path: &str, kind: &str, names: usize) -> Self {
        LayerRow {
            name: path.to_owned(),
            kind: kind.to_owned(),
            depth: names,
            input: Vec::new(),
            output: Vec::new(),
            parameters: 0,
            states: 0,
            flops: 0,
        }
    }

    pub(crate) fn fill(
        &mut self,
        input: Vec<usize>,
        output: Vec<usize>,
        parameters: usize,
        states: usize,
        flops: u64,
    ) {
        (self.input, self.output) = (input, output);
        (self.parameters, self.states, self.flops) = (parameters, states, flops);
    }

    /// Counts the layer's operations once for each of so many steps.
    pub(crate) fn repeat(&mut self, steps: usize) {
        self.flops = self.flops.saturating_mul(steps as u64);
    }
}

/// A sum that stays at the largest number instead of overflowing: such a model does not fit into
/// any memory, which is for the plan to say.
pub(crate) fn total(counts: impl Iterator<Item = usize>) -> usize {
    counts.fold(0, usize::saturating_add)
}

/// The input of a step of decoding that says where its position stands: i32 `[batch]`.
pub const POSITION: &str = "position";

/// Which of the two graphs of a text that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoding {
    /// All positions at once, as in evaluation; keys and values are kept.
    Prefill,
    /// The position that [`POSITION`] says, by itself: it is added to what is kept, and sees that.
    Step,
}

/// What a graph that decodes is built with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// The positions that a text has at most.
    pub(crate) window: usize,
    /// The place of the only position of each sample, in a step.
    pub(crate) position: Option<Value>,
}
