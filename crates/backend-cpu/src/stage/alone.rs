//! Work that is no composite, as a kernel by itself.

use onestep_engine::EngineError;
use onestep_engine::plan::Work;

use crate::cpu_kernel::{CpuKernel, Regions, broken};
use crate::fused::FusedKernel;
use crate::kernels;
use crate::machine::Machine;

/// Lowers it.
pub(super) fn lower(
    work: &Work,
    regions: Regions,
    machine: Machine,
) -> Result<Box<dyn CpuKernel>, EngineError> {
    match work {
        Work::Fused(fused) => Ok(Box::new(FusedKernel::new(fused, regions, machine.threads)?)),
        Work::Op { op, inputs, output } => kernels::lower(op, inputs, output, regions, machine),
        Work::Composite(composite) => Err(broken(format!("{composite} is made of composites"))),
    }
}

/// The way that it goes, where it could go several.
pub(super) fn name_of_way(work: &Work, machine: Machine) -> Option<&'static str> {
    match work {
        Work::Op { op, inputs, output } => kernels::name_of_way(op, inputs, output, machine),
        Work::Fused(_) | Work::Composite(_) => None,
    }
}
