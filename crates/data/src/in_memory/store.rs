//! What a field's samples are kept in.

use std::ops::Range;

use onestep_memory::{DType, HostValues};

use crate::{DataError, SampleMut};

/// All samples of a field, one after the other.
#[derive(Clone, Debug)]
pub(super) enum Store {
    Values(HostValues),
    /// Pixels as bytes, a quarter of the memory; `value = byte / divisor`.
    Bytes {
        bytes: Vec<u8>,
        divisor: f32,
    },
}

impl Store {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Values(values) => values.len(),
            Self::Bytes { bytes, .. } => bytes.len(),
        }
    }

    pub(super) fn dtype(&self) -> DType {
        match self {
            Self::Values(values) => values.dtype(),
            Self::Bytes { .. } => DType::F32,
        }
    }

    pub(super) fn copy(
        &self,
        range: Range<usize>,
        place: (usize, &str),
        sample: &mut SampleMut<'_>,
    ) -> Result<(), DataError> {
        match self {
            Self::Values(HostValues::F32(all)) => sample.put_at(place, &all[range]),
            Self::Values(HostValues::I32(all)) => sample.put_at(place, &all[range]),
            Self::Values(HostValues::U8(all)) => sample.put_at(place, &all[range]),
            Self::Bytes { bytes, divisor } => {
                let values = sample.slice_at::<f32>(place, range.len())?;
                for (value, &byte) in values.iter_mut().zip(&bytes[range]) {
                    *value = f32::from(byte) / divisor;
                }
                Ok(())
            }
        }
    }
}
