//! The mean and the deviation of numbers that are seen once.

/// Sums from which they follow.
///
/// The sums are of distances from the first number, so that numbers which are all the same have a
/// deviation of exactly 0, however large they are, and those far from 0 keep their digits.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Moments {
    first: Option<f64>,
    count: f64,
    sum: f64,
    squares: f64,
}

impl Moments {
    pub(crate) fn add(&mut self, value: f32) {
        let value = f64::from(value);
        let distance = value - *self.first.get_or_insert(value);
        self.count += 1.0;
        self.sum += distance;
        self.squares += distance * distance;
    }

    /// The mean and the (population) deviation; a deviation of 1 where the numbers are all the same, so
    /// that to standardise them is to subtract them.
    pub(crate) fn mean_and_deviation(&self) -> (f32, f32) {
        let count = self.count.max(1.0);
        let mean = self.sum / count;
        let deviation = (self.squares / count - mean * mean).max(0.0).sqrt() as f32;
        let deviation = if deviation.is_normal() { deviation } else { 1.0 };
        ((self.first.unwrap_or(0.0) + mean) as f32, deviation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f32]) -> (f32, f32) {
        let mut moments = Moments::default();
        values.iter().for_each(|&value| moments.add(value));
        moments.mean_and_deviation()
    }

    #[test]
    fn they_are_those_of_the_numbers() {
        assert_eq!(of(&[1.0, 3.0]), (2.0, 1.0));
        assert_eq!(of(&[1e6, 1e6 + 2.0, 1e6 + 4.0]), (1e6 + 2.0, (8f32 / 3.0).sqrt()));
        assert_eq!(of(&[3e38, -3e38]), (0.0, 3e38));
    }

    #[test]
    fn constants_have_no_deviation() {
        for value in [0.1, 1e-3, 7e8, 123_456.79, -3.3e37] {
            assert_eq!(of(&[value; 1000]), (value, 1.0));
        }
        assert_eq!(of(&[]), (0.0, 1.0));
    }
}
