//! Device memory for onestep: shapes, element types, reference-counted tensors, pools and
//! staging buffers. This crate knows nothing of operations or models.
//!
//! - A [`Device`] hands out raw buffers; [`HostDevice`] is plain host memory.
//! - A [`MemoryManager`] makes [`Tensor`]s from a [`BufferPool`] of size classes ([`Tier`]),
//!   within an optional budget, and says what is alive and where it was made.
//! - Numbers on the host are a [`HostData`] (borrowed), [`HostValues`] (owned) or a [`HostTensor`]
//!   (with a shape).
//! - A [`StagingPool`] is the ring through which batches travel from loader threads to the
//!   device, with back-pressure.
//!
//! ```
//! use onestep_memory::{DType, MemoryError, MemoryManager};
//!
//! let memory = MemoryManager::host();
//! let weights = memory.from_slice([2, 3], &[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0])?;
//! let second_row = weights.view(3, [3])?;
//! assert_eq!(second_row.read::<f32>()?, [4.0, 5.0, 6.0]);
//!
//! drop((weights, second_row)); // the last handle returns the buffer to its pool
//! let again = memory.allocate([6], DType::F32)?;
//! assert_eq!(memory.statistics().total.hits, 1);
//! # drop(again);
//! # Ok::<(), MemoryError>(())
//! ```

mod buffer;
mod byte_size;
mod device;
mod dtype;
mod error;
mod handle_count;
mod host;
mod host_data;
mod machine;
mod manager;
mod pages;
mod pool;
mod registry;
mod shape;
mod size_class;
mod staging;
mod statistics;
mod sync;
mod tensor;

pub use buffer::{BufferToken, PooledBuffer};
pub use byte_size::{ByteSize, format_bytes};
pub use device::{Device, DeviceId, RawBuffer};
pub use dtype::{DType, Element};
pub use error::MemoryError;
pub use half::{bf16, f16};
pub use host::HostDevice;
pub use host_data::{HostData, HostTensor, HostValues};
pub use machine::available_memory;
pub use manager::MemoryManager;
pub use pool::BufferPool;
pub use registry::Leak;
pub use shape::{MAX_RANK, Shape, Strides};
pub use size_class::{PoolLimits, SizeClass, Tier};
pub use staging::{SliceMut, Staged, StagingPool, StagingSlot, StagingStatistics};
pub use statistics::{PoolStatistics, TierStatistics};
pub use tensor::Tensor;
