//! The fields of a set that is made from vectors, one after the other.

use std::sync::Arc;

use onestep_memory::HostValues;

use super::store::Store;
use crate::{DataError, Field};

/// Makes an [`InMemory`](crate::InMemory) set of any fields.
#[derive(Clone, Debug)]
pub struct InMemoryBuilder {
    pub(super) name: String,
    pub(super) fields: Vec<Field>,
    pub(super) stores: Vec<Store>,
    pub(super) keys: Option<Arc<[u64]>>,
}

impl InMemoryBuilder {
    /// Adds a field; `values` has all samples one after the other.
    #[must_use]
    pub fn field(mut self, field: Field, values: impl Into<HostValues>) -> Self {
        self.fields.push(field);
        self.stores.push(Store::Values(values.into()));
        self
    }

    /// Adds an f32 field that stays bytes in memory; an element is `byte / divisor`.
    #[must_use]
    pub fn pixels(mut self, field: Field, bytes: Vec<u8>, divisor: f32) -> Self {
        self.fields.push(field);
        self.stores.push(Store::Bytes { bytes, divisor });
        self
    }

    /// Gives each sample the number that a [`split`](crate::split) goes by; see
    /// [`Dataset::key`](crate::Dataset::key).
    #[must_use]
    pub fn keys(mut self, keys: impl Into<Vec<u64>>) -> Self {
        self.keys = Some(keys.into().into());
        self
    }
}

pub(super) fn check_store(
    dataset: &str,
    field: &Field,
    store: &Store,
    len: usize,
) -> Result<(), DataError> {
    if field.dtype != store.dtype() {
        return Err(DataError::field(&field.name, field.dtype, store.dtype()));
    }
    if store.len() != len * field.shape.elements() {
        let wanted = format!("{len} samples of {}", field.shape);
        let got = format!("{} elements", store.len());
        return Err(DataError::field(&field.name, wanted, got));
    }
    match store {
        Store::Bytes { divisor, .. } if !divisor.is_finite() || *divisor == 0.0 => {
            Err(DataError::setting("divisor", "a finite number that is not 0", divisor))
        }
        Store::Values(HostValues::I32(labels)) => check_labels(dataset, field, labels),
        _ => Ok(()),
    }
}

fn check_labels(dataset: &str, field: &Field, labels: &[i32]) -> Result<(), DataError> {
    let each = field.shape.elements();
    match field.wrong_label(labels) {
        Some(at) => Err(field.label_error(dataset, at / each, at % each, labels[at])),
        None => Ok(()),
    }
}
