//! The flags that say where to run.

use anyhow::Result;
use clap::Args;
use onestep::engine::Executor;
use onestep::trainer::{ExecutorOptions, device_forms, executor};

use super::size::MemorySize;

/// Where to run.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct DeviceFlags {
    #[arg(long, value_name = "DEVICE", help = device_help())]
    pub(crate) device: Option<String>,
    /// Threads of the CPU [default: all processors]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,
    /// The most device memory to use, such as 512MiB; a plan that needs more is refused
    #[arg(long, value_name = "SIZE")]
    pub(crate) memory_budget: Option<MemorySize>,
}

fn device_help() -> String {
    format!("The device: {} [default: auto]", device_forms())
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
