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

/// The string that the likeliest class of each step says: without repeats, and without `blank` (Graves et al.,
/// "Connectionist Temporal Classification", 2006, section 3.2). `scores` are of one sample, `[steps, classes]`.
///
/// ```
/// let scores = [[0.1, 0.8], [0.2, 0.7], [0.9, 0.1], [0.3, 0.6]].concat();
/// assert_eq!(onestep_layers::greedy_ctc(&scores, 2, 0), [1, 1]);
/// ```
pub fn greedy_ctc(scores: &[f32], classes: usize, blank: usize) -> Vec<i32> {
    let likeliest = |row: &[f32]| {
        let largest = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)));
        largest.map_or(blank, |(class, _)| class)
    };
    let mut steps: Vec<usize> = scores.chunks(classes.max(1)).map(likeliest).collect();
    steps.dedup();
    steps.into_iter().filter(|&class| class != blank).map(|class| class as i32).collect()
}

/// How many labels have to be put in, taken out or changed to make one string of another (Levenshtein, 1966).
/// Summed over strings and divided by the labels of the true ones it is the character error rate.
///
/// ```
/// assert_eq!(onestep_layers::edit_distance(&[1, 2, 3], &[2, 3, 3]), 2);
/// ```
pub fn edit_distance(from: &[i32], to: &[i32]) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in to.iter().enumerate() {
            let changed = corner + usize::from(a != b);
            corner = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(corner + 1);
        }
    }
    row[to.len()]
}
