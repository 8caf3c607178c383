//! Sizes of memory as text.

use std::str::FromStr;

use serde::{Deserialize, Deserializer, de::Error as _};

/// A number of bytes: `512MiB`, `1.5 GB`, `4096`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MemorySize(pub(crate) usize);

const UNITS: [(&str, f64); 11] = [
    ("", 1.0),
    ("b", 1.0),
    ("k", 1024.0),
    ("kb", 1e3),
    ("kib", 1024.0),
    ("m", 1048576.0),
    ("mb", 1e6),
    ("mib", 1048576.0),
    ("g", 1073741824.0),
    ("gb", 1e9),
    ("gib", 1073741824.0),
];

impl FromStr for MemorySize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = || format!("expected a size such as 512MiB or 2GB, got `{text}`");
        let text = text.trim();
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let number: f64 = text[..end].parse().map_err(|_| wanted())?;
        let unit = text[end..].trim().to_ascii_lowercase();
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wanted)?;
        let bytes = (number * factor).round();
        if bytes < 1.0 || bytes > usize::MAX as f64 / 2.0 {
            return Err(wanted());
        }
        Ok(MemorySize(bytes as usize))
    }
}

impl<'de> Deserialize<'de> for MemorySize {
    /// A number of bytes, or the text.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => text.parse().map_err(D::Error::custom),
            other => other.to_string().parse().map_err(D::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read() {
        for (text, bytes) in [
            ("4096", 4096),
            ("512MiB", 512 << 20),
            ("1.5 GB", 1_500_000_000),
            ("2g", 2 << 30),
            ("100kb", 100_000),
        ] {
            assert_eq!(text.parse(), Ok(MemorySize(bytes)), "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "MiB", "12 parsecs", "-3", "0", "1e30GB", "1.2.3"] {
            let error = text.parse::<MemorySize>().unwrap_err();
            assert!(error.contains(text), "{error}");
        }
    }
}
