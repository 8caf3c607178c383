//! The builder methods: one for each op, and the small compositions that everyone needs.

mod along;
mod elementwise;
mod leaves;
mod movement;
mod products;
mod reductions;
