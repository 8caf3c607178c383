//! The confusion matrix.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How often samples of one class were taken for another. It displays as a table, a row a true
/// class and a column a predicted one.
///
/// ```
/// let mut matrix = onestep_trainer::ConfusionMatrix::new(["cat", "dog"]);
/// matrix.add(0, 0);
/// matrix.add(1, 0);
/// matrix.add(1, 1);
/// assert_eq!(matrix.count(1, 0), 1);
/// assert_eq!(matrix.recall(1), Some(0.5));
/// assert_eq!(matrix.precision(0), Some(0.5));
/// println!("{matrix}");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfusionMatrix {
    names: Vec<String>,
    /// Row by row: the true class decides on the row.
    counts: Vec<u64>,
}

impl ConfusionMatrix {
    /// A matrix of zeros over classes with these names.
    pub fn new<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        let counts = vec![0; names.len() * names.len()];
        ConfusionMatrix { names, counts }
    }

    /// The names of the classes.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Counts one sample; classes that do not exist are left out.
    pub fn add(&mut self, truth: usize, predicted: usize) {
        let classes = self.names.len();
        if truth < classes && predicted < classes {
            self.counts[truth * classes + predicted] += 1;
        }
    }

    /// Samples of class `truth` that were taken for `predicted`; 0 for classes that do not exist.
    pub fn count(&self, truth: usize, predicted: usize) -> u64 {
        let classes = self.names.len();
        if truth.max(predicted) < classes { self.counts[truth * classes + predicted] } else { 0 }
    }

    /// The share of right answers; 0 before the first sample.
    pub fn accuracy(&self) -> f64 {
        let right: u64 = (0..self.names.len()).map(|class| self.count(class, class)).sum();
        right as f64 / self.counts.iter().sum::<u64>().max(1) as f64
    }

    /// The share of the samples of a class that were recognised; `None` without samples.
    pub fn recall(&self, class: usize) -> Option<f64> {
        let all = (0..self.names.len()).map(|predicted| self.count(class, predicted)).sum();
        share(self.count(class, class), all)
    }

    /// The share of the samples taken for a class that are of it; `None` where there are none.
    pub fn precision(&self, class: usize) -> Option<f64> {
        let all = (0..self.names.len()).map(|truth| self.count(truth, class)).sum();
        share(self.count(class, class), all)
    }
}

fn share(part: u64, all: u64) -> Option<f64> {
    (all > 0).then(|| part as f64 / all as f64)
}

impl fmt::Display for ConfusionMatrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let corner = "true \\ predicted";
        let head = self.names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        let head = head.max(corner.len());
        let largest = self.counts.iter().max().copied().unwrap_or(0).to_string().len();
        let width = |name: &String| name.chars().count().max(largest);
        write!(f, "{corner:<head$}")?;
        for name in &self.names {
            write!(f, "  {name:>0$}", width(name))?;
        }
        writeln!(f, "  {:>6}", "recall")?;
        for (truth, name) in self.names.iter().enumerate() {
            write!(f, "{name:<head$}")?;
            for (predicted, column) in self.names.iter().enumerate() {
                write!(f, "  {:>1$}", self.count(truth, predicted), width(column))?;
            }
            match self.recall(truth) {
                Some(recall) => writeln!(f, "  {:>5.1}%", recall * 100.0)?,
                None => writeln!(f, "  {:>6}", "-")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_aligned() {
        let mut matrix = ConfusionMatrix::new(["a", "long name", "c"]);
        for _ in 0..100 {
            matrix.add(0, 0);
        }
        matrix.add(1, 0);
        matrix.add(7, 0);
        let text = matrix.to_string();
        let widths: Vec<usize> = text.lines().map(|line| line.chars().count()).collect();
        assert!(widths.iter().all(|&width| width == widths[0]), "{text}");
        assert!(text.contains("100.0%") && text.contains("  0.0%"), "{text}");
        assert_eq!(matrix.accuracy(), 100.0 / 101.0);
        assert_eq!(matrix.recall(2), None);
    }
}
