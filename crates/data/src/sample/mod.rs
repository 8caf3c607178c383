//! A sample: the place that it is read into, and its elements.

mod owned;
mod place;
mod rows;
mod values;

pub use owned::Sample;
pub(crate) use place::Places;
pub use place::SampleMut;
pub(crate) use rows::{INLINE_FIELDS, Rows};
pub use values::FieldElement;
