//! Benchmarks of onestep.
