//! The states of a string, and the recursions over them.

use onestep_memory::{DType, Shape};

use super::Ctc;
use crate::array::Array;
use crate::graph::{GraphError, Type};
use crate::ops::{expect_dtype, expect_inputs, expect_rank, expect_shape};

/// Stands for the logarithm of 0, in sums that must not become NaN.
pub const NEVER: f32 = -1e30;

/// The sizes of a [`Ctc`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CtcSizes {
    /// Samples.
    pub batch: usize,
    /// Steps of each.
    pub steps: usize,
    /// Classes, the blank among them.
    pub classes: usize,
    /// Labels of the longest string.
    pub longest: usize,
}

impl CtcSizes {
    /// Of operands `[b, t, c]` and `[b, l]`.
    pub fn of(logs: &[usize], labels: &[usize]) -> CtcSizes {
        let at = |dims: &[usize], axis: usize| dims.get(axis).copied().unwrap_or(0);
        let (batch, steps, classes) = (at(logs, 0), at(logs, 1), at(logs, 2));
        CtcSizes { batch, steps, classes, longest: at(labels, 1) }
    }

    pub(super) fn check(op: &Ctc, inputs: &[Type]) -> Result<CtcSizes, GraphError> {
        expect_inputs("ctc", inputs, op.operands())?;
        expect_dtype("ctc", &inputs[0], DType::F32)?;
        expect_rank("ctc", &inputs[0], 3)?;
        expect_dtype("ctc", &inputs[1], DType::I32)?;
        expect_rank("ctc", &inputs[1], 2)?;
        let sizes = CtcSizes::of(inputs[0].shape.dims(), inputs[1].shape.dims());
        let labels = Shape::new(&[sizes.batch, sizes.longest])?;
        expect_shape("ctc", &inputs[1], &labels)?;
        if let Some(lengths) = inputs.get(2) {
            expect_dtype("ctc", lengths, DType::I32)?;
            expect_shape("ctc", lengths, &Shape::new(&[sizes.batch])?)?;
        }
        if sizes.steps == 0 {
            return Err(GraphError::shape("ctc", "at least one step", &inputs[0]));
        }
        if op.blank >= sizes.classes {
            let wanted = format!("below the {} classes", sizes.classes);
            return Err(GraphError::attribute("ctc", "blank", wanted, op.blank));
        }
        Ok(sizes)
    }

    /// The states of the longest string: its labels with a blank before, between and behind them.
    pub fn states(self) -> usize {
        2 * self.longest + 1
    }

    /// The numbers of all states at all steps of all samples.
    pub fn paths(self) -> usize {
        self.batch * self.steps * self.states()
    }

    /// Where those of a sample at a step begin in the result.
    pub fn path_at(self, sample: usize, step: usize) -> usize {
        self.batch + (sample * self.steps + step) * self.states()
    }
}

/// A string as its states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CtcString {
    /// The class of each state; `None` where a label is no class.
    pub states: Option<Vec<usize>>,
    /// The steps that count.
    pub steps: usize,
}

impl CtcString {
    /// Of labels as they are fed.
    pub fn new(
        labels: impl Iterator<Item = i64>,
        steps: usize,
        classes: usize,
        blank: usize,
    ) -> CtcString {
        let labels: Vec<i64> = labels.collect();
        let counts = |label: i64| label >= 0 && label != blank as i64;
        let length = labels.iter().filter(|&&label| counts(label)).count();
        let known = labels.iter().all(|&label| label < classes as i64);
        let label = |&label: &i64| if counts(label) { label as usize } else { blank };
        let pairs = labels[..length].iter().flat_map(|own| [blank, label(own)]);
        let states = known.then(|| pairs.chain([blank]).collect());
        CtcString { states, steps }
    }
}

/// Whether a state may follow the one two before it.
pub(super) fn skips(states: &[usize], state: usize, blank: usize) -> bool {
    state >= 2 && states[state] != blank && states[state] != states[state - 2]
}

/// The string of a sample.
pub(super) fn evaluated(op: &Ctc, inputs: &[&Array], sizes: CtcSizes, sample: usize) -> CtcString {
    let row = sample * sizes.longest;
    let labels = inputs[1].data[row..row + sizes.longest].iter().map(|&label| label as i64);
    let steps = match op.lengths {
        true => inputs[2].data[sample].clamp(1.0, sizes.steps as f64) as usize,
        false => sizes.steps,
    };
    CtcString::new(labels, steps, sizes.classes, op.blank)
}

pub(super) fn log_sum(terms: &[f64]) -> f64 {
    let largest = terms.iter().copied().fold(f64::from(NEVER), f64::max);
    largest + terms.iter().map(|x| (x - largest).exp()).sum::<f64>().ln()
}

/// What a step says of a state.
pub(super) fn said(logs: &Array, sample: usize, step: usize, class: usize) -> f64 {
    logs.at(&[sample, step, class]).max(f64::from(NEVER))
}

/// For each step that counts, the logarithm of what leads to each state; what does not count is 0.
pub(super) fn forward(
    logs: &Array,
    sizes: CtcSizes,
    sample: usize,
    string: &CtcString,
) -> Vec<Vec<f64>> {
    let mut rows = vec![vec![0.0; sizes.states()]; sizes.steps];
    let Some(states) = &string.states else { return rows };
    let never = f64::from(NEVER);
    // The blank is the class of the first state.
    let blank = states[0];
    for step in 0..string.steps {
        for (state, &class) in states.iter().enumerate() {
            let before = match step {
                0 if state < 2 => 0.0,
                0 => never,
                _ => {
                    let at = |by: usize| {
                        state.checked_sub(by).map_or(never, |from| rows[step - 1][from])
                    };
                    let two = if skips(states, state, blank) { at(2) } else { never };
                    log_sum(&[at(0), at(1), two])
                }
            };
            rows[step][state] = before + said(logs, sample, step, class);
        }
    }
    rows
}

/// The negative logarithm of the probability of a string.
pub(super) fn loss(forward: &[Vec<f64>], string: &CtcString) -> f64 {
    let Some(states) = &string.states else { return f64::NAN };
    let last = &forward[string.steps - 1];
    let ends = &last[states.len().saturating_sub(2)..states.len()];
    let log = log_sum(ends);
    if log > f64::from(NEVER) / 10.0 { -log } else { f64::INFINITY }
}
