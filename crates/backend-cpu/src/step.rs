//! A compiled program on the CPU.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use onestep_engine::ops::ConstantData;
use onestep_engine::plan::{NamedPlace, Place, Region, Work};
use onestep_engine::{
    DType, EngineError, Feeds, Footprint, KernelTime, MAX_REPORTS, Plan, Reports, ScalarSlots,
    Scalars, StateTable, Step, Ticket, output_size,
};
use onestep_memory::{Tensor, format_bytes};

use crate::cpu_kernel::{Context, Regions, ScratchNeed, broken, unsupported};
use crate::machine::Machine;
use crate::run::run;
use crate::runtime::{Runtime, Workspace};
use crate::simd::{Level, RandomKey};
use crate::stage::Stage;
use crate::subnormal::FlushSubnormals;

/// The addresses of a plan's regions.
#[derive(Debug)]
struct Bases(Vec<*mut u8>);

// SAFETY: the addresses are of buffers that the step holds handles on, or that are set anew at each
// submission; they are used only while a step runs.
unsafe impl Send for Bases {}

/// A plan's kernels for the CPU, and the memory of both.
pub(crate) struct Lowered {
    regions: Regions,
    stages: Vec<Stage>,
    need: ScratchNeed,
    pub(crate) footprint: Footprint,
}

impl Lowered {
    pub(crate) fn new(plan: &Plan, machine: Machine) -> Result<Lowered, EngineError> {
        let regions = Regions::of(plan);
        let stages = Stage::all(plan, regions, machine)?;
        let need = stages.iter().fold(ScratchNeed::default(), |n, s| n.max(s.native.scratch()));
        let mut footprint = plan.footprint;
        footprint.arena += need.bytes(machine.threads);
        Ok(Lowered { regions, stages, need, footprint })
    }
}

/// A compiled program on the CPU.
pub(crate) struct CpuStep {
    id: u64,
    plan: Plan,
    stages: Vec<Stage>,
    regions: Regions,
    bases: Bases,
    scalars: Vec<f32>,
    slots: ScalarSlots,
    state: Vec<Tensor>,
    runtime: Arc<Runtime>,
    level: Level,
    need: ScratchNeed,
    footprint: Footprint,
    reports: Vec<String>,
    /// Where the last run left its outputs.
    arena: Option<Tensor>,
    /// The feeds of the last run, where an output is one of them.
    feeds: Vec<Tensor>,
    keeps_feeds: bool,
}

impl CpuStep {
    pub(crate) fn new(
        id: u64,
        plan: Plan,
        state: &StateTable,
        machine: Machine,
        runtime: Arc<Runtime>,
    ) -> Result<CpuStep, EngineError> {
        let Lowered { regions, stages, need, footprint } = Lowered::new(&plan, machine)?;
        if plan.reports.len() > MAX_REPORTS {
            return Err(EngineError::TooManyReports { most: MAX_REPORTS, got: plan.reports.len() });
        }
        if let Some(report) = plan.reports.iter().find(|r| r.place.dtype != DType::F32) {
            let reason = format!("reports are f32, got {}", report.place.dtype);
            return Err(unsupported(format!("report `{}`", report.name), reason));
        }
        let in_feed = |o: &NamedPlace| matches!(o.place.region, Region::Feed(_));
        let mut step = CpuStep {
            id,
            stages,
            regions,
            bases: Bases(vec![std::ptr::null_mut(); regions.count()]),
            scalars: vec![0.0; plan.scalars.len()],
            slots: ScalarSlots::new(&plan.scalars),
            state: state_buffers(&plan, state)?,
            runtime,
            level: machine.level,
            need,
            footprint,
            reports: plan.reports.iter().map(|r| r.name.clone()).collect(),
            arena: None,
            feeds: Vec::with_capacity(plan.feeds.len()),
            keeps_feeds: plan.outputs.iter().any(in_feed),
            plan,
        };
        step.set_fixed_bases()?;
        Ok(step)
    }

    /// Bytes of the arena that the plan needs.
    pub(crate) fn arena_bytes(&self) -> usize {
        self.plan.footprint.arena
    }

    pub(crate) fn scratch_need(&self) -> ScratchNeed {
        self.need
    }

    /// The addresses that never change: state, constants, scalars.
    fn set_fixed_bases(&mut self) -> Result<(), EngineError> {
        for (i, tensor) in self.state.iter().enumerate() {
            self.bases.0[self.regions.state(i)] = pointer(tensor)?;
        }
        for (i, constant) in self.plan.constants.iter().enumerate() {
            // Kernels only read them.
            self.bases.0[self.regions.constant(i)] = match constant {
                ConstantData::F32(data) => data.as_ptr().cast_mut().cast(),
                ConstantData::I32(data) => data.as_ptr().cast_mut().cast(),
            };
        }
        self.bases.0[Regions::SCALARS] = self.scalars.as_mut_ptr().cast();
        Ok(())
    }

    fn set_scalars(&mut self, scalars: &Scalars) -> Result<(), EngineError> {
        self.slots.fill(scalars, &mut self.scalars)
    }

    /// Takes the addresses of the feeds. Kernels rely on their sizes, so they are checked here
    /// too.
    fn set_feeds(&mut self, feeds: &Feeds<'_>) -> Result<(), EngineError> {
        if feeds.tensors.len() != self.plan.feeds.len() {
            return Err(EngineError::Feed {
                name: "batch".into(),
                wanted: format!("{} tensors", self.plan.feeds.len()),
                got: feeds.tensors.len().to_string(),
            });
        }
        for (i, (tensor, feed)) in feeds.tensors.iter().zip(&self.plan.feeds).enumerate() {
            if tensor.dtype() != feed.ty.dtype || tensor.shape() != &feed.ty.shape {
                return Err(EngineError::Feed {
                    name: feed.name.clone(),
                    wanted: feed.ty.to_string(),
                    got: format!("{}{}", tensor.dtype(), tensor.shape()),
                });
            }
            self.bases.0[self.regions.feed(i)] = pointer(tensor)?;
        }
        if self.keeps_feeds {
            self.feeds.clear();
            self.feeds.extend_from_slice(feeds.tensors);
        }
        Ok(())
    }

    /// Runs all kernels.
    /// `after` is called behind each kernel.
    fn run(
        &mut self,
        workspace: &mut Workspace,
        scalars: &Scalars,
        mut after: impl FnMut(),
    ) -> Result<(), EngineError> {
        let (Some(arena), Some(scratch)) = (&workspace.arena, &workspace.scratch) else {
            return Err(broken("a step runs without memory"));
        };
        self.bases.0[Regions::ARENA] = pointer(arena)?;
        let scratch = pointer(scratch)?;
        self.arena = Some(arena.clone());
        let key = RandomKey { seed: scalars.seed, step: scalars.step };
        let need = workspace.need();
        let context = Context { bases: &self.bases.0, key, level: self.level, scratch, need };
        for stage in &self.stages {
            // SAFETY: the bases are those of the plan, whose feeds were checked and whose state
            // and arena are as large as it asked for; the lock keeps other steps away.
            let done = unsafe { run(&*stage.native, &context, &mut workspace.pool) };
            if done.is_err() {
                let reason = format!("kernel `{}` panicked", stage.label(&self.plan));
                return Err(EngineError::Poisoned { reason });
            }
            after();
        }
        Ok(())
    }

    /// One whole step: takes the operands, runs, and fills a ticket.
    fn call(
        &mut self,
        feeds: &Feeds<'_>,
        scalars: &Scalars,
        after: impl FnMut(),
    ) -> Result<Ticket, EngineError> {
        self.set_scalars(scalars)?;
        self.set_feeds(feeds)?;
        let runtime = Arc::clone(&self.runtime);
        runtime.calls.fetch_add(1, Ordering::Relaxed);
        let mut workspace = runtime.lock();
        workspace.last = self.id;
        let flush = FlushSubnormals::new();
        self.run(&mut workspace, scalars, after)?;
        drop(flush);
        let reports = self.read_reports()?;
        let serial = workspace.serial;
        workspace.serial += 1;
        let ticket = runtime.ring.issue(serial);
        runtime.ring.complete(serial, Ok(reports));
        Ok(ticket)
    }

    /// The address of a place after a run.
    fn address(&self, place: &Place) -> Result<*const u8, EngineError> {
        let address = self.regions.address(place)?;
        // SAFETY: the plan keeps its offsets within their regions.
        Ok(unsafe { self.bases.0[address.base].add(address.offset) })
    }

    /// Where an output of the last run lies, with the lock that keeps others from running.
    fn output(
        &self,
        name: &str,
    ) -> Result<(MutexGuard<'_, Workspace>, DType, *const u8, usize), EngineError> {
        let Some(output) = self.plan.outputs.iter().find(|o| o.name == name) else {
            let names = self.plan.outputs.iter().map(|o| o.name.as_str());
            let known = names.collect::<Vec<_>>().join(", ");
            return Err(EngineError::UnknownOutput { name: name.to_owned(), known });
        };
        self.runtime.reads.fetch_add(1, Ordering::Relaxed);
        let workspace = self.runtime.lock();
        let gone = |reason| Err(EngineError::OutputGone { name: name.to_owned(), reason });
        if self.arena.is_none() {
            return gone("no step was run");
        }
        if workspace.last != self.id && output.place.region == Region::Arena {
            return gone("another step has run since and taken its memory; read it first");
        }
        let from = self.address(&output.place)?;
        let count = output.place.shape.elements();
        Ok((workspace, output.place.dtype, from, count))
    }

    fn read_reports(&self) -> Result<Reports, EngineError> {
        let mut values = [0.0; MAX_REPORTS];
        for (value, report) in values.iter_mut().zip(&self.plan.reports) {
            // SAFETY: a report is an f32 of the plan's, and no kernel runs.
            *value = unsafe { self.address(&report.place)?.cast::<f32>().read_unaligned() };
        }
        Ok(Reports::new(&values[..self.plan.reports.len()]))
    }
}

/// The state table's buffers in the order of the plan.
fn state_buffers(plan: &Plan, state: &StateTable) -> Result<Vec<Tensor>, EngineError> {
    let names = state.layout().buffers().iter().map(|buffer| buffer.name.as_str());
    let by_name: HashMap<&str, &Tensor> = names.zip(state.tensors()).collect();
    let find = |name: &String| {
        let tensor = by_name.get(name.as_str()).map(|&tensor| tensor.clone());
        tensor.ok_or_else(|| EngineError::UnknownState { name: name.clone() })
    };
    plan.states.iter().map(find).collect()
}

/// The address of a tensor in host memory.
fn pointer(tensor: &Tensor) -> Result<*mut u8, EngineError> {
    let found = tensor.host_pointer();
    found
        .map(|p| p.as_ptr())
        .ok_or_else(|| unsupported("a tensor of another device", "the cpu reads host memory only"))
}

impl Step for CpuStep {
    fn submit(&mut self, feeds: Feeds<'_>, scalars: &Scalars) -> Result<Ticket, EngineError> {
        self.call(&feeds, scalars, || ())
    }

    fn read_output(&mut self, name: &str) -> Result<Vec<f32>, EngineError> {
        let (_running, dtype, from, count) = self.output(name)?;
        let mut out = vec![0.0; count];
        // SAFETY: outputs are contiguous, and the lock keeps steps from running meanwhile.
        unsafe { crate::fused::to_f32(dtype, from, &mut out) };
        Ok(out)
    }

    fn read_output_into(&mut self, name: &str, out: &mut [f32]) -> Result<(), EngineError> {
        let (_running, dtype, from, count) = self.output(name)?;
        if out.len() != count {
            return Err(output_size(name, count, out.len()));
        }
        // SAFETY: as in `read_output`.
        unsafe { crate::fused::to_f32(dtype, from, out) };
        Ok(())
    }

    fn profile(
        &mut self,
        feeds: Feeds<'_>,
        scalars: &Scalars,
    ) -> Result<Vec<KernelTime>, EngineError> {
        let mut ends = Vec::with_capacity(self.stages.len());
        let begin = Instant::now();
        self.call(&feeds, scalars, || ends.push(begin.elapsed()))?;
        let mut start = Duration::ZERO;
        let mut times = Vec::with_capacity(ends.len());
        for (stage, end) in self.stages.iter().zip(ends) {
            times.push(KernelTime {
                label: stage.label(&self.plan),
                kind: stage.kind,
                ways: stage.ways.clone(),
                phase: self.plan.kernels[stage.kernels.start].phase,
                cost: stage.cost,
                start,
                duration: end - start,
            });
            start = end;
        }
        Ok(times)
    }

    fn reports(&self) -> &[String] {
        &self.reports
    }

    fn footprint(&self) -> Footprint {
        self.footprint
    }

    fn dump(&self) -> String {
        let scratch = format_bytes(self.footprint.arena - self.plan.footprint.arena);
        let notes: String =
            self.stages.iter().filter_map(|stage| note(stage, &self.plan)).collect();
        format!("{}{notes}scratch memory of the cpu's kernels: {scratch}\n", self.plan)
    }
}

/// What the plan does not say of a stage, if there is such a thing.
fn note(stage: &Stage, plan: &Plan) -> Option<String> {
    let Range { start, end } = stage.kernels;
    let ways = stage.ways.join(", ");
    Some(match (end - start, &plan.kernels[start].work) {
        (1, Work::Composite(composite)) if composite.name() != stage.kind => {
            format!("part of kernel {start}: {} by {}\n", stage.kind, or_itself(&ways))
        }
        (1, _) if ways.is_empty() => return None,
        (1, _) => format!("kernel {start}: {} by {ways}\n", stage.kind),
        _ => format!("kernels {start} to {} run as one\n", end - 1),
    })
}

fn or_itself(ways: &str) -> &str {
    if ways.is_empty() { "itself" } else { ways }
}
