//! Attention that falls off with distance.

use onestep_engine::{Graph, GraphError, Value};

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
