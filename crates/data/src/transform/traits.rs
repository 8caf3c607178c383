//! What a transform is.

use std::fmt;

use onestep_base::OwnKind;
use onestep_memory::Shape;

use crate::{DataError, SampleRng};

/// A change to one input.
///
/// `Display` gives the form that [`Pipeline`](crate::Pipeline) parses, where there is one. One of a program's
/// own has a text form where it was made by a registered name; see [`CustomTransform`](crate::CustomTransform).
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

    /// Whether it moves elements to other places: then it changes targets too that say something of each
    /// place (f32 values of an input's height and width, as masks are), with the same draw.
    fn moves(&self) -> bool {
        false
    }

    /// Whether it is a part of the model rather than a choice of the training: then it is applied in
    /// evaluation and prediction too, with or without a plus sign before it.
    fn always(&self) -> bool {
        false
    }
}

impl OwnKind for dyn Transform {
    const WORD: &'static str = "transform";
}

/// How a transform with its options is written behind its name.
pub(super) trait Short: Sized {
    /// What stands behind `NAME=`.
    const FORM: &'static str;

    /// Reads what stands behind `NAME=`; `None` where it is something else. It is empty where there is
    /// only a name.
    fn short(value: &str) -> Option<Self>;
}

/// Height and width of `[height, width]` or `[channels, height, width]`.
pub(super) fn picture_size(
    transform: &'static str,
    shape: &Shape,
) -> Result<(usize, usize), DataError> {
    match *shape.dims() {
        [height, width] | [_, height, width] if height * width > 0 => Ok((height, width)),
        _ => {
            let wanted = "pictures ([channels, height, width] or [height, width])";
            Err(DataError::setting(transform, wanted, shape))
        }
    }
}
