//! Texts with a class each by a text.

use std::path::PathBuf;

use super::super::kind::{DataKind, DataOption, Opening};
use super::{LONGEST, LabelledTextOptions, TextTokens, labelled_text_splits_as};
use crate::{DataError, DataSplits, TextEncoding, Vocabulary};

pub(crate) const KIND: DataKind = DataKind {
    name: "texts",
    place: Some("PATH"),
    about: "texts with a class each, of a CSV file or a folder of .txt files per class: tokens i32 \
            `[length]`, 0 behind their end",
    parts: "about a fifth; of a folder with `val/`, that",
    options: &[
        DataOption::new("length", "tokens of a text; the rest is cut off", "128"),
        DataOption::new("tokens", "`bytes`, `characters`, `words`", "`bytes`"),
        DataOption::new(
            "tokenizer",
            "a `tokenizer.json`, whose pieces are the tokens",
            "see `tokens`",
        ),
        DataOption::new(
            "text",
            "the column of the texts: its name, or its number counted from 0",
            "`text`, or the only one beside the class's",
        ),
        DataOption::new("target", "the column of the classes", "`label` or the like, or the last"),
        DataOption::new("header", "`yes`, `no`", "found out"),
        DataOption::new("delimiter", "a character, or `tab`", "`,`, in a `.tsv` a tab"),
    ],
    open,
};

fn open(opening: &Opening<'_>) -> Result<DataSplits, DataError> {
    let known = opening.record.texts.as_ref();
    let options = &opening.options;
    let wanted = format!("a number from 1 to {LONGEST}");
    let number = |value: &str| value.parse().ok().filter(|length| (1..=LONGEST).contains(length));
    let length = opening.refused(options.read("length", &wanted, number))?;
    if let (Some(length), Some(known)) = (length, known)
        && length != known.length
    {
        let wanted = format!("{}, as the model takes", known.length);
        return Err(DataError::setting("length of the texts", wanted, length));
    }
    let tokens = tokens(opening)?;
    let delimiter =
        options.read("delimiter", "one ASCII character, or tab", |value| match value.as_bytes() {
            b"tab" => Some(b'\t'),
            [byte] if byte.is_ascii() && !byte.is_ascii_alphanumeric() => Some(*byte),
            _ => None,
        });
    let column = |name: &str| options.get(name).map(str::to_owned);
    let default = LabelledTextOptions::default();
    let options = LabelledTextOptions {
        length: length.or(known.map(|known| known.length)).unwrap_or(default.length),
        tokens,
        text: column("text"),
        target: column("target"),
        header: opening.refused(options.yes_or_no("header"))?,
        delimiter: opening.refused(delimiter)?,
    };
    labelled_text_splits_as(opening.place, &options, opening.record)
}

/// What a token is; where a model knows that, nothing else may be said.
fn tokens(opening: &Opening<'_>) -> Result<TextTokens, DataError> {
    let options = &opening.options;
    let said = options.read("tokens", "bytes, characters or words", |value| match value {
        "bytes" => Some(TextTokens::Bytes),
        "characters" => Some(TextTokens::Characters),
        "words" => Some(TextTokens::Words),
        _ => None,
    });
    let said = opening.refused(said)?;
    let tokenizer = options.get("tokenizer").map(PathBuf::from);
    if let (Some(_), Some(_)) = (&said, &tokenizer) {
        let reason = "option tokenizer: the tokens are its pieces; leave the option tokens out";
        return opening.refused(Err(reason.to_owned()));
    }
    if let Some(known) = &opening.record.texts {
        let same = matches!(
            (&said, &known.encoding),
            (None, _)
                | (Some(TextTokens::Bytes), TextEncoding::Bytes)
                | (Some(TextTokens::Characters), TextEncoding::Characters(_))
                | (Some(TextTokens::Words), TextEncoding::Words(_))
        );
        // The model has its vocabulary by itself, so that a tokenizer's file may be gone.
        let pieces = matches!(known.encoding, TextEncoding::Pieces(_));
        if !same || (tokenizer.is_some() && !pieces) {
            let wanted = format!("{}, as the model takes: leave the option out", known.encoding);
            let got = options.get("tokens").or(options.get("tokenizer")).unwrap_or_default();
            return Err(DataError::setting("tokens of the texts", wanted, got));
        }
        return Ok(TextTokens::Bytes);
    }
    match tokenizer {
        Some(path) => Vocabulary::from_file(path).map(TextTokens::Pieces),
        None => Ok(said.unwrap_or_default()),
    }
}
