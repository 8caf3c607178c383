//! Printed kernels run on the host: their text in each dialect is compiled by the host's C++ compiler, and what
//! it computes is held against the engine's definition in f64.

mod attention;
mod common;
mod elements;
mod indexing;
mod joining;
mod plans;
mod reductions;
mod rows;
mod updates;
