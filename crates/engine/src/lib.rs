//! The compiler of onestep: graphs, automatic differentiation, plans, executors and tickets.
