//! What begins as the beginning of a parameter says.

use crate::random::Stream;

/// How often a weight is applied to find its singular vectors, as PyTorch does.
const POWER_ITERATIONS: usize = 15;

/// A beginning that follows from that of a parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Derived {
    /// The parameter's name.
    pub parameter: String,
    /// What of it.
    pub what: Aspect,
}

/// What a beginning takes from a parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Aspect {
    /// The norm of each slice along an axis, or of the whole.
    Norms {
        /// The axis.
        axis: Option<usize>,
    },
    /// A vector that goes with the largest singular value of the parameter as a matrix, whose rows are
    /// the slices along an axis.
    Singular {
        /// The axis.
        axis: usize,
        /// Of the rows (the left vector) or of the columns.
        side: Side,
        /// No norm that is divided by is less.
        eps: f32,
    },
}

/// Which of two singular vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// One number a row.
    Left,
    /// One number a column.
    Right,
}

impl Aspect {
    /// The numbers, from the parameter's shape and numbers; vectors are found from random ones of the
    /// seed and the parameter's `name`.
    pub(crate) fn numbers(
        self,
        shape: &[usize],
        values: &[f32],
        seed: u64,
        name: &str,
    ) -> Vec<f32> {
        match self {
            Aspect::Norms { axis } => {
                let matrix = Matrix::new(shape, axis, values);
                matrix.norms().into_iter().map(|norm| norm as f32).collect()
            }
            Aspect::Singular { axis, side, eps } => {
                let matrix = Matrix::new(shape, Some(axis), values);
                let [left, right] = matrix.singular(seed, name, f64::from(eps));
                let vector = if side == Side::Left { left } else { right };
                vector.into_iter().map(|x| x as f32).collect()
            }
        }
    }
}

/// A tensor as a matrix: a row for each slice along an axis, or a single one.
struct Matrix<'a> {
    rows: usize,
    columns: usize,
    /// Elements behind the axis.
    inner: usize,
    values: &'a [f32],
}

impl<'a> Matrix<'a> {
    fn new(shape: &[usize], axis: Option<usize>, values: &'a [f32]) -> Self {
        let (rows, inner) = match axis {
            Some(axis) => (shape[axis], shape[axis + 1..].iter().product()),
            None => (1, values.len()),
        };
        Matrix { rows, columns: values.len() / rows.max(1), inner, values }
    }

    /// Each element with its row and column.
    fn each(&self) -> impl Iterator<Item = (usize, usize, f64)> + '_ {
        let place = |index: usize| {
            let slice = index / self.inner;
            (slice % self.rows, slice / self.rows * self.inner + index % self.inner)
        };
        self.values.iter().enumerate().map(move |(index, &value)| {
            let (row, column) = place(index);
            (row, column, f64::from(value))
        })
    }

    fn norms(&self) -> Vec<f64> {
        let mut sums = vec![0.0; self.rows];
        self.each().for_each(|(row, _, value)| sums[row] += value * value);
        sums.into_iter().map(f64::sqrt).collect()
    }

    /// By power iteration from a random right vector.
    fn singular(&self, seed: u64, name: &str, eps: f64) -> [Vec<f64>; 2] {
        let drawn = Stream::new(seed, &format!("{name}.singular")).normals(self.columns, 0.0, 1.0);
        let mut right = normalised(drawn.into_iter().map(f64::from).collect(), eps);
        let mut left = Vec::new();
        for _ in 0..POWER_ITERATIONS {
            let mut sums = vec![0.0; self.rows];
            self.each().for_each(|(row, column, value)| sums[row] += value * right[column]);
            left = normalised(sums, eps);
            let mut sums = vec![0.0; self.columns];
            self.each().for_each(|(row, column, value)| sums[column] += value * left[row]);
            right = normalised(sums, eps);
        }
        [left, right]
    }
}

fn normalised(mut vector: Vec<f64>, eps: f64) -> Vec<f64> {
    let norm = vector.iter().map(|x| x * x).sum::<f64>().sqrt().max(eps);
    vector.iter_mut().for_each(|x| *x /= norm);
    vector
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn norms_are_of_slices_along_any_axis() {
        let values = [3.0, 0.0, 4.0, 5.0, 0.0, 12.0];
        let norms = |axis| Aspect::Norms { axis }.numbers(&[3, 2], &values, 0, "w");
        assert_eq!(norms(Some(0)), [3.0, 41f32.sqrt(), 12.0]);
        assert_eq!(norms(Some(1)), [5.0, 13.0]);
        assert_eq!(norms(None), [194f32.sqrt()]);
    }

    /// `diag(1, 3)` along either axis, and as a slice of a larger tensor.
    #[test]
    fn singular_vectors_are_those_of_the_largest_value() {
        let vector = |axis, side, shape: &[usize], values: &[f32]| {
            Aspect::Singular { axis, side, eps: 1e-12 }.numbers(shape, values, 7, "w")
        };
        for axis in 0..2 {
            for side in [Side::Left, Side::Right] {
                let found = vector(axis, side, &[2, 2], &[1.0, 0.0, 0.0, 3.0]);
                assert!(found[0].abs() < 1e-6 && (found[1].abs() - 1.0).abs() < 1e-6, "{found:?}");
            }
        }
        // As [2, 2, 1] along the middle axis: rows are (1, 0) and (0, 3) again, as columns (0, 1).
        let found = vector(1, Side::Right, &[2, 2, 1], &[1.0, 0.0, 0.0, 3.0]);
        assert!(found[0].abs() < 1e-6 && (found[1].abs() - 1.0).abs() < 1e-6, "{found:?}");
        // Nothing is left of a weight of zeros, and nothing is NaN.
        assert_eq!(vector(0, Side::Left, &[2, 2], &[0.0; 4]), [0.0, 0.0]);
    }
}
