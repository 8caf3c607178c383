//! Random batches that depend on a seed alone.

use onestep_base::normal::box_muller;
use onestep_data::SampleRng;

/// Streams of the generator, one for each tensor.
const INPUT: u64 = 0;
const TARGET: u64 = 1;

/// Standard normal numbers, two from two.
pub(super) fn normals(seed: u64, count: usize) -> Vec<f32> {
    let mut rng = SampleRng::new(seed, 0, INPUT);
    let mut numbers = Vec::with_capacity(count + 1);
    while numbers.len() < count {
        let (first, second) = (f64::from(rng.uniform()), f64::from(rng.uniform()));
        let (one, other) = box_muller(first, second);
        numbers.extend([one as f32, other as f32]);
    }
    numbers.truncate(count);
    numbers
}

/// 1 where a number is positive, else 0.
pub(super) fn masks(numbers: &[f32]) -> Vec<f32> {
    numbers.iter().map(|&x| f32::from(u8::from(x > 0.0))).collect()
}

/// Indices below a limit, of equal probability.
pub(super) fn indices(seed: u64, count: usize, limit: usize) -> Vec<i32> {
    below(limit, count, SampleRng::new(seed, 0, INPUT))
}

/// Labels of equal probability.
pub(super) fn labels(seed: u64, count: usize, classes: usize) -> Vec<i32> {
    below(classes, count, SampleRng::new(seed, 0, TARGET))
}

fn below(limit: usize, count: usize, mut rng: SampleRng) -> Vec<i32> {
    (0..count).map(|_| rng.below(limit) as i32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_standard_normal() {
        let numbers = normals(1, 99_999);
        let n = numbers.len() as f64;
        let mean = numbers.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
        let variance = numbers.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / n;
        // Four standard errors of each.
        assert!(mean.abs() < 4.0 / n.sqrt(), "{mean}");
        assert!((variance - 1.0).abs() < 4.0 * (2.0 / n).sqrt(), "{variance}");
    }

    #[test]
    fn labels_cover_the_classes() {
        let labels = labels(3, 1000, 10);
        assert!((0..10).all(|class| labels.contains(&class)));
        assert!(labels.iter().all(|label| (0..10).contains(label)));
    }
}
