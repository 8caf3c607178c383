//! The builder methods: one for each op, and the small compositions that everyone needs.

mod along;
mod attention;
mod elementwise;
mod leaves;
mod movement;
mod products;
mod recurrence;
mod reductions;
mod scan;

pub use attention::AttentionOptions;
pub use recurrence::{Recurred, RecurrenceOptions};
pub use scan::{ScanOptions, Scanned, scan};
