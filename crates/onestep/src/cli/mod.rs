//! What the subcommands share.

pub(crate) mod adapters;
pub(crate) mod batch;
pub(crate) mod checkpoint;
pub(crate) mod config_file;
pub(crate) mod console;
pub(crate) mod defaults;
pub(crate) mod device;
pub(crate) mod files;
pub(crate) mod flags;
pub(crate) mod inputs;
pub(crate) mod interrupt;
pub(crate) mod profile;
pub(crate) mod progress;
pub(crate) mod run_folder;
pub(crate) mod settings;
pub(crate) mod size;
pub(crate) mod tensors;
pub(crate) mod weights;
