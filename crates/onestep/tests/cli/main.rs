//! The `onestep` command from outside: what it prints, writes and returns.

mod bad_input;
mod bench_and_summary;
#[cfg(unix)]
mod crashes;
mod errors;
mod models;
mod out_of_range;
mod plan;
#[cfg(unix)]
mod runs;
mod step;
mod support;
mod train;
mod two_inputs;
