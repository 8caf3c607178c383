//! What a table looks like: what stands between its fields, how it writes numbers, whether it begins
//! with names. Found from its first lines, or refused where they can be read in two ways.

use std::collections::HashSet;

use csv::StringRecord;

use super::file::TableFile;
use super::number::{DecimalMark, may_be_thousands};
use super::options::{Column, CsvOptions};
use crate::{DataError, shown};

const DELIMITERS: [u8; 4] = *b",;\t|";

/// What the last field of a line of names is called so often that it tells.
const TARGET_NAMES: [&str; 6] = ["label", "labels", "class", "target", "species", "category"];

/// What a table looks like.
pub(super) struct Form {
    pub(super) delimiter: u8,
    pub(super) mark: DecimalMark,
    /// Whether the first line holds names.
    pub(super) header: bool,
    pub(super) notes: Vec<String>,
}

/// Says of each column, by the first line, whether it must hold numbers.
pub(super) type Features<'a> = &'a dyn Fn(&StringRecord) -> Vec<bool>;

/// The first lines, divided at one delimiter.
struct Reading {
    delimiter: u8,
    lines: Vec<StringRecord>,
    is_feature: Vec<bool>,
}

impl Reading {
    fn width(&self) -> usize {
        self.lines.first().map_or(0, StringRecord::len)
    }

    /// How many lines have as many fields as the first.
    fn even_lines(&self) -> usize {
        self.lines.iter().filter(|line| line.len() == self.width()).count()
    }

    /// All lines but one that may hold names.
    fn body(&self) -> &[StringRecord] {
        if self.lines.len() > 1 { &self.lines[1..] } else { &self.lines }
    }

    /// The fields of the body that must be numbers, or those that need not.
    fn fields(&self, features: bool) -> impl Iterator<Item = &str> {
        self.body().iter().flat_map(move |line| {
            let fields = line.iter().zip(&self.is_feature);
            fields.filter(move |(_, is_feature)| **is_feature == features).map(|(field, _)| field)
        })
    }

    /// A number with any decimal mark that can stand between this delimiter.
    fn is_numeric(&self, field: &str) -> bool {
        DecimalMark::Point.is_numeric(field)
            || (self.delimiter != b',' && DecimalMark::Comma.is_numeric(field))
    }

    fn unreadable_fields(&self) -> usize {
        self.fields(true).filter(|field| !self.is_numeric(field)).count()
    }

    /// Whether targets hold what divides the fields of another reading.
    fn has_divided_targets(&self) -> bool {
        let others = || DELIMITERS.iter().filter(|&&other| other != self.delimiter);
        self.fields(false).any(|field| {
            !self.is_numeric(field) && others().any(|&other| field.contains(char::from(other)))
        })
    }
}

impl Form {
    /// Finds what `options` leave open. `names` are those of the features that a model knows.
    pub(super) fn find(
        file: &TableFile<'_>,
        options: &CsvOptions,
        names: Option<&[String]>,
        features: Features<'_>,
    ) -> Result<Self, DataError> {
        let reading = match options.delimiter {
            Some(delimiter) => read(file, delimiter, features),
            None => choose(file, features)?,
        };
        let (mark, mut notes) = (decimal_mark(file, options, &reading)?, Vec::new());
        if reading.delimiter != b',' && options.delimiter.is_none() {
            let mark =
                if mark == DecimalMark::Comma { " and numbers with decimal commas" } else { "" };
            notes.push(format!("fields with {} between them{mark}", name_of(reading.delimiter)));
        }
        let header = match (options.header, names, reading.lines.first()) {
            (Some(header), _, _) => header,
            (None, Some(names), Some(first)) => {
                has_all(first, names) || !first.iter().any(|field| mark.is_numeric(field))
            }
            _ => has_header(file, &reading, mark, &mut notes)?,
        };
        Ok(Self { delimiter: reading.delimiter, mark, header, notes })
    }
}

fn read(file: &TableFile<'_>, delimiter: u8, features: Features<'_>) -> Reading {
    let lines = file.first_lines(delimiter);
    let is_feature = lines.first().map(features).unwrap_or_default();
    Reading { delimiter, lines, is_feature }
}

fn name_of(delimiter: u8) -> String {
    if delimiter == b'\t' { "tabs".to_owned() } else { format!("`{}`", char::from(delimiter)) }
}

/// The one reading in which every line has the same fields and the features are numbers.
fn choose(file: &TableFile<'_>, features: Features<'_>) -> Result<Reading, DataError> {
    let all = DELIMITERS.iter().map(|&delimiter| read(file, delimiter, features));
    let mut readings: Vec<Reading> = all.filter(|reading| reading.width() > 1).collect();
    let most = readings.iter().map(Reading::even_lines).max();
    readings.retain(|reading| Some(reading.even_lines()) == most);
    // A character that leaves most fields no numbers stands inside them; one that leaves others in the
    // targets may.
    prefer(&mut readings, |reading| {
        2 * reading.unreadable_fields() <= reading.fields(true).count()
    });
    prefer(&mut readings, |reading| {
        reading.unreadable_fields() == 0 && !reading.has_divided_targets()
    });
    match readings.len() {
        0 => Ok(read(file, b',', features)),
        1 => Ok(readings.remove(0)),
        _ => {
            let found: Vec<_> = readings.iter().map(|reading| name_of(reading.delimiter)).collect();
            let wanted =
                "one character that can stand between the fields; say which by `delimiter=`";
            Err(DataError::format(file.path, "delimiter", wanted, found.join(" and ")))
        }
    }
}

/// Leaves only those that pass, if there are any.
fn prefer<T>(items: &mut Vec<T>, passes: impl Fn(&T) -> bool) {
    if items.len() > 1 && items.iter().any(&passes) {
        items.retain(passes);
    }
}

fn decimal_mark(
    file: &TableFile<'_>,
    options: &CsvOptions,
    reading: &Reading,
) -> Result<DecimalMark, DataError> {
    if let Some(mark) = options.decimal {
        return Ok(mark);
    }
    if reading.delimiter == b',' {
        return Ok(DecimalMark::Point);
    }
    let numbers = || reading.lines.iter().flatten();
    let with_comma = |field: &&str| field.contains(',') && DecimalMark::Comma.is_numeric(field);
    let Some(comma) = numbers().find(with_comma) else { return Ok(DecimalMark::Point) };
    let cure = "; say which by `decimal=comma` or `decimal=point`";
    let with_point = |field: &&str| field.contains('.') && DecimalMark::Point.is_numeric(field);
    if let Some(point) = numbers().find(with_point) {
        let wanted = format!("commas or points in all numbers{cure}");
        let got = format!("`{}` and `{}`", shown(comma), shown(point));
        return Err(DataError::format(file.path, "decimal mark", wanted, got));
    }
    if numbers().filter(with_comma).all(may_be_thousands) {
        let wanted = format!("numbers that can be read in one way{cure}");
        let got = format!("`{}`", shown(comma));
        return Err(DataError::format(file.path, "decimal mark", wanted, got));
    }
    Ok(DecimalMark::Comma)
}

/// Whether the first line holds names. It does where none of it is a number; names that are numbers
/// show by being a sequence, or by a target that is called what no other is.
fn has_header(
    file: &TableFile<'_>,
    reading: &Reading,
    mark: DecimalMark,
    notes: &mut Vec<String>,
) -> Result<bool, DataError> {
    let Some((first, rest)) = reading.lines.split_first() else { return Ok(false) };
    if !first.iter().any(|field| mark.is_numeric(field)) {
        return Ok(true);
    }
    let split = |line: &StringRecord| -> (Vec<String>, Vec<String>) {
        let fields = line.iter().map(str::to_owned).enumerate();
        let (features, other): (Vec<_>, Vec<_>) =
            fields.partition(|(column, _)| reading.is_feature.get(*column) == Some(&true));
        let texts =
            |fields: Vec<(usize, String)>| fields.into_iter().map(|field| field.1).collect();
        (texts(features), texts(other))
    };
    let (features, other) = split(first);
    // Names and numbers among the features: the number that is none will be refused, with a hint.
    if rest.is_empty() || !features.iter().all(|field| mark.is_numeric(field)) {
        return Ok(false);
    }
    let other_rows: Vec<(Vec<String>, Vec<String>)> = rest.iter().map(split).collect();
    let targets: HashSet<&str> =
        other_rows.iter().flat_map(|row| &row.1).map(String::as_str).collect();
    let text = other.iter().find(|field| !mark.is_numeric(field) && !targets.contains(&field[..]));
    let is_sequence =
        is_sequence(&features) && !other_rows.iter().any(|row| self::is_sequence(&row.0));
    let verdict = match text {
        // Every field is a number, or a target that others have too.
        None => match is_sequence && all_in_sequence(first) {
            true if first.len() > 3 => Verdict::Names,
            true => Verdict::Unclear,
            false => Verdict::Sample,
        },
        Some(text) if TARGET_NAMES.contains(&&text.to_lowercase()[..]) => Verdict::Names,
        // Two features are soon a sequence; so many samples with so few classes rarely have one alone.
        Some(_) if is_sequence && features.len() == 2 && 2 * targets.len() <= rest.len() => {
            Verdict::Unclear
        }
        Some(_) if is_sequence && features.len() > 2 => Verdict::Names,
        Some(_) if targets.iter().all(|target| mark.is_numeric(target)) => Verdict::Unclear,
        Some(_) => Verdict::Sample,
    };
    match verdict {
        Verdict::Sample => Ok(false),
        Verdict::Names => {
            notes.push(format!(
                "the first line ({}) is taken for names; `header=no` makes it a sample",
                line(first)
            ));
            Ok(true)
        }
        Verdict::Unclear => {
            let wanted = "names or a sample; say which by `header=yes` or `header=no`";
            Err(DataError::format(
                file.path,
                "line 1",
                wanted,
                format!("{}, which may be either", line(first)),
            ))
        }
    }
}

/// Whether a line has all of some names.
pub(super) fn has_all(line: &StringRecord, names: &[String]) -> bool {
    let fields: HashSet<&str> = line.iter().collect();
    names.iter().all(|name| fields.contains(&name[..]))
}

enum Verdict {
    Names,
    Sample,
    Unclear,
}

fn line(fields: &StringRecord) -> String {
    shown(&fields.iter().collect::<Vec<_>>().join(", "))
}

/// Whole numbers that count up by one.
fn is_sequence<S: AsRef<str>>(fields: &[S]) -> bool {
    let numbers: Option<Vec<i64>> =
        fields.iter().map(|field| field.as_ref().parse::<i64>().ok()).collect();
    numbers.is_some_and(|numbers| {
        numbers.len() > 1 && numbers.windows(2).all(|pair| pair[1].checked_sub(pair[0]) == Some(1))
    })
}

fn all_in_sequence(fields: &StringRecord) -> bool {
    fields.len() > 2 && is_sequence(&fields.iter().collect::<Vec<_>>())
}

/// The features of a table that no model knows yet: all columns but the target's.
pub(super) fn all_but(target: &Column) -> impl Fn(&StringRecord) -> Vec<bool> + '_ {
    move |first| {
        let is_feature = |(column, name): (usize, &str)| match target {
            Column::Last => column + 1 != first.len(),
            Column::Index(index) => column != *index,
            Column::Name(target) => name != target,
        };
        first.iter().enumerate().map(is_feature).collect()
    }
}
