//! Folders of pictures: one folder per class.

mod kind;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use onestep_memory::Shape;

use super::folders::{FileKind, file_name, in_parts, key_below, label_of};
use crate::picture::{Colour, Picture, probe};
use crate::{
    DataError, DataRecord, DataSplits, Pictures, SimpleDataset, TargetMut, TargetSpec, shown,
};

pub(super) use kind::{KIND, OPTIONS, asked};

/// Files of pictures.
pub(super) const PICTURES: FileKind = FileKind {
    one: "picture",
    many: "pictures",
    extensions: &["png", "jpg", "jpeg", "gif", "bmp", "webp"],
};

/// A model whose inputs have more pixels was not asked for.
const MOST_UNASKED_PIXELS: usize = 1 << 22;

/// How a folder of pictures is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageOptions {
    /// Height and width, in pixels, that every picture is resized to; `None` takes those of the
    /// first picture.
    pub size: Option<(usize, usize)>,
    /// One channel or three; `None` takes what the first picture has.
    pub colour: Option<Colour>,
    /// Decoded pictures are kept (as bytes) where the whole set fits in this many bytes; 0 decodes
    /// anew each time.
    pub cache_bytes: usize,
}

impl Default for ImageOptions {
    /// The first picture's size and colour; up to 1 GiB is kept.
    fn default() -> Self {
        Self { size: None, colour: None, cache_bytes: 1 << 30 }
    }
}

struct Sample {
    path: PathBuf,
    label: i32,
    /// A number for the picture's class and file name.
    key: u64,
    /// The pixels, plane by plane, once they have been decoded.
    pixels: OnceLock<Box<[u8]>>,
}

/// Pictures in folders; see [`image_folder`].
pub struct ImageFolder {
    name: String,
    samples: Vec<Sample>,
    classes: Arc<[String]>,
    picture: Picture,
    cached: bool,
}

/// A folder that has a folder of pictures per class.
///
/// Classes are numbered in the order of their folders' names and samples in the order of class and
/// file name (by bytes: "10" comes before "2"). Hidden files and files other than png, jpeg, gif
/// (first frame), bmp and webp are passed over; folders inside a class are not searched. Pictures
/// are decoded when they are read, and turned as their EXIF orientation says. Inputs are
/// `[1 or 3, height, width]` from 0 to 1; an alpha channel is dropped, 16-bit channels are reduced to 8.
///
/// # Errors
/// [`DataError::Missing`] where the folder is not there; [`DataError::Format`] where it has no folders,
/// one without pictures or one whose name is no UTF-8 text, and where nobody gave a size and the first
/// picture's is none for a model; [`DataError::Image`] where the first picture, which decides size and
/// colour, cannot be read.
pub fn image_folder(
    dir: impl AsRef<Path>,
    options: &ImageOptions,
) -> Result<ImageFolder, DataError> {
    ImageFolder::scan(dir.as_ref(), options, None)
}

/// Folders of pictures, to learn from and to validate on.
///
/// The classes stand in a `train` folder, with those of `val` (or `valid`, `validation`) to validate on
/// and those of `test` as the test part, where there are such folders; else in `dir` itself. Without
/// `val` about a fifth of the pictures to learn from is held out. Which those are depends on the name of
/// each picture and its class alone, so pictures that are added move no other.
///
/// # Errors
/// Those of [`image_folder`]; [`DataError::Format`] for a class that only a held-out part has.
pub fn image_folder_splits(
    dir: impl AsRef<Path>,
    options: &ImageOptions,
) -> Result<DataSplits, DataError> {
    image_folder_splits_as(dir.as_ref(), options, &DataRecord::default())
}

/// The same, as a model knows them that learnt `known`.
pub(crate) fn image_folder_splits_as(
    dir: &Path,
    options: &ImageOptions,
    known: &DataRecord,
) -> Result<DataSplits, DataError> {
    let classes: Option<Arc<[String]>> = known.classes.as_deref().map(Into::into);
    let mut rest = options.clone();
    let (mut splits, train) = in_parts(dir, PICTURES.many, |part, train: Option<&ImageFolder>| {
        let classes = train.map_or_else(|| classes.clone(), |train| Some(train.classes.clone()));
        let part = ImageFolder::scan(part, &rest, classes)?;
        rest = part.options_of_the_rest(&rest);
        Ok(if train.is_some() { part } else { part.named(dir) })
    })?;
    splits.record.pictures = Some(train.form());
    Ok(splits)
}

impl Sample {
    /// A picture of the folder `dir`, which has the classes' folders.
    fn new(dir: &Path, path: PathBuf, label: i32) -> Self {
        Self { key: key_below(dir, &path), path, label, pixels: OnceLock::new() }
    }
}

impl ImageFolder {
    fn scan(
        dir: &Path,
        options: &ImageOptions,
        classes: Option<Arc<[String]>>,
    ) -> Result<Self, DataError> {
        if let Some((height, width)) = options.size {
            Picture { colour: Colour::Grey, height, width }.check()?;
        }
        let folders = PICTURES.class_folders(dir)?;
        let classes = match classes {
            Some(classes) => classes,
            None => folders.iter().map(|(name, _)| name.clone()).collect(),
        };
        let mut samples = Vec::new();
        for (name, folder) in &folders {
            let label = label_of(name, folder, &classes)?;
            let pictures = PICTURES.files(folder)?.into_iter();
            samples.extend(pictures.map(|path| Sample::new(dir, path, label)));
        }
        let first = samples.first().ok_or_else(|| PICTURES.no_classes(dir, &[]))?;
        let picture = match (options.size, options.colour) {
            (Some((height, width)), Some(colour)) => Picture { colour, height, width },
            (size, colour) => {
                let found = probe(&first.path)?;
                let (height, width) = match size {
                    Some(size) => size,
                    None => size_of_all(&first.path, found)?,
                };
                Picture { colour: colour.unwrap_or(found.colour), height, width }
            }
        };
        let bytes = samples.len().saturating_mul(picture.elements());
        let cached = bytes <= options.cache_bytes;
        Ok(Self { name: shown(&file_name(dir)), samples, classes, picture, cached })
    }

    /// How other parts of the same data are read: as this one, with what is left for keeping pictures.
    fn options_of_the_rest(&self, options: &ImageOptions) -> ImageOptions {
        let kept = self.samples.len().saturating_mul(self.picture.elements());
        let kept = if self.cached { kept } else { 0 };
        ImageOptions {
            size: Some((self.picture.height, self.picture.width)),
            colour: Some(self.picture.colour),
            cache_bytes: options.cache_bytes - kept,
        }
    }

    fn form(&self) -> Pictures {
        let Picture { height, width, colour } = self.picture;
        Pictures { height, width, colour }
    }

    fn named(mut self, dir: &Path) -> Self {
        self.name = shown(&file_name(dir));
        self
    }

    /// The file of a sample; `None` past the end.
    pub fn path(&self, index: usize) -> Option<&Path> {
        self.samples.get(index).map(|sample| sample.path.as_path())
    }

    fn read_pixels(&self, sample: &Sample, input: &mut [f32]) -> Result<(), DataError> {
        if let Some(pixels) = sample.pixels.get() {
            Picture::to_floats(pixels, input);
            return Ok(());
        }
        let pixels = self.picture.decode(&sample.path)?;
        Picture::to_floats(&pixels, input);
        if self.cached {
            // Another worker may have been first; its pixels are the same.
            let _ = sample.pixels.set(pixels);
        }
        Ok(())
    }
}

impl SimpleDataset for ImageFolder {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> usize {
        self.samples.len()
    }

    fn input_shape(&self) -> Shape {
        self.picture.shape()
    }

    fn target(&self) -> TargetSpec {
        TargetSpec::Classes { names: self.classes.clone() }
    }

    fn read(
        &self,
        index: usize,
        input: &mut [f32],
        target: TargetMut<'_>,
    ) -> Result<(), DataError> {
        let len = self.samples.len();
        let Some(sample) = self.samples.get(index) else {
            return Err(DataError::Index { dataset: self.name.clone(), index, len });
        };
        if input.len() != self.picture.elements() {
            return Err(DataError::Length {
                dataset: self.name.clone(),
                what: "the place for an input",
                wanted: self.picture.elements(),
                got: input.len(),
            });
        }
        self.read_pixels(sample, input)?;
        target.set_label(sample.label)
    }

    fn key(&self, index: usize) -> Option<u64> {
        self.samples.get(index).map(|sample| sample.key)
    }

    fn class(&self, index: usize) -> Option<usize> {
        usize::try_from(self.samples.get(index)?.label).ok()
    }

    fn location(&self, index: usize) -> Option<String> {
        self.path(index).map(|path| path.display().to_string())
    }
}

/// The size of the first picture for all, where it is one that a model can have.
pub(super) fn size_of_all(path: &Path, found: Picture) -> Result<(usize, usize), DataError> {
    let Picture { height, width, .. } = found;
    if height.saturating_mul(width) <= MOST_UNASKED_PIXELS {
        return Ok((height, width));
    }
    let wanted = format!(
        "at most {MOST_UNASKED_PIXELS} pixels, as the first picture's size is that of all; ask for \
         another by `?size=224` (`ImageOptions::size`)"
    );
    Err(DataError::format(path, "size", wanted, format!("{height}x{width}")))
}
