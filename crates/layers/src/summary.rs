//! A table of a model's layers.

use std::fmt;

use serde::Serialize;

use crate::model::{LayerRow, Model, total};

/// The layers of a model with shapes, parameters and work. [`fmt::Display`] is an aligned table,
/// [`Serialize`] the same for programs.
///
/// FLOPs are counted forward for one sample by each layer's formula, a multiply-add as two:
/// `2 c/groups kh kw` an output of a convolution, `2 in_features` one of a dense layer (and one
/// more for a bias), the window's size for pooling, two to seven for norms, one to eight for
/// activations.
///
/// ```
/// use onestep_layers::ModelBuilder;
/// let model = ModelBuilder::new([4]).dense(8, true, "fc1").relu("relu1").build()?;
/// let summary = model.summary(32);
/// assert_eq!(summary.parameters, 4 * 8 + 8);
/// assert_eq!(summary.layers[0].output_shape, [32, 8]);
/// assert!(summary.to_string().contains("fc1"));
/// # Ok::<(), onestep_layers::LayerError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The model's name.
    pub model: String,
    /// The batch size of the shapes.
    pub batch_size: usize,
    /// The shape of the input, the batch first.
    pub input_shape: Vec<usize>,
    /// One row a layer, containers before their contents.
    pub layers: Vec<SummaryRow>,
    /// Learned and other numbers kept between steps.
    pub total: usize,
    /// Learned numbers.
    pub parameters: usize,
    /// Numbers kept between steps without being learned.
    pub states: usize,
    /// Bytes of both, in f32.
    pub bytes: usize,
    /// Floating-point operations forward for one sample.
    pub flops: u64,
}

/// One layer of a [`Summary`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SummaryRow {
    /// The layer's path.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// The shape of its output, the batch first.
    pub output_shape: Vec<usize>,
    /// Its own learned numbers.
    pub parameters: usize,
    /// Its own floating-point operations forward for one sample.
    pub flops: u64,
}

/// A table of a model's layers for a batch size; the same as [`Model::summary`].
pub fn summary(model: &Model, batch: usize) -> Summary {
    Summary::new(model, batch)
}

impl Summary {
    pub(crate) fn new(model: &Model, batch: usize) -> Self {
        let with_batch = |sample: &[usize]| [&[batch], sample].concat();
        let row = |row: &LayerRow| SummaryRow {
            name: row.name.clone(),
            kind: row.kind.clone(),
            output_shape: with_batch(&row.output),
            parameters: row.parameters,
            flops: row.flops,
        };
        let parameters = model.parameter_count();
        let states = total(model.states().iter().map(|s| s.shape.elements()));
        let all = parameters.saturating_add(states);
        Summary {
            model: model.spec().name.clone(),
            batch_size: batch,
            input_shape: with_batch(model.input_shape().dims()),
            layers: model.layers().iter().map(row).collect(),
            total: all,
            parameters,
            states,
            bytes: all.saturating_mul(size_of::<f32>()),
            flops: model.layers().iter().map(|row| row.flops).fold(0, u64::saturating_add),
        }
    }

    fn cells(&self) -> Vec<[String; 5]> {
        let head = ["layer", "type", "output shape", "parameters", "FLOPs a sample"];
        let input = [
            "input".to_owned(),
            String::new(),
            format!("{:?}", self.input_shape),
            String::new(),
            String::new(),
        ];
        let mut cells = vec![head.map(str::to_owned), input];
        cells.extend(self.layers.iter().map(|row| {
            [
                row.name.clone(),
                row.kind.clone(),
                format!("{:?}", row.output_shape),
                thousands(row.parameters as u64),
                thousands(row.flops),
            ]
        }));
        cells
    }
}

/// A number with its digits in groups of three: `1,234,567`.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cells = self.cells();
        let mut widths = [0; 5];
        for row in &cells {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let [w0, w1, w2, w3, w4] = widths;
        let rule = "-".repeat(widths.iter().sum::<usize>() + 8);
        writeln!(f, "model {} with batches of {}", self.model, self.batch_size)?;
        writeln!(f, "{rule}")?;
        for (i, [name, kind, shape, parameters, flops]) in cells.iter().enumerate() {
            writeln!(f, "{name:w0$}  {kind:w1$}  {shape:w2$}  {parameters:>w3$}  {flops:>w4$}")?;
            if i == 0 {
                writeln!(f, "{rule}")?;
            }
        }
        writeln!(f, "{rule}")?;
        let (parameters, states) =
            (thousands(self.parameters as u64), thousands(self.states as u64));
        write!(f, "{parameters} trainable parameters, {states} other values kept between steps, ")?;
        let (bytes, flops) = (thousands(self.bytes as u64), thousands(self.flops));
        writeln!(f, "{bytes} bytes; {flops} FLOPs forward a sample")
    }
}
