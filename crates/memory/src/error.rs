//! What can go wrong with memory. Errors say which shape or type it was, so that this file and those of shapes and
//! types name one another.

use std::time::Duration;

use crate::{DType, Shape, format_bytes};

/// An error of this crate. Sizes are in bytes unless the field says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// A shape has more dimensions than a tensor may have.
    #[error("shape has {rank} dimensions, at most {max} are supported")]
    RankTooLarge {
        /// The dimensions asked for.
        rank: usize,
        /// The most allowed.
        max: usize,
    },
    /// The number of elements, or of bytes, exceeds what can be addressed.
    #[error("shape {shape} has more elements than memory can address")]
    ShapeOverflow {
        /// The offending shape.
        shape: Shape,
    },
    /// Two shapes cannot be broadcast together.
    #[error("shapes {left} and {right} do not broadcast: aligned dimensions must match or be 1")]
    BroadcastMismatch {
        /// The first shape.
        left: Shape,
        /// The second shape.
        right: Shape,
    },
    /// A shape has no such axis.
    #[error("axis {axis} is out of range for shape {shape}")]
    AxisOutOfRange {
        /// The axis asked for.
        axis: usize,
        /// The shape that lacks it.
        shape: Shape,
    },
    /// A name is not that of an element type.
    #[error("unknown dtype {name:?}: expected f32, f16, bf16, i32 or u8")]
    UnknownDType {
        /// The name as given.
        name: String,
    },
    /// An allocation would exceed the memory budget, even with every idle buffer released.
    #[error(
        "memory budget exceeded: requested {}, {} are live, the budget is {}; use a smaller \
         batch (`--batch-size`) or a larger budget (`--memory-budget`)",
        format_bytes(*requested), format_bytes(*live), format_bytes(*budget)
    )]
    BudgetExceeded {
        /// Size of the buffer that was needed (the size class, not the content).
        requested: usize,
        /// What tensors hold at this moment.
        live: usize,
        /// The most that may be held.
        budget: usize,
    },
    /// The device has no room for an allocation.
    #[error(
        "device {device} is out of memory: requested {}, {} are in use{}",
        format_bytes(*requested), format_bytes(*in_use),
        limit.map(|limit| format!(" of {}", format_bytes(limit))).unwrap_or_default()
    )]
    DeviceOutOfMemory {
        /// Name of the device.
        device: String,
        /// Size asked for.
        requested: usize,
        /// What the device had handed out.
        in_use: usize,
        /// The device's limit, if it has one.
        limit: Option<usize>,
    },
    /// A test asked for this allocation to fail.
    #[error("allocation {ordinal} of device {device} failed as a test asked for")]
    InjectedFault {
        /// Name of the device.
        device: String,
        /// Which allocation of the device it was, counted from 1.
        ordinal: u64,
    },
    /// A buffer was given to a device that did not make it.
    #[error("buffer does not belong to device {device}")]
    ForeignBuffer {
        /// Name of the device that was asked.
        device: String,
    },
    /// A device access goes past the end of a buffer.
    #[error("access to bytes {offset}..{} of a buffer of {capacity} bytes", offset.saturating_add(*length))]
    OutOfBounds {
        /// First byte of the access.
        offset: usize,
        /// Bytes of the access.
        length: usize,
        /// Size of the buffer.
        capacity: usize,
    },
    /// Elements of one type were asked of a tensor of another.
    #[error("tensor holds {expected}, got {got}")]
    DTypeMismatch {
        /// What the tensor holds.
        expected: DType,
        /// What the caller gave or asked for.
        got: DType,
    },
    /// A slice does not have as many elements as the tensor.
    #[error("tensor {shape} holds {} elements, got {got}", shape.elements())]
    LengthMismatch {
        /// Shape of the tensor.
        shape: Shape,
        /// Elements of the slice.
        got: usize,
    },
    /// A view reaches past the tensor it is made of.
    #[error("view {shape} from element {offset} does not fit a tensor of {available} elements")]
    ViewOutOfBounds {
        /// First element of the view.
        offset: usize,
        /// Shape of the view.
        shape: Shape,
        /// Elements of the viewed tensor.
        available: usize,
    },
    /// The memory of a device cannot be addressed by the host.
    #[error("memory of device {device} is not host-visible")]
    NotHostVisible {
        /// Name of the device.
        device: String,
    },
    /// Exclusive access was asked for while other handles share the buffer.
    #[error("buffer is shared by {references} handles: exclusive access needs the only one")]
    StillShared {
        /// Handles that exist, the caller's included.
        references: usize,
    },
    /// A buffer was used after its last handle had been dropped.
    #[error("use after free: buffer of generation {expected} now has generation {found}")]
    UseAfterFree {
        /// The generation the user of the buffer remembers.
        expected: u64,
        /// The generation of the buffer now; 0 if it lies idle or is gone.
        found: u64,
    },
    /// A staging pool was asked for with no slots, or with no tensors in a slot.
    #[error("a staging pool needs at least one slot and one tensor: got {slots} and {tensors}")]
    EmptyStaging {
        /// Slots asked for.
        slots: usize,
        /// Tensors a slot.
        tensors: usize,
    },
    /// A staging slot has no tensor of this index.
    #[error("staging slot has {tensors} tensors, asked for index {index}")]
    NoSuchTensor {
        /// The index asked for.
        index: usize,
        /// Tensors a slot.
        tensors: usize,
    },
    /// The staging pool was closed: no more batches are wanted.
    #[error("staging pool is closed")]
    Closed,
    /// No staging slot became free in time.
    #[error("no staging slot became free within {waited:?}")]
    TimedOut {
        /// How long the caller waited.
        waited: Duration,
    },
}
