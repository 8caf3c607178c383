//! The flags that say where to run.

use anyhow::Result;
use clap::Args;
use onestep::engine::Executor;
use onestep::trainer::{ExecutorOptions, executor};

use super::size::MemorySize;

/// Where to run.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct DeviceFlags {
    /// The device: auto (the best there is), metal or cpu [default: auto]
    #[arg(long, value_name = "DEVICE")]
    pub(crate) device: Option<String>,
    /// Threads of the CPU [default: all processors]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,
    /// The most device memory to use, such as 512MiB; a plan that needs more is refused
    #[arg(long, value_name = "SIZE")]
    pub(crate) memory_budget: Option<MemorySize>,
}

impl DeviceFlags {
    /// The device's name.
    pub(crate) fn name(&self) -> &str {
        self.device.as_deref().unwrap_or("auto")
    }

    /// An executor on the device.
    pub(crate) fn executor(&self) -> Result<Box<dyn Executor>> {
        let options = ExecutorOptions {
            threads: self.threads.unwrap_or(0),
            memory_budget: self.memory_budget.map(|size| size.0),
        };
        Ok(executor(self.name(), &options)?)
    }
}
