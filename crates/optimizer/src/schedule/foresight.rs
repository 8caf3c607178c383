//! What a schedule will not do in the run that it is given.

use super::horizon::{Clock, Horizon};
use super::{
    Cosine, Exponential, LinearWarmup, MultiStep, OneCycle, Per, ReduceOnPlateau, Schedule,
    ScheduleSpec, StepDecay,
};

impl Schedule {
    /// What its user may not have meant, in the numbers of the run: a warm-up that is longer than
    /// the run, a fall that never comes, a cosine that rises again. Nothing where all is well.
    ///
    /// ```
    /// use onestep_optimizer::{Horizon, ScheduleSpec};
    ///
    /// let spec: ScheduleSpec = "step:30".parse()?;
    /// let warnings = spec.build(0.1, Horizon::new(10, 100)?)?.warnings();
    /// assert_eq!(
    ///     warnings,
    ///     ["schedule step: the learning rate first changes after 30 epochs, but the run has 10: it \
    ///       stays at 0.1"]
    /// );
    /// # Ok::<(), onestep_optimizer::OptimizerError>(())
    /// ```
    pub fn warnings(&self) -> Vec<String> {
        let warning = self.spec.foresee(self.base_lr, self.horizon.at(0), &self.horizon);
        let named = warning.map(|warning| format!("schedule {}: {warning}", self.spec.name()));
        named.into_iter().collect()
    }
}

impl ScheduleSpec {
    fn foresee(&self, base: f64, clock: Clock<'_>, run: &Horizon) -> Option<String> {
        match self {
            ScheduleSpec::Constant(_) => None,
            ScheduleSpec::Step(spec) => spec.foresee(base, clock),
            ScheduleSpec::MultiStep(spec) => spec.foresee(base, clock),
            ScheduleSpec::Exponential(spec) => spec.foresee(base, clock),
            ScheduleSpec::Cosine(spec) => spec.foresee(base, clock),
            ScheduleSpec::LinearWarmup(spec) => spec.foresee(base, clock, run),
            ScheduleSpec::OneCycle(spec) => spec.foresee(clock),
            ScheduleSpec::ReduceOnPlateau(spec) => spec.foresee(run),
        }
    }
}

/// `1 epoch`, `20 steps`
fn count(number: u64, per: Per) -> String {
    let unit = match per {
        Per::Epoch => "epoch",
        Per::Step => "step",
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

/// The learning rate stays where it starts, as it first changes after `first` units.
fn never_changes(first: u64, per: Per, clock: Clock<'_>, lr: f64) -> Option<String> {
    let total = clock.real_total(per);
    (first >= total).then(|| {
        format!(
            "the learning rate first changes after {}, but the run has {total}: it stays at {lr}",
            count(first, per)
        )
    })
}

impl StepDecay {
    fn foresee(&self, base: f64, clock: Clock<'_>) -> Option<String> {
        never_changes(self.step_size, self.per, clock, base).filter(|_| self.gamma != 1.0)
    }
}

impl MultiStep {
    fn foresee(&self, base: f64, clock: Clock<'_>) -> Option<String> {
        let Some(&first) = self.milestones.iter().min() else {
            return Some(format!("it has no milestones: the learning rate stays at {base}"));
        };
        never_changes(first, self.per, clock, base).filter(|_| self.gamma != 1.0)
    }
}

impl Exponential {
    fn foresee(&self, base: f64, clock: Clock<'_>) -> Option<String> {
        never_changes(1, self.per, clock, base).filter(|_| self.gamma != 1.0)
    }
}

impl Cosine {
    fn foresee(&self, base: f64, clock: Clock<'_>) -> Option<String> {
        let total = clock.real_total(self.per);
        match self.t_max {
            Some(t_max) if t_max.saturating_add(1) < total => Some(format!(
                "the learning rate falls for {} (T_max) and rises again after them, but the run \
                 has {total}",
                count(t_max, self.per)
            )),
            _ => never_changes(1, self.per, clock, base),
        }
    }
}

impl LinearWarmup {
    fn foresee(&self, base: f64, clock: Clock<'_>, run: &Horizon) -> Option<String> {
        let (per, warmup) = (self.per(), self.total_iters);
        let after = clock.after(warmup, per);
        let total = clock.real_total(per);
        if warmup == 0 || warmup < total {
            return self.then.foresee(base, after, run);
        }
        let full = self.then.lr(base, after);
        let risen = (total - 1) as f64 / warmup as f64;
        let most = full * (self.start_factor + (1.0 - self.start_factor) * risen);
        Some(format!(
            "the warm-up takes {}, but the run has {total}: the learning rate rises to {most:.3e} \
             and never reaches {full}",
            count(warmup, per)
        ))
    }
}

impl OneCycle {
    fn foresee(&self, clock: Clock<'_>) -> Option<String> {
        let total = clock.real_total(self.per);
        let cycle = self.total_steps.filter(|&cycle| cycle > total)?;
        Some(format!(
            "the cycle takes {}, but the run has {total}: it ends before the cycle does",
            count(cycle, self.per)
        ))
    }
}

impl ReduceOnPlateau {
    fn foresee(&self, run: &Horizon) -> Option<String> {
        // The first observation always improves; the reduction follows on one more than the
        // patience, and the next epoch is the first to feel it.
        let first = self.patience.saturating_add(2);
        (first >= run.epochs()).then(|| {
            format!(
                "with a patience of {} the learning rate is reduced after {first} epochs at the \
                 earliest, but the run has {}: it stays as it is",
                self.patience,
                run.epochs()
            )
        })
    }
}
