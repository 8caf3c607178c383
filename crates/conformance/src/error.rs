//! What can go wrong before anything is compared.

use onestep_engine::GraphError;
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
    /// A case asks for a tensor or field that its golden does not have.
    #[error("case {case}: the golden has no {missing}")]
    Missing {
        /// The case.
        case: String,
        /// The tensor or field.
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
