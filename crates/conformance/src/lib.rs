//! The conformance table of onestep: one case per op, layer, loss, optimizer and schedule, and
//! whole networks, run in several modes.
//!
//! | mode | what is compared | with what |
//! | --- | --- | --- |
//! | [`values`] | outputs, gradients, new state of a [`Subject`] | PyTorch's numbers ([`Golden`]) |
//! | [`gradients`] | the engine's gradient graphs | finite differences of the forward graph, in f64 |
//! | [`parity`] | everything a [`Subject`] computes | the engine's f64 evaluator ([`Reference`]) |
//! | [`check_dropout`] | masks, whose numbers are not PyTorch's | their statistics |
//! | [`properties`] | ops on drawn shapes | finite differences, and [`Reference`] |
//!
//! A backend's test file is a few lines:
//!
//! ```no_run
//! # use onestep_backend_cpu::{CpuError, CpuExecutor, CpuOptions};
//! # fn executor() -> Result<Box<dyn onestep_engine::Executor>, CpuError> {
//! #     Ok(Box::new(CpuExecutor::new(CpuOptions::default())?))
//! # }
//! use onestep_conformance::{OnExecutor, check_dropout, properties, run_all};
//!
//! fn my_backend_conforms() -> Result<(), String> {
//!     let subject = OnExecutor::new(executor);
//!     let report = run_all(&subject);
//!     println!("{report}");
//!     report.verdict()?;
//!     check_dropout(&subject)?;
//!     properties::check_large(&subject)?;
//!     properties::check_parity(300, &subject)
//! }
//! ```
//!
//! # Tolerances
//!
//! The goldens are PyTorch's float64 results, with its own float32 error beside each: see
//! [`Tolerance`]. A case that does not pass stays failing; its tolerance is not widened to fit.
//!
//! # Adding a case
//!
//! 1. Add it to its family's list in `goldens/generator/`.
//! 2. `python goldens/make_goldens.py` with the versions of `goldens/requirements.txt`.
//! 3. Add its line to [`table`].
//!
//! `tests/coverage.rs` fails while an op, layer, loss, optimizer or schedule has no case, and while
//! the table and the goldens differ.

mod case;
mod dropout;
mod error;
mod executor;
pub mod finite_difference;
mod golden;
mod lowered;
mod planned;
pub mod properties;
mod reference;
mod report;
mod run;
mod subject;
pub mod table;
mod tolerance;

pub use case::{Build, Case, Expect, Setup, Source};
pub use dropout::check_dropout;
pub use error::ConformanceError;
pub use executor::OnExecutor;
pub use golden::{Family, Golden, GoldenTensor};
pub use lowered::Lowered;
pub use planned::Planned;
pub use reference::Reference;
pub use report::{Line, Mode, Report, Verdict};
pub use run::{gradients, parity, run_all, values};
pub use subject::{Feeds, Outcome, Run, Subject, Tensors};
pub use tolerance::{Comparison, EPSILON, Tolerance};
