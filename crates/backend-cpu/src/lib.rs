//! The CPU executor of onestep.
#![allow(dead_code, missing_docs)]
mod simd;
pub use simd::Level;
pub use error::CpuError;
mod error;
mod native;
mod pool;
mod fused;
#[cfg(test)]
mod testing;
mod kernels;
