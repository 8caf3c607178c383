//! Folders of recordings by a text.

use super::super::kind::{DataKind, DataOption, Opening};
use super::{SoundOptions, sound_folder_splits_as};
use crate::{DataError, DataSplits};

pub(crate) const KIND: DataKind = DataKind {
    name: "wav",
    place: Some("DIR"),
    about: "a folder of WAV files per class, `[1, length]` from -1 to 1: the mean of the channels",
    parts: "see below",
    options: &[
        DataOption::new(
            "rate",
            "samples a second that all recordings are brought to",
            "the first recording's; others are refused",
        ),
        DataOption::new(
            "length",
            "samples of an input: what is longer is cut, what is shorter ends in silence",
            "the first recording's, up to 1,048,576",
        ),
        DataOption::new(
            "cache",
            "recordings are kept in memory up to so many bytes, over all parts",
            "1 GiB",
        ),
    ],
    open,
};

fn open(opening: &Opening<'_>) -> Result<DataSplits, DataError> {
    let texts = &opening.options;
    let rate = opening.refused(texts.read("rate", "samples a second", |v| v.parse().ok()))?;
    let length =
        opening.refused(texts.read("length", "a number of samples", |v| v.parse().ok()))?;
    let cache = opening.refused(texts.read("cache", "a number of bytes", |v| v.parse().ok()))?;
    let default = SoundOptions::default();
    let mut options =
        SoundOptions { rate, length, cache_bytes: cache.unwrap_or(default.cache_bytes) };
    if let Some(known) = opening.record.sounds {
        let (rate, length) =
            (*options.rate.get_or_insert(known.rate), *options.length.get_or_insert(known.length));
        let asked = crate::Sounds { rate, length };
        if asked != known {
            let wanted = format!("{known}, as the model takes");
            return Err(DataError::setting("form of the recordings", wanted, asked));
        }
    }
    sound_folder_splits_as(opening.place, &options, opening.record)
}
