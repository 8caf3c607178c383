//! The files of texts with a class each.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use csv::StringRecord;

use super::options::LabelledTextOptions;
use crate::plain_text::read_text;
use crate::record::TextColumns;
use crate::shown::{listed, shown_path};
use crate::{DataError, shown};

/// Texts, each with its class and its place.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) name: String,
    pub(super) texts: Vec<String>,
    pub(super) labels: Vec<i32>,
    /// Where each is from: a file, with its line where that has several.
    pub(super) places: Vec<String>,
    pub(super) classes: Arc<[String]>,
}

/// What a path has.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) train: Arc<Rows>,
    pub(super) validation: Option<Arc<Rows>>,
    pub(super) test: Option<Arc<Rows>>,
    /// The columns of a table.
    pub(super) columns: Option<TextColumns>,
    pub(super) notes: Vec<String>,
}

/// The classes and the columns that a model knows.
pub(super) type Known<'a> = (Option<&'a [String]>, Option<&'a TextColumns>);

pub(super) fn read(
    path: &Path,
    options: &LabelledTextOptions,
    known: Known<'_>,
) -> Result<Parts, DataError> {
    if path.is_dir() { folder(path, known.0) } else { table(path, options, known) }
}

/// A text, its class and its place.
type Row = (String, String, String);

fn rows(name: String, rows: Vec<Row>, classes: Option<Arc<[String]>>) -> Result<Rows, DataError> {
    let classes = classes.unwrap_or_else(|| {
        let distinct: BTreeSet<&String> = rows.iter().map(|(_, class, _)| class).collect();
        distinct.into_iter().cloned().collect()
    });
    let places: HashMap<&str, i32> =
        (0i32..).zip(classes.iter()).map(|(label, class)| (&class[..], label)).collect();
    let mut all = Rows {
        name,
        texts: Vec::with_capacity(rows.len()),
        labels: Vec::with_capacity(rows.len()),
        places: Vec::with_capacity(rows.len()),
        classes: Arc::clone(&classes),
    };
    for (text, class, place) in rows {
        let Some(&label) = places.get(&class[..]) else {
            let wanted = format!("a class that the model knows ({})", listed(&classes));
            return Err(DataError::setting("class", format!("{wanted} at {place}"), shown(&class)));
        };
        all.texts.push(text);
        all.labels.push(label);
        all.places.push(place);
    }
    Ok(all)
}

/// The folders that hold parts: one to learn from, those to validate on, one to test on.
const PARTS: (&str, [&str; 3], &str) = ("train", ["val", "valid", "validation"], "test");

fn folder(path: &Path, known: Option<&[String]>) -> Result<Parts, DataError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let known: Option<Arc<[String]>> = known.map(Into::into);
    let (train, validation, test) = PARTS;
    let whole = if path.join(train).is_dir() { path.join(train) } else { path.to_path_buf() };
    let first = Arc::new(rows(name.clone(), class_folders(&whole)?, known)?);
    if whole == path {
        let (validation, test, columns, notes) = (None, None, None, Vec::new());
        return Ok(Parts { train: first, validation, test, columns, notes });
    }
    let part = |part: &str| -> Result<Option<Arc<Rows>>, DataError> {
        let folder = path.join(part);
        if !folder.is_dir() {
            return Ok(None);
        }
        let classes = Some(Arc::clone(&first.classes));
        rows(name.clone(), class_folders(&folder)?, classes).map(|rows| Some(Arc::new(rows)))
    };
    let held: Vec<&str> = validation.into_iter().filter(|name| path.join(name).is_dir()).collect();
    if held.len() > 1 {
        let got = held.join("/ and ") + "/";
        return Err(DataError::format(path, "folders", "one folder to validate on", got));
    }
    let validation = held.first().map(|name| part(name)).transpose()?.flatten();
    let (test, mut notes) = (part(test)?, Vec::new());
    if validation.is_none() {
        notes.push("there is no val/, so about a fifth of train/ is held out".to_owned());
    }
    Ok(Parts { train: first, validation, test, columns: None, notes })
}

/// The entries of a folder in the order of their names, without hidden ones.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let failed = |source| DataError::io(folder, "read", "a folder", source);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// The `.txt` files of the folders in a folder, whose names are the classes.
fn class_folders(folder: &Path) -> Result<Vec<Row>, DataError> {
    let mut rows = Vec::new();
    for class in entries(folder)?.into_iter().filter(|path| path.is_dir()) {
        let Some(name) = class.file_name().and_then(|name| name.to_str()) else {
            let got = shown_path(&class);
            return Err(DataError::format(folder, "classes", "names that are UTF-8 text", got));
        };
        for file in entries(&class)?.into_iter().filter(|file| is(file, "txt")) {
            rows.push((read_text(&file)?, name.to_owned(), file.display().to_string()));
        }
    }
    if rows.is_empty() {
        let wanted = "a folder of .txt files for each class, or a table in a .csv file";
        return Err(DataError::format(folder, "content", wanted, "none"));
    }
    Ok(rows)
}

fn is(path: &Path, wanted: &str) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(wanted))
}

/// All lines of a table, each with its number.
fn lines(path: &Path, delimiter: Option<u8>) -> Result<Vec<(u64, StringRecord)>, DataError> {
    let delimiter = delimiter.unwrap_or(if is(path, "tsv") { b'\t' } else { b',' });
    let text = read_text(path)?;
    let mut reader = csv::ReaderBuilder::new();
    let reader = reader.has_headers(false).flexible(true).delimiter(delimiter);
    let mut lines: Vec<(u64, StringRecord)> = Vec::new();
    for record in reader.from_reader(text.as_bytes()).into_records() {
        let record = record.map_err(|error| {
            DataError::format(path, "content", "CSV", shown(&error.to_string()))
        })?;
        let line = record.position().map_or(0, csv::Position::line);
        let wanted = lines.first().map_or(record.len(), |(_, first)| first.len());
        if record.len() != wanted {
            let hint = "a text that has the delimiter in it stands between double quotes";
            let wanted = format!("{wanted} fields, as the first line has ({hint})");
            return Err(DataError::format(
                path,
                format!("line {line}"),
                wanted,
                record.len().to_string(),
            ));
        }
        lines.push((line, record));
    }
    if lines.is_empty() {
        return Err(DataError::Empty { dataset: shown_path(path) });
    }
    Ok(lines)
}

/// The place of a column.
fn column(path: &Path, what: &str, said: &str, names: &[&str]) -> Result<usize, DataError> {
    let by_name = names.iter().position(|name| *name == said);
    let by_number = || said.parse().ok().filter(|&number: &usize| number < names.len());
    by_name.or_else(by_number).ok_or_else(|| {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let wanted = format!("a column of the file ({})", listed(&names));
        DataError::format(path, what, wanted, format!("`{}`", shown(said)))
    })
}

/// The columns that were asked for, known, or named as one would.
fn columns(
    path: &Path,
    (text, target): (Option<&str>, Option<&str>),
    first: &StringRecord,
) -> Result<(usize, usize), DataError> {
    let names: Vec<&str> = first.iter().map(str::trim).collect();
    let called = |wanted: &[&str]| {
        names.iter().position(|name| wanted.contains(&name.to_ascii_lowercase().as_str()))
    };
    if names.len() < 2 {
        let wanted = "at least 2, a text and its class; another delimiter needs `delimiter=`";
        return Err(DataError::format(path, "number of columns", wanted, names.len().to_string()));
    }
    let target = match target {
        Some(said) => column(path, "target column", said, &names)?,
        None => called(&["label", "class", "target", "category", "sentiment"])
            .unwrap_or(names.len() - 1),
    };
    let text = match text {
        Some(said) => column(path, "text column", said, &names)?,
        None if names.len() == 2 => 1 - target,
        None => called(&["text", "sentence", "review"]).ok_or_else(|| {
            let got = format!("{} columns", names.len());
            DataError::format(path, "text column", "one called `text`, or `text=COLUMN`", got)
        })?,
    };
    if text == target {
        let wanted = "another column than the class's";
        return Err(DataError::format(path, "text column", wanted, shown(names[text])));
    }
    Ok((text, target))
}

fn table(
    path: &Path,
    options: &LabelledTextOptions,
    (classes, known): Known<'_>,
) -> Result<Parts, DataError> {
    let lines = lines(path, options.delimiter)?;
    let first = &lines[0].1;
    let asked = (
        options.text.as_deref().or(known.map(|known| &known.text[..])),
        options.target.as_deref().or(known.map(|known| &known.target[..])),
    );
    let (text, target) = columns(path, asked, first)?;
    let header = options.header.unwrap_or_else(|| {
        lines.len() > 1 && lines[1..].iter().all(|(_, line)| line[target] != first[target])
    });
    let name = |column: usize| match header {
        true => first[column].trim().to_owned(),
        false => column.to_string(),
    };
    let columns = TextColumns { text: name(text), target: name(target) };
    let notes = match (options.header, header) {
        (None, true) => vec!["the first line holds the columns' names".to_owned()],
        _ => Vec::new(),
    };
    let place = |line: u64| format!("{}: line {line}", path.display());
    let row = |(line, record): &(u64, StringRecord)| -> Row {
        (record[text].to_owned(), record[target].trim().to_owned(), place(*line))
    };
    let all: Vec<Row> = lines[usize::from(header)..].iter().map(row).collect();
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let train = Arc::new(rows(stem, all, classes.map(Into::into))?);
    Ok(Parts { train, validation: None, test: None, columns: Some(columns), notes })
}

/// Texts to say something of, each with its place.
pub(super) fn texts_of(
    path: &Path,
    known: Option<&TextColumns>,
) -> Result<Vec<(String, String)>, DataError> {
    if !(is(path, "csv") || is(path, "tsv")) {
        return Ok(vec![(path.display().to_string(), read_text(path)?)]);
    }
    let lines = lines(path, None)?;
    let names: Vec<&str> = lines[0].1.iter().map(str::trim).collect();
    let named = known.and_then(|known| names.iter().position(|name| *name == known.text));
    let text = match (named, known) {
        (Some(place), _) => place,
        (None, _) if names.len() == 1 => 0,
        (None, Some(known)) => column(path, "text column", &known.text, &names)?,
        (None, None) => column(path, "text column", "text", &names)?,
    };
    let (lines, place) = (&lines[usize::from(named.is_some())..], path.display());
    Ok(lines
        .iter()
        .map(|(line, row)| (format!("{place}: line {line}"), row[text].to_owned()))
        .collect())
}
