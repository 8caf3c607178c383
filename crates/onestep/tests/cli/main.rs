//! The `onestep` command from outside: what it prints, writes and returns.

mod bad_input;
mod bench_and_summary;
mod out_of_range;
mod step;
mod support;
mod train;
