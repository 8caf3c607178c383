//! The devices that can be asked for by name.

use onestep_backend_cpu::{CpuExecutor, CpuOptions};
#[cfg(feature = "metal")]
use onestep_backend_metal::{MetalExecutor, MetalOptions};
use onestep_engine::Executor;

use crate::TrainerError;

/// What an executor is made with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExecutorOptions {
    /// Threads of a CPU device; 0 takes all processors.
    pub threads: usize,
    /// The most bytes of memory it may use; `None` for what the machine has free
    /// ([`onestep_memory::available_memory`]).
    pub memory_budget: Option<usize>,
}

/// Makes an executor.
type Factory = fn(&ExecutorOptions) -> Result<Box<dyn Executor>, TrainerError>;

/// A device by name.
struct Device {
    name: &'static str,
    make: Factory,
    /// Whether `auto` may choose it.
    automatic: bool,
}

/// What Metal is called. The feature `metal-headless` puts a CPU implementation of Apple's
/// frameworks in its place, which is for tests: nobody should get it unasked.
#[cfg(feature = "metal")]
const METAL: &str = if cfg!(feature = "metal-headless") { "metal-headless" } else { "metal" };

/// Every device, the one that `auto` prefers first. A device is one line here.
const DEVICES: &[Device] = &[
    #[cfg(feature = "metal")]
    Device { name: METAL, make: metal, automatic: !cfg!(feature = "metal-headless") },
    Device { name: "cpu", make: cpu, automatic: true },
];

/// The most threads of a kind: more would not start, and never help.
pub(crate) const MOST_THREADS: usize = 1024;

/// The names that [`executor`] knows besides `auto`.
///
/// ```
/// assert!(onestep_trainer::devices().any(|name| name == "cpu"));
/// ```
pub fn devices() -> impl Iterator<Item = &'static str> {
    DEVICES.iter().map(|device| device.name)
}

/// The executor of a device: `metal` (with the feature of that name), `cpu`, or `auto` for the best
/// there is.
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
    if options.threads > MOST_THREADS {
        let wanted = format!("at most {MOST_THREADS}");
        return Err(TrainerError::option("threads", wanted, options.threads));
    }
    if device == "auto" {
        return automatic(options);
    }
    let found = DEVICES.iter().find(|known| known.name == device);
    let found = found.ok_or_else(|| TrainerError::UnknownDevice {
        got: device.to_owned(),
        known: known_devices(),
    })?;
    (found.make)(options)
}

/// What can be asked for, and what another build of this program could be asked for.
fn known_devices() -> String {
    let names = devices().collect::<Vec<_>>().join(", ");
    if cfg!(feature = "metal") {
        names
    } else {
        format!("{names}; metal is in builds with the feature `metal`")
    }
}

/// The first device that works. The last one's error tells why none does.
fn automatic(options: &ExecutorOptions) -> Result<Box<dyn Executor>, TrainerError> {
    let mut devices = DEVICES.iter().filter(|device| device.automatic).peekable();
    while let Some(device) = devices.next() {
        match (device.make)(options) {
            Err(error) if devices.peek().is_some() => {
                log::info!("device {} is not used: {error}", device.name);
            }
            result => return result,
        }
    }
    Err(TrainerError::UnknownDevice { got: "auto".into(), known: String::new() })
}

#[cfg(feature = "metal")]
fn metal(options: &ExecutorOptions) -> Result<Box<dyn Executor>, TrainerError> {
    let memory_budget = options.memory_budget.or_else(onestep_memory::available_memory);
    let options = MetalOptions { memory_budget, ..MetalOptions::default() };
    let executor = MetalExecutor::new(&options)
        .map_err(|error| TrainerError::Device { device: METAL, reason: error.to_string() })?;
    Ok(Box::new(executor))
}

fn cpu(options: &ExecutorOptions) -> Result<Box<dyn Executor>, TrainerError> {
    let options = CpuOptions {
        threads: (options.threads > 0).then_some(options.threads),
        memory_budget: options.memory_budget,
        ..CpuOptions::default()
    };
    let executor = CpuExecutor::new(options)
        .map_err(|error| TrainerError::Device { device: "cpu", reason: error.to_string() })?;
    Ok(Box::new(executor))
}
