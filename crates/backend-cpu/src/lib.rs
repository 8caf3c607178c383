//! The CPU executor of onestep: several threads, and SIMD chosen at run time in one binary.
//!
//! [`CpuExecutor`] compiles a plan's kernels to native ones with everything precomputed: merged
//! axes, tiles, chunks for the threads, scratch memory. A step is one call that runs them in order;
//! it allocates nothing. See the folders:
//!
//! - `simd`: instruction sets behind one trait, elementary functions, random numbers;
//! - `fused`: the interpreter of elementwise programs and reductions;
//! - `stage`: what the kernels of a plan become, of which several may run as one;
//! - `kernels`: matrix products, convolutions, pooling, softmax, losses, tables;
//! - `stores`: what each task of a kernel may write, which debug builds check;
//! - `pool`: the fork-join threads, which take subnormal numbers for zero (`subnormal`).

mod cache;
mod cpu_kernel;
mod error;
mod executor;
#[cfg(any(test, feature = "faults"))]
mod faults;
mod fused;
mod kernels;
mod machine;
mod pool;
#[cfg(test)]
mod recovery;
mod run;
mod runtime;
mod simd;
mod speed;
mod stage;
mod step;
mod stores;
mod subnormal;
#[cfg(test)]
mod testing;

pub use error::CpuError;
pub use executor::{CpuExecutor, CpuOptions};
#[cfg(feature = "faults")]
#[doc(hidden)]
pub use faults::let_the_next_kernel_panic;
pub use simd::Level;
