//! Folders of pictures by a text.

use super::super::kind::{DataKind, DataOption, Opening, Options};
use super::{ImageOptions, image_folder_splits_as};
use crate::{Colour, DataError, DataSplits, Pictures};

pub(crate) const KIND: DataKind = DataKind {
    name: "images",
    place: Some("DIR"),
    about: "a folder of pictures per class, `[1 or 3, height, width]`",
    parts: "see below",
    options: OPTIONS,
    open,
};

/// What may be asked of pictures.
pub(in super::super) const OPTIONS: &[DataOption] = &[
    DataOption::new(
        "size",
        "a side, or HEIGHTxWIDTH, that all pictures are resized to",
        "the first picture's size, up to 4,194,304 pixels: a photograph needs `?size=`",
    ),
    DataOption::new("colour", "`grey`, `rgb`", "what the first picture has").also(&["color"]),
    DataOption::new(
        "cache",
        "decoded pictures are kept in memory up to so many bytes, over all parts",
        "1 GiB",
    ),
];

fn open(opening: &Opening<'_>) -> Result<DataSplits, DataError> {
    image_folder_splits_as(opening.place, &asked(opening)?, opening.record)
}

/// How pictures are read: as asked for, and as the model knows them.
pub(in super::super) fn asked(opening: &Opening<'_>) -> Result<ImageOptions, DataError> {
    let mut options = opening.refused(image_options(&opening.options))?;
    if let Some(known) = &opening.record.pictures {
        let size = *options.size.get_or_insert((known.height, known.width));
        let colour = *options.colour.get_or_insert(known.colour);
        if (size, colour) != ((known.height, known.width), known.colour) {
            let wanted = format!("{}, as the model takes", form(known));
            let (height, width) = size;
            let got = form(&Pictures { height, width, colour });
            return Err(DataError::setting("form of the pictures", wanted, got));
        }
    }
    Ok(options)
}

fn form(pictures: &Pictures) -> String {
    let colour = if pictures.colour == Colour::Grey { "grey" } else { "rgb" };
    format!("{}x{} {colour}", pictures.height, pictures.width)
}

fn image_options(texts: &Options<'_>) -> Result<ImageOptions, String> {
    let size = texts.read("size", "a number of pixels or HEIGHTxWIDTH", |value| {
        let (height, width) = value.split_once('x').unwrap_or((value, value));
        Some((height.parse().ok()?, width.parse().ok()?))
    })?;
    let colour = texts.read("colour", "grey or rgb", |value| value.parse().ok())?;
    let cache = texts.read("cache", "a number of bytes", |value| value.parse().ok())?;
    let default = ImageOptions::default();
    Ok(ImageOptions { size, colour, cache_bytes: cache.unwrap_or(default.cache_bytes) })
}
