//! What a plan's kernels become: native kernels, of which one may be several of the plan's, or a part of one.
//!
//! A matrix product whose result only the next kernel reads, element by element, hands it over in
//! blocks that stay in a cache (`pair`): so a dense layer's gradient is never in memory, where it would be
//! written, read, and kept. The plan's composites run as one where there is a way: a convolution takes the
//! moments of its result, and both gradients of a convolution are computed side by side (`gradients`).

mod alone;
mod gradients;
#[cfg(test)]
mod moments;
mod pair;
#[cfg(test)]
mod planned;

use std::ops::Range;

use onestep_engine::plan::{Composite, Kernel, Plan, Work};
use onestep_engine::{Cost, EngineError};

use self::pair::Pair;
use crate::cpu_kernel::{CpuKernel, Regions};
use crate::kernels;
use crate::machine::Machine;

/// A native kernel, and what it is of the plan.
pub(crate) struct Stage {
    pub(crate) native: Box<dyn CpuKernel>,
    /// The plan's kernels that it is, or the one that it is a part of.
    pub(crate) kernels: Range<usize>,
    /// What kind of kernel it is.
    pub(crate) kind: &'static str,
    /// What it has to do.
    pub(crate) cost: Cost,
    /// The ways that its convolutions go.
    pub(crate) ways: Vec<&'static str>,
}

impl Stage {
    /// Lowers all kernels of a plan.
    pub(crate) fn all(
        plan: &Plan,
        regions: Regions,
        machine: Machine,
    ) -> Result<Vec<Stage>, EngineError> {
        let mut stages: Vec<Stage> = Vec::with_capacity(plan.kernels.len());
        let mut next = 0;
        while let Some(kernel) = plan.kernels.get(next) {
            let of_kernel = next..next + 1;
            next += 1;
            if let Some(Pair { native, cost }) = pair::lower(plan, next - 1, regions, machine)? {
                let kernels = next - 1..next + 1;
                stages.push(Stage {
                    native,
                    kernels,
                    kind: "matmul + elementwise",
                    cost,
                    ways: Vec::new(),
                });
                next += 1;
            } else if let Some(native) = whole(kernel, regions, machine)? {
                let (kind, cost, ways) =
                    (kernel.kind(), kernel.cost(), ways(&kernel.work, machine));
                stages.push(Stage { native, kernels: of_kernel, kind, cost, ways });
            } else {
                stages.extend(parts(kernel, of_kernel, regions, machine)?);
            }
        }
        Ok(stages)
    }

    /// What its kernels are called together; neighbours of the same name are called once.
    pub(crate) fn label(&self, plan: &Plan) -> String {
        let labels = plan.kernels[self.kernels.clone()].iter().map(|k| k.label.as_str());
        let mut labels: Vec<&str> = labels.collect();
        labels.dedup();
        labels.join(" + ")
    }
}

/// The ways that the convolutions of a kernel go, each once.
fn ways(work: &Work, machine: Machine) -> Vec<&'static str> {
    let parts = match work {
        Work::Composite(composite) => composite.parts(),
        Work::Op { .. } | Work::Fused(_) => vec![work.clone()],
    };
    let mut ways: Vec<_> =
        parts.iter().filter_map(|part| alone::name_of_way(part, machine)).collect();
    ways.dedup();
    ways
}

/// A kernel of the plan as one native kernel; `None` for a composite that has no way as a whole here.
fn whole(
    kernel: &Kernel,
    regions: Regions,
    machine: Machine,
) -> Result<Option<Box<dyn CpuKernel>>, EngineError> {
    match &kernel.work {
        Work::Composite(Composite::ConvMoments(work)) => {
            kernels::lower_conv_moments(work, regions, machine)
        }
        Work::Composite(Composite::ConvGradients(work)) => {
            gradients::lower(work, regions, machine).map(Some)
        }
        Work::Op { .. } | Work::Fused(_) => alone::lower(&kernel.work, regions, machine).map(Some),
    }
}

/// The parts of a composite, one after the other.
fn parts(
    kernel: &Kernel,
    of_kernel: Range<usize>,
    regions: Regions,
    machine: Machine,
) -> Result<Vec<Stage>, EngineError> {
    let Work::Composite(composite) = &kernel.work else { return Ok(Vec::new()) };
    let stages = composite.parts().into_iter().map(|work| {
        let part = Kernel { work, label: String::new(), phase: kernel.phase };
        let native = alone::lower(&part.work, regions, machine)?;
        let ways = ways(&part.work, machine);
        let (kernels, kind, cost) = (of_kernel.clone(), part.kind(), part.cost());
        Ok(Stage { native, kernels, kind, cost, ways })
    });
    stages.collect()
}

#[cfg(test)]
mod tests {
    use onestep_engine::Phase;
    use onestep_engine::ops::ConvWindow;
    use onestep_engine::plan::Footprint;

    use super::*;
    use crate::simd::Level;
    use crate::testing::Memory;

    pub(super) fn kernel(work: Work) -> Kernel {
        Kernel { work, label: "kernel".to_owned(), phase: Phase::Backward }
    }

    pub(super) fn plan_of(kernels: Vec<Kernel>) -> Plan {
        Plan {
            kernels,
            feeds: Vec::new(),
            scalars: Vec::new(),
            states: Vec::new(),
            constants: Vec::new(),
            reports: Vec::new(),
            outputs: Vec::new(),
            footprint: Footprint::default(),
        }
    }

    pub(super) const PADDED: ConvWindow = ConvWindow {
        stride: [1; 2],
        pad_low: [1; 2],
        pad_high: [1; 2],
        dilation: [1; 2],
        groups: 1,
    };
    pub(super) const STRIDED: ConvWindow = ConvWindow { stride: [2; 2], ..PADDED };

    pub(super) const REGIONS: fn() -> Regions = || Regions::new(0, 0, 0);

    pub(super) fn run(memory: &Memory, stages: &[Stage], level: Level, threads: usize) -> Memory {
        stages.iter().fold(memory.clone(), |m, stage| m.run(stage.native.as_ref(), level, threads))
    }

    /// Each kernel by itself, and composites in their parts.
    pub(super) fn in_parts(plan: &Plan, machine: Machine) -> Vec<Stage> {
        let mut stages = Vec::new();
        for (index, kernel) in plan.kernels.iter().enumerate() {
            let work = match &kernel.work {
                Work::Composite(composite) => composite.parts(),
                work => vec![work.clone()],
            };
            stages.extend(work.into_iter().map(|work| Stage {
                native: alone::lower(&work, REGIONS(), machine).unwrap(),
                kernels: index..index + 1,
                kind: "alone",
                cost: Cost::default(),
                ways: Vec::new(),
            }));
        }
        stages
    }
}
