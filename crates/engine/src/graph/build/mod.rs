//! The builder methods: one for each op, and the small compositions that everyone needs.

mod along;
mod attention;
mod elementwise;
mod leaves;
mod movement;
mod products;
mod recurrence;
mod reductions;

pub use attention::AttentionOptions;
pub use recurrence::{Recurred, RecurrenceOptions};
