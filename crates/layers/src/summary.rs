//! A table of a model's layers.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::parts::LayerRow;

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
    /// The shape of the input, the batch first; of the first input where there are several.
    pub input_shape: Vec<usize>,
    /// The shapes of all inputs by name, the batch first.
    pub inputs: BTreeMap<String, Vec<usize>>,
    /// The shapes of all outputs by name, the batch first.
    pub outputs: BTreeMap<String, Vec<usize>>,
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

impl Summary {
    /// Of a model of this name with these shapes of samples going in and coming out, these layers,
    /// and so many learned and other numbers.
    pub(crate) fn new(
        model: &str,
        batch: usize,
        [inputs, outputs]: [Vec<(String, Vec<usize>)>; 2],
        rows: &[LayerRow],
        [parameters, states]: [usize; 2],
    ) -> Self {
        let with_batch = |sample: &[usize]| [&[batch], sample].concat();
        let row = |row: &LayerRow| SummaryRow {
            name: row.name.clone(),
            kind: row.kind.clone(),
            output_shape: with_batch(&row.output),
            parameters: row.parameters,
            flops: row.flops,
        };
        let shapes = |ports: Vec<(String, Vec<usize>)>| -> BTreeMap<String, Vec<usize>> {
            ports.into_iter().map(|(name, shape)| (name, with_batch(&shape))).collect()
        };
        let all = parameters.saturating_add(states);
        let inputs = shapes(inputs);
        Summary {
            model: model.to_owned(),
            batch_size: batch,
            input_shape: inputs.values().next().cloned().unwrap_or_default(),
            inputs,
            outputs: shapes(outputs),
            layers: rows.iter().map(row).collect(),
            total: all,
            parameters,
            states,
            bytes: all.saturating_mul(size_of::<f32>()),
            flops: rows.iter().map(|row| row.flops).fold(0, u64::saturating_add),
        }
    }

    fn cells(&self) -> Vec<[String; 5]> {
        let head = ["layer", "type", "output shape", "parameters", "FLOPs a sample"];
        let mut cells = vec![head.map(str::to_owned)];
        cells.extend(self.inputs.iter().map(|(name, shape)| {
            let [kind, parameters, flops] = [const { String::new() }; 3];
            [name.clone(), kind, format!("{shape:?}"), parameters, flops]
        }));
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
