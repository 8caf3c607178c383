//! The settings of a text.

use std::path::PathBuf;

use super::text_splits_as;
use crate::shown::shown_path;
use crate::sources::kind::{DataKind, DataOption, Opening};
use crate::{DataError, DataSplits, Division, Vocabulary};

pub(in crate::sources) const KIND: DataKind = DataKind {
    name: "text",
    place: Some("FILE"),
    about: "a text by character, or by a tokenizer: tokens i32 `[length]`, and those that follow each",
    parts: "the last tenth; with `?split=hash` about a tenth of the windows",
    options: &[
        DataOption::new("length", "tokens of a window, or of a line at most", "64"),
        DataOption::new("cut", "`windows`, `lines` (samples of different lengths)", "`windows`"),
        DataOption::new(
            "order",
            "`shuffled`, `stream` (each row of a batch goes on where it ended in the batch before)",
            "`shuffled`",
        ),
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

/// Longer windows are a mistake in a setting.
pub(super) const LONGEST: usize = 1 << 20;

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
    let stream = opening.options.read("order", "shuffled or stream", |value| match value {
        "shuffled" => Some(false),
        "stream" => Some(true),
        _ => None,
    });
    let stream = opening.refused(stream)?.unwrap_or(default.stream);
    let options = TextOptions { length, stride, parts, lines, stream };
    text_splits_as(opening.place, &options, vocabulary(opening)?)
}

/// Windows overlap where they are cut by place alone.
pub(super) fn check_stride(stride: usize, options: &TextOptions) -> Result<(), DataError> {
    let wanted = match (options.lines, options.parts) {
        (true, _) => "none with cut=lines, whose samples are the lines",
        (_, TextParts::Hash) => "none with split=hash, whose windows share no character",
        _ if options.stream => "none with order=stream, whose windows follow one another",
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
    /// Whether windows are read one behind the other rather than in an order that each epoch draws: each row
    /// of the batches goes through a part of the text of its own. Windows that are divided by position.
    pub stream: bool,
}

impl Default for TextOptions {
    fn default() -> Self {
        Self { length: 64, stride: None, parts: TextParts::default(), lines: false, stream: false }
    }
}
