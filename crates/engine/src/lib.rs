//! The compiler of onestep: graphs, automatic differentiation, plans, executors and tickets.

mod autodiff;
mod error;
mod graph;
mod program;
pub mod ops;
pub mod philox;
pub mod reference;

pub use autodiff::gradients;
pub use error::GraphError;
pub use graph::{Graph, Node, Type, Value};
pub use program::{GroupUpdate, Mode, Named, ParameterGroup, ParameterInfo, Program, StateUpdate, UpdateGraph};
pub use onestep_memory::{DType, Shape};
