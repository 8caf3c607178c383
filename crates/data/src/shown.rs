//! What came from a file or a person, made fit to print.

use std::path::Path;

/// More characters than this are cut.
const LONGEST: usize = 60;

/// More names than this are counted, not listed.
const LISTED: usize = 12;

/// A text from data (a cell, a class, a file's name) as a message may show it: control characters and
/// those that turn the direction of writing escaped, so that no data drives a terminal, and cut after
/// some 60 characters.
///
/// ```
/// use onestep_data::shown;
///
/// assert_eq!(shown("rose"), "rose");
/// assert_eq!(shown("\u{1b}[31mrose"), "\\u{1b}[31mrose");
/// assert_eq!(shown(&"rose".repeat(1_000_000)).chars().count(), 61);
/// ```
pub fn shown(text: &str) -> String {
    let mut result = String::new();
    let mut rest = text.chars();
    rest.by_ref().take(LONGEST).for_each(|character| push_escaped(&mut result, character));
    if rest.next().is_some() {
        result.push('…');
    }
    result
}

/// Whether a character would steer a terminal or turn the direction of writing.
pub fn steers(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The first of some names, and how many there are.
pub(crate) fn listed<S: AsRef<str>>(names: &[S]) -> String {
    let first: Vec<String> = names.iter().take(LISTED).map(|name| shown(name.as_ref())).collect();
    match names.len() - first.len() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// A path as a message may show it: in full, with the same characters escaped.
pub(crate) fn shown_path(path: &Path) -> String {
    escaped(&path.display().to_string())
}

/// A text in full, with control characters and those that turn the direction of writing escaped.
pub(crate) fn escaped(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    text.chars().for_each(|character| push_escaped(&mut result, character));
    result
}

fn push_escaped(text: &mut String, character: char) {
    if steers(character) {
        text.extend(character.escape_default());
    } else {
        text.push(character);
    }
}
