//! What can be checked of inputs and targets while they are on the host, before they reach kernels
//! that can only answer a wrong number with NaN.

use onestep_engine::ops::{LeafKind, Op};
use onestep_engine::{DType, Graph, Value};

use crate::error::LayerError;
use crate::loss::{ClassTargets, LossSpec};

/// The indices that a table takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexLimit {
    /// The path of the layer that has the table.
    pub layer: String,
    /// The rows of the table: indices are from 0 to one less.
    pub rows: usize,
}

/// For each input whose elements are indices of tables, the smallest of those.
pub(crate) fn index_limits(graph: &Graph) -> Vec<(String, IndexLimit)> {
    let mut limits: Vec<(String, IndexLimit)> = Vec::new();
    for value in graph.values() {
        let node = graph.node(value);
        let (Op::Gather(_), &[table, indices]) = (&node.op, &node.inputs[..]) else { continue };
        let Some(rows) = graph.shape(table).first().copied() else { continue };
        let Some(input) = input_behind(graph, indices) else { continue };
        let layer = node.label.clone().unwrap_or_else(|| input.to_owned());
        let limit = IndexLimit { layer, rows };
        match limits.iter_mut().find(|(name, _)| name == input) {
            Some((_, smallest)) if smallest.rows <= rows => {}
            Some((_, smallest)) => *smallest = limit,
            None => limits.push((input.to_owned(), limit)),
        }
    }
    limits
}

/// The input that a value is all of, in whatever shape.
fn input_behind(graph: &Graph, mut value: Value) -> Option<&str> {
    loop {
        let node = graph.node(value);
        match (&node.op, &node.inputs[..]) {
            (Op::Leaf(leaf), _) => {
                let whole = matches!(leaf.ty.dtype, DType::I32 | DType::U8);
                return (leaf.kind == LeafKind::Input && whole).then_some(&leaf.name);
            }
            (Op::Reshape(_) | Op::Permute(_) | Op::Broadcast(_) | Op::Cast(_), &[from]) => {
                value = from;
            }
            _ => return None,
        }
    }
}

impl IndexLimit {
    /// Checks all indices of a batch whose samples have the given shape.
    ///
    /// # Errors
    /// [`LayerError::Element`] for the first index outside the table.
    pub fn check(&self, input: &[i32], sample: &[usize]) -> Result<(), LayerError> {
        let rows = self.rows;
        let wanted =
            || format!("an index from 0 to {} for `{}`", rows.saturating_sub(1), self.layer);
        check("input", input, sample, wanted, |&index| {
            usize::try_from(index).is_ok_and(|index| index < rows)
        })
    }
}

/// Checks all labels of a batch: `sample` is the shape of the labels of one sample.
///
/// # Errors
/// [`LayerError::Element`] for the first label that is no class.
pub fn check_labels(labels: &[i32], sample: &[usize], classes: usize) -> Result<(), LayerError> {
    let wanted = || format!("a label from 0 to {}", classes.saturating_sub(1));
    check("target", labels, sample, wanted, |&label| {
        usize::try_from(label).is_ok_and(|label| label < classes)
    })
}

impl LossSpec {
    /// As [`check_labels`] but for the label that this loss ignores.
    ///
    /// # Errors
    /// [`LayerError::Element`] for the first label that is neither a class nor ignored.
    pub fn check_labels(
        &self,
        labels: &[i32],
        sample: &[usize],
        classes: usize,
    ) -> Result<(), LayerError> {
        if let LossSpec::Ctc(_) = self {
            let last = classes.saturating_sub(1);
            let wanted = || format!("a label from 0 to {last}, or a negative one behind a string");
            return check("target", labels, sample, wanted, |&label| {
                label < 0 || usize::try_from(label).is_ok_and(|label| label < classes)
            });
        }
        let ignored = match self {
            LossSpec::CrossEntropy(loss) => loss.ignored_label(sample.len() + 1),
            _ => None,
        };
        let Some(ignored) = ignored else { return check_labels(labels, sample, classes) };
        let last = classes.saturating_sub(1);
        let wanted = || format!("a label from 0 to {last}, or {ignored} for none");
        check("target", labels, sample, wanted, |&label| {
            label == ignored || usize::try_from(label).is_ok_and(|label| label < classes)
        })
    }

    /// Checks all target values of a batch: `sample` is the shape of those of one sample.
    ///
    /// # Errors
    /// [`LayerError::Element`] for the first value that the loss is not defined for: binary
    /// cross-entropy takes probabilities.
    pub fn check_values(&self, values: &[f32], sample: &[usize]) -> Result<(), LayerError> {
        if !self.wants_probabilities() {
            return Ok(());
        }
        let wanted = || format!("a probability from 0 to 1 for {self}");
        check("target", values, sample, wanted, |value| (0.0..=1.0).contains(value))
    }

    /// Whether targets are probabilities.
    pub fn wants_probabilities(&self) -> bool {
        match self {
            LossSpec::BceWithLogits(_) => true,
            LossSpec::CrossEntropy(loss) => loss.target == ClassTargets::Probabilities,
            _ => false,
        }
    }
}

/// Refuses the first element that is not right, by its sample and its place in it.
fn check<T: std::fmt::Display>(
    what: &'static str,
    elements: &[T],
    sample: &[usize],
    wanted: impl Fn() -> String,
    is_right: impl Fn(&T) -> bool,
) -> Result<(), LayerError> {
    let Some(at) = elements.iter().position(|element| !is_right(element)) else { return Ok(()) };
    let each = sample.iter().product::<usize>().max(1);
    let (number, mut within) = (at / each, at % each);
    let mut position = vec![0; sample.len()];
    for (place, &size) in position.iter_mut().zip(sample).rev() {
        (*place, within) = (within % size, within / size);
    }
    let place = match each {
        1 => format!("sample {number}"),
        _ => format!("sample {number}, position {position:?}"),
    };
    Err(LayerError::Element { what, place, wanted: wanted(), got: elements[at].to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BceWithLogits, CrossEntropy, ModelBuilder};

    #[test]
    fn a_label_is_named_by_sample_and_position() {
        let error = check_labels(&[0, 1, 2, 0, 3, 1], &[3], 3).unwrap_err().to_string();
        assert_eq!(error, "target: sample 1, position [1]: expected a label from 0 to 2, got 3");
        let error = check_labels(&[0, -1], &[], 3).unwrap_err().to_string();
        assert_eq!(error, "target: sample 1: expected a label from 0 to 2, got -1");
        let mut labels = vec![0; 24];
        labels[12 + 7] = 9;
        let error = check_labels(&labels, &[3, 4], 9).unwrap_err().to_string();
        assert!(error.contains("sample 1, position [1, 3]:"), "{error}");
        assert!(check_labels(&[2, 0], &[], 3).is_ok());
    }

    #[test]
    fn probabilities_are_from_0_to_1() {
        let bce = LossSpec::from(BceWithLogits::default());
        assert!(bce.check_values(&[0.0, 1.0, 0.5], &[3]).is_ok());
        for bad in [-0.1, 1.5, f32::NAN, f32::INFINITY] {
            let error = bce.check_values(&[0.0, 1.0, bad, 1.0], &[2]).unwrap_err().to_string();
            let wanted =
                "sample 1, position [0]: expected a probability from 0 to 1 for bce_with_logits";
            assert!(error.contains(wanted), "{error}");
        }
        assert!(LossSpec::from(CrossEntropy::default()).check_values(&[7.0], &[1]).is_ok());
        // What pads a string may be any negative number, the loader's too.
        let ctc: LossSpec = "ctc".parse().unwrap();
        assert!(ctc.check_labels(&[2, 1, -100, -1], &[4], 3).is_ok());
        assert!(ctc.check_labels(&[2, 3, -1, -1], &[4], 3).is_err());
    }

    #[test]
    fn the_smallest_table_behind_the_input_is_known() -> Result<(), LayerError> {
        let model = ModelBuilder::indices([2, 3])
            .flatten("flat")
            .concat([&|b| b.embedding(9, 2, "wide"), &|b| b.embedding(5, 2, "narrow")], "both")
            .build()?;
        let limit = model.index_limit().unwrap();
        assert_eq!((limit.layer.as_str(), limit.rows), ("both.branch1.narrow", 5));
        let error = limit.check(&[0, 1, 2, 3, 4, 4, 0, 5, 0, 0, 0, 0], &[2, 3]).unwrap_err();
        let wanted = "input: sample 1, position [0, 1]: expected an index from 0 to 4 for \
                      `both.branch1.narrow`, got 5";
        assert_eq!(error.to_string(), wanted);
        assert!(limit.check(&[-1, 0, 0, 0, 0, 0], &[2, 3]).is_err());
        assert!(ModelBuilder::new([4]).dense(2, true, "fc").build()?.index_limit().is_none());
        Ok(())
    }
}
