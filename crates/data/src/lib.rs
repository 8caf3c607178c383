//! Datasets, transforms and the asynchronous prefetching loader of onestep.

#![forbid(unsafe_code)]

mod dataset;
mod error;
mod in_memory;
mod loader;
mod picture;
mod pipeline;
mod random;
mod sources;
mod subset;
mod transform;

pub use dataset::{Dataset, TargetMut, TargetSpec, read_sample};
pub use error::DataError;
pub use in_memory::InMemory;
pub use loader::{Batch, DataLoader, DataLoaderBuilder, Epoch, LoaderStatistics};
pub use picture::{Colour, read_picture};
pub use pipeline::Pipeline;
pub use random::SampleRng;
pub use sources::Split;
pub use sources::cifar::{cifar10, cifar10_splits};
pub use sources::digits::digits;
pub use sources::idx::{IdxArray, read_idx};
pub use sources::images::{ImageFolder, ImageOptions, image_folder, image_folder_splits};
pub use sources::mnist::{mnist, mnist_files, mnist_splits};
pub use sources::open::{DataSplits, open};
pub use sources::table::{Column, CsvOptions, CsvTarget, csv_file};
pub use subset::{Subset, split};
pub use transform::{Normalise, RandomCrop, RandomHorizontalFlip, Transform};
