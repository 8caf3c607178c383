//! Trained models on disk.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use clap::{Args, ValueEnum};
use onestep::trainer::checkpoint::locate;
use onestep::trainer::{PredictorOptions, Trainer, TrainerBuilder, Weights};

use super::device::DeviceFlags;
use super::weights::WeightsFlags;

/// The folder of the last checkpoint within that of a run.
pub(crate) const LAST: &str = "last";

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

/// Whose weights a trained model is used with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Epoch {
    /// Those of the last epoch.
    Last,
    /// Those of the epoch that early stopping found best.
    Best,
}

/// Which trained model, and where to run it.
#[derive(Clone, Debug, Args)]
pub(crate) struct ModelFlags {
    /// The folder of a training run or of a checkpoint
    #[arg(long, value_name = "DIR")]
    checkpoint: PathBuf,
    /// The epoch whose weights are used [default: the one whose weights the run has ended with: the
    /// best where early stopping puts it back, else the last]
    #[arg(long, value_enum, value_name = "EPOCH")]
    epoch: Option<Epoch>,
    #[command(flatten)]
    weights: WeightsFlags,
    #[command(flatten)]
    device: DeviceFlags,
}

impl ModelFlags {
    /// The model, which evaluates in batches of this size, or as it was trained.
    pub(crate) fn load(&self, batch_size: Option<usize>) -> Result<Trainer> {
        let mut builder = TrainerBuilder::load(folder(&self.checkpoint)?)?.configure(|config| {
            config.evaluation_batch_size = batch_size.or(config.evaluation_batch_size);
        });
        if let Some(epoch) = self.epoch {
            builder = builder.weights(match epoch {
                Epoch::Last => Weights::Last,
                Epoch::Best => Weights::Best,
            });
        }
        let mut trainer = builder.executor(self.device.executor()?).build()?;
        self.weights.apply(&mut trainer)?;
        Ok(trainer)
    }

    /// How a predictor runs where these flags say.
    pub(crate) fn predictor_options(&self) -> PredictorOptions {
        let all = || std::thread::available_parallelism().map_or(1, |count| count.get());
        let threads = self.device.threads.filter(|threads| *threads > 0).unwrap_or_else(all);
        let device = self.device.name().to_owned();
        PredictorOptions { threads, device, ..PredictorOptions::default() }
    }
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
