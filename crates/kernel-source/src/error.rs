//! Why something cannot be printed.

use thiserror::Error;

/// Work that cannot be printed as source.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SourceError {
    /// There is no printed kernel for an op; the executor needs its own way.
    #[error("there is no printed kernel for `{op}`; use the platform's own op")]
    NoKernel {
        /// The op.
        op: &'static str,
    },
    /// The plan breaks its own rules.
    #[error("a kernel of the plan cannot be printed: {what}")]
    Broken {
        /// What is wrong.
        what: String,
    },
    /// The kernel would exceed what the platform allows.
    #[error(
        "kernel `{kernel}` needs {got} {what}, but {platform} allows {most}; use the platform's own ops for it"
    )]
    Limit {
        /// The kernel's name.
        kernel: String,
        /// The platform.
        platform: &'static str,
        /// What there is too much of.
        what: &'static str,
        /// How much there is.
        got: usize,
        /// How much there may be.
        most: usize,
    },
}

impl SourceError {
    pub(crate) fn broken(what: impl Into<String>) -> Self {
        SourceError::Broken { what: what.into() }
    }
}
