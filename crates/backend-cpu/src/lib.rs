//! The CPU executor of onestep: one call a step, several threads, SIMD by run-time detection.
