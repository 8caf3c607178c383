//! How texts with a class each are read.

use crate::Vocabulary;

/// How texts become tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TextTokens {
    /// Their bytes.
    #[default]
    Bytes,
    /// The characters of the texts to learn from.
    Characters,
    /// The words of the texts to learn from.
    Words,
    /// The pieces of a tokenizer's vocabulary.
    Pieces(Vocabulary),
}

/// How texts with a class each are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelledTextOptions {
    /// The tokens of a text at most; what is behind them is cut off.
    pub length: usize,
    /// What a token is.
    pub tokens: TextTokens,
    /// The column of a table that has the texts, by its name or its number counted from 0; none is the one
    /// called `text`, or the only one beside the target.
    pub text: Option<String>,
    /// The column of the classes, in the same way; none is the one called `label`, `class` or `target`, or
    /// the last.
    pub target: Option<String>,
    /// Whether the first line of a table holds names; none takes it for names where its class comes in no
    /// other line.
    pub header: Option<bool>,
    /// The character between the fields of a table; none is a tab in a file that ends in `.tsv`, else a comma.
    pub delimiter: Option<u8>,
}

impl Default for LabelledTextOptions {
    fn default() -> Self {
        Self {
            length: 128,
            tokens: TextTokens::Bytes,
            text: None,
            target: None,
            header: None,
            delimiter: None,
        }
    }
}
