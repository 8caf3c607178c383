//! Data sets by a short text, as the command line gives them.

use std::sync::Arc;

use super::SPLIT_SEED;
use super::cifar::cifar10_splits;
use super::digits::digits;
use super::images::image_folder_splits_as;
use super::mnist::mnist_splits;
use super::table::{Column, CsvOptions, CsvTarget, DecimalMark, MOST_LABELS, csv_splits_as};
use crate::{
    Colour, DataError, DataRecord, DataSplits, Dataset, ImageOptions, Pictures, relabel, shown,
    split,
};

/// The share of the digits and of tables that is held out.
const HELD_OUT: f64 = 0.2;

/// Opens the data that `spec` names:
///
/// | spec | data | held out |
/// | --- | --- | --- |
/// | `digits` | [`digits`](crate::digits()) | a fixed fifth |
/// | `mnist:DIR` | [`mnist_splits`](crate::mnist_splits) | `t10k`, or a fixed tenth of what there is |
/// | `cifar10:DIR` | [`cifar10_splits`](crate::cifar10_splits) | `test_batch.bin`, or a fixed tenth |
/// | `images:DIR` | [`image_folder_splits`](crate::image_folder_splits) | `val/`, or about a fifth |
/// | `csv:FILE` | [`csv_splits`](crate::csv_splits) | about a fifth |
///
/// Two of them take options after a question mark, with `&` between:
/// `images:DIR?size=64x48&colour=grey` (`size` is a side, or height x width; `cache` in bytes) and
/// `csv:FILE?target=price&kind=values&header=yes&delimiter=;` (`target` is a name or a number counted
/// from 0; `kind` is `classes`, `values` or a number of labels; `delimiter` is a character or `tab`;
/// `decimal` is `point` or `comma`; `standardise` is `yes` or `no`).
///
/// # Errors
/// [`DataError::Spec`] for a text of another form; else those of the data set.
///
/// ```
/// let data = onestep_data::open("digits")?;
/// assert_eq!((data.train.len(), data.validation.len()), (1438, 359));
///
/// let error = onestep_data::open("minst:somewhere").unwrap_err();
/// assert!(error.to_string().starts_with("data `minst:somewhere`: unknown kind `minst`"));
/// # Ok::<(), onestep_data::DataError>(())
/// ```
pub fn open(spec: &str) -> Result<DataSplits, DataError> {
    open_as(spec, &DataRecord::default())
}

/// Opens the data that `spec` names as a model knows it that learnt `record` from its own.
///
/// Classes are matched by name and numbered as the model numbers them, a table's columns are found by
/// their names and put in the model's order, its values to predict are scaled as those that the model
/// was trained on, and pictures are brought to the model's size and colour. The record of what is
/// opened is `record`, but for its source.
///
/// # Errors
/// Those of [`open`]; [`DataError::Classes`] and others where the data has what the model does not know
/// (a class) or lacks what it needs (a column).
pub fn open_as(spec: &str, record: &DataRecord) -> Result<DataSplits, DataError> {
    let mut splits = read(spec, record)?;
    if let Some(classes) = &record.classes {
        let parts = [&mut splits.train, &mut splits.validation];
        for part in parts.into_iter().chain(splits.test.as_mut()) {
            *part = relabel(part.clone(), classes)?;
        }
        splits.record.classes = Some(classes.clone());
    }
    splits.record.source = Some(absolute(spec));
    Ok(splits)
}

/// A data text whose path holds wherever the program is started.
fn absolute(spec: &str) -> String {
    let Some((kind, rest)) = spec.split_once(':') else { return spec.to_owned() };
    let (place, options) = rest.find('?').map_or((rest, ""), |mark| rest.split_at(mark));
    let path = std::path::absolute(place).ok();
    match path.as_deref().and_then(std::path::Path::to_str) {
        Some(path) => format!("{kind}:{path}{options}"),
        None => spec.to_owned(),
    }
}

fn held_out(all: impl Dataset + 'static) -> Result<DataSplits, DataError> {
    let name = all.name().to_owned();
    let (train, validation) = split(Arc::new(all), HELD_OUT, SPLIT_SEED)?;
    DataSplits::new(name, Arc::new(train), Arc::new(validation))
}

fn read(spec: &str, record: &DataRecord) -> Result<DataSplits, DataError> {
    let refuse = |reason: String| DataError::Spec { spec: spec.to_owned(), reason };
    let (kind, place) = spec.split_once(':').unwrap_or((spec, ""));
    match kind {
        "digits" if place.is_empty() => return held_out(digits()?),
        "digits" => return Err(refuse("the digits are embedded and have no folder".to_owned())),
        "mnist" | "cifar10" | "images" | "csv" => {}
        _ => return Err(refuse(format!("unknown kind `{}`", shown(kind)))),
    }
    let takes_options = matches!(kind, "images" | "csv");
    let (place, options) = match place.split_once('?') {
        Some((place, options)) if takes_options => (place, options),
        _ => (place, ""),
    };
    if place.is_empty() {
        let missing = if kind == "csv" { "file" } else { "folder" };
        return Err(refuse(format!("its {missing} is missing")));
    }
    match kind {
        "mnist" => mnist_splits(place),
        "cifar10" => cifar10_splits(place),
        "images" => {
            let mut options = image_options(options).map_err(refuse)?;
            if let Some(known) = &record.pictures {
                let size = *options.size.get_or_insert((known.height, known.width));
                let colour = *options.colour.get_or_insert(known.colour);
                if (size, colour) != ((known.height, known.width), known.colour) {
                    let wanted = format!("{}, as the model takes", form(known));
                    let (height, width) = size;
                    let got = form(&Pictures { height, width, colour });
                    return Err(DataError::setting("form of the pictures", wanted, got));
                }
            }
            image_folder_splits_as(place.as_ref(), &options, record)
        }
        _ => {
            settled(options, record).map_err(refuse)?;
            csv_splits_as(place.as_ref(), &csv_options(options).map_err(refuse)?, record)
        }
    }
}

fn form(pictures: &Pictures) -> String {
    let colour = if pictures.colour == Colour::Grey { "grey" } else { "rgb" };
    format!("{}x{} {colour}", pictures.height, pictures.width)
}

/// The `key=value` pairs of an option text, in which no key stands twice.
fn pairs(options: &str) -> Result<Vec<(&str, &str)>, String> {
    let pairs = options.split('&').filter(|pair| !pair.is_empty());
    let pairs: Vec<_> = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect();
    let mut keys: Vec<&str> = pairs.iter().map(|(key, _)| *key).collect();
    keys.sort_unstable();
    match keys.windows(2).find(|two| two[0] == two[1]) {
        Some(two) => Err(format!("option {} is given twice", shown(two[0]))),
        None => Ok(pairs),
    }
}

fn image_options(text: &str) -> Result<ImageOptions, String> {
    let mut options = ImageOptions::default();
    for (key, value) in pairs(text)? {
        let refused =
            |wanted: &str| format!("option {key}: expected {wanted}, got `{}`", shown(value));
        match key {
            "size" => {
                let (height, width) = value.split_once('x').unwrap_or((value, value));
                let (Ok(height), Ok(width)) = (height.parse(), width.parse()) else {
                    return Err(refused("a number of pixels or HEIGHTxWIDTH"));
                };
                options.size = Some((height, width));
            }
            "colour" | "color" => {
                options.colour = Some(value.parse().map_err(|_| refused("grey or rgb"))?);
            }
            "cache" => {
                options.cache_bytes = value.parse().map_err(|_| refused("a number of bytes"))?;
            }
            _ => {
                return Err(format!(
                    "unknown option `{}` (there are size, colour, cache)",
                    shown(key)
                ));
            }
        }
    }
    Ok(options)
}

/// Refuses options that a model's record has settled otherwise, rather than to ignore them.
fn settled(options: &str, record: &DataRecord) -> Result<(), String> {
    if record.columns.is_none() {
        return Ok(());
    }
    let source = record.source.as_deref().and_then(|source| source.split_once('?'));
    let known = pairs(source.map_or("", |(_, options)| options))?;
    let settled = |key: &str| ["target", "kind", "standardise"].contains(&key);
    match pairs(options)?.into_iter().find(|pair| settled(pair.0) && !known.contains(pair)) {
        Some((key, _)) => Err(format!(
            "option {key}: it was settled when the model was trained, and its columns go by their \
             names; leave it out"
        )),
        None => Ok(()),
    }
}

fn csv_options(text: &str) -> Result<CsvOptions, String> {
    let mut options = CsvOptions::default();
    for (key, value) in pairs(text)? {
        let refused =
            |wanted: &str| format!("option {key}: expected {wanted}, got `{}`", shown(value));
        match key {
            "target" => {
                options.target =
                    value.parse().map_or_else(|_| Column::Name(value.to_owned()), Column::Index);
            }
            "kind" => {
                let count = || value.parse().ok().filter(|count| (1..=MOST_LABELS).contains(count));
                options.kind = match value {
                    "classes" => CsvTarget::Classes,
                    "values" => CsvTarget::Values,
                    _ => CsvTarget::Labels(count().ok_or_else(|| {
                        refused(&format!("classes, values or a number from 1 to {MOST_LABELS}"))
                    })?),
                }
            }
            "header" => {
                options.header = match value {
                    "yes" => Some(true),
                    "no" => Some(false),
                    _ => return Err(refused("yes or no")),
                }
            }
            "delimiter" => {
                options.delimiter = Some(match value.as_bytes() {
                    b"tab" => b'\t',
                    [byte] if byte.is_ascii() && !byte.is_ascii_alphanumeric() => *byte,
                    _ => return Err(refused("one ASCII character, or tab")),
                });
            }
            "decimal" => {
                options.decimal = match value {
                    "point" => Some(DecimalMark::Point),
                    "comma" => Some(DecimalMark::Comma),
                    _ => return Err(refused("point or comma")),
                }
            }
            "standardise" | "standardize" => {
                options.standardise = match value {
                    "yes" => true,
                    "no" => false,
                    _ => return Err(refused("yes or no")),
                }
            }
            _ => {
                let key = shown(key);
                let known = "target, kind, header, delimiter, decimal, standardise";
                return Err(format!("unknown option `{key}` (there are {known})"));
            }
        }
    }
    Ok(options)
}
