//! What the target column of a table means.

use std::collections::{BTreeSet, HashMap};

use super::lines::Lines;
use super::number::is_whole;
use super::options::CsvTarget;
use crate::shown::listed;
use crate::{DataError, TargetSpec};

/// Whole numbers are classes up to so many different ones.
const MOST_CLASSES: usize = 50;

/// And, beyond this many, only where most of them come more than once.
const SURE_CLASSES: usize = 10;

/// More labels than this are a mistake in a setting.
pub(crate) const MOST_LABELS: usize = 1_000_000;

/// What was made of the texts of the target column.
pub(super) enum Targets {
    Values(Vec<f32>),
    Labels(Vec<i32>, TargetSpec),
}

/// Makes labels or values of the texts in `lines`. `known` are the classes of a model, which decide.
pub(super) fn read(
    lines: &Lines<'_>,
    kind: CsvTarget,
    known: Option<&[String]>,
    notes: &mut Vec<String>,
) -> Result<Targets, DataError> {
    if let Some(known) = known {
        let classes = TargetSpec::named_classes(known.iter().cloned());
        return Ok(Targets::Labels(labels_by_name(lines, known)?, classes));
    }
    match kind {
        CsvTarget::Values => values(lines),
        CsvTarget::Classes => classes(lines),
        CsvTarget::Labels(count) => labels(lines, count),
        CsvTarget::Auto => match regression(lines)? {
            Some(why) => {
                notes.push(why);
                values(lines)
            }
            None => classes(lines),
        },
    }
}

/// Why the targets are values to predict, where nobody has said what they are.
fn regression(lines: &Lines<'_>) -> Result<Option<String>, DataError> {
    let canonical: Vec<_> =
        lines.targets.iter().map(|(_, text)| lines.mark.canonical(text)).collect();
    let numbers: BTreeSet<&str> = canonical.iter().flatten().map(String::as_str).collect();
    let count = canonical.iter().flatten().count();
    let column = lines.target_name();
    let fraction = numbers.iter().find(|number| !is_whole(number));
    let many =
        numbers.len() > MOST_CLASSES || (numbers.len() > SURE_CLASSES && 2 * numbers.len() > count);
    let why = match (fraction, many) {
        (Some(fraction), _) => format!("is a number with a fraction ({fraction})"),
        (None, true) => format!("has {} different whole numbers", numbers.len()),
        (None, false) => String::new(),
    };
    let odd = canonical.iter().position(Option::is_none);
    let is_numeric = |text: &str| lines.mark.is_numeric(text);
    match odd {
        None if why.is_empty() => Ok(None),
        None => Ok(Some(format!(
            "target {column} {why}, so values are predicted (regression); `kind=classes` makes classes \
             of them"
        ))),
        // Texts are classes; but not where most is numbers that could not be, and a text or two among
        // numbers is a mark for what is missing.
        Some(index) => {
            let unusable = lines
                .targets
                .iter()
                .zip(&canonical)
                .position(|((_, text), number)| number.is_none() && is_numeric(text));
            let mostly = 2 * count > canonical.len();
            let nearly_all = 10 * count >= 9 * canonical.len();
            let index = unusable.unwrap_or(index);
            if nearly_all || mostly && (unusable.is_some() || !why.is_empty()) {
                let wanted =
                    "a finite number, as other targets are (`kind=classes` takes any text)";
                return Err(lines.target_error(index, wanted));
            }
            Ok(None)
        }
    }
}

fn values(lines: &Lines<'_>) -> Result<Targets, DataError> {
    let value = |(index, (_, text)): (usize, &(u64, String))| {
        lines.mark.number(text).ok_or_else(|| lines.target_error(index, "a finite number"))
    };
    lines.targets.iter().enumerate().map(value).collect::<Result<_, _>>().map(Targets::Values)
}

fn labels(lines: &Lines<'_>, count: usize) -> Result<Targets, DataError> {
    if !(1..=MOST_LABELS).contains(&count) {
        let wanted = format!("from 1 to {MOST_LABELS} labels");
        return Err(DataError::setting("kind of the target", wanted, count));
    }
    let label = |(index, (_, text)): (usize, &(u64, String))| {
        let label = lines.mark.canonical(text).and_then(|text| text.parse::<i32>().ok());
        label
            .filter(|&label| usize::try_from(label).is_ok_and(|label| label < count))
            .ok_or_else(|| lines.target_error(index, format!("a label from 0 to {}", count - 1)))
    };
    let labels = lines.targets.iter().enumerate().map(label).collect::<Result<_, _>>()?;
    Ok(Targets::Labels(labels, TargetSpec::classes(count)))
}

/// The distinct texts; where all are numbers, the distinct numbers in their order.
fn classes(lines: &Lines<'_>) -> Result<Targets, DataError> {
    if let Some(index) = lines.targets.iter().position(|(_, text)| text.is_empty()) {
        return Err(lines.target_error(index, "a class"));
    }
    let numbers: Option<Vec<String>> =
        lines.targets.iter().map(|(_, text)| lines.mark.canonical(text)).collect();
    let all_numbers = numbers.is_some();
    let texts =
        numbers.unwrap_or_else(|| lines.targets.iter().map(|(_, text)| text.clone()).collect());
    let distinct: BTreeSet<&str> = texts.iter().map(String::as_str).collect();
    let mut names: Vec<&str> = distinct.into_iter().collect();
    if all_numbers {
        let value = |name: &&str| name.parse::<f64>().unwrap_or_default();
        names.sort_by(|a, b| value(a).total_cmp(&value(b)).then(a.cmp(b)));
    }
    let places: HashMap<&str, i32> = names.iter().copied().zip(0..).collect();
    let labels = texts.iter().map(|text| places[&text[..]]).collect();
    Ok(Targets::Labels(labels, TargetSpec::named_classes(names)))
}

/// The labels that a model has for the texts: by the text itself, else by the number that it writes.
fn labels_by_name(lines: &Lines<'_>, known: &[String]) -> Result<Vec<i32>, DataError> {
    let places: HashMap<&str, i32> = known.iter().map(String::as_str).zip(0..).collect();
    let label = |(index, (_, text)): (usize, &(u64, String))| {
        let by_number =
            || lines.mark.canonical(text).and_then(|text| places.get(&text[..]).copied());
        places.get(&text[..]).copied().or_else(by_number).ok_or_else(|| {
            lines.target_error(index, format!("one of the model's classes ({})", listed(known)))
        })
    };
    lines.targets.iter().enumerate().map(label).collect()
}

impl Lines<'_> {
    fn target_name(&self) -> String {
        self.layout.target.map_or_else(String::new, |column| self.layout.name(column))
    }

    /// The error of one target.
    fn target_error(&self, index: usize, wanted: impl Into<String>) -> DataError {
        let (line, text) = &self.targets[index];
        self.error(*line, self.target_name(), wanted, text)
    }
}
