//! Trained models on disk.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use onestep::data::{DataSplits, TargetSpec};
use onestep::trainer::checkpoint::locate;
use onestep::trainer::{Trainer, TrainerBuilder};
use serde::{Deserialize, Serialize};

use super::device::DeviceFlags;

/// The folder of the last checkpoint within that of a run.
pub(crate) const LAST: &str = "last";

/// The name that [`RunInfo`] goes by in a checkpoint.
const RUN_INFO: &str = "run";

/// What the command adds to a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct RunInfo {
    /// The data it was trained on, as on the command line.
    data: Option<String>,
    /// The names of the classes, where there are any.
    #[serde(default)]
    classes: Vec<String>,
}

/// A trained model with what is known of its data.
#[derive(Debug)]
pub(crate) struct TrainedModel {
    pub(crate) trainer: Trainer,
    pub(crate) data: Option<String>,
    pub(crate) classes: Vec<String>,
}

/// The folder of a checkpoint: `path` itself or the one that a run keeps within.
pub(crate) fn folder(path: &Path) -> Result<PathBuf> {
    if !path.is_dir() {
        return Err(anyhow!(
            "{}: no such folder; give the one that `onestep train` has named at its end",
            path.display()
        ));
    }
    Ok(locate(path, &[LAST]))
}

/// The folder of the run whose checkpoint was found in `checkpoint` when `given` was asked for;
/// none where a checkpoint stands by itself, which is no place for other files.
pub(crate) fn home<'a>(given: &'a Path, checkpoint: &Path) -> Option<&'a Path> {
    if checkpoint.parent() == Some(given) {
        return Some(given);
    }
    let parent = given.parent().filter(|_| given.file_name().is_some_and(|name| name == LAST))?;
    Some(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })
}

/// The model of a run or a checkpoint, on the device of the flags.
pub(crate) fn load(
    path: &Path,
    device: &DeviceFlags,
    batch_size: Option<usize>,
) -> Result<TrainedModel> {
    let builder = TrainerBuilder::load(folder(path)?)?.configure(|config| {
        config.evaluation_batch_size = batch_size.or(config.evaluation_batch_size);
    });
    let trainer = builder.executor(device.executor()?).build()?;
    let info = recall(&trainer)?;
    Ok(TrainedModel { trainer, data: info.data, classes: info.classes })
}

/// Makes the data's name and classes part of the checkpoints to come.
pub(crate) fn remember(trainer: &mut Trainer, spec: &str, data: &DataSplits) -> Result<()> {
    let classes = match data.train.target() {
        TargetSpec::Classes { names } => names.to_vec(),
        _ => Vec::new(),
    };
    Ok(trainer.remember(RUN_INFO, &RunInfo { data: Some(spec.to_owned()), classes })?)
}

/// The data that the run of a checkpoint was trained on.
pub(crate) fn recall_data(trainer: &Trainer) -> Result<Option<String>> {
    Ok(recall(trainer)?.data)
}

fn recall(trainer: &Trainer) -> Result<RunInfo> {
    Ok(trainer.recall(RUN_INFO)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_goes_on_in_its_own_folder() {
        let found = |given: &str, checkpoint: &str| {
            home(Path::new(given), Path::new(checkpoint)).map(|path| path.display().to_string())
        };
        assert_eq!(found("runs/a", "runs/a/last").as_deref(), Some("runs/a"));
        assert_eq!(found("runs/a", "runs/a/.last.previous").as_deref(), Some("runs/a"));
        assert_eq!(found("runs/a/last", "runs/a/last").as_deref(), Some("runs/a"));
        assert_eq!(found("last", "last").as_deref(), Some("."));
        assert_eq!(found("saved/model", "saved/model"), None);
    }
}
