//! Schedules as short texts, for the command line.

use std::str::FromStr;

use super::{
    Cosine, Exponential, LinearWarmup, MultiStep, OneCycle, Per, ReduceOnPlateau, SCHEDULE_FORMS,
    ScheduleSpec, StepDecay,
};
use crate::OptimizerError;

/// A schedule from one of the [`SCHEDULE_FORMS`].
impl FromStr for ScheduleSpec {
    type Err = OptimizerError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text.trim()).map_err(|reason| OptimizerError::ScheduleForm {
            text: shortened(text),
            reason,
            forms: SCHEDULE_FORMS,
        })
    }
}

/// The beginning of a text, for messages.
fn shortened(text: &str) -> String {
    const MOST: usize = 200;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn parse(text: &str) -> Result<ScheduleSpec, String> {
    let (count, most) = (text.split('+').count(), ScheduleSpec::MOST_IN_A_ROW);
    if count > most {
        return Err(format!("at most {most} schedules may follow on each other, got {count}"));
    }
    let mut parts = text.rsplit('+');
    let last = parse_one(parts.next().unwrap_or_default())?;
    parts.try_fold(last, |then, first| {
        let form = Form::new(first)?;
        match form.name.as_str() {
            "warmup" | "linear_warmup" => form.warmup(then),
            other => Err(format!("only a warmup can stand before `+`, got `{other}`")),
        }
    })
}

fn parse_one(text: &str) -> Result<ScheduleSpec, String> {
    let form = Form::new(text)?;
    match form.name.as_str() {
        "constant" => form.constant(),
        "step" => form.step(),
        "multi_step" => form.multi_step(),
        "exponential" => form.exponential(),
        "cosine" => form.cosine(),
        "one_cycle" => form.one_cycle(),
        "reduce_on_plateau" => form.plateau(),
        "warmup" | "linear_warmup" => form.warmup(ScheduleSpec::default()),
        other => Err(format!("there is no schedule `{other}`")),
    }
}

/// `name:argument:argument@per`
struct Form<'a> {
    name: String,
    arguments: Vec<&'a str>,
    per: Option<Per>,
}

impl<'a> Form<'a> {
    fn new(text: &'a str) -> Result<Self, String> {
        let (text, per) = match text.split_once('@') {
            None => (text, None),
            Some((text, "step")) => (text, Some(Per::Step)),
            Some((text, "epoch")) => (text, Some(Per::Epoch)),
            Some((_, other)) => return Err(format!("`@{other}` is neither `@step` nor `@epoch`")),
        };
        let mut parts = text.split(':').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase().replace('-', "_");
        Ok(Form { name, arguments: parts.collect(), per })
    }

    /// An argument that may be missing or empty.
    fn optional<T: FromStr>(&self, index: usize, what: &str) -> Result<Option<T>, String> {
        match self.arguments.get(index) {
            None | Some(&"") => Ok(None),
            Some(text) => {
                let value = text.parse();
                value.map(Some).map_err(|_| format!("{what} must be a number, got `{text}`"))
            }
        }
    }

    fn required<T: FromStr>(&self, index: usize, what: &str) -> Result<T, String> {
        self.optional(index, what)?.ok_or_else(|| format!("{} needs {what}", self.name))
    }

    fn at_most(&self, count: usize) -> Result<(), String> {
        match self.arguments.len() {
            got if got > count => {
                Err(format!("{} takes at most {count} arguments, got {got}", self.name))
            }
            _ => Ok(()),
        }
    }

    /// For schedules that count nothing.
    fn without_per(&self) -> Result<(), String> {
        match self.per {
            Some(_) => Err(format!("{} counts neither steps nor epochs", self.name)),
            None => Ok(()),
        }
    }

    fn constant(&self) -> Result<ScheduleSpec, String> {
        self.at_most(0)?;
        self.without_per()?;
        Ok(ScheduleSpec::default())
    }

    fn step(&self) -> Result<ScheduleSpec, String> {
        self.at_most(2)?;
        let mut spec = StepDecay::new(self.required(0, "SIZE")?);
        spec.gamma = self.optional(1, "GAMMA")?.unwrap_or(spec.gamma);
        spec.per = self.per.unwrap_or(spec.per);
        Ok(ScheduleSpec::Step(spec))
    }

    fn multi_step(&self) -> Result<ScheduleSpec, String> {
        self.at_most(2)?;
        let list: String = self.required(0, "AT,AT,…")?;
        let milestones = list.split(',').map(|at| {
            let at = at.trim();
            at.parse().map_err(|_| format!("AT must be a whole number, got `{at}`"))
        });
        let mut spec = MultiStep::new(milestones.collect::<Result<Vec<u64>, String>>()?);
        spec.gamma = self.optional(1, "GAMMA")?.unwrap_or(spec.gamma);
        spec.per = self.per.unwrap_or(spec.per);
        Ok(ScheduleSpec::MultiStep(spec))
    }

    fn exponential(&self) -> Result<ScheduleSpec, String> {
        self.at_most(1)?;
        let mut spec = Exponential::new(self.required(0, "GAMMA")?);
        spec.per = self.per.unwrap_or(spec.per);
        Ok(ScheduleSpec::Exponential(spec))
    }

    fn cosine(&self) -> Result<ScheduleSpec, String> {
        self.at_most(2)?;
        let mut spec = Cosine { t_max: self.optional(0, "T_MAX")?, ..Cosine::default() };
        spec.eta_min = self.optional(1, "ETA_MIN")?.unwrap_or(spec.eta_min);
        spec.per = self.per.unwrap_or(spec.per);
        Ok(ScheduleSpec::Cosine(spec))
    }

    fn one_cycle(&self) -> Result<ScheduleSpec, String> {
        self.at_most(2)?;
        let mut spec = OneCycle {
            max_lr: self.optional(0, "MAX_LR")?,
            total_steps: self.optional(1, "TOTAL_STEPS")?,
            ..OneCycle::default()
        };
        spec.per = self.per.unwrap_or(spec.per);
        Ok(ScheduleSpec::OneCycle(spec))
    }

    fn plateau(&self) -> Result<ScheduleSpec, String> {
        self.at_most(2)?;
        self.without_per()?;
        let mut spec = ReduceOnPlateau::default();
        spec.factor = self.optional(0, "FACTOR")?.unwrap_or(spec.factor);
        spec.patience = self.optional(1, "PATIENCE")?.unwrap_or(spec.patience);
        Ok(ScheduleSpec::ReduceOnPlateau(spec))
    }

    fn warmup(&self, then: ScheduleSpec) -> Result<ScheduleSpec, String> {
        self.at_most(2)?;
        let mut spec = LinearWarmup::new(self.required(0, "COUNT")?, then);
        spec.start_factor = self.optional(1, "START_FACTOR")?.unwrap_or(spec.start_factor);
        spec.per = self.per;
        Ok(ScheduleSpec::LinearWarmup(spec))
    }
}
