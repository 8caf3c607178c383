//! The characters that a text is made of, and their numbers.

use serde::{Deserialize, Serialize};

use crate::{DataError, shown};

/// The distinct characters of a text in the order of their code points; a character's number is its place
/// among them.
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
#[serde(try_from = "String", into = "String")]
pub struct Vocabulary(Vec<char>);

impl Vocabulary {
    /// The characters of a text.
    pub fn of(text: &str) -> Self {
        let distinct: std::collections::BTreeSet<char> = text.chars().collect();
        Self(distinct.into_iter().collect())
    }

    /// The number of characters.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The characters in the order of their numbers.
    pub fn characters(&self) -> &[char] {
        &self.0
    }

    /// The number of a character.
    pub fn token(&self, character: char) -> Option<i32> {
        self.0.binary_search(&character).ok().and_then(|place| i32::try_from(place).ok())
    }

    /// The character of a number.
    pub fn character(&self, token: i32) -> Option<char> {
        self.0.get(usize::try_from(token).ok()?).copied()
    }

    /// The numbers of a text's characters.
    ///
    /// # Errors
    /// [`DataError::Character`] for the first character that is not among these, with its place.
    pub fn encode(&self, text: &str) -> Result<Vec<i32>, DataError> {
        self.encode_called("text", text)
    }

    /// [`encode`](Self::encode) of a text that errors call `name`.
    pub(crate) fn encode_called(&self, name: &str, text: &str) -> Result<Vec<i32>, DataError> {
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

    /// The text of some numbers; U+FFFD stands for those that no character has.
    pub fn decode(&self, tokens: &[i32]) -> String {
        let replaced = char::REPLACEMENT_CHARACTER;
        tokens.iter().map(|&token| self.character(token).unwrap_or(replaced)).collect()
    }
}

impl From<Vocabulary> for String {
    fn from(vocabulary: Vocabulary) -> Self {
        vocabulary.0.into_iter().collect()
    }
}

impl TryFrom<String> for Vocabulary {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let characters: Vec<char> = text.chars().collect();
        if characters.is_sorted_by(|a, b| a < b) {
            return Ok(Self(characters));
        }
        Err(format!(
            "vocabulary: expected each character once, in the order of code points, got `{}`",
            shown(&text)
        ))
    }
}
