//! What a kind of data is to the text that names it.

use std::path::Path;

use crate::{DataError, DataRecord, DataSplits, shown};

/// A kind of data that [`open`](crate::open) knows: what its texts look like, and what is in them.
#[derive(Debug)]
#[non_exhaustive]
pub struct DataKind {
    /// The word before the colon.
    pub name: &'static str,
    /// What stands behind the colon (`DIR`, `FILE`); `None` where the data is embedded.
    pub place: Option<&'static str>,
    /// The data, in a few words of Markdown.
    pub about: &'static str,
    /// How it is divided, in a few words of Markdown.
    pub parts: &'static str,
    /// What may follow a question mark.
    pub options: &'static [DataOption],
    pub(crate) open: fn(&Opening<'_>) -> Result<DataSplits, DataError>,
}

/// An option of a kind of data, as in `csv:FILE?target=price`.
#[derive(Debug)]
#[non_exhaustive]
pub struct DataOption {
    /// The word before the equals sign.
    pub name: &'static str,
    /// Other spellings of it.
    pub(crate) also: &'static [&'static str],
    /// What may stand behind it, in a few words of Markdown.
    pub values: &'static str,
    /// What holds without it.
    pub without: &'static str,
}

impl DataOption {
    pub(crate) const fn new(
        name: &'static str,
        values: &'static str,
        without: &'static str,
    ) -> Self {
        Self { name, also: &[], values, without }
    }

    pub(crate) const fn also(mut self, spellings: &'static [&'static str]) -> Self {
        self.also = spellings;
        self
    }
}

impl DataKind {
    /// Its text without options: `csv:FILE`.
    pub fn form(&self) -> String {
        match self.place {
            Some(place) => format!("{}:{place}", self.name),
            None => self.name.to_owned(),
        }
    }

    /// The options of a text, each known and none twice.
    pub(crate) fn options<'a>(&self, text: &'a str) -> Result<Options<'a>, String> {
        let mut pairs: Vec<(&'static str, &'a str)> = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let is_meant = |option: &&DataOption| option.name == key || option.also.contains(&key);
            let Some(option) = self.options.iter().find(is_meant) else {
                let known: Vec<&str> = self.options.iter().map(|option| option.name).collect();
                let (key, known) = (shown(key), known.join(", "));
                return Err(match known.is_empty() {
                    true => format!("unknown option `{key}` (there are none)"),
                    false => format!("unknown option `{key}` (there are {known})"),
                });
            };
            if pairs.iter().any(|(name, _)| *name == option.name) {
                return Err(format!("option {} is given twice", shown(key)));
            }
            pairs.push((option.name, value));
        }
        Ok(Options(pairs))
    }
}

/// The options that a text gives.
#[derive(Debug, Default)]
pub(crate) struct Options<'a>(Vec<(&'static str, &'a str)>);

impl<'a> Options<'a> {
    pub(crate) fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, &'a str)> + '_ {
        self.0.iter().copied()
    }

    /// What `read` makes of an option, where there is one; `wanted` says what it takes.
    pub(crate) fn read<T>(
        &self,
        name: &str,
        wanted: &str,
        read: impl FnOnce(&'a str) -> Option<T>,
    ) -> Result<Option<T>, String> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let refuse = || format!("option {name}: expected {wanted}, got `{}`", shown(value));
        read(value).map(Some).ok_or_else(refuse)
    }

    /// `yes` or `no`.
    pub(crate) fn yes_or_no(&self, name: &str) -> Result<Option<bool>, String> {
        self.read(name, "yes or no", |value| match value {
            "yes" => Some(true),
            "no" => Some(false),
            _ => None,
        })
    }
}

/// A text that is being opened.
pub(crate) struct Opening<'a> {
    /// What stands behind the colon, without options.
    pub(crate) text: &'a str,
    /// The same as a path.
    pub(crate) place: &'a Path,
    pub(crate) options: Options<'a>,
    /// What the model knows that the data is read for.
    pub(crate) record: &'a DataRecord,
    pub(crate) refuse: &'a dyn Fn(String) -> DataError,
    /// Opens other data, for kinds that are made of it.
    pub(crate) open: fn(&str, &DataRecord) -> Result<DataSplits, DataError>,
}

impl Opening<'_> {
    pub(crate) fn refused<T>(&self, result: Result<T, String>) -> Result<T, DataError> {
        result.map_err(self.refuse)
    }
}
