//! Texts with a class each: of a table, or in a folder a class.

mod files;
mod kind;
mod options;

use std::path::Path;
use std::sync::Arc;

use super::parts::{HELD_OUT, hold_out};
use crate::divide::divide;
use crate::random::KeyHasher;
use crate::record::TextsForm;
use crate::shown::shown_path;
use crate::{
    DataError, DataRecord, DataSplits, Dataset, Division, Field, Fields, SampleMut, TextEncoding,
    shown,
};
use files::Rows;
pub(super) use kind::KIND;
pub use options::{LabelledTextOptions, TextTokens};

/// Longer texts are a mistake in a setting.
const LONGEST: usize = 1 << 20;

/// Texts with a class each: `tokens`, i32 `[length]`, which [vary](Field::varying) in length and are filled up
/// with 0, and `label`, i32 `[]`.
#[derive(Clone, Debug)]
pub struct LabelledTexts {
    name: String,
    rows: Arc<Rows>,
    tokens: Arc<[Vec<i32>]>,
    fields: Fields,
}

/// Texts to learn from and to validate on.
///
/// `path` is a table with a column of texts and one of classes, of which about a fifth is held out by what its
/// texts are; or a folder with one of `.txt` files for each class, or with `train/` and `val/` or `test/`, of
/// such folders.
///
/// # Errors
/// [`DataError::Missing`] or [`DataError::Io`] where it cannot be read, [`DataError::Format`] for a column that
/// is not there and for what is no UTF-8 text, [`DataError::Empty`] for a text without a token,
/// [`DataError::Setting`] for a length of 0, [`DataError::Classes`] for a class that only a held-out part has.
pub fn labelled_text_splits(
    path: impl AsRef<Path>,
    options: &LabelledTextOptions,
) -> Result<DataSplits, DataError> {
    labelled_text_splits_as(path.as_ref(), options, &DataRecord::default())
}

/// The same, as a model knows them that learnt `known`.
fn labelled_text_splits_as(
    path: &Path,
    options: &LabelledTextOptions,
    known: &DataRecord,
) -> Result<DataSplits, DataError> {
    if !(1..=LONGEST).contains(&options.length) {
        let wanted = format!("from 1 to {LONGEST}");
        return Err(DataError::setting("length of the texts", wanted, options.length));
    }
    let classes = known.classes.as_deref();
    let columns = known.texts.as_ref().and_then(|texts| texts.columns.as_ref());
    let parts = files::read(path, options, (classes, columns))?;
    let columns = parts.columns.clone();
    let encoding = match &known.texts {
        Some(texts) => texts.encoding.clone(),
        None => encoding(path, options, &parts)?,
    };
    let length = options.length;
    let set = |rows| LabelledTexts::new(rows, &encoding, length).map(Arc::new);
    let all = set(parts.train)?;
    let mut splits = match parts.validation {
        Some(validation) => {
            let mut splits = DataSplits::new(all.name.clone(), all, set(validation)?)?;
            splits.record.division = Some(Division::Given);
            splits
        }
        None => hold_out(path, all.name.clone(), all, HELD_OUT, Division::Key)?,
    };
    if let Some(test) = parts.test {
        splits = splits.with_test(set(test)?)?;
    }
    for note in parts.notes {
        splits = splits.with_note(note);
    }
    splits.record.texts = Some(TextsForm { encoding, length, columns });
    Ok(splits)
}

/// The encoding that was asked for, of the texts to learn from.
fn encoding(
    path: &Path,
    options: &LabelledTextOptions,
    parts: &files::Parts,
) -> Result<TextEncoding, DataError> {
    let texts = || -> Result<Vec<&str>, DataError> {
        let rows = &parts.train;
        if parts.validation.is_some() {
            return Ok(rows.texts.iter().map(String::as_str).collect());
        }
        // The same division as is made of the encoded ones.
        let all = LabelledTexts::new(Arc::clone(rows), &TextEncoding::Bytes, 1)?;
        let seed = super::parts::SPLIT_SEED;
        let (train, _) = divide(&all, &shown_path(path), HELD_OUT, seed)?;
        Ok(train.into_iter().map(|row| &rows.texts[row][..]).collect())
    };
    Ok(match &options.tokens {
        TextTokens::Bytes => TextEncoding::Bytes,
        TextTokens::Characters => TextEncoding::characters(texts()?),
        TextTokens::Words => TextEncoding::words(texts()?),
        TextTokens::Pieces(vocabulary) => TextEncoding::Pieces(vocabulary.clone()),
    })
}

impl LabelledTexts {
    fn new(rows: Arc<Rows>, encoding: &TextEncoding, length: usize) -> Result<Self, DataError> {
        let encode = |(text, place): (&String, &String)| encoded(encoding, length, place, text);
        let tokens: Vec<Vec<i32>> =
            rows.texts.iter().zip(&rows.places).map(encode).collect::<Result<_, _>>()?;
        let fields = [
            Field::indices("tokens", [length], encoding.count()).varying(),
            Field::labels("label", [], rows.classes.iter().cloned()),
        ];
        Ok(Self { name: shown(&rows.name), rows, tokens: tokens.into(), fields: fields.into() })
    }

    /// The text of a sample; none past the end.
    pub fn text(&self, index: usize) -> Option<&str> {
        self.rows.texts.get(index).map(String::as_str)
    }
}

/// At most so many tokens of a text.
fn encoded(
    encoding: &TextEncoding,
    length: usize,
    name: &str,
    text: &str,
) -> Result<Vec<i32>, DataError> {
    let mut tokens = encoding.encode(name, text)?;
    if tokens.is_empty() {
        return Err(DataError::Empty { dataset: format!("{name}: the text") });
    }
    tokens.truncate(length);
    Ok(tokens)
}

impl Dataset for LabelledTexts {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> usize {
        self.tokens.len()
    }

    fn fields(&self) -> Fields {
        self.fields.clone()
    }

    fn read(&self, index: usize, sample: &mut SampleMut<'_>) -> Result<(), DataError> {
        let (Some(tokens), Some(&label)) = (self.tokens.get(index), self.rows.labels.get(index))
        else {
            let (dataset, len) = (self.name.clone(), self.len());
            return Err(DataError::Index { dataset, index, len });
        };
        sample.put_at((0, "tokens"), tokens)?;
        sample.put_at((1, "label"), &[label])
    }

    fn class(&self, index: usize) -> Option<usize> {
        usize::try_from(*self.rows.labels.get(index)?).ok()
    }

    fn key(&self, index: usize) -> Option<u64> {
        let mut hasher = KeyHasher::new();
        let class = *self.rows.labels.get(index)?;
        hasher.add(self.rows.texts.get(index)?.as_bytes());
        hasher.add(self.rows.classes.get(usize::try_from(class).ok()?)?.as_bytes());
        Some(hasher.finish())
    }

    fn location(&self, index: usize) -> Option<String> {
        self.rows.places.get(index).cloned()
    }

    fn length(&self, index: usize) -> Option<usize> {
        self.tokens.get(index).map(Vec::len)
    }
}

impl DataRecord {
    /// The tokens of a text that errors call `name`, as the model takes them: filled up with 0, or cut off.
    ///
    /// # Errors
    /// Those of [`TextEncoding::encode`]; [`DataError::Empty`] for a text without a token,
    /// [`DataError::Setting`] where the model was not trained on texts with a class each.
    pub fn encode_labelled_text(&self, name: &str, text: &str) -> Result<Vec<i32>, DataError> {
        let form = self.text_form()?;
        let mut tokens = encoded(&form.encoding, form.length, name, text)?;
        tokens.resize(form.length, 0);
        Ok(tokens)
    }

    /// The texts of a file with their places: of a table its column of texts, else the file as one.
    ///
    /// # Errors
    /// Those of [`labelled_text_splits`].
    pub fn read_labelled_texts(
        &self,
        path: impl AsRef<Path>,
    ) -> Result<Vec<(String, String)>, DataError> {
        files::texts_of(path.as_ref(), self.text_form()?.columns.as_ref())
    }

    fn text_form(&self) -> Result<&TextsForm, DataError> {
        self.texts.as_ref().ok_or_else(|| {
            DataError::setting("data", "what the model was trained on", "texts with a class each")
        })
    }
}
