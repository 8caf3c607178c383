//! Folders of recordings: one folder per class.

mod kind;
mod wave;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use onestep_memory::Shape;

use super::folders::{FileKind, file_name, in_parts, key_below, label_of};
use crate::moments::Moments;
use crate::{
    DataError, DataRecord, DataSplits, Normalise, Pipeline, SimpleDataset, Sounds, TargetMut,
    TargetSpec, shown,
};

pub(super) use kind::KIND;
use wave::probe;
pub use wave::read_sound;

const WAVES: FileKind =
    FileKind { one: "WAV file", many: "WAV files", extensions: &["wav", "wave"] };

/// A model whose inputs are longer was not asked for.
const MOST_UNASKED: usize = 1 << 20;

/// More samples no recording is brought to.
const MOST_SAMPLES: usize = 1 << 26;

/// So many recordings, spread over all, say what inputs are scaled by.
const HEARD: usize = 1000;

/// How a folder of recordings is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoundOptions {
    /// Samples a second that every recording is brought to; `None` takes those of the first, and refuses
    /// recordings with others.
    pub rate: Option<u32>,
    /// Samples of an input: what is longer is cut at its end, what is shorter ends in silence. `None` takes
    /// those of the first recording.
    pub length: Option<usize>,
    /// Recordings are kept in memory where the whole set fits in this many bytes; 0 reads anew each time.
    pub cache_bytes: usize,
}

impl Default for SoundOptions {
    /// The first recording's rate and length; up to 1 GiB is kept.
    fn default() -> Self {
        Self { rate: None, length: None, cache_bytes: 1 << 30 }
    }
}

struct Recording {
    path: PathBuf,
    label: i32,
    /// A number for the class and the file's name.
    key: u64,
    /// The samples, once they have been read.
    samples: OnceLock<Box<[f32]>>,
}

/// Recordings in folders; see [`sound_folder`].
pub struct SoundFolder {
    name: String,
    recordings: Vec<Recording>,
    classes: Arc<[String]>,
    form: Sounds,
    /// Whether other rates are brought to that of the form.
    resampled: bool,
    cached: bool,
}

/// A folder that has a folder of WAV files per class.
///
/// Classes are numbered in the order of their folders' names and samples in the order of class and file
/// name. Inputs are `[1, length]` from -1 to 1: the mean of the channels of a recording, at one rate, cut or
/// filled up with silence at its end.
///
/// # Errors
/// [`DataError::Missing`] where the folder is not there; [`DataError::Format`] where it has no folders, one
/// without WAV files or one whose name is no UTF-8 text, and where the first file, which decides what was not
/// asked for, cannot be read.
pub fn sound_folder(
    dir: impl AsRef<Path>,
    options: &SoundOptions,
) -> Result<SoundFolder, DataError> {
    SoundFolder::scan(dir.as_ref(), options, None)
}

/// Folders of recordings, to learn from and to validate on, divided as
/// [`image_folder_splits`](crate::image_folder_splits) divides pictures. The suggested pipeline brings the
/// samples to a mean of 0 and a deviation of 1.
///
/// # Errors
/// Those of [`sound_folder`], and of the recordings that are learnt from where one cannot be read.
pub fn sound_folder_splits(
    dir: impl AsRef<Path>,
    options: &SoundOptions,
) -> Result<DataSplits, DataError> {
    sound_folder_splits_as(dir.as_ref(), options, &DataRecord::default())
}

/// The same, as a model knows them that learnt `known`.
fn sound_folder_splits_as(
    dir: &Path,
    options: &SoundOptions,
    known: &DataRecord,
) -> Result<DataSplits, DataError> {
    let classes: Option<Arc<[String]>> = known.classes.as_deref().map(Into::into);
    let mut rest = options.clone();
    let (mut splits, train) = in_parts(dir, WAVES.many, |part, train: Option<&SoundFolder>| {
        let classes = train.map_or_else(|| classes.clone(), |train| Some(train.classes.clone()));
        let named = if train.is_some() { part } else { dir };
        let mut part = SoundFolder::scan(part, &rest, classes)?;
        part.name = shown(&file_name(named));
        if let Some(train) = train {
            // Rates that nobody asked for are still refused where they differ.
            (part.form, part.resampled) = (train.form, train.resampled);
        }
        rest.length = Some(part.form.length);
        rest.cache_bytes -= if part.cached { part.bytes() } else { 0 };
        Ok(part)
    })?;
    splits.record.sounds = Some(train.form);
    if known.sounds.is_none() {
        let normalise = scale(&splits)?;
        splits = splits.with_augmentation(Pipeline::new().always(normalise));
    }
    Ok(splits)
}

/// What brings the samples that are learnt from to a mean of 0 and a deviation of 1.
fn scale(splits: &DataSplits) -> Result<Normalise, DataError> {
    let (train, mut moments) = (&splits.train, Moments::default());
    for index in (0..train.len()).step_by(train.len().div_ceil(HEARD)) {
        let (input, _) = crate::read_sample(train.as_ref(), index)?;
        input.into_iter().for_each(|sample| moments.add(sample));
    }
    let (mean, deviation) = moments.mean_and_deviation();
    Normalise::new(&[mean], &[deviation])
}

impl SoundFolder {
    fn scan(
        dir: &Path,
        options: &SoundOptions,
        classes: Option<Arc<[String]>>,
    ) -> Result<Self, DataError> {
        let folders = WAVES.class_folders(dir)?;
        let classes = match classes {
            Some(classes) => classes,
            None => folders.iter().map(|(name, _)| name.clone()).collect(),
        };
        let mut recordings = Vec::new();
        for (name, folder) in &folders {
            let label = label_of(name, folder, &classes)?;
            recordings.extend(WAVES.files(folder)?.into_iter().map(|path| {
                let key = key_below(dir, &path);
                Recording { path, label, key, samples: OnceLock::new() }
            }));
        }
        let first = recordings.first().ok_or_else(|| WAVES.no_classes(dir, &[]))?;
        let form = form(&first.path, options)?;
        let resampled = options.rate.is_some();
        let name = shown(&file_name(dir));
        let mut folder = Self { name, recordings, classes, form, resampled, cached: false };
        folder.cached = folder.bytes() <= options.cache_bytes;
        Ok(folder)
    }

    /// What all recordings take once they are read.
    fn bytes(&self) -> usize {
        self.recordings.len().saturating_mul(self.form.length).saturating_mul(size_of::<f32>())
    }

    fn load(&self, recording: &Recording) -> Result<Box<[f32]>, DataError> {
        wave::read(&recording.path, self.form, self.resampled).map(Into::into)
    }
}

/// The rate and length of all, of which the first recording decides what was not asked for.
fn form(first: &Path, options: &SoundOptions) -> Result<Sounds, DataError> {
    let form = match (options.rate, options.length) {
        (Some(rate), Some(length)) => Sounds { rate, length },
        (rate, length) => {
            let found = probe(first)?;
            let rate = rate.unwrap_or(found.rate);
            let own = (found.length as u64 * u64::from(rate)).div_ceil(u64::from(found.rate));
            let length = length.unwrap_or(own as usize);
            if options.length.is_none() && length > MOST_UNASKED {
                let wanted = format!(
                    "at most {MOST_UNASKED} samples, as the first recording's length is that of all; ask \
                     for another by `?length=16000` (`SoundOptions::length`)"
                );
                return Err(DataError::format(first, "length", wanted, length.to_string()));
            }
            Sounds { rate, length }
        }
    };
    if form.rate == 0 || !(1..=MOST_SAMPLES).contains(&form.length) {
        let wanted =
            format!("a rate of at least 1 a second and a length from 1 to {MOST_SAMPLES} samples");
        return Err(DataError::setting("form of the recordings", wanted, form));
    }
    Ok(form)
}

impl SimpleDataset for SoundFolder {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> usize {
        self.recordings.len()
    }

    fn input_shape(&self) -> Shape {
        Shape::from([1, self.form.length])
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
        let len = self.recordings.len();
        let Some(recording) = self.recordings.get(index) else {
            return Err(DataError::Index { dataset: self.name.clone(), index, len });
        };
        let loaded;
        let samples = match recording.samples.get() {
            Some(samples) => samples,
            // Another worker may have been first; its samples are the same.
            None if self.cached => {
                let samples = self.load(recording)?;
                recording.samples.get_or_init(|| samples)
            }
            None => {
                loaded = self.load(recording)?;
                &loaded
            }
        };
        if input.len() != samples.len() {
            return Err(DataError::Length {
                dataset: self.name.clone(),
                what: "the place for an input",
                wanted: samples.len(),
                got: input.len(),
            });
        }
        input.copy_from_slice(samples);
        target.set_label(recording.label)
    }

    fn key(&self, index: usize) -> Option<u64> {
        self.recordings.get(index).map(|recording| recording.key)
    }

    fn class(&self, index: usize) -> Option<usize> {
        usize::try_from(self.recordings.get(index)?.label).ok()
    }

    fn location(&self, index: usize) -> Option<String> {
        self.recordings.get(index).map(|recording| recording.path.display().to_string())
    }
}
