//! The native library.

use std::error::Error;
use std::path::Path;

/// Builds the shim over Apple's frameworks.
pub(crate) fn macos(_shim: &Path) -> Result<(), Box<dyn Error>> {
    Ok(())
}

/// Builds the shim over the CPU implementation of the frameworks.
pub(crate) fn headless(_shim: &Path) -> Result<(), Box<dyn Error>> {
    Ok(())
}
