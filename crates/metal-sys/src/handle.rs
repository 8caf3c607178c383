//! Owned handles of the shim.

/// Defines an owning type for one kind of handle: it releases the handle when it is dropped.
macro_rules! handle {
    ($(#[$doc:meta])* $name:ident, $raw:ty, $release:path) => {
        $(#[$doc])*
        #[repr(transparent)]
        pub struct $name(std::ptr::NonNull<$raw>);

        impl $name {
            /// Takes over a handle that a call gave.
            pub(crate) fn from_raw(
                handle: *mut $raw,
            ) -> Result<Self, crate::error::MetalError> {
                let missing = || crate::error::MetalError::Internal("a handle is missing".into());
                std::ptr::NonNull::new(handle).map($name).ok_or_else(missing)
            }

            /// The handle, which stays owned by `self`.
            pub fn as_raw(&self) -> *mut $raw {
                self.0.as_ptr()
            }
        }

        impl Drop for $name {
            fn drop(&mut self) {
                // SAFETY: the handle is owned and released once.
                unsafe { $release(self.0.as_ptr()) }
            }
        }

        // SAFETY: handles of the shim may be used and released from any thread.
        unsafe impl Send for $name {}
        // SAFETY: as above; the shim locks what it changes.
        unsafe impl Sync for $name {}

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({:p})"), self.0)
            }
        }
    };
}

pub(crate) use handle;
