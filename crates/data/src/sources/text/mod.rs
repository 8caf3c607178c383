//! Texts, character by character or in the pieces of a tokenizer.

mod cut;
mod options;

use std::path::Path;
use std::sync::Arc;

pub(super) use options::KIND;
pub use options::{TextOptions, TextParts};

use super::parts::hold_out;
use crate::plain_text::read_text;
use crate::random::KeyHasher;
use crate::shown::shown_path;
use crate::{
    DataError, DataRecord, DataSplits, Dataset, Division, Field, Fields, SampleMut, TextForm,
    Vocabulary, shown,
};
use options::LONGEST;

/// The share of a text that is held out.
const HELD_OUT: f64 = 0.1;

/// Windows of a text: `tokens`, i32 `[length]`, and as `next`, i32 `[length]`, the characters that follow
/// each of them. Lines [vary](Field::varying) in length.
#[derive(Clone, Debug)]
pub struct TextFile {
    name: String,
    tokens: Arc<[i32]>,
    /// What ends a line.
    newline: Option<i32>,
    vocabulary: Arc<Vocabulary>,
    windows: Windows,
    length: usize,
    stream: bool,
    fields: Fields,
}

/// Where the windows of a text are.
#[derive(Clone, Debug)]
enum Windows {
    /// As long as all are, each so far behind the one before.
    Even { first: usize, step: usize, len: usize },
    /// Lines, each with its first character and its length.
    Lines(Arc<[(usize, usize)]>),
}

/// The windows of a text, one behind the other.
///
/// # Errors
/// [`DataError::Missing`] or [`DataError::Io`] where the file cannot be read, [`DataError::Format`] where
/// it is no UTF-8 text, [`DataError::Split`] where it is too short, [`DataError::Setting`] for a length of
/// 0.
pub fn text_file(path: impl AsRef<Path>, options: &TextOptions) -> Result<TextFile, DataError> {
    let path = path.as_ref();
    let whole = TextFile::read(path, options, None)?;
    let end = whole.tokens.len();
    whole.part(path, 0..end, options, options.stride.unwrap_or(options.length))
}

/// A text to learn from and to validate on; see [`TextParts`].
///
/// The record has the [`Vocabulary`]: the characters of the whole text.
///
/// # Errors
/// Those of [`text_file`].
pub fn text_splits(path: impl AsRef<Path>, options: &TextOptions) -> Result<DataSplits, DataError> {
    text_splits_as(path.as_ref(), options, None)
}

/// The same by a vocabulary of which the tokens are: that of a [tokenizer's file](Vocabulary::from_file), or of
/// another text.
///
/// # Errors
/// Those of [`text_file`], what is not in the vocabulary, and lines by a tokenizer that has no piece for the
/// end of a line.
pub fn text_splits_by(
    path: impl AsRef<Path>,
    options: &TextOptions,
    vocabulary: Vocabulary,
) -> Result<DataSplits, DataError> {
    text_splits_as(path.as_ref(), options, Some(vocabulary))
}

fn text_splits_as(
    path: &Path,
    options: &TextOptions,
    known: Option<Vocabulary>,
) -> Result<DataSplits, DataError> {
    let length = options.length;
    let whole = TextFile::read(path, options, known)?;
    let (name, vocabulary) = (whole.name.clone(), whole.vocabulary.clone());
    let end = whole.tokens.len();
    let units = if vocabulary.tokenizer_json().is_some() { "tokens" } else { "characters" };
    let mut splits = match options.parts {
        TextParts::Position => {
            let held_out = ((end as f64 * HELD_OUT) as usize).max(length + 1);
            let border = end.saturating_sub(held_out);
            let train = whole.part(path, 0..border, options, options.stride.unwrap_or(length))?;
            let validation = whole.part(path, border..end, options, length)?;
            DataSplits::new(name, Arc::new(train), Arc::new(validation))?
                .with_note(format!("the last {held_out} of {end} {units} are validated on"))
        }
        TextParts::Hash => {
            let all = whole.part(path, 0..end, options, length + 1)?;
            hold_out(path, name, Arc::new(all), HELD_OUT, Division::Key)?
        }
    };
    splits.record.division = Some(match options.parts {
        TextParts::Position => Division::Position,
        TextParts::Hash => Division::Key,
    });
    let lines = options.lines;
    splits.record.text = Some(TextForm { vocabulary: (*vocabulary).clone(), length, lines });
    Ok(splits)
}

impl TextFile {
    /// All of a text, not yet divided.
    fn read(
        path: &Path,
        options: &TextOptions,
        known: Option<Vocabulary>,
    ) -> Result<Self, DataError> {
        let length = options.length;
        if !(1..=LONGEST).contains(&length) {
            let wanted = format!("from 1 to {LONGEST}");
            return Err(DataError::setting("length of the windows", wanted, length));
        }
        if let Some(stride) = options.stride {
            options::check_stride(stride, options)?;
        }
        if options.stream && (options.lines || options.parts == TextParts::Hash) {
            let wanted = "shuffled, but for windows that are divided by position";
            return Err(DataError::setting("order of the text", wanted, "stream"));
        }
        let text = read_text(path)?;
        if text.is_empty() {
            return Err(DataError::Empty { dataset: shown_path(path) });
        }
        let vocabulary = known.unwrap_or_else(|| Vocabulary::of(&text));
        let (tokens, newline) = cut::encode(&vocabulary, path, &text, options.lines)?;
        let all = 0..i32::try_from(vocabulary.len()).unwrap_or(i32::MAX);
        let names = all.map(|token| vocabulary.name(token).unwrap_or_else(|| token.to_string()));
        let mut fields = [
            Field::indices("tokens", [length], vocabulary.len()),
            Field::labels("next", [length], names),
        ];
        if options.lines {
            fields = fields.map(|field| field.ignoring().varying());
        }
        Ok(Self {
            name: shown(&path.file_stem().unwrap_or_default().to_string_lossy()),
            tokens: tokens.into(),
            newline,
            vocabulary: Arc::new(vocabulary),
            windows: Windows::Lines(Arc::default()),
            length,
            stream: options.stream,
            fields: fields.into(),
        })
    }

    /// The characters and their numbers.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// A window and the character behind it.
    fn window(&self, index: usize) -> Option<&[i32]> {
        let (start, length) = self.place(index)?;
        self.tokens.get(start..start + length + 1)
    }

    /// Where a sample begins, and its characters.
    fn place(&self, index: usize) -> Option<(usize, usize)> {
        match &self.windows {
            Windows::Even { first, step, len } => {
                (index < *len).then_some((first + index * step, self.length))
            }
            Windows::Lines(lines) => lines.get(index).copied(),
        }
    }
}

impl Dataset for TextFile {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> usize {
        match &self.windows {
            Windows::Even { len, .. } => *len,
            Windows::Lines(lines) => lines.len(),
        }
    }

    fn fields(&self) -> Fields {
        self.fields.clone()
    }

    fn read(&self, index: usize, sample: &mut SampleMut<'_>) -> Result<(), DataError> {
        let window = self.window(index).ok_or_else(|| DataError::Index {
            dataset: self.name.clone(),
            index,
            len: self.len(),
        })?;
        sample.put_at((0, "tokens"), &window[..window.len() - 1])?;
        sample.put_at((1, "next"), &window[1..])
    }

    fn goes_on(&self) -> bool {
        self.stream
    }

    fn key(&self, index: usize) -> Option<u64> {
        let mut hasher = KeyHasher::new();
        for &token in self.window(index)? {
            // The character, not its number: other text may give it another. That of a piece is its own.
            let character = self.vocabulary.character(token).map_or(token as u32, u32::from);
            hasher.add(&character.to_le_bytes());
        }
        Some(hasher.finish())
    }

    fn location(&self, index: usize) -> Option<String> {
        let (start, length) = self.place(index)?;
        Some(format!("characters {start} to {}", start + length))
    }

    fn length(&self, index: usize) -> Option<usize> {
        match self.windows {
            Windows::Even { .. } => None,
            Windows::Lines(_) => self.place(index).map(|(_, length)| length),
        }
    }
}

impl DataRecord {
    /// Reads a text as the model knows it: the numbers of its characters.
    ///
    /// # Errors
    /// Those of reading the file; [`DataError::Character`] for a character that the model does not know;
    /// [`DataError::Setting`] where the model was not trained on text.
    pub fn read_text(&self, path: impl AsRef<Path>) -> Result<Vec<i32>, DataError> {
        let path = path.as_ref();
        let Some(form) = &self.text else {
            return Err(DataError::setting("data", "what the model was trained on", "a text"));
        };
        form.vocabulary.encode_called(&path.display().to_string(), &read_text(path)?)
    }
}
