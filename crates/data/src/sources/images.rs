//! Folders of pictures: one folder per class.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use onestep_memory::Shape;

use super::SPLIT_SEED;
use crate::picture::{Colour, Picture, probe};
use crate::{DataError, DataSplits, Dataset, Pictures, TargetMut, TargetSpec, split};

const EXTENSIONS: [&str; 6] = ["png", "jpg", "jpeg", "gif", "bmp", "webp"];
const HELD_OUT: f64 = 0.2;
const TRAIN: &str = "train";
const HELD_OUT_FOLDERS: [&str; 4] = ["test", "val", "valid", "validation"];

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
/// are decoded when they are read. Inputs are `[1 or 3, height, width]` from 0 to 1; an alpha channel
/// is dropped, 16-bit channels are reduced to 8.
///
/// # Errors
/// [`DataError::Missing`] where the folder is not there, has no folders or one without pictures;
/// [`DataError::Image`] where the first picture, which decides size and colour, cannot be read.
pub fn image_folder(
    dir: impl AsRef<Path>,
    options: &ImageOptions,
) -> Result<ImageFolder, DataError> {
    ImageFolder::scan(dir.as_ref(), options, None)
}

/// Folders of pictures, to learn from and to validate on.
///
/// With a `train` folder and one of `test`, `val`, `valid` or `validation`, those hold the classes;
/// else the classes stand in `dir` itself (or in `train` alone) and a fixed fifth of each is held out.
///
/// # Errors
/// Those of [`image_folder`]; [`DataError::Format`] for a class that only the held-out part has.
pub fn image_folder_splits(
    dir: impl AsRef<Path>,
    options: &ImageOptions,
) -> Result<DataSplits, DataError> {
    let dir = dir.as_ref();
    let train_dir = dir.join(TRAIN);
    if !train_dir.is_dir() {
        return hold_out(image_folder(dir, options)?);
    }
    let train = image_folder(&train_dir, options)?.named(dir);
    let test_dir = HELD_OUT_FOLDERS.iter().map(|name| dir.join(name)).find(|path| path.is_dir());
    let Some(test_dir) = test_dir else { return hold_out(train) };
    let same = ImageOptions {
        size: Some((train.picture.height, train.picture.width)),
        colour: Some(train.picture.colour),
        cache_bytes: options.cache_bytes,
    };
    let test = ImageFolder::scan(&test_dir, &same, Some(train.classes.clone()))?;
    let (name, pictures) = (train.name.clone(), train.form());
    let mut splits = DataSplits::new(name, Arc::new(train), Arc::new(test))?;
    splits.record.pictures = Some(pictures);
    Ok(splits)
}

fn hold_out(all: ImageFolder) -> Result<DataSplits, DataError> {
    let (name, pictures) = (all.name.clone(), all.form());
    let (train, validation) = split(Arc::new(all), HELD_OUT, SPLIT_SEED)?;
    let mut splits = DataSplits::new(name, Arc::new(train), Arc::new(validation))?;
    splits.record.pictures = Some(pictures);
    Ok(splits)
}

impl ImageFolder {
    fn scan(
        dir: &Path,
        options: &ImageOptions,
        classes: Option<Arc<[String]>>,
    ) -> Result<Self, DataError> {
        if let Some((height, width)) = options.size
            && (height == 0 || width == 0)
        {
            let got = format!("{height}x{width}");
            return Err(DataError::setting("image size", "at least 1x1 pixels", got));
        }
        let folders = class_folders(dir)?;
        let classes =
            classes.unwrap_or_else(|| folders.iter().map(|folder| file_name(folder)).collect());
        let mut samples = Vec::new();
        for folder in &folders {
            let label = label_of(folder, &classes)?;
            let pictures = pictures(folder)?.into_iter();
            samples.extend(pictures.map(|path| Sample { path, label, pixels: OnceLock::new() }));
        }
        let first = samples.first().ok_or_else(|| no_classes(dir))?;
        let picture = match (options.size, options.colour) {
            (Some((height, width)), Some(colour)) => Picture { colour, height, width },
            (size, colour) => {
                let found = probe(&first.path)?;
                let (height, width) = size.unwrap_or((found.height, found.width));
                Picture { colour: colour.unwrap_or(found.colour), height, width }
            }
        };
        let bytes = samples.len().saturating_mul(picture.elements());
        let cached = bytes <= options.cache_bytes;
        Ok(Self { name: file_name(dir), samples, classes, picture, cached })
    }

    fn form(&self) -> Pictures {
        let Picture { height, width, colour } = self.picture;
        Pictures { height, width, colour }
    }

    fn named(mut self, dir: &Path) -> Self {
        self.name = file_name(dir);
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

impl Dataset for ImageFolder {
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

    fn class(&self, index: usize) -> Option<usize> {
        usize::try_from(self.samples.get(index)?.label).ok()
    }

    fn location(&self, index: usize) -> Option<String> {
        self.path(index).map(|path| path.display().to_string())
    }
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

fn is_hidden(path: &Path) -> bool {
    file_name(path).starts_with('.')
}

/// What a folder holds, sorted by name, without what is hidden.
fn list(dir: &Path, wanted: &str) -> Result<Vec<PathBuf>, DataError> {
    let failed = |source| DataError::io(dir, "read the folder", wanted, source);
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.retain(|path| !is_hidden(path));
    paths.sort();
    Ok(paths)
}

fn no_classes(dir: &Path) -> DataError {
    let wanted = "a folder per class with pictures in it, or such folders in train/ and test/";
    DataError::Missing { path: dir.to_path_buf(), wanted: wanted.to_owned() }
}

fn class_folders(dir: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut folders = list(dir, "a folder with a folder of pictures per class")?;
    folders.retain(|path| path.is_dir());
    if folders.is_empty() { Err(no_classes(dir)) } else { Ok(folders) }
}

fn label_of(folder: &Path, classes: &[String]) -> Result<i32, DataError> {
    let name = file_name(folder);
    let label = classes.iter().position(|class| *class == name);
    label.and_then(|label| i32::try_from(label).ok()).ok_or_else(|| {
        let wanted = format!("one of the training part's classes ({})", classes.join(", "));
        DataError::format(folder, "class", wanted, name)
    })
}

fn pictures(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let is_picture = |path: &Path| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        extension.is_some_and(|found| EXTENSIONS.iter().any(|e| e.eq_ignore_ascii_case(found)))
    };
    let mut files = list(folder, "a folder of pictures")?;
    files.retain(|path| path.is_file() && is_picture(path));
    if files.is_empty() {
        let wanted = format!("at least one picture ({})", EXTENSIONS.join(", "));
        return Err(DataError::Missing { path: folder.to_path_buf(), wanted });
    }
    Ok(files)
}
