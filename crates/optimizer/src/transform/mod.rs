//! The transformations that the built-in rules are chains of.

mod adafactor;
mod adam;
mod basic;
mod lion;
mod orthogonal;
mod rms;
mod skip;
mod trust;

pub use adafactor::ScaleByAdafactor;
pub use adam::ScaleByAdam;
pub(crate) use adam::moments;
pub use basic::{AddDecay, Decay, DecayLr, Momentum, ScaleByLr};
pub use lion::ScaleByLion;
pub use orthogonal::{AverageGradient, Orthogonalise};
pub use rms::{ScaleByRms, ScaleBySum};
pub use skip::SkipIfNonfinite;
pub use trust::TrustRatio;
