//! What losses of classes share.

use onestep_engine::{DType, Graph, GraphError, Value};

use crate::error::LayerError;

/// The weights of classes, once it is clear that there is one for each.
pub(super) fn class_weights<'a>(
    loss: &'static str,
    weight: Option<&'a [f32]>,
    classes: usize,
) -> Result<Option<&'a [f32]>, LayerError> {
    let Some(weight) = weight else { return Ok(None) };
    if weight.len() != classes {
        let wanted = format!("one number for each of {classes} classes");
        return Err(LayerError::option(loss, "weight", wanted, weight.len()));
    }
    match weight.iter().find(|w| !(w.is_finite() && **w >= 0.0)) {
        Some(bad) => Err(LayerError::option(loss, "weight", "finite and at least 0", bad)),
        None => Ok(Some(weight)),
    }
}

/// 1 where a label, of which the classes' axis has one, is the class along that axis, else 0.
pub(super) fn is_class(
    g: &mut Graph,
    labels: Value,
    axis: usize,
    classes: usize,
) -> Result<Value, GraphError> {
    let mut dims = vec![1; g.shape(labels).rank()];
    dims[axis] = classes;
    let numbers = g.cast(labels, DType::F32)?;
    let names: Vec<f32> = (0..classes).map(|class| class as f32).collect();
    let names = g.constant_tensor(&dims, &names)?;
    g.eq(numbers, names)
}

/// What `x` has where `own` is 1, of which there is one along the axis; NaN where there is none. In
/// elementwise ops, which every device has, and which become one pass.
pub(super) fn pick(g: &mut Graph, x: Value, own: Value, axis: usize) -> Result<Value, GraphError> {
    // Chosen rather than multiplied: the rest may be infinite.
    let zero = g.constant(0.0)?;
    let chosen = g.select(own, x, zero)?;
    let sum = g.sum(chosen, &[axis], true)?;
    let count = g.sum(own, &[axis], true)?;
    g.div(sum, count)
}
