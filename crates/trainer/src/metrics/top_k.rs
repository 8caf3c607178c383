//! Top-k accuracy.

use serde::{Deserialize, Serialize};

/// The share of samples whose class is among the `k` that the model deems most likely. Ties are
/// decided against the model's favour: a class must beat others, not merely equal them, so that a
/// model with constant output scores nothing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TopK {
    /// How many classes a sample may name.
    pub k: usize,
    /// Samples whose class was among them.
    pub hits: u64,
    /// All samples.
    pub samples: u64,
}

impl TopK {
    /// Before the first sample.
    pub fn new(k: usize) -> Self {
        TopK { k, hits: 0, samples: 0 }
    }

    /// Counts one sample by its scores, one a class.
    ///
    /// ```
    /// let mut top = onestep_trainer::TopK::new(2);
    /// top.add(&[0.1, 0.9, 0.5], 2);
    /// top.add(&[0.1, 0.9, 0.5], 0);
    /// assert_eq!(top.accuracy(), 0.5);
    /// ```
    pub fn add(&mut self, scores: &[f32], class: usize) {
        self.samples += 1;
        let Some(&own) = scores.get(class) else { return };
        // A comparison with NaN never speaks for the sample.
        let ahead = |(c, score): (usize, &f32)| c != class && (*score >= own || score.is_nan());
        let ahead = scores.iter().enumerate().filter(|&other| ahead(other)).count();
        self.hits += u64::from(ahead < self.k && !own.is_nan());
    }

    /// The share, from 0 to 1; 0 before the first sample.
    pub fn accuracy(&self) -> f64 {
        self.hits as f64 / self.samples.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_and_nan_score_nothing() {
        let mut top = TopK::new(1);
        top.add(&[0.0, 0.0], 0);
        top.add(&[f32::NAN, f32::NAN], 0);
        top.add(&[0.0, 0.0], 5);
        assert_eq!((top.hits, top.samples), (0, 3));
        top.add(&[0.5, 0.0], 0);
        assert_eq!(top.accuracy(), 0.25);
    }
}
