//! How the shim tells that a step is over.

use std::sync::Arc;

use onestep_engine::{EngineError, Flight, Poison, Reports};
use onestep_metal_sys::{Complete, MetalError};

use crate::error::unsupported;

/// Results of so many steps are remembered, and so many can be in flight at most.
const REMEMBERED: usize = 64;

/// The steps in flight of one executor, which the shim's completion handler ends.
#[derive(Debug)]
pub(crate) struct MetalFlight(pub(crate) Flight);

impl MetalFlight {
    pub(crate) fn new(poison: &Arc<Poison>) -> Arc<Self> {
        Arc::new(MetalFlight(Flight::new(poison, REMEMBERED)))
    }

    fn failed(&self, serial: u64, error: &MetalError) -> EngineError {
        let reason = error.to_string();
        self.0.poison(serial, &reason).unwrap_or_else(|| unsupported("the step", reason))
    }
}

impl Complete for MetalFlight {
    fn complete(&self, serial: u64, result: Result<&[f32], MetalError>) {
        let result = match result {
            Ok(values) => Ok(Reports::new(values)),
            Err(error) => Err(self.failed(serial, &error)),
        };
        self.0.end(serial, result);
    }
}
