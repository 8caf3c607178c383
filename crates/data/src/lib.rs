//! Datasets, transforms and the asynchronous prefetching loader of onestep.
//!
//! - A [`Dataset`] is anything with numbered samples: [`InMemory`] vectors, the embedded
//!   [`digits()`], [`mnist`], [`cifar10`], an [`image_folder`], a [`csv_file`], a [`Subset`] of
//!   another, or your own type (the short way: [`SimpleDataset`]). A sample is named, typed [`Fields`].
//!   [`open`] finds one by a short text such as `mnist:DIR` and gives
//!   [`DataSplits`].
//! - A [`Pipeline`] of [`Transform`]s changes inputs on their way: [`Normalise`],
//!   [`RandomHorizontalFlip`], [`RandomCrop`].
//! - A [`DataLoader`] delivers [`Batch`]es, filled ahead of time by worker threads, straight in the
//!   staging memory that the device reads from.
//!
//! What is random (orders, augmentation, splits) comes from a counter-based generator
//! ([`SampleRng`]) and depends on seeds, epochs and sample numbers alone.
//!
//! ```
//! use onestep_data::{DataError, DataLoader, open};
//! use onestep_memory::MemoryManager;
//!
//! let data = open("digits")?;
//! let memory = MemoryManager::host();
//! let mut loader = DataLoader::builder(data.train)
//!     .batch_size(32)
//!     .shuffle(true)
//!     .training(true)
//!     .pipeline("crop=1".parse()?)
//!     .build(&memory)?;
//!
//! for epoch in 0..2 {
//!     for batch in loader.epoch(epoch) {
//!         let batch = batch?; // input [32, 1, 8, 8] f32, target [32] i32
//!         assert_eq!(batch.input().shape()[0], batch.size());
//!     }
//! }
//! # Ok::<(), DataError>(())
//! ```

#![forbid(unsafe_code)]

mod concat;
mod dataset;
mod divide;
mod encoding;
mod error;
mod field;
#[cfg(test)]
mod goldens;
mod in_memory;
mod loader;
mod moments;
mod pairs;
mod picture;
mod pipeline;
mod plain_text;
mod random;
mod record;
mod relabel;
mod sample;
mod shown;
mod sources;
mod splits;
mod step;
mod subset;
mod target;
mod tokenizer;
mod transform;
mod vocabulary;

pub use concat::ConcatDataset;
pub use dataset::{Dataset, SimpleDataset, read_sample, sample_key};
pub use divide::split;
pub use encoding::{TextEncoding, Words};
pub use error::DataError;
pub use field::{Field, Fields, IGNORED, Meaning, Role};
pub use in_memory::{InMemory, InMemoryBuilder};
pub use loader::{
    Batch, Collation, DataLoader, DataLoaderBuilder, Epoch, LoaderStatistics, MOST_SLOTS,
    MOST_WORKERS, Mixing,
};
pub use pairs::Pairs;
pub use picture::{Colour, read_picture};
pub use pipeline::Pipeline;
pub use random::SampleRng;
pub use record::{
    Columns, DataRecord, Division, FieldForm, Pictures, Scaling, Sounds, TextColumns, TextForm,
    TextsForm, WeightColumn,
};
pub use relabel::relabel;
pub use sample::{FieldElement, Sample, SampleMut};
pub use shown::{shown, steers};
pub use sources::cifar::{cifar10, cifar10_splits};
pub use sources::digits::digits;
pub use sources::idx::{IdxArray, read_idx};
pub use sources::images::{ImageFolder, ImageOptions, image_folder, image_folder_splits};
pub use sources::kind::{DataKind, DataOption};
pub use sources::labelled::{LabelledTextOptions, LabelledTexts, TextTokens, labelled_text_splits};
pub use sources::masks::{MaskFolder, mask_folder, mask_folder_splits};
pub use sources::mnist::{mnist, mnist_files, mnist_splits};
pub use sources::open::{DATA_KINDS, data_forms, data_tables, open, open_as};
pub use sources::parts::Split;
pub use sources::sounds::{
    SoundFolder, SoundOptions, read_sound, sound_folder, sound_folder_splits,
};
pub use sources::table::{
    Column, CsvOptions, CsvTarget, DecimalMark, TableRows, csv_file, csv_splits,
};
pub use sources::text::{TextFile, TextOptions, TextParts, text_file, text_splits, text_splits_by};
pub use splits::DataSplits;
pub use subset::Subset;
pub use target::{TargetMut, TargetSpec};
pub use tokenizer::{TokenizerOptions, TrainingPhase};
pub use transform::{
    CustomTransform, Normalise, RandomCrop, RandomHorizontalFlip, Transform, TransformSpec,
    transform_forms,
};
pub use vocabulary::{Vocabulary, train_tokenizer};
