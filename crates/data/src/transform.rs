//! Changes to an input between the data set and the device: normalisation and augmentation.
//!
//! Workers apply them in place. Whatever is random in them comes from a generator that is keyed by
//! seed, epoch and sample, so that the number of workers changes nothing.

use std::fmt;

use onestep_memory::Shape;

use crate::moments::Moments;
use crate::{DataError, Dataset, SampleRng, read_sample};

/// A change to one input.
///
/// `Display` gives the form that [`Pipeline`](crate::Pipeline) parses, where there is one.
pub trait Transform: Send + Sync + fmt::Debug + fmt::Display {
    /// Refuses the inputs that this cannot be applied to.
    ///
    /// # Errors
    /// [`DataError::Setting`] with what is wanted of the shape or of the settings.
    fn check(&self, shape: &Shape) -> Result<(), DataError>;

    /// Changes `input`, which has `shape`, in place.
    ///
    /// `scratch` has any content and any length; it belongs to the worker and lives on, so that a
    /// transform that needs room allocates it once.
    ///
    /// # Errors
    /// Whatever makes it impossible; the loader adds the sample.
    fn apply(
        &self,
        input: &mut [f32],
        shape: &Shape,
        rng: &mut SampleRng,
        scratch: &mut Vec<f32>,
    ) -> Result<(), DataError>;
}

/// `(x - mean) / std`, with a mean and a deviation for each channel or one for all.
///
/// Channels are the first dimension: the planes of `[C, H, W]`, the features of `[F]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Normalise {
    mean: Vec<f32>,
    std: Vec<f32>,
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
}

impl fmt::Display for Normalise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = |values: &[f32]| values.iter().map(f32::to_string).collect::<Vec<_>>().join("/");
        write!(f, "normalise={}:{}", join(&self.mean), join(&self.std))
    }
}

/// Mirrors a picture left to right with a given probability.
#[derive(Clone, Debug, PartialEq)]
pub struct RandomHorizontalFlip {
    /// The probability, from 0 to 1.
    pub probability: f32,
}

impl Transform for RandomHorizontalFlip {
    fn check(&self, shape: &Shape) -> Result<(), DataError> {
        if !(0.0..=1.0).contains(&self.probability) {
            let wanted = "a probability from 0 to 1";
            return Err(DataError::setting("random horizontal flip", wanted, self.probability));
        }
        picture_size("random horizontal flip", shape).map(|_| ())
    }

    fn apply(
        &self,
        input: &mut [f32],
        shape: &Shape,
        rng: &mut SampleRng,
        _scratch: &mut Vec<f32>,
    ) -> Result<(), DataError> {
        let (_, width) = picture_size("random horizontal flip", shape)?;
        if rng.uniform() < self.probability {
            input.chunks_exact_mut(width).for_each(<[f32]>::reverse);
        }
        Ok(())
    }
}

impl fmt::Display for RandomHorizontalFlip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "flip={}", self.probability)
    }
}

/// Puts a border of zeros around a picture and cuts a window of the original size out of it,
/// anywhere with the same probability.
#[derive(Clone, Debug, PartialEq)]
pub struct RandomCrop {
    /// The width of the border, in pixels.
    pub padding: usize,
}

impl Transform for RandomCrop {
    fn check(&self, shape: &Shape) -> Result<(), DataError> {
        let (height, width) = picture_size("random crop", shape)?;
        if self.padding < height.min(width) {
            return Ok(());
        }
        let wanted = format!("a padding below {} for inputs of {shape}", height.min(width));
        Err(DataError::setting("random crop", wanted, self.padding))
    }

    fn apply(
        &self,
        input: &mut [f32],
        shape: &Shape,
        rng: &mut SampleRng,
        scratch: &mut Vec<f32>,
    ) -> Result<(), DataError> {
        let (height, width) = picture_size("random crop", shape)?;
        let (down, right) = (rng.below(2 * self.padding + 1), rng.below(2 * self.padding + 1));
        scratch.clear();
        scratch.extend_from_slice(input);
        input.fill(0.0);
        // The window starts `down` rows into the bordered picture: its row y is the old row
        // y + down - padding. What lies outside of the old picture stays 0.
        let rows = overlap(height, down, self.padding);
        let columns = overlap(width, right, self.padding);
        let planes = input.chunks_exact_mut(height * width);
        for (new, old) in planes.zip(scratch.chunks_exact(height * width)) {
            for row in 0..rows.length {
                let to = (rows.to + row) * width + columns.to;
                let from = (rows.from + row) * width + columns.from;
                let (to, from) = (to..to + columns.length, from..from + columns.length);
                new[to].copy_from_slice(&old[from]);
            }
        }
        Ok(())
    }
}

/// The part of a line that two windows share, and where it starts in each.
struct Overlap {
    to: usize,
    from: usize,
    length: usize,
}

fn overlap(size: usize, start: usize, padding: usize) -> Overlap {
    let (to, from) = (padding.saturating_sub(start), start.saturating_sub(padding));
    Overlap { to, from, length: size.saturating_sub(to + from) }
}

impl fmt::Display for RandomCrop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "crop={}", self.padding)
    }
}

/// Height and width of `[height, width]` or `[channels, height, width]`.
fn picture_size(transform: &'static str, shape: &Shape) -> Result<(usize, usize), DataError> {
    match *shape.dims() {
        [height, width] | [_, height, width] if height * width > 0 => Ok((height, width)),
        _ => {
            let wanted = "pictures ([channels, height, width] or [height, width])";
            Err(DataError::setting(transform, wanted, shape))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digits;

    fn apply(transform: &dyn Transform, shape: &Shape, input: &[f32], sample: u64) -> Vec<f32> {
        transform.check(shape).unwrap();
        let mut output = input.to_vec();
        let mut rng = SampleRng::new(1, 0, sample);
        transform.apply(&mut output, shape, &mut rng, &mut Vec::new()).unwrap();
        output
    }

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

    #[test]
    fn flip_reverses_rows_about_as_often_as_asked() {
        let shape = Shape::from([1, 2, 3]);
        let input = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let always = RandomHorizontalFlip { probability: 1.0 };
        assert_eq!(apply(&always, &shape, &input, 0), [3.0, 2.0, 1.0, 6.0, 5.0, 4.0]);
        let half = RandomHorizontalFlip { probability: 0.5 };
        let flipped = (0..1000).filter(|&i| apply(&half, &shape, &input, i)[0] == 3.0).count();
        assert!((450..550).contains(&flipped), "{flipped}");
        assert!(RandomHorizontalFlip { probability: 1.5 }.check(&shape).is_err());
        assert!(always.check(&Shape::from([5])).is_err());
    }

    #[test]
    fn crop_shifts_and_fills_with_zeros() {
        let shape = Shape::from([1, 3, 3]);
        let input: Vec<f32> = (1..=9).map(|value| value as f32).collect();
        let mut seen = std::collections::BTreeSet::new();
        for sample in 0..500 {
            let output = apply(&RandomCrop { padding: 1 }, &shape, &input, sample);
            // Every pixel that stayed has moved by the same step, of 1 at most in each direction.
            let steps: std::collections::BTreeSet<(i32, i32)> = output
                .iter()
                .enumerate()
                .filter(|(_, value)| **value != 0.0)
                .map(|(new, &value)| {
                    let (new, old) = (new as i32, value as i32 - 1);
                    (new / 3 - old / 3, new % 3 - old % 3)
                })
                .collect();
            assert_eq!(steps.len(), 1, "{output:?}");
            seen.extend(steps);
        }
        assert_eq!(seen.len(), 9);
        assert_eq!(apply(&RandomCrop { padding: 0 }, &shape, &input, 0), input);
        assert!(RandomCrop { padding: 3 }.check(&shape).is_err());
    }
}
