//! The confusion matrix.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// How often samples of one class were taken for another. It takes memory for the pairs that came up,
/// not for all that there are.
///
/// It displays as a table, a row a true class and a column a predicted one; with more than
/// [`ConfusionMatrix::LARGEST_TABLE`] classes as a list of the pairs that were confused most. With serde
/// it is `names` and `counts`, a `[true class, predicted class, samples]` for each pair that came up.
///
/// ```
/// let mut matrix = onestep_trainer::ConfusionMatrix::new(["cat", "dog"]);
/// matrix.add(0, 0);
/// matrix.add(1, 0);
/// matrix.add(1, 1);
/// assert_eq!(matrix.count(1, 0), 1);
/// assert_eq!(matrix.recall(1), Some(0.5));
/// assert_eq!(matrix.precision(0), Some(0.5));
/// assert_eq!(matrix.most_confused(10), [(1, 0, 1)]);
/// println!("{matrix}");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfusionMatrix {
    names: Vec<String>,
    /// By true and predicted class.
    #[serde(with = "triples")]
    counts: BTreeMap<(usize, usize), u64>,
}

/// Pairs with counts as a list of three numbers each.
mod triples {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};

    type Counts = BTreeMap<(usize, usize), u64>;

    pub(super) fn serialize<S: Serializer>(counts: &Counts, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(counts.iter().map(|(&(truth, predicted), &count)| (truth, predicted, count)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Counts, D::Error> {
        let all = Vec::<(usize, usize, u64)>::deserialize(from)?;
        Ok(all.into_iter().map(|(truth, predicted, count)| ((truth, predicted), count)).collect())
    }
}

impl ConfusionMatrix {
    /// With more classes than this it displays as a list of pairs.
    pub const LARGEST_TABLE: usize = 30;

    /// How many pairs such a list has.
    const LISTED: usize = 20;

    /// A matrix of zeros over classes with these names.
    pub fn new<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        ConfusionMatrix {
            names: names.into_iter().map(Into::into).collect(),
            counts: BTreeMap::new(),
        }
    }

    /// The names of the classes.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Counts one sample; classes that do not exist are left out.
    pub fn add(&mut self, truth: usize, predicted: usize) {
        if truth.max(predicted) < self.names.len() {
            *self.counts.entry((truth, predicted)).or_default() += 1;
        }
    }

    /// Samples of class `truth` that were taken for `predicted`; 0 for classes that do not exist.
    pub fn count(&self, truth: usize, predicted: usize) -> u64 {
        self.counts.get(&(truth, predicted)).copied().unwrap_or(0)
    }

    /// The pairs of different classes that were confused most, the most frequent first: true class,
    /// predicted class, samples.
    pub fn most_confused(&self, most: usize) -> Vec<(usize, usize, u64)> {
        let wrong = self.counts.iter().filter(|((truth, predicted), _)| truth != predicted);
        let mut pairs: Vec<_> = wrong.map(|(&(t, p), &count)| (t, p, count)).collect();
        // Stable, so that equal counts stay in the order of the classes.
        pairs.sort_by_key(|&(_, _, count)| std::cmp::Reverse(count));
        pairs.truncate(most);
        pairs
    }

    /// The share of right answers; 0 before the first sample.
    pub fn accuracy(&self) -> f64 {
        let diagonal = self.counts.iter().filter(|((truth, predicted), _)| truth == predicted);
        let right: u64 = diagonal.map(|(_, count)| count).sum();
        right as f64 / self.counts.values().sum::<u64>().max(1) as f64
    }

    /// The share of the samples of a class that were recognised; `None` without samples.
    pub fn recall(&self, class: usize) -> Option<f64> {
        let row = self.counts.range((class, 0)..=(class, usize::MAX));
        share(self.count(class, class), row.map(|(_, count)| count).sum())
    }

    /// The share of the samples taken for a class that are of it; `None` where there are none.
    pub fn precision(&self, class: usize) -> Option<f64> {
        let column = self.counts.iter().filter(|((_, predicted), _)| *predicted == class);
        share(self.count(class, class), column.map(|(_, count)| count).sum())
    }

    fn table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let corner = "true \\ predicted";
        let head = self.names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        let head = head.max(corner.len());
        let largest = self.counts.values().max().copied().unwrap_or(0).to_string().len();
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

    fn list(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs = self.most_confused(Self::LISTED);
        let classes = self.names.len();
        if pairs.is_empty() {
            return writeln!(f, "none of the {classes} classes was taken for another");
        }
        writeln!(f, "what was confused most among the {classes} classes")?;
        let name = |class: usize| self.names[class].as_str();
        let width = pairs.iter().map(|&(truth, ..)| name(truth).chars().count()).max();
        let width = width.unwrap_or(0);
        for (truth, predicted, count) in pairs {
            let plural = if count == 1 { "" } else { "s" };
            let (truth, predicted) = (name(truth), name(predicted));
            writeln!(f, "  {truth:<width$}  taken for {predicted}: {count} time{plural}")?;
        }
        Ok(())
    }
}

fn share(part: u64, all: u64) -> Option<f64> {
    (all > 0).then(|| part as f64 / all as f64)
}

impl fmt::Display for ConfusionMatrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.names.len() <= Self::LARGEST_TABLE { self.table(f) } else { self.list(f) }
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

    #[test]
    fn many_classes_are_a_short_list() {
        let mut matrix = ConfusionMatrix::new((0..1_000_000).map(|class| format!("c{class}")));
        for class in 0..500 {
            matrix.add(class, class + 1);
            matrix.add(class, class);
        }
        matrix.add(999_999, 3);
        matrix.add(999_999, 3);
        let text = matrix.to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 1 + ConfusionMatrix::LISTED);
        assert_eq!(lines[1], "  c999999  taken for c3: 2 times");
        assert_eq!(lines[2], "  c0       taken for c1: 1 time");
        assert_eq!(matrix.most_confused(2), [(999_999, 3, 2), (0, 1, 1)]);
        assert_eq!(matrix.recall(0), Some(0.5));
        assert_eq!(matrix.precision(1), Some(0.5));
        assert_eq!(matrix.accuracy(), 500.0 / 1002.0);
    }

    #[test]
    fn only_what_came_up_is_written_down() {
        let mut matrix = ConfusionMatrix::new(["a", "b", "c"]);
        matrix.add(2, 1);
        matrix.add(2, 1);
        let json = serde_json::to_value(&matrix).unwrap();
        assert_eq!(json["counts"], serde_json::json!([[2, 1, 2]]));
        assert_eq!(serde_json::from_value::<ConfusionMatrix>(json).unwrap(), matrix);
    }
}
