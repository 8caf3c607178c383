//! What layers that take several inputs element by element have in common.

use onestep_engine::{DType, Graph, GraphError, Value};

use crate::context::BuildContext;
use crate::error::LayerError;

/// An f32 value of the same numbers.
pub(super) fn as_numbers(cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
    match cx.graph.type_of(x).dtype {
        DType::F32 => Ok(x),
        _ => Ok(cx.graph.cast(x, DType::F32)?),
    }
}

/// The inputs as numbers, once it is clear that their shapes go together: aligned from the last axis,
/// sizes agree or are 1. The batch is the first axis of each, so an input of fewer axes gets axes of
/// size 1 behind its batch.
pub(super) fn operands(cx: &mut BuildContext, inputs: &[Value]) -> Result<Vec<Value>, LayerError> {
    let rank = inputs.iter().map(|&x| cx.graph.shape(x).rank()).max().unwrap_or(0);
    let mut values = Vec::with_capacity(inputs.len());
    let mut joint = vec![1; rank];
    for (i, &x) in inputs.iter().enumerate() {
        let dims = cx.dims(x);
        let missing = rank - dims.len();
        let aligned: Vec<usize> =
            dims[..1].iter().copied().chain(vec![1; missing]).chain(dims[1..].to_vec()).collect();
        for (have, &size) in joint.iter_mut().zip(&aligned) {
            if *have != size && *have != 1 && size != 1 {
                let shapes: Vec<_> = inputs.iter().map(|&x| cx.dims(x)[1..].to_vec()).collect();
                let wanted = "inputs whose sizes agree or are 1, counted from the last axis";
                return Err(cx.input_error(wanted, format!("{shapes:?} (input {i} does not fit)")));
            }
            *have = (*have).max(size);
        }
        let x = as_numbers(cx, x)?;
        values.push(if missing == 0 { x } else { cx.graph.reshape(x, &aligned)? });
    }
    Ok(values)
}

/// One value of several.
pub(super) fn fold(
    cx: &mut BuildContext,
    values: &[Value],
    join: impl Fn(&mut Graph, Value, Value) -> Result<Value, GraphError>,
) -> Result<Value, LayerError> {
    let Some((&first, rest)) = values.split_first() else {
        return Err(cx.input_error("at least one input", "none"));
    };
    Ok(rest.iter().try_fold(first, |joined, &x| join(&mut cx.graph, joined, x))?)
}
