//! Schedules as short texts, for the command line.

use std::str::FromStr;

use onestep_base::Registered;
use serde_json::{Map, Value};

use super::forms::{Argument, FORMS, TextForm, schedule_forms};
use super::{Per, ScheduleSpec};
use crate::OptimizerError;

/// A schedule from one of the [`schedule_forms`].
impl FromStr for ScheduleSpec {
    type Err = OptimizerError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        read(text, None)
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

impl ScheduleSpec {
    /// The same in a run that is measured in `per`, which counts where the text does not say `@step` or
    /// `@epoch`, in place of what the schedule counts by default.
    ///
    /// ```
    /// use onestep_optimizer::{Per, ScheduleSpec};
    /// let spec = ScheduleSpec::parse_per("warmup:100+cosine", Per::Step)?;
    /// assert_eq!(spec, "warmup:100@step+cosine@step".parse()?);
    /// # Ok::<(), onestep_optimizer::OptimizerError>(())
    /// ```
    ///
    /// # Errors
    /// [`OptimizerError::ScheduleForm`] for a text that is none of the [`schedule_forms`].
    pub fn parse_per(text: &str, per: Per) -> Result<Self, OptimizerError> {
        read(text, Some(per))
    }
}

fn read(text: &str, default: Option<Per>) -> Result<ScheduleSpec, OptimizerError> {
    parse(text.trim(), default).map_err(|reason| OptimizerError::ScheduleForm {
        text: shortened(text),
        reason,
        forms: schedule_forms(),
    })
}

fn parse(text: &str, default: Option<Per>) -> Result<ScheduleSpec, String> {
    let (count, most) = (text.split('+').count(), ScheduleSpec::MOST_IN_A_ROW);
    if count > most {
        return Err(format!("at most {most} schedules may follow on each other, got {count}"));
    }
    let mut parts = text.rsplit('+');
    let last = Part::new(parts.next().unwrap_or_default())?.read(default)?;
    parts.try_fold(last, |then, first| {
        let part = Part::new(first)?;
        if !part.form.leads {
            return Err(format!("only a warmup can stand before `+`, got `{}`", part.name));
        }
        let mut spec = part.read(default)?;
        if let ScheduleSpec::LinearWarmup(warmup) = &mut spec {
            *warmup.then = then;
        }
        Ok(spec)
    })
}

/// `name:argument:argument@per`
struct Part<'a> {
    name: String,
    form: &'static TextForm,
    arguments: Vec<&'a str>,
    per: Option<&'a str>,
}

impl<'a> Part<'a> {
    fn new(text: &'a str) -> Result<Self, String> {
        let (text, per) = match text.split_once('@') {
            None => (text, None),
            Some((text, per @ ("step" | "epoch"))) => (text, Some(per)),
            Some((_, other)) => return Err(format!("`@{other}` is neither `@step` nor `@epoch`")),
        };
        let mut parts = text.split(':').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase().replace('-', "_");
        let form = FORMS.iter().find(|form| form.name == name || form.kind == name);
        let form = form.ok_or_else(|| format!("there is no schedule `{name}`"))?;
        Ok(Part { name, form, arguments: parts.collect(), per })
    }

    fn read(&self, default: Option<Per>) -> Result<ScheduleSpec, String> {
        let (name, most) = (&self.name, self.form.arguments.len());
        if self.arguments.len() > most {
            let got = self.arguments.len();
            return Err(format!("{name} takes at most {most} arguments, got {got}"));
        }
        let mut options = Map::new();
        for (index, argument) in self.form.arguments.iter().enumerate() {
            match self.arguments.get(index) {
                // One that is missing or empty.
                None | Some(&"") if argument.required => {
                    return Err(format!("{name} needs {}", argument.shown));
                }
                None | Some(&"") => {}
                Some(text) => drop(options.insert(argument.option.into(), argument.read(text)?)),
            }
        }
        match self.per {
            Some(_) if !self.form.counts => {
                return Err(format!("{name} counts neither steps nor epochs"));
            }
            Some(per) => drop(options.insert("per".into(), per.into())),
            None => {
                if let (Some(per), true) = (default, self.form.counts) {
                    options.insert("per".into(), per.text().into());
                }
            }
        }
        let spec = ScheduleSpec::from_parts(self.form.kind, options.into());
        spec.unwrap_or_else(|| Err(format!("there is no schedule `{name}`")))
    }
}

impl Argument {
    fn read(&self, text: &str) -> Result<Value, String> {
        let shown = self.shown;
        if self.list {
            let whole = |at: &str| {
                let at = at.trim();
                let number = at.parse::<u64>().map(Value::from);
                number.map_err(|_| format!("{shown} must be a whole number, got `{at}`"))
            };
            return text.split(',').map(whole).collect::<Result<_, _>>().map(Value::Array);
        }
        if let Ok(whole) = text.parse::<u64>() {
            return Ok(whole.into());
        }
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(number.into()),
            _ => Err(format!("{shown} must be a number, got `{text}`")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schedule_has_a_form_whose_options_it_has() {
        let kinds: Vec<&str> = FORMS.iter().map(|form| form.kind).collect();
        assert_eq!(kinds, ScheduleSpec::TYPES);
        for form in FORMS {
            let text = |argument: &Argument| if argument.list { ":1,2" } else { ":1" };
            let text: String = form.arguments.iter().map(text).collect();
            let per = if form.counts { "@step" } else { "" };
            let spec: ScheduleSpec = format!("{}{text}{per}", form.name).parse().unwrap();
            let json = serde_json::to_value(&spec).unwrap();
            for argument in form.arguments {
                assert!(json.get(argument.option).is_some(), "{}: {argument:?}", form.kind);
            }
            assert_eq!(form.counts, json.get("per") == Some(&"step".into()), "{}", form.kind);
        }
    }
}
