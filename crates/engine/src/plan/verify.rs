//! Checks of a finished plan. They hold for every correct plan whatever the passes did, so a
//! defect in a pass is found before a kernel reads garbage.

use std::collections::BTreeMap;

use super::kernel::{Kernel, Work};
use super::place::{Place, Region};
use super::types::Plan;
use crate::error::EngineError;
use crate::ops::Op;

/// Checks that every kernel reads only what is there and never reads what it overwrites, and that
/// operands lie within their regions.
///
/// # Errors
/// [`EngineError::Invariant`] that names the kernel.
pub fn verify(plan: &Plan) -> Result<(), EngineError> {
    let mut written = Written::default();
    for (position, kernel) in plan.kernels.iter().enumerate() {
        let fail = |what: String| EngineError::Invariant {
            what: format!("kernel {position} ({}): {what}", kernel.label),
        };
        for place in kernel.reads() {
            check_bounds(plan, place).map_err(fail)?;
            if place.region == Region::Arena && !written.covers(place.span()) {
                return Err(fail(format!("reads {place}, which nothing has written")));
            }
        }
        for place in kernel.writes() {
            check_bounds(plan, place).map_err(fail)?;
            check_overlap(kernel, place).map_err(fail)?;
            if place.region == Region::Arena {
                written.add(place.span());
            }
        }
        check_shapes(kernel).map_err(fail)?;
    }
    for named in plan.reports.iter().chain(&plan.outputs) {
        if named.place.region == Region::Arena && !written.covers(named.place.span()) {
            let what = format!("output `{}` is never written", named.name);
            return Err(EngineError::Invariant { what });
        }
    }
    Ok(())
}

/// Stretches of the arena with gaps between them: the end of each by its start.
#[derive(Default)]
struct Written(BTreeMap<usize, usize>);

impl Written {
    fn add(&mut self, (mut start, mut end): (usize, usize)) {
        // Stretches that begin before the end and reach the start are taken up.
        while let Some((&from, &to)) = self.0.range(..=end).next_back() {
            if to < start {
                break;
            }
            self.0.remove(&from);
            (start, end) = (start.min(from), end.max(to));
        }
        self.0.insert(start, end);
    }

    fn covers(&self, (start, end): (usize, usize)) -> bool {
        let last = self.0.range(..=start).next_back();
        start >= end || last.is_some_and(|(_, &to)| end <= to)
    }
}

fn check_bounds(plan: &Plan, place: &Place) -> Result<(), String> {
    let limit = match place.region {
        Region::Arena => Some(plan.footprint.arena),
        Region::Feed(i) => plan.feeds.get(i).map(|feed| feed.ty.bytes()),
        Region::Constant(i) => plan.constants.get(i).map(|c| c.len() * c.dtype().size()),
        Region::Scalars => Some(plan.scalars.len() * size_of::<f32>()),
        // The plan does not know the sizes of state buffers; the layout's own check does.
        Region::State(i) => (i < plan.states.len()).then_some(usize::MAX),
    };
    match limit {
        None => Err(format!("{place} is in a region that is not there")),
        Some(limit) if place.span().1 > limit => Err(format!("{place} ends behind {limit}")),
        Some(_) => Ok(()),
    }
}

/// A result may lie exactly on an operand of a fused kernel, and that of `set_rows` on its table; otherwise apart
/// from all.
fn check_overlap(kernel: &Kernel, write: &Place) -> Result<(), String> {
    let set_rows = matches!(kernel.work, Work::Op { op: Op::SetRows(_), .. });
    for (operand, read) in kernel.reads().into_iter().enumerate() {
        let same = read.offset == write.offset
            && read.shape == write.shape
            && read.is_contiguous()
            && write.is_contiguous()
            && (matches!(kernel.work, Work::Fused(_)) || (set_rows && operand == 0));
        if read.overlaps(write) && !same {
            return Err(format!("writes {write} over its operand {read}"));
        }
    }
    Ok(())
}

fn check_shapes(kernel: &Kernel) -> Result<(), String> {
    let Work::Fused(fused) = &kernel.work else { return Ok(()) };
    for place in kernel.reads() {
        if place.shape != fused.domain {
            return Err(format!("loads {place} in a domain of {}", fused.domain));
        }
    }
    for (register, instruction) in fused.code.iter().enumerate() {
        if instruction.operands().any(|operand| operand >= register) {
            return Err(format!("r{register} = {instruction} reads a later register"));
        }
    }
    for output in &fused.outputs {
        let dims = output.place.shape.dims().iter().zip(fused.domain.dims());
        let fits = output.place.shape.rank() == fused.domain.rank()
            && dims.into_iter().all(|(&p, &d)| p == d || (output.reduce.is_some() && p == 1));
        if !fits || output.register >= fused.code.len() {
            return Err(format!("stores {} from a domain of {}", output.place, fused.domain));
        }
    }
    Ok(())
}
