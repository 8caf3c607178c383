//! Kernels of a plan as source text, for platforms that compile text at run time: Metal, CUDA, and C for the
//! host.
//!
//! [`print()`] takes a piece of [`Work`] and gives the kernels that do it, with the arguments that each is bound
//! to. What a plan says of memory, element types and strides is what is printed; nothing is known of any device.
//! A kernel is the same text in each dialect, but for the words in which they differ ([`Dialect`]), and it is
//! held against what the platform allows ([`Limits`]). The same work gives the same text, always, and sums are
//! taken in the same order, so that results repeat bit for bit.
//!
//! ```
//! use onestep_engine::plan::{Fused, FusedOutput, Instruction, Place, Region, Work};
//! use onestep_engine::{Shape, Type, ops::Unary};
//! use onestep_kernel_source::{Dialect, print};
//!
//! // y = sqrt(x) of a thousand numbers
//! let shape = Shape::new(&[1000])?;
//! let at = |region| Place::contiguous(region, 0, &Type::f32(shape.clone()));
//! let work = Work::Fused(Fused {
//!     domain: shape.clone(),
//!     code: vec![Instruction::Load(at(Region::Feed(0))), Instruction::Unary(Unary::Sqrt, 0)],
//!     outputs: vec![FusedOutput { register: 1, place: at(Region::Arena), reduce: None }],
//! });
//! let launches = print(&work, Dialect::Metal)?;
//! let [kernel] = &launches.kernels[..] else { unreachable!() };
//! assert!(kernel.source().contains("SQRT(r0)"));
//! assert_eq!((kernel.threads, kernel.groups), (256, 4));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod argument;
mod attention;
mod dialect;
mod error;
mod fused;
mod gather;
mod helpers;
pub mod host;
mod join;
mod kernel;
mod places;
mod rows;
mod scatter;

use onestep_engine::ops::Op;
use onestep_engine::plan::{Place, Work};

pub use argument::{Access, Argument, Role};
pub use dialect::{Dialect, Limits};
pub use error::SourceError;
pub use join::join;
pub use kernel::{KernelSource, Launches, module};
pub use rows::{NormGradient, NormRows};

/// The kernels that do a piece of work, to be launched one after the other.
///
/// # Errors
/// [`SourceError::NoKernel`] where there is none for an op, [`SourceError::Limit`] where the platform does not
/// allow what it would take: then the executor does the work in its own way.
pub fn print(work: &Work, dialect: Dialect) -> Result<Launches, SourceError> {
    match work {
        Work::Fused(fused) => fused::print(fused, dialect),
        Work::Op { op, inputs, output } => print_op(op, inputs, output, dialect),
        Work::Composite(composite) => {
            let mut all = Launches::default();
            for part in composite.parts() {
                all.extend(print(&part, dialect)?);
            }
            Ok(all)
        }
    }
}

fn print_op(
    op: &Op,
    inputs: &[Place],
    output: &Place,
    dialect: Dialect,
) -> Result<Launches, SourceError> {
    match op {
        Op::Softmax(_) => rows::print_softmax(false, inputs, output, dialect),
        Op::LogSoftmax(_) => rows::print_softmax(true, inputs, output, dialect),
        Op::CrossEntropy(op) => {
            rows::print_cross_entropy(op.label_smoothing, inputs, output, dialect)
        }
        Op::CrossEntropyGrad(op) => {
            rows::print_cross_entropy_grad(op.label_smoothing, inputs, output, dialect)
        }
        Op::Attention(op) => attention::print_forward(op, inputs, output, dialect),
        Op::AttentionGrad(op) => attention::print_gradient(&op.of, inputs, output, dialect),
        Op::Gather(_) => gather::print(inputs, output, dialect),
        Op::ScatterAdd(op) => scatter::print(op.rows, inputs, output, dialect),
        _ => Err(SourceError::NoKernel { op: op.name() }),
    }
}
