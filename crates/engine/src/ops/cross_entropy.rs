//! Cross-entropy of logits against integer labels.

use onestep_memory::DType;

use super::softmax::log_sum_exp;
use super::{Gradients, OpRule, Site, expect_dtype, expect_inputs, expect_rank, expect_shape};
use crate::array::{Array, Context};
use crate::graph::{Graph, GraphError, Type, Value};

/// `(logits f32 [n, c], labels i32 [n]) -> f32 [n]`, with smoothing `e` and `p = log_softmax(x)`:
/// `-(1 - e) p_label - e/c sum_j p_j` (Szegedy et al., "Rethinking the Inception Architecture",
/// 2016, section 7). A label outside the classes gives NaN, so that it cannot go unseen.
#[derive(Clone, Copy, Debug)]
pub struct CrossEntropy {
    /// The share of the target spread over all classes, in `[0, 1]`.
    pub label_smoothing: f32,
}

super::equal_by_bits!(CrossEntropy, |op| op.label_smoothing.to_bits());

/// `(logits [n, c], labels [n], dy [n]) -> [n, c]`:
/// `(softmax(x) - (1 - e) onehot(label) - e/c) dy`.
#[derive(Clone, Copy, Debug)]
pub struct CrossEntropyGrad {
    /// As in [`CrossEntropy`].
    pub label_smoothing: f32,
}

super::equal_by_bits!(CrossEntropyGrad, |op| op.label_smoothing.to_bits());

fn check(op: &'static str, inputs: &[Type], smoothing: f32) -> Result<(), GraphError> {
    expect_dtype(op, &inputs[0], DType::F32)?;
    expect_rank(op, &inputs[0], 2)?;
    expect_dtype(op, &inputs[1], DType::I32)?;
    let rows = onestep_memory::Shape::new(&inputs[0].shape.dims()[..1])?;
    expect_shape(op, &inputs[1], &rows)?;
    if inputs[0].shape.dims()[1] == 0 {
        return Err(GraphError::shape(op, "at least one class", &inputs[0]));
    }
    if !(0.0..=1.0).contains(&smoothing) {
        return Err(GraphError::attribute(op, "label_smoothing", "in [0, 1]", smoothing));
    }
    Ok(())
}

/// The label of a row as an index, `None` where it is no class.
fn class(label: f64, classes: usize) -> Option<usize> {
    (label >= 0.0 && label < classes as f64).then_some(label as usize)
}

impl OpRule for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross_entropy"
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, GraphError> {
        expect_inputs(self.name(), inputs, 2)?;
        check(self.name(), inputs, self.label_smoothing)?;
        Ok(Type::f32(inputs[1].shape.clone()))
    }

    fn gradient(
        &self,
        g: &mut Graph,
        site: &Site<'_>,
        grad: Value,
    ) -> Result<Gradients, GraphError> {
        let (logits, labels) = (site.inputs[0], site.inputs[1]);
        let dx = g.cross_entropy_grad(logits, labels, grad, self.label_smoothing)?;
        Ok(vec![Some(dx), None])
    }

    fn evaluate(&self, _: &Context, inputs: &[&Array], out: &Type) -> Array {
        let classes = inputs[0].shape.dims()[1];
        let smoothing = f64::from(self.label_smoothing);
        let rows = inputs[0].data.chunks(classes).zip(&inputs[1].data);
        let data = rows.map(|(row, &label)| {
            let Some(label) = class(label, classes) else { return f64::NAN };
            let total = log_sum_exp(row);
            let loss = total - row[label];
            if smoothing == 0.0 {
                // A logit of -inf makes the spread infinite, and 0 times that NaN.
                return loss;
            }
            let spread = row.iter().map(|x| total - x).sum::<f64>() / classes as f64;
            (1.0 - smoothing) * loss + smoothing * spread
        });
        Array { shape: out.shape.clone(), data: data.collect() }
    }
}

impl OpRule for CrossEntropyGrad {
    fn name(&self) -> &'static str {
        "cross_entropy_grad"
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, GraphError> {
        expect_inputs(self.name(), inputs, 3)?;
        check(self.name(), inputs, self.label_smoothing)?;
        expect_dtype(self.name(), &inputs[2], DType::F32)?;
        expect_shape(self.name(), &inputs[2], &inputs[1].shape)?;
        Ok(inputs[0].clone())
    }

    fn gradient(&self, _: &mut Graph, _: &Site<'_>, _: Value) -> Result<Gradients, GraphError> {
        let reason = "second derivatives need log_softmax and a product instead of cross_entropy";
        Err(GraphError::NotDifferentiable { op: self.name(), reason })
    }

    fn evaluate(&self, _: &Context, inputs: &[&Array], out: &Type) -> Array {
        let classes = out.shape.dims()[1];
        let smoothing = f64::from(self.label_smoothing);
        let mut data = Vec::with_capacity(out.shape.elements());
        for (n, row) in inputs[0].data.chunks(classes).enumerate() {
            let (label, dy) = (class(inputs[1].data[n], classes), inputs[2].data[n]);
            let total = log_sum_exp(row);
            data.extend(row.iter().enumerate().map(|(c, x)| {
                let hit = if label == Some(c) { 1.0 - smoothing } else { 0.0 };
                let slope = (x - total).exp() - hit - smoothing / classes as f64;
                if label.is_some() { slope * dy } else { f64::NAN }
            }));
        }
        Array { shape: out.shape.clone(), data }
    }
}
