//! Texts, character by character or in the pieces of a tokenizer.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::kind::{DataKind, DataOption, Opening};
use super::parts::hold_out;
use crate::plain_text::read_text;
use crate::random::KeyHasher;
use crate::shown::shown_path;
use crate::{
    DataError, DataRecord, DataSplits, Dataset, Division, Field, Fields, SampleMut, TextForm,
    Vocabulary, shown,
};

pub(super) const KIND: DataKind = DataKind {
    name: "text",
    place: Some("FILE"),
    about: "a text by character, or by a tokenizer: tokens i32 `[length]`, and those that follow each",
    parts: "the last tenth; with `?split=hash` about a tenth of the windows",
    options: &[
        DataOption::new("length", "tokens of a window, or of a line at most", "64"),
        DataOption::new("cut", "`windows`, `lines` (samples of different lengths)", "`windows`"),
        DataOption::new(
            "stride",
            "how far apart the windows to learn from begin; 1 takes all there are",
            "the length: each token once",
        ),
        DataOption::new("split", "`position`, `hash`", "`position`"),
        DataOption::new(
            "tokenizer",
            "a `tokenizer.json`, whose pieces are the tokens",
            "characters",
        ),
    ],
    open,
};

/// The share of a text that is held out.
const HELD_OUT: f64 = 0.1;

/// Longer windows are a mistake in a setting.
const LONGEST: usize = 1 << 20;

fn open(opening: &Opening<'_>) -> Result<DataSplits, DataError> {
    let parts = opening.options.read("split", "position or hash", |value| match value {
        "position" => Some(TextParts::Position),
        "hash" => Some(TextParts::Hash),
        _ => None,
    });
    let lines = opening.options.read("cut", "windows or lines", |value| match value {
        "windows" => Some(false),
        "lines" => Some(true),
        _ => None,
    });
    let lines = opening.refused(lines)?;
    let wanted = format!("a number from 1 to {LONGEST}");
    let number = |value: &str| value.parse().ok().filter(|length| (1..=LONGEST).contains(length));
    let length = opening.refused(opening.options.read("length", &wanted, number))?;
    let stride = opening.refused(opening.options.read("stride", &wanted, number))?;
    let known = opening.record.text.as_ref();
    if let (Some(length), Some(known)) = (length, known)
        && length != known.length
    {
        let wanted = format!("{}, as the model takes", known.length);
        return Err(DataError::setting("length of the windows", wanted, length));
    }
    if let (Some(lines), Some(known)) = (lines, known)
        && lines != known.lines
    {
        let name = |lines| if lines { "lines" } else { "windows" };
        let wanted = format!("{}, as the model was trained on", name(known.lines));
        return Err(DataError::setting("cut of the text", wanted, name(lines)));
    }
    let default = TextOptions::default();
    let lines = lines.or(known.map(|known| known.lines)).unwrap_or(default.lines);
    let length = length.or(known.map(|known| known.length)).unwrap_or(default.length);
    // Without a word the text is divided as when the model was trained.
    let known = match opening.record.division {
        Some(Division::Key) => TextParts::Hash,
        _ => default.parts,
    };
    let parts = opening.refused(parts)?.unwrap_or(known);
    let options = TextOptions { length, stride, parts, lines };
    text_splits_as(opening.place, &options, vocabulary(opening)?)
}

/// Windows overlap where they are cut by place alone.
fn check_stride(stride: usize, options: &TextOptions) -> Result<(), DataError> {
    let wanted = match (options.lines, options.parts) {
        (true, _) => "none with cut=lines, whose samples are the lines",
        (_, TextParts::Hash) => "none with split=hash, whose windows share no character",
        _ if stride == 0 => "at least 1",
        _ => return Ok(()),
    };
    Err(DataError::setting("stride of the windows", wanted, stride))
}

/// The vocabulary that was asked for: that of the model where there is one, whose own tokenizer need not be
/// there any more.
fn vocabulary(opening: &Opening<'_>) -> Result<Option<Vocabulary>, DataError> {
    let path = opening.options.read("tokenizer", "a file", |value| Some(PathBuf::from(value)));
    let path = opening.refused(path)?;
    let known = opening.record.text.as_ref().map(|form| form.vocabulary.clone());
    match (path, known) {
        (Some(path), Some(known)) if path.exists() => {
            match Vocabulary::from_file(&path)? == known {
                true => Ok(Some(known)),
                false => {
                    let wanted = "that of the model, which it has by itself: leave the option out";
                    Err(DataError::setting("tokenizer", wanted, shown_path(&path)))
                }
            }
        }
        (Some(path), None) => Vocabulary::from_file(path).map(Some),
        (_, known) => Ok(known),
    }
}

/// How a text is divided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TextParts {
    /// The last tenth is validated on. Windows begin at each multiple of the length; none reaches into
    /// the other part.
    #[default]
    Position,
    /// A window is validated on where its own characters say so, about a tenth of them: text that is
    /// added behind moves none. Windows share no character, their last target included.
    Hash,
}

/// How a text is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextOptions {
    /// The characters of a window; of a line at most.
    pub length: usize,
    /// How far apart the windows to learn from begin; none is the length, so that each character is in
    /// one. With 1 there is one at each place, and a shuffled epoch, or a part of it
    /// (`steps_per_epoch` of the trainer's settings), is windows at random places, none twice. Text to
    /// validate on is read once from its beginning to its end.
    pub stride: Option<usize>,
    /// How the windows are divided.
    pub parts: TextParts,
    /// Whether each line is a sample, of a length of its own, rather than all windows of one length. What is
    /// longer than `length` is cut, and lines without a character are passed over.
    pub lines: bool,
}

impl Default for TextOptions {
    fn default() -> Self {
        Self { length: 64, stride: None, parts: TextParts::default(), lines: false }
    }
}

/// Windows of a text: `tokens`, i32 `[length]`, and as `next`, i32 `[length]`, the characters that follow
/// each of them. Lines [vary](Field::varying) in length.
#[derive(Clone, Debug)]
pub struct TextFile {
    name: String,
    tokens: Arc<[i32]>,
    vocabulary: Arc<Vocabulary>,
    windows: Windows,
    length: usize,
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
/// Those of [`text_file`], what is not in the vocabulary, and lines by a tokenizer, whose pieces need not end
/// where they do.
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
            check_stride(stride, options)?;
        }
        let text = read_text(path)?;
        if text.is_empty() {
            return Err(DataError::Empty { dataset: shown_path(path) });
        }
        let vocabulary = known.unwrap_or_else(|| Vocabulary::of(&text));
        if options.lines && vocabulary.tokenizer_json().is_some() {
            let wanted = "windows with a tokenizer, whose pieces need not end where lines do";
            return Err(DataError::setting("cut of the text", wanted, "lines"));
        }
        let tokens = vocabulary.encode_called(&path.display().to_string(), &text)?.into();
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
            tokens,
            vocabulary: Arc::new(vocabulary),
            windows: Windows::Lines(Arc::default()),
            length,
            fields: fields.into(),
        })
    }

    /// The samples within some characters: windows that are `step` apart, or lines.
    fn part(
        &self,
        path: &Path,
        range: std::ops::Range<usize>,
        options: &TextOptions,
        step: usize,
    ) -> Result<Self, DataError> {
        if !options.lines {
            return self.windows(path, range, step);
        }
        let lines = self.lines(range.clone());
        if lines.is_empty() {
            let wanted = "a line with a character and another behind it in each part".to_owned();
            let got = format!("{} characters without one", range.len());
            return Err(DataError::Split { dataset: shown_path(path), wanted, got });
        }
        Ok(Self { windows: Windows::Lines(lines.into()), ..self.clone() })
    }

    /// The lines that begin within some characters, without what ends them, and no longer than a window.
    /// What follows each of their characters is in the same part.
    fn lines(&self, range: std::ops::Range<usize>) -> Vec<(usize, usize)> {
        let newline = self.vocabulary.token('\n');
        let mut lines = Vec::new();
        let mut start = range.start;
        // The end of a line that began in the part before is none of this part's.
        if start > 0 && newline != self.tokens.get(start - 1).copied() {
            let rest = &self.tokens[range.clone()];
            let end = rest.iter().position(|&token| Some(token) == newline);
            start += end.map_or(rest.len(), |end| end + 1);
        }
        let first = start;
        for at in first..range.end {
            let is_end = Some(self.tokens[at]) == newline;
            if is_end || at + 1 == range.end || at - start == self.length {
                // The last one of the samples' characters is the one before `at`, which follows it.
                if at > start {
                    lines.push((start, at - start));
                }
                start = at + 1;
            }
        }
        lines
    }

    /// The windows within some characters, `step` apart.
    fn windows(
        &self,
        path: &Path,
        range: std::ops::Range<usize>,
        step: usize,
    ) -> Result<Self, DataError> {
        // A window takes one character more than its length: what follows its last.
        let room = range.len().checked_sub(self.length + 1);
        let Some(room) = room else {
            let wanted = format!(
                "at least {} characters in each part, for windows of {}",
                self.length + 1,
                self.length
            );
            let (dataset, got) = (shown_path(path), format!("{} in one", range.len()));
            return Err(DataError::Split { dataset, wanted, got });
        };
        let windows = Windows::Even { first: range.start, step, len: room / step + 1 };
        Ok(Self { windows, ..self.clone() })
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
