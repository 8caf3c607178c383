//! Element types of tensors.

use std::fmt;
use std::str::FromStr;

use half::{bf16, f16};

use crate::MemoryError;

/// The type of a tensor's elements.
///
/// ```
/// use onestep_memory::DType;
///
/// assert_eq!(DType::BF16.size(), 2);
/// assert_eq!("f32".parse(), Ok(DType::F32));
/// assert_eq!(DType::I32.to_string(), "i32");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DType {
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary16.
    F16,
    /// bfloat16: the upper half of a binary32.
    BF16,
    /// Signed 32-bit integer: labels and indices.
    I32,
    /// Unsigned byte: images before they are normalised, raw storage.
    U8,
}

impl DType {
    /// Every element type, in the order of declaration.
    pub const ALL: [DType; 5] = [DType::F32, DType::F16, DType::BF16, DType::I32, DType::U8];

    /// Bytes one element takes.
    pub const fn size(self) -> usize {
        match self {
            DType::F32 | DType::I32 => 4,
            DType::F16 | DType::BF16 => 2,
            DType::U8 => 1,
        }
    }

    /// The name used in specs, files and messages: `f32`, `f16`, `bf16`, `i32`, `u8`.
    pub const fn name(self) -> &'static str {
        match self {
            DType::F32 => "f32",
            DType::F16 => "f16",
            DType::BF16 => "bf16",
            DType::I32 => "i32",
            DType::U8 => "u8",
        }
    }

    /// Whether the type is a floating-point one.
    pub const fn is_float(self) -> bool {
        matches!(self, DType::F32 | DType::F16 | DType::BF16)
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for DType {
    type Err = MemoryError;

    fn from_str(name: &str) -> Result<Self, MemoryError> {
        DType::ALL
            .into_iter()
            .find(|dtype| dtype.name() == name)
            .ok_or_else(|| MemoryError::UnknownDType { name: name.to_owned() })
    }
}

mod sealed {
    pub trait Sealed {}
}

/// A Rust type that a tensor can hold.
///
/// Sealed: a slice of `T` is read straight from a buffer, so `T` must have exactly the size and
/// layout of [`Element::DTYPE`].
pub trait Element: bytemuck::Pod + Send + Sync + sealed::Sealed {
    /// The element type that `Self` represents.
    const DTYPE: DType;
}

macro_rules! elements {
    ($($type:ty => $dtype:ident),* $(,)?) => {$(
        impl sealed::Sealed for $type {}
        impl Element for $type {
            const DTYPE: DType = DType::$dtype;
        }
        const _: () = assert!(size_of::<$type>() == DType::$dtype.size());
    )*};
}

elements! { f32 => F32, f16 => F16, bf16 => BF16, i32 => I32, u8 => U8 }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for dtype in DType::ALL {
            assert_eq!(dtype.name().parse(), Ok(dtype));
        }
    }

    #[test]
    fn an_unknown_name_is_an_error_that_repeats_it() {
        let error = "f64".parse::<DType>().unwrap_err();
        assert_eq!(error.to_string(), "unknown dtype \"f64\": expected f32, f16, bf16, i32 or u8");
    }
}
