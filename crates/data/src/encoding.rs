//! How a text that is classified becomes numbers, of which 0 fills up behind its end.

use std::collections::HashMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{DataError, Vocabulary, shown};

/// Characters and words that are not in the vocabulary.
const UNKNOWN: i32 = 1;

/// The numbers below those of the first character or word: what fills up, and what is unknown.
const RESERVED: usize = 2;

/// The most words that a vocabulary keeps: those that occur most often.
const MOST_WORDS: usize = 20_000;

/// A word that occurs more rarely is unknown, so that what is unknown is learnt as well.
const LEAST_OFTEN: usize = 2;

/// How a text becomes numbers from 1 on; 0 is no part of any text.
///
/// ```
/// use onestep_data::TextEncoding;
///
/// let words = TextEncoding::words(["a good film", "a bad film", "A bad plot"]);
/// // 1 is any other word; then come the more frequent ones, and equally frequent ones by their letters.
/// assert_eq!(words.encode("text", "A bad, bad film")?, [2, 3, 1, 3, 4]);
/// assert_eq!(words.count(), 5);
/// assert_eq!(TextEncoding::Bytes.encode("text", "né")?, [110, 195, 169]);
/// # Ok::<(), onestep_data::DataError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TextEncoding {
    /// The bytes of its UTF-8 form, but for zeros: 256 numbers, and nothing is unknown.
    Bytes,
    /// Its characters; 1 is one that was not in the texts to learn from.
    Characters(Vocabulary),
    /// Its words in lower case, and what else stands between them but space; 1 is one that was not twice in
    /// the texts to learn from.
    Words(Words),
    /// The pieces of a tokenizer, each a number higher than in its file.
    Pieces(Vocabulary),
}

impl TextEncoding {
    /// Characters of texts.
    pub fn characters<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let distinct: std::collections::BTreeSet<char> =
            texts.into_iter().flat_map(str::chars).collect();
        Self::Characters(Vocabulary::of(&distinct.into_iter().collect::<String>()))
    }

    /// Words of texts, the most frequent first: those that occur twice, and at most 20,000.
    pub fn words<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut counts: HashMap<String, usize> = HashMap::new();
        for word in texts.into_iter().flat_map(words_of) {
            *counts.entry(word).or_default() += 1;
        }
        let mut words: Vec<(String, usize)> =
            counts.into_iter().filter(|(_, count)| *count >= LEAST_OFTEN).collect();
        words.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        words.truncate(MOST_WORDS);
        Self::Words(Words::new(words.into_iter().map(|(word, _)| word).collect()))
    }

    /// How many numbers there are: one above the highest.
    pub fn count(&self) -> usize {
        match self {
            Self::Bytes => 256,
            Self::Characters(vocabulary) => vocabulary.len() + RESERVED,
            Self::Words(words) => words.list.len() + RESERVED,
            Self::Pieces(vocabulary) => vocabulary.len() + 1,
        }
    }

    /// The numbers of a text that errors call `name`.
    ///
    /// # Errors
    /// [`DataError::Field`] where a tokenizer refuses the text.
    pub fn encode(&self, name: &str, text: &str) -> Result<Vec<i32>, DataError> {
        let place = |token: i32| token + RESERVED as i32;
        Ok(match self {
            Self::Bytes => text.bytes().filter(|&byte| byte != 0).map(i32::from).collect(),
            Self::Characters(vocabulary) => {
                text.chars().map(|c| vocabulary.token(c).map_or(UNKNOWN, place)).collect()
            }
            Self::Words(words) => words_of(text)
                .map(|word| words.places.get(&word).copied().map_or(UNKNOWN, place))
                .collect(),
            Self::Pieces(vocabulary) => {
                let pieces = vocabulary.encode_called(name, text)?;
                pieces.into_iter().map(|piece| piece + 1).collect()
            }
        })
    }
}

/// What one number stands for, in messages.
impl fmt::Display for TextEncoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bytes => "bytes",
            Self::Characters(_) => "characters",
            Self::Words(_) => "words",
            Self::Pieces(_) => "pieces of a tokenizer",
        })
    }
}

/// Words with their numbers, from 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Words {
    list: Vec<String>,
    places: HashMap<String, i32>,
}

impl Words {
    fn new(list: Vec<String>) -> Self {
        let places = (0i32..).zip(&list).map(|(place, word)| (word.clone(), place)).collect();
        Self { list, places }
    }

    /// The words in the order of their numbers.
    pub fn list(&self) -> &[String] {
        &self.list
    }
}

impl From<Words> for Vec<String> {
    fn from(words: Words) -> Self {
        words.list
    }
}

impl TryFrom<Vec<String>> for Words {
    type Error = String;

    fn try_from(list: Vec<String>) -> Result<Self, String> {
        let words = Self::new(list);
        match words.places.len() == words.list.len() && words.list.len() <= MOST_WORDS {
            true => Ok(words),
            false => Err(format!(
                "words: expected at most {MOST_WORDS}, each once, got {} such as `{}`",
                words.list.len(),
                shown(words.list.last().map_or("", String::as_str))
            )),
        }
    }
}

/// Runs of letters and digits (with apostrophes inside) in lower case, and every other character that is no
/// space by itself.
fn words_of(text: &str) -> impl Iterator<Item = String> + '_ {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        let first = rest.chars().next()?;
        let inside = |c: char| c.is_alphanumeric() || c == '\'';
        let end = match first.is_alphanumeric() {
            true => rest.find(|c| !inside(c)).unwrap_or(rest.len()),
            false => first.len_utf8(),
        };
        let (word, behind) = rest.split_at(end);
        let whole = word.trim_end_matches('\'');
        let whole = if whole.is_empty() { word } else { whole };
        rest = if whole.len() < word.len() { &rest[whole.len()..] } else { behind };
        Some(whole.to_lowercase())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_runs_of_letters() {
        let words = |text| words_of(text).collect::<Vec<_>>();
        assert_eq!(words("Don't, 'tis  X2!"), ["don't", ",", "'", "tis", "x2", "!"]);
        assert_eq!(words("dogs' ÉTÉ''"), ["dogs", "'", "été", "'", "'"]);
        assert!(words(" \n\t").is_empty());
    }

    #[test]
    fn encodings_survive_json() {
        for encoding in [
            TextEncoding::Bytes,
            TextEncoding::characters(["abc", "cd"]),
            TextEncoding::words(["a b b a", "c"]),
        ] {
            let json = serde_json::to_string(&encoding).unwrap();
            assert_eq!(serde_json::from_str::<TextEncoding>(&json).unwrap(), encoding, "{json}");
        }
        let error = serde_json::from_str::<TextEncoding>(r#"{"words": ["a", "a"]}"#).unwrap_err();
        assert!(error.to_string().contains("each once"), "{error}");
    }

    #[test]
    fn what_is_unknown_has_a_number() {
        let characters = TextEncoding::characters(["abc"]);
        assert_eq!(characters.encode("t", "cab?").unwrap(), [4, 2, 3, 1]);
        assert_eq!(characters.count(), 5);
        assert_eq!(TextEncoding::Bytes.encode("t", "a\0b").unwrap(), [97, 98]);
    }
}
