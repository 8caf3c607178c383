//! Inputs of mean 0 and deviation 1.

use std::fmt;

use onestep_memory::Shape;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::traits::{Short, Transform};
use crate::moments::Moments;
use crate::{DataError, Dataset, SampleRng, read_sample};

/// `(x - mean) / std`, with a mean and a deviation for each channel or one for all.
///
/// Channels are the first dimension: the planes of `[C, H, W]`, the features of `[F]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Scales")]
#[schemars(with = "Scales")]
pub struct Normalise {
    mean: Vec<f32>,
    std: Vec<f32>,
}

/// A normalisation that nobody has checked yet.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Scales {
    /// The mean of each channel, or one for all.
    mean: Vec<f32>,
    /// The deviation of each channel, or one for all; above 0.
    std: Vec<f32>,
}

impl TryFrom<Scales> for Normalise {
    type Error = DataError;

    fn try_from(Scales { mean, std }: Scales) -> Result<Self, DataError> {
        Self::new(&mean, &std)
    }
}

impl Normalise {
    /// From the mean and the standard deviation per channel.
    ///
    /// # Errors
    /// [`DataError::Setting`] where the lengths differ or are 0, where a number is not finite, or
    /// where a deviation is not above 0.
    pub fn new(mean: &[f32], std: &[f32]) -> Result<Self, DataError> {
        if mean.is_empty() || mean.len() != std.len() {
            let wanted = "as many means as deviations, at least one";
            let got = format!("{} and {}", mean.len(), std.len());
            return Err(DataError::setting("normalise", wanted, got));
        }
        let good = |(m, s): (&f32, &f32)| m.is_finite() && s.is_finite() && *s > 0.0;
        if !mean.iter().zip(std).all(good) {
            let wanted = "finite means, and finite deviations above 0";
            return Err(DataError::setting("normalise", wanted, format!("{mean:?} and {std:?}")));
        }
        Ok(Self { mean: mean.to_vec(), std: std.to_vec() })
    }

    /// With the mean and the (population) deviation of each channel of a data set, which is read
    /// once. A channel that never changes gets the deviation 1.
    ///
    /// # Errors
    /// Those of reading the samples.
    pub fn of(dataset: &dyn Dataset) -> Result<Self, DataError> {
        let shape = dataset.input_shape();
        let channels = channels(&shape);
        let each = shape.elements() / channels;
        let mut moments = vec![Moments::default(); channels];
        for index in 0..dataset.len() {
            let (input, _) = read_sample(dataset, index)?;
            for (moments, plane) in moments.iter_mut().zip(input.chunks_exact(each.max(1))) {
                plane.iter().for_each(|&value| moments.add(value));
            }
        }
        let (mean, std): (Vec<f32>, Vec<f32>) =
            moments.iter().map(Moments::mean_and_deviation).unzip();
        Self::new(&mean, &std)
    }
}

impl Normalise {
    /// The channels with mean and deviation whose numbers lie so far from 0 that f32 has less than a
    /// thousand steps within their deviation.
    pub(crate) fn coarse(&self) -> Vec<(usize, f32, f32)> {
        let moments = self.mean.iter().zip(&self.std).enumerate();
        let coarse = |(mean, deviation): (&f32, &f32)| mean.abs() * f32::EPSILON * 1e3 > *deviation;
        let found = moments.filter(|&(_, pair)| coarse(pair));
        found.map(|(channel, (&mean, &deviation))| (channel, mean, deviation)).collect()
    }
}

fn channels(shape: &Shape) -> usize {
    shape.dims().first().copied().unwrap_or(1).max(1)
}

impl Transform for Normalise {
    fn check(&self, shape: &Shape) -> Result<(), DataError> {
        let channels = channels(shape);
        if self.mean.len() == 1 || self.mean.len() == channels {
            return Ok(());
        }
        let wanted = format!("1 or {channels} means for inputs of {shape}");
        Err(DataError::setting("normalise", wanted, self.mean.len()))
    }

    fn apply(
        &self,
        input: &mut [f32],
        _shape: &Shape,
        _rng: &mut SampleRng,
        _scratch: &mut Vec<f32>,
    ) -> Result<(), DataError> {
        let each = (input.len() / self.mean.len()).max(1);
        let channels = self.mean.iter().zip(&self.std);
        for (plane, (mean, std)) in input.chunks_exact_mut(each).zip(channels) {
            plane.iter_mut().for_each(|value| *value = (*value - mean) / std);
        }
        Ok(())
    }

    /// Its numbers are what the model expects of its inputs, in training and after it.
    fn always(&self) -> bool {
        true
    }
}

impl Short for Normalise {
    const FORM: &'static str = "MEANS:DEVIATIONS";

    fn short(value: &str) -> Option<Self> {
        let (mean, std) = value.split_once(':')?;
        let numbers = |list: &str| -> Option<Vec<f32>> {
            list.split('/').map(|number| number.parse().ok()).collect()
        };
        Self::new(&numbers(mean)?, &numbers(std)?).ok()
    }
}

impl fmt::Display for Normalise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = |values: &[f32]| values.iter().map(f32::to_string).collect::<Vec<_>>().join("/");
        write!(f, "normalise={}:{}", join(&self.mean), join(&self.std))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::apply;
    use super::*;
    use crate::digits;

    #[test]
    fn normalise_works_per_channel() {
        let shape = Shape::from([2, 1, 2]);
        let transform = Normalise::new(&[1.0, 2.0], &[2.0, 4.0]).unwrap();
        assert_eq!(apply(&transform, &shape, &[1.0, 3.0, 6.0, 2.0], 0), [0.0, 1.0, 1.0, 0.0]);
        assert!(transform.check(&Shape::from([3, 1, 2])).is_err());
        assert!(Normalise::new(&[0.0], &[0.0]).is_err());
        assert!(Normalise::new(&[f32::NAN], &[1.0]).is_err());
        assert!(Normalise::new(&[0.0, 0.0], &[1.0]).is_err());
    }

    #[test]
    fn normalise_measures_a_data_set() {
        let digits = digits().unwrap();
        let transform = Normalise::of(&digits).unwrap();
        // 561718 of ink on 1797 pictures of 64 pixels that hold up to 16.
        assert!((transform.mean[0] - 561_718.0 / (1797.0 * 64.0 * 16.0)).abs() < 1e-6);
    }

    #[test]
    fn what_never_changes_is_not_divided_by_a_rounding_error() {
        let inputs = [0.1, 5.0, 0.1, 7.0, 0.1, 9.0].to_vec();
        let classes = crate::TargetSpec::classes(1);
        let shape = Shape::from([2]);
        let set = crate::InMemory::classification("x", shape.clone(), inputs, vec![0; 3], classes);
        let transform = Normalise::of(&set.unwrap()).unwrap();
        assert_eq!(transform.std[0], 1.0);
        assert_eq!(apply(&transform, &shape, &[0.1, 7.0], 0), [0.0, 0.0]);
    }
}
