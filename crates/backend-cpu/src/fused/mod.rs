//! Fused elementwise programs, interpreted a tile at a time: each instruction is one vectorised
//! loop over some hundred elements that stay in the first-level cache.
//!
//! [`lower`] turns the plan's program into [`program::Program`]: axes merged, what is the same for
//! all elements taken out of the loop, products joined with sums, registers put into few tiles.
//! [`tile`] runs it on a stretch of the domain, and [`reduce`] collects sums and extremes.

mod convert;
mod domain;
mod follow;
mod join;
mod kernel;
mod lower;
mod maps;
mod program;
mod quads;
mod reduce;
mod slots;
#[cfg(test)]
mod tests;
mod tile;

pub(crate) use convert::to_f32;
pub(crate) use follow::Follower;
pub(crate) use kernel::FusedKernel;

/// Elements of a tile.
pub(crate) const TILE: usize = 512;
