//! Tables by a text.

use super::super::kind::{DataKind, DataOption, Opening, Options};
use super::number::DecimalMark;
use super::options::{Column, CsvOptions, CsvTarget};
use super::splits::csv_splits_as;
use super::target::MOST_LABELS;
use crate::{DataError, DataRecord, DataSplits};

pub(crate) const KIND: DataKind = DataKind {
    name: "csv",
    place: Some("FILE"),
    about: "a table: a sample a line, `[features]`",
    parts: "about a fifth of the rows",
    options: &[
        DataOption::new(
            "target",
            "a column's name, or its number counted from 0",
            "the last column, but for the weight's",
        ),
        DataOption::new("weight", "the column that says how much a row counts", "rows count alike"),
        DataOption::new("kind", "`classes`, `values`, or a number of labels", "see below"),
        DataOption::new("header", "`yes`, `no`", "found out"),
        DataOption::new("delimiter", "a character, or `tab`", "`,` `;` `\\|` or tab, found out"),
        DataOption::new("decimal", "`point`, `comma`", "found out"),
        DataOption::new("standardise", "`yes`, `no`", "`yes`").also(&["standardize"]),
    ],
    open,
};

/// What a model settles when it is trained on a table.
const SETTLED: [&str; 4] = ["target", "weight", "kind", "standardise"];

fn open(opening: &Opening<'_>) -> Result<DataSplits, DataError> {
    opening.refused(settled(&opening.options, opening.record))?;
    let options = opening.refused(csv_options(&opening.options))?;
    csv_splits_as(opening.place, &options, opening.record)
}

/// Refuses options that a model's record has settled otherwise, rather than to ignore them.
fn settled(options: &Options<'_>, record: &DataRecord) -> Result<(), String> {
    if record.columns.is_none() {
        return Ok(());
    }
    let source = record.source.as_deref().and_then(|source| source.split_once('?'));
    let known = KIND.options(source.map_or("", |(_, options)| options))?;
    let is_settled = |pair: &(&str, &str)| SETTLED.contains(&pair.0);
    let mut given = options.iter().filter(is_settled);
    match given.find(|(key, value)| known.get(key) != Some(value)) {
        Some((key, _)) => Err(format!(
            "option {key}: it was settled when the model was trained, and its columns go by their \
             names; leave it out"
        )),
        None => Ok(()),
    }
}

fn column(value: &str) -> Option<Column> {
    Some(value.parse().map_or_else(|_| Column::Name(value.to_owned()), Column::Index))
}

fn csv_options(texts: &Options<'_>) -> Result<CsvOptions, String> {
    let kinds = format!("classes, values or a number from 1 to {MOST_LABELS}");
    let kind = texts.read("kind", &kinds, |value| match value {
        "classes" => Some(CsvTarget::Classes),
        "values" => Some(CsvTarget::Values),
        _ => {
            let count = value.parse().ok().filter(|count| (1..=MOST_LABELS).contains(count));
            count.map(CsvTarget::Labels)
        }
    })?;
    let delimiter =
        texts.read("delimiter", "one ASCII character, or tab", |value| match value.as_bytes() {
            b"tab" => Some(b'\t'),
            [byte] if byte.is_ascii() && !byte.is_ascii_alphanumeric() => Some(*byte),
            _ => None,
        })?;
    let decimal = texts.read("decimal", "point or comma", |value| match value {
        "point" => Some(DecimalMark::Point),
        "comma" => Some(DecimalMark::Comma),
        _ => None,
    })?;
    Ok(CsvOptions {
        header: texts.yes_or_no("header")?,
        target: texts.read("target", "a column", column)?.unwrap_or_default(),
        weight: texts.read("weight", "a column", column)?,
        kind: kind.unwrap_or_default(),
        delimiter,
        decimal,
        standardise: texts.yes_or_no("standardise")?.unwrap_or(true),
    })
}
