//! Samples of a batch mixed with one another.

use std::fmt;
use std::str::FromStr;

use onestep_base::normal::box_muller;
use onestep_memory::DType;
use serde::{Deserialize, Serialize};

use crate::random::SampleRng;
use crate::{DataError, Field, Fields, Meaning, Role};

/// What mixes the samples of a training batch, each with the one before it (the first with the last), as
/// torchvision's v2 transforms do. The class labels become probabilities, f32 `[classes]`.
///
/// One number `l` a batch is drawn from Beta(alpha, alpha), by seed, epoch and batch.
///
/// ```
/// use std::sync::Arc;
/// use onestep_data::{DataError, DataLoader, Mixing, digits};
/// use onestep_memory::MemoryManager;
///
/// let mut loader = DataLoader::builder(Arc::new(digits()?))
///     .batch_size(4)
///     .training(true)
///     .mix("mixup=0.2".parse()?)
///     .build(&MemoryManager::host())?;
/// let batch = loader.epoch(0).next().expect("a batch")?;
/// assert_eq!(batch.target().shape().dims(), [4, 10]);
/// let row: f32 = batch.target().read::<f32>()?[..10].iter().sum();
/// assert!((row - 1.0).abs() < 1e-6);
/// # Ok::<(), DataError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Mixing {
    /// `l x + (1 - l) y` of inputs and labels (Zhang et al., *mixup: Beyond Empirical Risk Minimization*,
    /// ICLR 2018). Text form `mixup=ALPHA`; `mixup` has an alpha of 1.
    MixUp {
        /// Above 0; the smaller, the nearer is `l` to 0 or 1.
        alpha: f32,
    },
    /// A rectangle of `1 - l` of a picture comes from the other one, and as much of its label (Yun et al.,
    /// *CutMix*, ICCV 2019). Text form `cutmix=ALPHA`; `cutmix` has an alpha of 1.
    CutMix {
        /// Above 0.
        alpha: f32,
    },
}

impl Mixing {
    fn alpha(self) -> f32 {
        match self {
            Self::MixUp { alpha } | Self::CutMix { alpha } => alpha,
        }
    }

    /// Refuses an alpha that no share can be drawn by.
    ///
    /// # Errors
    /// [`DataError::Setting`] for one that is not above 0.
    pub fn check(self) -> Result<(), DataError> {
        match self.alpha() {
            alpha if alpha.is_finite() && alpha > 0.0 => Ok(()),
            alpha => Err(DataError::setting("alpha of the mixing", "a number above 0", alpha)),
        }
    }

    /// What becomes of a data set's fields.
    pub(crate) fn bind(self, fields: &Fields) -> Result<Mixed, DataError> {
        self.check()?;
        let is_target = |field: &Field| field.role == Role::Target;
        let mut targets = (0..fields.len()).filter(|&place| is_target(&fields[place]));
        let (Some(target), None) = (targets.next(), targets.next()) else {
            return Err(DataError::setting("fields", "one target to mix", fields.names()));
        };
        let field = &fields[target];
        let Meaning::Classes { names, ignores: false } = &field.meaning else {
            let wanted = "class labels that all count, to mix";
            return Err(DataError::field(&field.name, wanted, field));
        };
        if !field.is_scalar() {
            return Err(DataError::field(&field.name, "one label a sample, to mix", &field.shape));
        }
        let inputs: Vec<usize> =
            (0..fields.len()).filter(|&place| fields[place].role == Role::Input).collect();
        for field in inputs.iter().map(|&place| &fields[place]) {
            let is_picture = field.shape.rank() >= 2 || matches!(self, Self::MixUp { .. });
            if field.dtype != DType::F32 || field.varies || !is_picture {
                let wanted = format!("f32 of one shape for {self} (rows and columns for cutmix)");
                return Err(DataError::field(&field.name, wanted, field));
            }
        }
        let meaning = Meaning::Probabilities { names: names.clone() };
        let soft = Field { meaning, ..Field::values(&field.name, [names.len()]) };
        let mut mixed = fields.to_vec();
        mixed[target] = soft;
        Ok(Mixed { mixing: self, target, inputs, fields: mixed.into() })
    }
}

impl fmt::Display for Mixing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MixUp { alpha } => write!(f, "mixup={alpha}"),
            Self::CutMix { alpha } => write!(f, "cutmix={alpha}"),
        }
    }
}

impl From<Mixing> for String {
    fn from(mixing: Mixing) -> Self {
        mixing.to_string()
    }
}

impl TryFrom<String> for Mixing {
    type Error = DataError;

    fn try_from(text: String) -> Result<Self, DataError> {
        text.parse()
    }
}

impl FromStr for Mixing {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        let refuse = || {
            let wanted = "mixup=ALPHA or cutmix=ALPHA";
            DataError::setting("mixing", wanted, format!("`{text}`"))
        };
        let (name, alpha) = text.split_once('=').unwrap_or((text, "1"));
        let alpha = alpha.parse().map_err(|_| refuse())?;
        match name {
            "mixup" => Ok(Self::MixUp { alpha }),
            "cutmix" => Ok(Self::CutMix { alpha }),
            _ => Err(refuse()),
        }
    }
}

/// A [`Mixing`] of a data set's fields.
#[derive(Clone, Debug)]
pub(crate) struct Mixed {
    mixing: Mixing,
    /// The place of the labels.
    pub(crate) target: usize,
    /// The places of the inputs.
    pub(crate) inputs: Vec<usize>,
    /// The fields of a batch.
    pub(crate) fields: Fields,
}

/// What one batch is mixed by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Draw {
    /// The share of the sample itself.
    Blend(f64),
    /// The random numbers of a rectangle: how much of the picture stays, and where its middle is, from 0
    /// to 1 of height and width.
    Cut { kept: f64, row: f64, column: f64 },
}

impl Mixed {
    pub(crate) fn draw(&self, rng: &mut SampleRng) -> Draw {
        let share = beta(f64::from(self.mixing.alpha()), rng);
        match self.mixing {
            Mixing::MixUp { .. } => Draw::Blend(share),
            Mixing::CutMix { .. } => {
                let (column, row) = (uniform(rng), uniform(rng));
                Draw::Cut { kept: share, row, column }
            }
        }
    }
}

impl Draw {
    /// Mixes the inputs of a batch, each sample's elements of `field` one after the other. Gives the share
    /// of itself that each sample keeps.
    pub(crate) fn mix(self, samples: &mut [f32], field: &Field, last: &mut Vec<f32>) -> f64 {
        let each = field.shape.elements();
        last.clear();
        last.extend_from_slice(&samples[samples.len().saturating_sub(each)..]);
        match self {
            Self::Blend(share) => {
                let (own, other) = (share as f32, (1.0 - share) as f32);
                with_the_one_before(samples, each, last, |sample, before| {
                    for (value, before) in sample.iter_mut().zip(before) {
                        *value = before * other + *value * own;
                    }
                });
                share
            }
            Self::Cut { kept, row, column } => {
                let [.., height, width] = *field.shape.dims() else { return 1.0 };
                let (top, bottom) = side(height, row, kept);
                let (left, right) = side(width, column, kept);
                with_the_one_before(samples, each, last, |sample, before| {
                    let planes = before.chunks_exact(height * width);
                    for (plane, before) in sample.chunks_exact_mut(height * width).zip(planes) {
                        for row in top..bottom {
                            let range = row * width + left..row * width + right;
                            plane[range.clone()].copy_from_slice(&before[range]);
                        }
                    }
                });
                1.0 - ((bottom - top) * (right - left)) as f64 / (height * width) as f64
            }
        }
    }
}

/// The probabilities of mixed labels, `[labels, classes]`.
pub(crate) fn mix_labels(labels: &[i32], share: f64, classes: usize, places: &mut [f32]) {
    let class = |label: i32| usize::try_from(label).unwrap_or(0);
    for (row, place) in places.chunks_exact_mut(classes).take(labels.len()).enumerate() {
        let before = labels[row.checked_sub(1).unwrap_or(labels.len() - 1)];
        place.fill(0.0);
        place[class(before)] += (1.0 - share) as f32;
        place[class(labels[row])] += share as f32;
    }
}

/// Changes each sample by the one before it, as that was; the first by the last.
fn with_the_one_before(
    samples: &mut [f32],
    each: usize,
    last: &[f32],
    change: impl Fn(&mut [f32], &[f32]),
) {
    // From the end, so that each finds the one before unchanged.
    for start in (each..samples.len()).step_by(each).rev() {
        let (before, from) = samples.split_at_mut(start);
        change(&mut from[..each], &before[start - each..]);
    }
    change(&mut samples[..each], last);
}

/// The rows (or columns) of the rectangle: torchvision's, around a whole number below `size`.
fn side(size: usize, middle: f64, kept: f64) -> (usize, usize) {
    let middle = ((middle * size as f64) as usize).min(size - 1);
    let half = (0.5 * (1.0 - kept).max(0.0).sqrt() * size as f64) as usize;
    (middle.saturating_sub(half), (middle + half).min(size))
}

/// From 0 up to, not including, 1.
fn uniform(rng: &mut SampleRng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// A draw from Beta(alpha, alpha): two of Gamma, one as a share of both.
fn beta(alpha: f64, rng: &mut SampleRng) -> f64 {
    let (one, other) = (gamma(alpha, rng), gamma(alpha, rng));
    // Both may be 0 where alpha is tiny: then all of one sample.
    if one + other > 0.0 { one / (one + other) } else { 1.0 }
}

/// A draw from Gamma(alpha, 1): Marsaglia and Tsang, *A simple method for generating gamma variables*, ACM
/// TOMS 2000; below 1 by a draw of alpha + 1 and a power.
fn gamma(alpha: f64, rng: &mut SampleRng) -> f64 {
    if alpha < 1.0 {
        let power = uniform(rng).powf(1.0 / alpha);
        return gamma(alpha + 1.0, rng) * power;
    }
    let d = alpha - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let (normal, _) = box_muller(1.0 - uniform(rng), uniform(rng));
        let v = (1.0 + c * normal).powi(3);
        let u = 1.0 - uniform(rng);
        if v > 0.0 && u.ln() < 0.5 * normal * normal + d - d * v + d * v.ln() {
            return d * v;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// torch 2.x: `x.roll(1, 0).mul(1 - l).add(x.mul(l))` with x = arange(6).reshape(3, 2), l = 0.75, and
    /// the same of one-hot labels [2, 0, 1].
    #[test]
    fn mixup_is_torchvisions() {
        let mut samples = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
        let field = Field::f32("x", [2]);
        let share = Draw::Blend(0.75).mix(&mut samples, &field, &mut Vec::new());
        assert_eq!(samples, [1.0, 2.0, 1.5, 2.5, 3.5, 4.5]);
        let mut places = [9.0; 9];
        mix_labels(&[2, 0, 1], share, 3, &mut places);
        assert_eq!(places, [0.0, 0.25, 0.75, 0.75, 0.0, 0.25, 0.25, 0.75, 0.0]);
    }

    /// torchvision's box for l = 0.75 around (row 1, column 3) of 4 x 4: half a side is
    /// int(0.5 sqrt(0.25) 4) = 1, so rows 0 to 1 and columns 2 to 3, and the label keeps 1 - 4 / 16.
    #[test]
    fn cutmix_is_torchvisions() {
        let mut samples = [[0.0f32; 16], [1.0; 16]].concat();
        let field = Field::f32("x", [1, 4, 4]);
        let draw = Draw::Cut { kept: 0.75, row: 0.3, column: 0.8 };
        let share = draw.mix(&mut samples, &field, &mut Vec::new());
        assert_eq!(share, 0.75);
        let inside = |at: usize| at / 4 < 2 && at % 4 >= 2;
        for at in 0..16 {
            assert_eq!(samples[at], if inside(at) { 1.0 } else { 0.0 });
            assert_eq!(samples[16 + at], if inside(at) { 0.0 } else { 1.0 });
        }
    }

    #[test]
    fn shares_are_distributed_as_beta() {
        for alpha in [0.2, 1.0, 3.0] {
            let mut rng = SampleRng::new(1, 2, 3);
            let draws: Vec<f64> = (0..20_000).map(|_| beta(alpha, &mut rng)).collect();
            let mean = draws.iter().sum::<f64>() / draws.len() as f64;
            let variance = draws.iter().map(|x| (x - 0.5).powi(2)).sum::<f64>() / 2e4;
            // Beta(a, a) has the mean 1/2 and the variance 1 / (8 a + 4); five standard errors.
            let wanted = 1.0 / (8.0 * alpha + 4.0);
            assert!((mean - 0.5).abs() < 5.0 * (wanted / 2e4).sqrt(), "{alpha}: {mean}");
            assert!((variance - wanted).abs() < 0.03 * wanted, "{alpha}: {variance}");
            assert!(draws.iter().all(|draw| (0.0..=1.0).contains(draw)));
        }
    }
}
