//! From statuses to results.

use crate::error::MetalError;
use crate::raw;

/// Turns the status that a call returned into a result and releases it.
#[cfg(onestep_shim)]
pub(crate) fn check(status: *mut raw::onestep_status) -> Result<(), MetalError> {
    if status.is_null() {
        return Ok(());
    }
    // SAFETY: the status is owned by this function; its message lives until it is released.
    let (code, message) = unsafe {
        let code = raw::onestep_status_code(status);
        (code, text(raw::onestep_status_message(status)))
    };
    // SAFETY: the status came from the shim and is released once.
    unsafe { raw::onestep_status_release(status) };
    Err(MetalError::from_code(code, message))
}

/// There is no shim, so nothing can succeed.
#[cfg(not(onestep_shim))]
pub(crate) fn check(_: *mut raw::onestep_status) -> Result<(), MetalError> {
    Err(MetalError::Unavailable)
}

/// A copy of a text of the shim.
///
/// # Safety
/// `text` is null or points to a string that ends in a zero.
pub(crate) unsafe fn text(text: *const std::ffi::c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: the caller vouches for the zero at the end.
    unsafe { std::ffi::CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// The size of an args struct as its first field wants it.
pub(crate) const fn struct_bytes<T>() -> u64 {
    size_of::<T>() as u64
}
