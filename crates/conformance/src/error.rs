//! What can go wrong before anything is compared.

use onestep_engine::{EngineError, GraphError};
use onestep_memory::MemoryError;
use thiserror::Error;

/// A case that cannot be built or run. A wrong number is no error; it is a line of the report.
#[derive(Debug, Error)]
pub enum ConformanceError {
    /// A golden file is not what the generator writes.
    #[error("goldens of {family}: {reason}; run goldens/make_goldens.py again")]
    Golden {
        /// The family of cases.
        family: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A tensor, field or entry that is not there.
    #[error("{case} has no {missing}")]
    Missing {
        /// The case, or what else should have it.
        case: String,
        /// What is missing.
        missing: String,
    },
    /// The graph of a case cannot be built or evaluated.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The code under test returned an error.
    #[error("{stage}: {message}")]
    Subject {
        /// What was being done, such as `compile`.
        stage: &'static str,
        /// The error's text.
        message: String,
    },
}

impl ConformanceError {
    /// An error of the code under test.
    pub fn subject(stage: &'static str, error: impl std::fmt::Display) -> Self {
        ConformanceError::Subject { stage, message: error.to_string() }
    }
}

// As text: the engine's error is large, and nothing here looks into it.
impl From<EngineError> for ConformanceError {
    fn from(error: EngineError) -> Self {
        ConformanceError::subject("the engine", error)
    }
}

impl From<MemoryError> for ConformanceError {
    fn from(error: MemoryError) -> Self {
        ConformanceError::subject("the memory", error)
    }
}
