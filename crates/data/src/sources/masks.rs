//! Folders of pictures with a mask each.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use onestep_memory::Shape;

use super::folders::{file_name, in_parts, key_below, list};
use super::images::{self, ImageOptions, PICTURES, size_of_all};
use super::kind::DataKind;
use crate::picture::{Colour, Picture, probe};
use crate::{DataError, DataSplits, Pictures, SimpleDataset, TargetMut, TargetSpec, shown};

pub(super) const KIND: DataKind = DataKind {
    name: "masks",
    place: Some("DIR"),
    about: "pictures in `images/`, each with a mask of its name in `masks/`: `[1 or 3, height, width]`, and \
            1 where the mask is brighter than half and else 0, `[1, height, width]`",
    parts: "see below",
    options: images::OPTIONS,
    open: |opening| mask_folder_splits(opening.place, &images::asked(opening)?),
};

const IMAGES: &str = "images";
const MASKS: &str = "masks";

struct Pair {
    image: PathBuf,
    mask: PathBuf,
    key: u64,
    /// The pixels of both, once they have been decoded.
    pixels: OnceLock<[Box<[u8]>; 2]>,
}

/// Pictures with a mask each; see [`mask_folder`].
pub struct MaskFolder {
    name: String,
    pairs: Vec<Pair>,
    picture: Picture,
    cached: bool,
}

/// A folder with pictures in `images/` and a mask of the same name (with any of the extensions of pictures)
/// in `masks/` for each.
///
/// Inputs are as [`image_folder`](crate::image_folder) has them, and a target is `[1, height, width]`: 1 where
/// the mask, brought to the size of the pictures, is brighter than half, and else 0.
///
/// # Errors
/// [`DataError::Missing`] where one of the two folders is not there; [`DataError::Format`] for a picture
/// without a mask or a mask without a picture; else those of [`image_folder`](crate::image_folder).
pub fn mask_folder(dir: impl AsRef<Path>, options: &ImageOptions) -> Result<MaskFolder, DataError> {
    MaskFolder::scan(dir.as_ref(), options)
}

/// Pictures with masks, to learn from and to validate on.
///
/// The two folders stand in a `train` folder, with those of `val` (or `valid`, `validation`) to validate on and
/// those of `test` as the test part, where there are such folders; else in `dir` itself. Without `val` about a
/// fifth is held out, by the pictures' names.
///
/// # Errors
/// Those of [`mask_folder`].
pub fn mask_folder_splits(
    dir: impl AsRef<Path>,
    options: &ImageOptions,
) -> Result<DataSplits, DataError> {
    let mut rest = options.clone();
    let (mut splits, train) =
        in_parts(dir.as_ref(), PICTURES.many, |part, train: Option<&MaskFolder>| {
            let named = if train.is_some() { part } else { dir.as_ref() };
            let part =
                MaskFolder { name: shown(&file_name(named)), ..MaskFolder::scan(part, &rest)? };
            let Picture { colour, height, width } = part.picture;
            let kept = if part.cached { part.bytes() } else { 0 };
            rest = ImageOptions {
                size: Some((height, width)),
                colour: Some(colour),
                cache_bytes: rest.cache_bytes - kept,
            };
            Ok(part)
        })?;
    let Picture { height, width, colour } = train.picture;
    splits.record.pictures = Some(Pictures { height, width, colour });
    Ok(splits)
}

impl MaskFolder {
    fn scan(dir: &Path, options: &ImageOptions) -> Result<Self, DataError> {
        let pairs = pairs(dir)?;
        let first = &pairs[0].image;
        let picture = match (options.size, options.colour) {
            (Some((height, width)), Some(colour)) => Picture { colour, height, width },
            (size, colour) => {
                let found = probe(first)?;
                let (height, width) = size.map_or_else(|| size_of_all(first, found), Ok)?;
                Picture { colour: colour.unwrap_or(found.colour), height, width }
            }
        };
        picture.check()?;
        let name = shown(&file_name(dir));
        let mut folder = MaskFolder { name, pairs, picture, cached: false };
        folder.cached = folder.bytes() <= options.cache_bytes;
        Ok(folder)
    }

    fn mask(&self) -> Picture {
        Picture { colour: Colour::Grey, ..self.picture }
    }

    /// What all pictures and masks take once they are decoded.
    fn bytes(&self) -> usize {
        let each = self.picture.elements() + self.mask().elements();
        self.pairs.len().saturating_mul(each)
    }

    fn decode(&self, pair: &Pair) -> Result<[Box<[u8]>; 2], DataError> {
        Ok([self.picture.decode(&pair.image)?, self.mask().decode(&pair.mask)?])
    }
}

/// The pictures of a folder with their masks, by name.
fn pairs(dir: &Path) -> Result<Vec<Pair>, DataError> {
    let [images, masks] = [IMAGES, MASKS].map(|name| dir.join(name));
    for folder in [&images, &masks] {
        if !folder.is_dir() {
            let found = PICTURES.contents(&list(dir, "a folder with images/ and masks/")?);
            let wanted =
                format!("{IMAGES}/ and {MASKS}/, in it or in train/ and val/; it has {found}");
            return Err(DataError::Missing { path: folder.clone(), wanted });
        }
    }
    let (images, masks) = (PICTURES.files(&images)?, PICTURES.files(&masks)?);
    let partner = |path: &PathBuf, others: &[PathBuf], what: &str, folder: &str| {
        let found = others.iter().find(|other| other.file_stem() == path.file_stem());
        found.cloned().ok_or_else(|| {
            DataError::format(path, what, format!("one of its name in {folder}/"), "none")
        })
    };
    if let Some(lone) = masks.iter().find(|mask| partner(mask, &images, "", IMAGES).is_err()) {
        partner(lone, &images, "picture", IMAGES)?;
    }
    let pair = |image: PathBuf| {
        let mask = partner(&image, &masks, "mask", MASKS)?;
        Ok(Pair { key: key_below(dir, &image), image, mask, pixels: OnceLock::new() })
    };
    images.into_iter().map(pair).collect()
}

impl SimpleDataset for MaskFolder {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> usize {
        self.pairs.len()
    }

    fn input_shape(&self) -> Shape {
        self.picture.shape()
    }

    fn target(&self) -> TargetSpec {
        TargetSpec::values(self.mask().shape())
    }

    fn read(
        &self,
        index: usize,
        input: &mut [f32],
        target: TargetMut<'_>,
    ) -> Result<(), DataError> {
        let len = self.pairs.len();
        let Some(pair) = self.pairs.get(index) else {
            return Err(DataError::Index { dataset: self.name.clone(), index, len });
        };
        let decoded;
        let [image, mask] = match pair.pixels.get() {
            Some(pixels) => pixels,
            // Another worker may have been first; its pixels are the same.
            None if self.cached => {
                let pixels = self.decode(pair)?;
                pair.pixels.get_or_init(|| pixels)
            }
            None => {
                decoded = self.decode(pair)?;
                &decoded
            }
        };
        Picture::to_floats(image, input);
        match target {
            TargetMut::Values(values) if values.len() == mask.len() => {
                for (value, &pixel) in values.iter_mut().zip(mask) {
                    *value = f32::from(u8::from(pixel > 127));
                }
                Ok(())
            }
            other => other.set_values(&vec![0.0; mask.len()]),
        }
    }

    fn key(&self, index: usize) -> Option<u64> {
        self.pairs.get(index).map(|pair| pair.key)
    }

    fn location(&self, index: usize) -> Option<String> {
        self.pairs.get(index).map(|pair| pair.image.display().to_string())
    }
}
