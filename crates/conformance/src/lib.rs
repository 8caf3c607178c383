//! The conformance table of onestep: one case per op, layer, loss and optimizer, held against PyTorch.

mod case;
mod error;
mod executor;
pub mod finite_difference;
mod golden;
pub mod properties;
mod reference;
mod report;
mod run;
mod subject;
pub mod table;
mod tolerance;

pub use case::{Build, Case, Expect, Setup, Source};
pub use error::ConformanceError;
pub use executor::OnExecutor;
pub use golden::{Family, Golden, GoldenTensor};
pub use reference::Reference;
pub use report::{Line, Mode, Report, Verdict};
pub use run::{gradients, parity, run_all, values};
pub use subject::{Feeds, Outcome, Run, Subject, Tensors};
pub use tolerance::{Comparison, EPSILON, Tolerance};
