//! Data sets by a short text, as the command line gives them.

use std::path::Path;

use super::kind::{DataKind, Opening};
use super::{cifar, digits, images, labelled, masks, mnist, pairs, sounds, table, text};
use crate::{DataError, DataRecord, DataSplits, relabel, shown};

/// Every kind of data that [`open`] knows.
///
/// This one list makes the parser, the help, the messages and the documents' tables. It is none of
/// `onestep_base::registry!`, whose kinds are values with options that settings keep and write again: a
/// kind of data is a text with a place in it, read against what a model knows, and what is kept of it is
/// the text and the [`DataRecord`].
pub const DATA_KINDS: &[DataKind] = &[
    digits::KIND,
    mnist::KIND,
    cifar::KIND,
    images::KIND,
    masks::KIND,
    sounds::KIND,
    table::KIND,
    text::KIND,
    labelled::KIND,
    pairs::KIND,
];

/// The texts that [`open`] takes, for help: `digits, mnist:DIR, ... or text:FILE`.
pub fn data_forms() -> String {
    let mut forms: Vec<String> = DATA_KINDS.iter().map(DataKind::form).collect();
    let last = forms.pop().unwrap_or_default();
    format!("{} or {last}", forms.join(", "))
}

/// The kinds of data and their options as tables of Markdown, for documents.
pub fn data_tables() -> String {
    let mut tables = "| text | data | parts |\n| --- | --- | --- |\n".to_owned();
    for kind in DATA_KINDS {
        tables += &format!("| `{}` | {} | {} |\n", kind.form(), kind.about, kind.parts);
    }
    tables += "\n| option | values | without it |\n| --- | --- | --- |\n";
    for kind in DATA_KINDS {
        for option in kind.options {
            let form = format!("`{}?{}=`", kind.name, option.name);
            tables += &format!("| {form} | {} | {} |\n", option.values, option.without);
        }
    }
    tables
}

/// Opens the data that `spec` names:
///
/// | spec | data | held out |
/// | --- | --- | --- |
/// | `digits` | [`digits`](crate::digits()) | about a fifth |
/// | `mnist:DIR` | [`mnist_splits`](crate::mnist_splits) | `t10k`, or about a tenth of what there is |
/// | `cifar10:DIR` | [`cifar10_splits`](crate::cifar10_splits) | `test_batch.bin`, or about a tenth |
/// | `images:DIR` | [`image_folder_splits`](crate::image_folder_splits) | `val/`, or about a fifth |
/// | `masks:DIR` | [`mask_folder_splits`](crate::mask_folder_splits) | as of `images` |
/// | `wav:DIR` | [`sound_folder_splits`](crate::sound_folder_splits) | as of `images` |
/// | `csv:FILE` | [`csv_splits`](crate::csv_splits) | about a fifth |
/// | `text:FILE` | [`text_splits`](crate::text_splits) | the last tenth |
/// | `texts:PATH` | [`labelled_text_splits`](crate::labelled_text_splits) | `val/`, or about a fifth |
/// | `pairs:DATA` | [`Pairs`](crate::Pairs) of other data | as of that |
///
/// Options stand after a question mark, with `&` between: `csv:FILE?target=price&kind=values`.
/// [`DATA_KINDS`] has them all.
///
/// # Errors
/// [`DataError::Spec`] for a text of another form; else those of the data set.
///
/// ```
/// let data = onestep_data::open("digits")?;
/// assert_eq!((data.train.len(), data.validation.len()), (1439, 358));
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
    record.check_form(&splits.record)?;
    if let Some(classes) = &record.classes {
        let parts = [&mut splits.train, &mut splits.validation];
        for part in parts.into_iter().chain(splits.test.as_mut()) {
            *part = relabel(part.clone(), classes)?;
        }
        splits.record.classes = Some(classes.clone());
    }
    record.check_fields(&splits.train.fields())?;
    splits.record.source = Some(absolute(spec));
    record.check_division(&splits.record)?;
    Ok(splits)
}

/// A data text whose path holds wherever the program is started.
fn absolute(spec: &str) -> String {
    let Some((kind, rest)) = spec.split_once(':') else { return spec.to_owned() };
    if kind == pairs::KIND.name {
        return format!("{kind}:{}", absolute(rest));
    }
    let (place, options) = rest.find('?').map_or((rest, ""), |mark| rest.split_at(mark));
    let path = std::path::absolute(place).ok();
    match path.as_deref().and_then(std::path::Path::to_str) {
        Some(path) => format!("{kind}:{path}{options}"),
        None => spec.to_owned(),
    }
}

fn read(spec: &str, record: &DataRecord) -> Result<DataSplits, DataError> {
    let refuse =
        |reason: String| DataError::Spec { spec: spec.to_owned(), reason, forms: data_forms() };
    let (name, rest) = spec.split_once(':').unwrap_or((spec, ""));
    let Some(kind) = DATA_KINDS.iter().find(|kind| kind.name == name) else {
        return Err(refuse(format!("unknown kind `{}`", shown(name))));
    };
    let (place, options) = match rest.split_once('?') {
        Some((place, options)) if !kind.options.is_empty() => (place, options),
        _ => (rest, ""),
    };
    match kind.place {
        None if !rest.is_empty() => {
            return Err(refuse(format!("the {name} are embedded and have no folder")));
        }
        Some(wanted) if place.is_empty() => {
            let missing = match wanted {
                "FILE" => "file",
                "DATA" => "data",
                "PATH" => "file or folder",
                _ => "folder",
            };
            return Err(refuse(format!("its {missing} is missing")));
        }
        _ => {}
    }
    let options = kind.options(options).map_err(refuse)?;
    let (text, place) = (place, Path::new(place));
    (kind.open)(&Opening { text, place, options, record, refuse: &refuse, open: open_as })
}
