//! How a step tells that it is done.

use std::ffi::{c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::error::MetalError;
use crate::native::text;
use crate::raw;

/// Is told when a step is done, on a thread of the platform, in the order of the steps. It must not
/// block. A panic in it is swallowed.
pub trait Complete: Send + Sync + 'static {
    /// The step submitted with `tag` is done: its scalars (the loss first), or why there are none.
    fn complete(&self, tag: u64, result: Result<&[f32], MetalError>);
}

/// The callback and its context for one step: the context is a counted reference to the receiver.
pub(crate) fn callback<C: Complete>(
    receiver: &Arc<C>,
) -> (Option<raw::onestep_completion>, *mut c_void) {
    (Some(trampoline::<C>), Arc::into_raw(Arc::clone(receiver)).cast_mut().cast())
}

/// Takes back the context of a step that was not submitted.
///
/// # Safety
/// `context` comes from [`callback`] for the same `C`, and the callback will not be called.
pub(crate) unsafe fn forget<C: Complete>(context: *mut c_void) {
    // SAFETY: the caller vouches for the origin.
    drop(unsafe { Arc::from_raw(context.cast::<C>().cast_const()) });
}

/// # Safety
/// Called once by the shim for each `context` made by [`callback`] for the same `C`.
unsafe extern "C" fn trampoline<C: Complete>(
    context: *mut c_void,
    tag: u64,
    code: i32,
    message: *const c_char,
    values: *const f32,
    value_count: u64,
) {
    // SAFETY: the context was made by `callback` and is given back exactly once.
    let receiver = unsafe { Arc::from_raw(context.cast::<C>().cast_const()) };
    let result = if code != raw::OK {
        // SAFETY: the message ends in a zero and lives during the call.
        Err(MetalError::from_code(code, unsafe { text(message) }))
    } else if values.is_null() {
        Ok(&[][..])
    } else {
        // SAFETY: the shim says how many values there are; they live during the call.
        Ok(unsafe { std::slice::from_raw_parts(values, value_count as usize) })
    };
    // Nothing may unwind into the shim; a receiver that panics has lost its own news.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        receiver.complete(tag, result);
        drop(receiver);
    }));
}
