//! What the CPU implementation of Apple's frameworks offers to tests: see
//! `shim/headless/include/headless.h`.

/// What can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) enum Fault {
    /// An allocation of a buffer, image or array gives nothing.
    Allocation = 0,
    /// A compilation gives nothing.
    Compile = 1,
    /// A command buffer does nothing and ends with an error.
    Commit = 2,
}

mod native {
    use super::Fault;

    unsafe extern "C" {
        pub(super) safe fn headless_fail(fault: Fault, k: u64);
        pub(super) safe fn headless_fault_events(fault: Fault) -> u64;
        pub(super) safe fn headless_live_allocations() -> u64;
        pub(super) safe fn headless_live_bytes() -> u64;
        pub(super) safe fn headless_report_live();
        pub(super) safe fn headless_set_delay(microseconds: u64);
        pub(super) safe fn headless_set_commit_and_continue(on: i32);
        pub(super) safe fn headless_set_memory_limit(bytes: u64);
    }
}

/// Makes the `k`-th event from now fail, once; 0 takes that back.
pub(crate) fn fail(fault: Fault, k: u64) {
    native::headless_fail(fault, k);
}

/// The events since the last [`fail`] of the kind.
pub(crate) fn events(fault: Fault) -> u64 {
    native::headless_fault_events(fault)
}

/// Allocations of Metal that are alive, and their bytes. The thread that ends steps may hold the
/// last of them for a moment, or for longer where the system does not run it, so this looks again for
/// a minute. Prints what there is in the end.
pub(crate) fn live() -> (u64, u64) {
    let look = || (native::headless_live_allocations(), native::headless_live_bytes());
    for _ in 0..60_000 {
        if look() == (0, 0) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let live = look();
    if live != (0, 0) {
        native::headless_report_live();
    }
    live
}

/// Each command buffer completes up to so many microseconds later than it could.
pub(crate) fn set_delay(microseconds: u64) {
    native::headless_set_delay(microseconds);
}

/// While on, every encode commits the command buffer and goes on in a new one.
pub(crate) fn set_commit_and_continue(on: bool) {
    native::headless_set_commit_and_continue(on.into());
}

/// Bytes of device memory; 0 is no limit.
pub(crate) fn set_memory_limit(bytes: u64) {
    native::headless_set_memory_limit(bytes);
}
