//! The devices that can be asked for by name.

use onestep_backend_cpu::{CpuExecutor, CpuOptions};
use onestep_engine::Executor;

use crate::TrainerError;

/// What an executor is made with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExecutorOptions {
    /// Threads of a CPU device; 0 takes all processors.
    pub threads: usize,
    /// The most bytes of memory it may use; `None` for what the device has.
    pub memory_budget: Option<usize>,
}

/// Makes an executor.
type Factory = fn(&ExecutorOptions) -> Result<Box<dyn Executor>, TrainerError>;

/// Every device, the one that `auto` prefers first. A device is one line here.
const DEVICES: [(&str, Factory); 1] = [("cpu", cpu)];

/// The names that [`executor`] knows besides `auto`.
///
/// ```
/// assert!(onestep_trainer::devices().any(|name| name == "cpu"));
/// ```
pub fn devices() -> impl Iterator<Item = &'static str> {
    DEVICES.iter().map(|(name, _)| *name)
}

/// The executor of a device: `cpu`, or `auto` for the best there is.
///
/// ```
/// use onestep_trainer::{ExecutorOptions, executor};
///
/// let cpu = executor("cpu", &ExecutorOptions { threads: 1, memory_budget: Some(1 << 30) })?;
/// println!("{}", cpu.name());
/// assert!(executor("abacus", &ExecutorOptions::default()).is_err());
/// # Ok::<(), onestep_trainer::TrainerError>(())
/// ```
///
/// # Errors
/// [`TrainerError::UnknownDevice`], or what the device says.
pub fn executor(
    device: &str,
    options: &ExecutorOptions,
) -> Result<Box<dyn Executor>, TrainerError> {
    if device == "auto" {
        return automatic(options);
    }
    let found = DEVICES.iter().find(|(name, _)| *name == device);
    let (_, factory) = found.ok_or_else(|| TrainerError::UnknownDevice {
        got: device.to_owned(),
        known: devices().collect::<Vec<_>>().join(", "),
    })?;
    factory(options)
}

/// The first device that works. The last one's error tells why none does.
fn automatic(options: &ExecutorOptions) -> Result<Box<dyn Executor>, TrainerError> {
    let (last, better) = match DEVICES.split_last() {
        Some(((_, last), better)) => (last, better),
        None => return Err(TrainerError::UnknownDevice { got: "auto".into(), known: "".into() }),
    };
    for (name, factory) in better {
        match factory(options) {
            Ok(executor) => return Ok(executor),
            Err(error) => log::info!("device {name} is not used: {error}"),
        }
    }
    last(options)
}

fn cpu(options: &ExecutorOptions) -> Result<Box<dyn Executor>, TrainerError> {
    let options = CpuOptions {
        threads: (options.threads > 0).then_some(options.threads),
        memory_budget: options.memory_budget,
        ..CpuOptions::default()
    };
    let executor = CpuExecutor::new(options).map_err(|error| TrainerError::Device {
        device: "cpu",
        reason: error.to_string(),
    })?;
    Ok(Box::new(executor))
}
