//! Pictures that are moved by some pixels.

use std::fmt;

use onestep_memory::Shape;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::traits::{Short, Transform, picture_size};
use crate::{DataError, SampleRng};

/// Puts a border of zeros around a picture and cuts a window of the original size out of it,
/// anywhere with the same probability.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RandomCrop {
    /// The width of the border, in pixels.
    pub padding: usize,
}

impl Short for RandomCrop {
    const FORM: &'static str = "PIXELS";

    fn short(value: &str) -> Option<Self> {
        Some(Self { padding: value.parse().ok()? })
    }
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
        let size = picture_size("random crop", shape)?;
        let start = (rng.below(2 * self.padding + 1), rng.below(2 * self.padding + 1));
        self.cut(input, size, start, scratch);
        Ok(())
    }

    fn moves(&self) -> bool {
        true
    }
}

impl RandomCrop {
    /// Cuts the window that begins so many rows and columns into the bordered picture.
    pub(crate) fn cut(
        &self,
        input: &mut [f32],
        (height, width): (usize, usize),
        (down, right): (usize, usize),
        scratch: &mut Vec<f32>,
    ) {
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

#[cfg(test)]
mod tests {
    use super::super::testing::apply;
    use super::*;

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
