//! Files of plain text.

use std::path::Path;

use crate::DataError;

/// The text of a file.
pub(crate) fn read_text(path: &Path) -> Result<String, DataError> {
    let bytes =
        std::fs::read(path).map_err(|source| DataError::io(path, "read", "a text file", source))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = format!("byte {}", error.utf8_error().valid_up_to());
        DataError::format(path, at, "UTF-8 text", "other bytes")
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}
