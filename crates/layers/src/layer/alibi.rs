//! Attention that falls off with distance.

use onestep_engine::{DType, Graph, GraphError, Value};

/// What is added to the products of query `i` and key `j`: `-m_h |i - j|`, `[1, heads, queries, keys]`, with a
/// slope a head (Press et al., "Train Short, Test Long", 2022). The slopes of 2^n heads are
/// `2^(-8 (h + 1) / 2^n)`; other counts have those of the largest power of two within, then every other
/// one of twice as many, as the authors' code has.
pub(super) fn bias(
    g: &mut Graph,
    heads: usize,
    queries: usize,
    keys: usize,
) -> Result<Value, GraphError> {
    let slopes: Vec<f32> = slopes(heads).into_iter().map(|slope| -slope as f32).collect();
    let slopes = g.constant_tensor(&[1, heads, 1, 1], &slopes)?;
    let distances: Vec<f32> =
        (0..queries).flat_map(|i| (0..keys).map(move |j| i.abs_diff(j) as f32)).collect();
    let distances = g.constant_tensor(&[1, 1, queries, keys], &distances)?;
    g.mul(slopes, distances)
}

/// The same of one query a sample, which stands at `place` i32 `[batch]`: `[batch, heads, 1, keys]`.
pub(super) fn bias_at(
    g: &mut Graph,
    heads: usize,
    place: Value,
    keys: usize,
) -> Result<Value, GraphError> {
    let slopes: Vec<f32> = slopes(heads).into_iter().map(|slope| slope as f32).collect();
    let slopes = g.constant_tensor(&[1, heads, 1, 1], &slopes)?;
    let keys_at: Vec<f32> = (0..keys).map(|j| j as f32).collect();
    let keys_at = g.constant_tensor(&[1, 1, 1, keys], &keys_at)?;
    let batch = g.shape(place).elements();
    let place = g.cast(place, DType::F32)?;
    let place = g.reshape(place, &[batch, 1, 1, 1])?;
    let offsets = g.sub(keys_at, place)?;
    g.mul(slopes, offsets)
}

fn slopes(heads: usize) -> Vec<f64> {
    let of_power = |count: usize| (1..=count).map(move |h| (-8.0 * h as f64 / count as f64).exp2());
    let within = 1 << heads.max(1).ilog2();
    let rest = of_power(2 * within).step_by(2);
    of_power(within).chain(rest).take(heads).collect()
}

#[cfg(test)]
mod tests {
    use super::slopes;

    #[test]
    fn slopes_are_the_authors() {
        assert_eq!(slopes(4), [0.25, 0.0625, 1.0 / 64.0, 1.0 / 256.0]);
        // The last two are the first and third of eight.
        assert_eq!(slopes(6), [0.25, 0.0625, 1.0 / 64.0, 1.0 / 256.0, 0.5, 0.125]);
    }
}
