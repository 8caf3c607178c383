//! The characters or pieces that a text is made of, and their numbers.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::tokenizer::{self, Tokenizer, TokenizerOptions, TrainingPhase};
use crate::{DataError, shown};

/// The distinct characters of a text in the order of their code points, where a character's number is its
/// place among them; or the pieces of a tokenizer file.
///
/// ```
/// use onestep_data::Vocabulary;
///
/// let vocabulary = Vocabulary::of("banana bread");
/// assert_eq!(vocabulary.len(), 7); // a space and a, b, d, e, n, r
/// let tokens = vocabulary.encode("bad")?;
/// assert_eq!((tokens.as_slice(), vocabulary.decode(&tokens)), (&[2, 1, 3][..], "bad".to_owned()));
/// assert_eq!(
///     vocabulary.encode("a bag").unwrap_err().to_string(),
///     "text: line 1, column 5: expected one of the 7 characters that the model knows, got 'g' (U+0067)"
/// );
/// # Ok::<(), onestep_data::DataError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Vocabulary(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Characters(Vec<char>),
    Pieces(Tokenizer),
}

/// How it is saved: the characters as a text, or the content of the tokenizer's file.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Stored {
    Characters(String),
    Pieces(Value),
}

impl Vocabulary {
    /// The characters of a text.
    pub fn of(text: &str) -> Self {
        let distinct: std::collections::BTreeSet<char> = text.chars().collect();
        Self(Kind::Characters(distinct.into_iter().collect()))
    }

    /// The pieces of a tokenizer's file (`tokenizer.json`, as Hugging Face's `tokenizers` writes it). It needs
    /// the feature `bpe`.
    ///
    /// # Errors
    /// [`DataError::Missing`] or [`DataError::Io`] where the file cannot be read, [`DataError::Format`] where
    /// it is no tokenizer, [`DataError::Setting`] without the feature.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, DataError> {
        Tokenizer::from_file(path.as_ref()).map(|pieces| Self(Kind::Pieces(pieces)))
    }

    pub(crate) fn of_pieces(pieces: Tokenizer) -> Self {
        Self(Kind::Pieces(pieces))
    }

    /// The content of a tokenizer's file, for [`from_file`](Self::from_file); none for characters.
    pub fn tokenizer_json(&self) -> Option<&str> {
        match &self.0 {
            Kind::Characters(_) => None,
            Kind::Pieces(pieces) => Some(pieces.json()),
        }
    }

    /// The number of characters or pieces.
    pub fn len(&self) -> usize {
        match &self.0 {
            Kind::Characters(characters) => characters.len(),
            Kind::Pieces(pieces) => pieces.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The characters in the order of their numbers; none of a tokenizer.
    pub fn characters(&self) -> &[char] {
        match &self.0 {
            Kind::Characters(characters) => characters,
            Kind::Pieces(_) => &[],
        }
    }

    /// The number of a character; none of a tokenizer, whose pieces depend on what is around.
    pub fn token(&self, character: char) -> Option<i32> {
        let place = self.characters().binary_search(&character).ok()?;
        i32::try_from(place).ok()
    }

    /// The character of a number; none of a tokenizer.
    pub fn character(&self, token: i32) -> Option<char> {
        self.characters().get(usize::try_from(token).ok()?).copied()
    }

    /// The name of a number: its character, or its piece as the tokenizer's file has it.
    pub fn name(&self, token: i32) -> Option<String> {
        match &self.0 {
            Kind::Characters(_) => self.character(token).map(String::from),
            Kind::Pieces(pieces) => pieces.name(token),
        }
    }

    /// The numbers of a text's characters or pieces.
    ///
    /// # Errors
    /// [`DataError::Character`] for the first character that is not among these, with its place;
    /// [`DataError::Field`] where a tokenizer refuses the text.
    pub fn encode(&self, text: &str) -> Result<Vec<i32>, DataError> {
        self.encode_called("text", text)
    }

    /// [`encode`](Self::encode) of a text that errors call `name`.
    ///
    /// # Errors
    /// Those of [`encode`](Self::encode).
    pub fn encode_called(&self, name: &str, text: &str) -> Result<Vec<i32>, DataError> {
        if let Kind::Pieces(pieces) = &self.0 {
            return pieces.encode(name, text);
        }
        let (mut line, mut column) = (1, 0);
        let token = |character| {
            column += 1;
            let token = self.token(character);
            let (at, known) = ((line, column), self.len());
            if character == '\n' {
                (line, column) = (line + 1, 0);
            }
            token.ok_or_else(|| {
                let (text, (line, column)) = (name.to_owned(), at);
                DataError::Character { text, line, column, known, got: character }
            })
        };
        text.chars().map(token).collect()
    }

    /// The text of some numbers; U+FFFD stands for those that no character has, and for bytes of pieces that
    /// make no whole character.
    pub fn decode(&self, tokens: &[i32]) -> String {
        if let Kind::Pieces(pieces) = &self.0 {
            return pieces.decode(tokens);
        }
        let replaced = char::REPLACEMENT_CHARACTER;
        tokens.iter().map(|&token| self.character(token).unwrap_or(replaced)).collect()
    }
}

/// Trains a tokenizer on texts: byte-level byte-pair encoding, as GPT-2 has it (Sennrich et al., "Neural
/// Machine Translation of Rare Words with Subword Units", 2016; Radford et al., 2019). It needs the feature
/// `bpe`; [`Vocabulary::tokenizer_json`] is what to write to a file.
///
/// # Errors
/// A vocabulary that is too small, files that cannot be read or hold no UTF-8 text, no text at all, and a
/// build without the feature.
pub fn train_tokenizer(
    files: &[PathBuf],
    options: &TokenizerOptions,
    watch: impl FnMut(TrainingPhase<'_>),
) -> Result<Vocabulary, DataError> {
    tokenizer::train(files, options, watch).map(Vocabulary::of_pieces)
}

impl From<Vocabulary> for Stored {
    fn from(vocabulary: Vocabulary) -> Self {
        match vocabulary.0 {
            Kind::Characters(characters) => Self::Characters(characters.into_iter().collect()),
            Kind::Pieces(pieces) => Self::Pieces(pieces.to_value()),
        }
    }
}

impl TryFrom<Stored> for Vocabulary {
    type Error = String;

    fn try_from(stored: Stored) -> Result<Self, String> {
        let text = match stored {
            Stored::Characters(text) => text,
            Stored::Pieces(value) => {
                return Tokenizer::read(&value.to_string())
                    .map(Self::of_pieces)
                    .map_err(|error| format!("vocabulary: {error}"));
            }
        };
        let characters: Vec<char> = text.chars().collect();
        if characters.is_sorted_by(|a, b| a < b) {
            return Ok(Self(Kind::Characters(characters)));
        }
        Err(format!(
            "vocabulary: expected each character once, in the order of code points, got `{}`",
            shown(&text)
        ))
    }
}
