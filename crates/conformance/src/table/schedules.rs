//! Schedules: the learning rate of fifty steps.

use onestep_engine::reference::Array;
use onestep_optimizer::{Horizon, ScheduleSpec};

use crate::error::ConformanceError;
use crate::golden::{Family, Golden};
use crate::report::{Mode, Place, Report, Verdict};
use crate::tolerance::{Comparison, Tolerance};

/// Both sides compute in f64, PyTorch some of them by recursion.
const RELATIVE: f64 = 1e-12;
const RECURSION: Tolerance = Tolerance {
    reason: "f64; PyTorch multiplies step by step where ours is a closed form",
    ..Tolerance::EXACT
};

/// The cases by name; the goldens say the rest.
pub const SCHEDULES: &[&str] = &[
    "constant",
    "step",
    "step_default_gamma",
    "multi_step",
    "exponential",
    "cosine",
    "cosine_eta_min",
    "one_cycle",
    "one_cycle_linear",
    "one_cycle_three_phase",
    "one_cycle_options",
    "reduce_on_plateau",
    "reduce_on_plateau_default",
    "reduce_on_plateau_cooldown",
    "reduce_on_plateau_min_lr",
    "reduce_on_plateau_abs",
    "reduce_on_plateau_max",
    "linear_warmup_constant",
    "linear_warmup_step",
    "linear_warmup_multi_step",
    "linear_warmup_exponential",
    "linear_warmup_cosine",
    "linear_warmup_long",
];

/// Compares every schedule with PyTorch's learning rates.
pub fn check_schedules() -> Report {
    let mut report = Report::default();
    for &case in SCHEDULES {
        let place = Place { family: Family::Schedules, case, mode: Mode::Value };
        let verdict = match check(case) {
            Ok(comparison) => Verdict::Compared(comparison),
            Err(error) => Verdict::Error(error.to_string()),
        };
        report.push(place, "lr", verdict, &RECURSION);
    }
    report
}

fn check(case: &str) -> Result<Comparison, ConformanceError> {
    let golden = Family::Schedules.golden(case)?;
    let wanted = golden.array("lr")?;
    let got = rates(golden, wanted.data.len())?;
    let got = Array::new(wanted.shape.clone(), got)?;
    Ok(Comparison::with(&got, wanted, |lr| RELATIVE * lr.abs()))
}

/// One step an epoch, so that steps and epochs are the same.
fn rates(golden: &Golden, steps: usize) -> Result<Vec<f64>, ConformanceError> {
    let fail = |e| ConformanceError::subject("making the schedule", e);
    let spec: ScheduleSpec = golden.field("spec")?;
    let horizon = Horizon::new(steps as u64, 1).map_err(fail)?;
    let mut schedule = spec.build(golden.field("base_lr")?, horizon).map_err(fail)?;
    let metric = golden.tensors.get("metric");
    let mut rates = Vec::with_capacity(steps);
    for step in 0..steps {
        rates.push(schedule.lr(step as u64));
        if let Some(metric) = metric {
            schedule.observe(metric.array.data[step]);
        }
    }
    Ok(rates)
}
