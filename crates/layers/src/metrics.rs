//! Scalars that a step reports beside its loss.

use onestep_engine::{DType, Graph, Value};

use crate::error::LayerError;

/// The share of right answers, an f32 scalar of graph ops.
///
/// With an i32 `target` it is the share of rows whose largest logit is that of the label: `output`
/// is `[n, classes]` or `[n, classes, ...]`, the target `[n]` or `[n, ...]`. With an f32 target of
/// the output's shape it is the share of elements on the right side: `(output > 0) == (target >
/// 0.5)`, for logits against binary targets.
///
/// ```
/// use std::collections::HashMap;
/// use onestep_engine::{DType, Graph, Shape, reference};
/// let mut g = Graph::new();
/// let output = g.input("output", &[2, 3], DType::F32)?;
/// let target = g.input("target", &[2], DType::I32)?;
/// let accuracy = onestep_layers::accuracy(&mut g, output, target)?;
/// let leaves = HashMap::from([
///     ("output".into(), reference::Array::new(Shape::from([2, 3]), vec![0., 2., 1., 3., 2., 1.])?),
///     ("target".into(), reference::Array::new(Shape::from([2]), vec![1., 2.])?),
/// ]);
/// let result = reference::evaluate(&g, &leaves, &Default::default(), &[accuracy])?;
/// assert_eq!(result[0].data, [0.5]);
/// # Ok::<(), onestep_layers::LayerError>(())
/// ```
///
/// # Errors
/// Shapes that do not belong together.
pub fn accuracy(g: &mut Graph, output: Value, target: Value) -> Result<Value, LayerError> {
    let right = match g.type_of(target).dtype {
        DType::I32 => {
            let class = g.argmax(output, 1).map_err(|e| LayerError::from(e).within("accuracy"))?;
            expect_target(g, class, target)?;
            let class = g.cast(class, DType::F32)?;
            let label = g.cast(target, DType::F32)?;
            g.eq(class, label)?
        }
        _ => {
            expect_target(g, output, target)?;
            let zero = g.constant(0.0)?;
            let half = g.constant(0.5)?;
            let said = g.gt(output, zero)?;
            let truth = g.gt(target, half)?;
            g.eq(said, truth)?
        }
    };
    Ok(g.mean_all(right)?)
}

fn expect_target(g: &Graph, like: Value, target: Value) -> Result<(), LayerError> {
    let (wanted, got) = (g.shape(like), g.shape(target));
    if wanted == got {
        return Ok(());
    }
    Err(LayerError::input("accuracy", format!("a target of {wanted}"), got))
}
