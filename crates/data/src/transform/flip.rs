//! Mirrored pictures.

use std::fmt;

use onestep_memory::Shape;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::traits::{Short, Transform, picture_size};
use crate::{DataError, SampleRng};

/// Mirrors a picture left to right with a given probability.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RandomHorizontalFlip {
    /// The probability, from 0 to 1; default 0.5.
    pub probability: f32,
}

impl Default for RandomHorizontalFlip {
    fn default() -> Self {
        Self { probability: 0.5 }
    }
}

impl Short for RandomHorizontalFlip {
    const FORM: &'static str = "PROBABILITY";

    fn short(value: &str) -> Option<Self> {
        match value {
            "" => Some(Self::default()),
            _ => Some(Self { probability: value.parse().ok()? }),
        }
    }
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

    fn moves(&self) -> bool {
        true
    }
}

impl fmt::Display for RandomHorizontalFlip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "flip={}", self.probability)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::apply;
    use super::*;

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
}
