//! A machine that runs plans by printed kernels.

mod compiler;
mod machine;
mod nvrtc;
mod planned;

pub(crate) use compiler::{Library, compiler};
pub(crate) use machine::Machine;
pub(crate) use planned::Planned;

use onestep_engine::plan::{Place, Region};
use onestep_engine::{DType, Shape, Type, philox};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Pseudo-random numbers in `[-1, 1)`.
pub(crate) fn numbers(seed: u64, count: usize) -> Vec<f32> {
    (0..count as u64).map(|i| philox::uniform(seed, 0, 0, i) * 2.0 - 1.0).collect()
}

/// A whole tensor at the beginning of a region.
pub(crate) fn whole(region: Region, dims: &[usize], dtype: DType) -> Place {
    let shape = Shape::new(dims).unwrap();
    Place::contiguous(region, 0, &Type { shape, dtype })
}

/// Numbers are near, or the same where they are no finite numbers.
pub(crate) fn close(what: &str, got: &[f32], wanted: &[f64], tolerance: f64) {
    assert_eq!(got.len(), wanted.len(), "{what}");
    for (i, (&got, &wanted)) in got.iter().zip(wanted).enumerate() {
        let near = if wanted.is_finite() {
            (f64::from(got) - wanted).abs() <= tolerance * (1.0 + wanted.abs())
        } else if wanted.is_nan() {
            got.is_nan()
        } else {
            f64::from(got) == wanted
        };
        assert!(near, "{what}[{i}]: got {got}, wanted {wanted}");
    }
}
