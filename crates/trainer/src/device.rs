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

/// A kind of device. What `auto` finds, what is asked for by name, help, errors and the documents'
/// table come from the one list of them.
///
/// The list is no `registry!`: that makes an enum of what settings may say, while a device is made by
/// code that a build may be without, and a checkpoint that names one must be readable there too.
struct Device {
    name: &'static str,
    about: &'static str,
    /// The feature whose builds have it; empty for all builds.
    feature: &'static str,
    /// What makes it, in a build that has it.
    make: Option<Factory>,
    /// Whether `auto` may choose it.
    automatic: bool,
}

/// What the best device is called by.
const AUTO: &str = "auto";

/// Every device, the one that `auto` prefers first. A device is an entry here and its function.
const DEVICES: &[Device] = &[
    Device {
        name: "metal",
        about: "the GPU of a Mac",
        feature: "metal",
        make: METAL,
        automatic: true,
    },
    Device {
        name: METAL_HEADLESS,
        about: "the same on Linux, over a CPU implementation of Apple's frameworks: for tests",
        feature: "metal-headless",
        make: HEADLESS,
        // Nobody should get it unasked.
        automatic: false,
    },
    Device {
        name: "cpu",
        about: "all processors, or as many as `--threads` says",
        feature: "",
        make: Some(cpu),
        automatic: true,
    },
];

const METAL_HEADLESS: &str = "metal-headless";

#[cfg(all(feature = "metal", not(feature = "metal-headless")))]
const METAL: Option<Factory> = Some(metal);
#[cfg(not(all(feature = "metal", not(feature = "metal-headless"))))]
const METAL: Option<Factory> = None;
#[cfg(feature = "metal-headless")]
const HEADLESS: Option<Factory> = Some(metal);
#[cfg(not(feature = "metal-headless"))]
const HEADLESS: Option<Factory> = None;

/// The most threads of a kind: more would not start, and never help.
pub(crate) const MOST_THREADS: usize = 1024;

/// The names that [`executor`] knows besides `auto`.
///
/// ```
/// assert!(onestep_trainer::devices().any(|name| name == "cpu"));
/// ```
pub fn devices() -> impl Iterator<Item = &'static str> {
    DEVICES.iter().filter(|device| device.make.is_some()).map(|device| device.name)
}

/// What may be asked for, in a line: `auto (the best there is), metal or cpu`.
pub fn device_forms() -> String {
    let names: Vec<&str> = devices().collect();
    format!("{AUTO} (the best there is), {}", names.join(" or "))
}

/// All devices as a table for documents.
pub fn device_table() -> String {
    let mut table =
        "| device | what it is | builds that have it |\n| --- | --- | --- |\n".to_owned();
    table.push_str(&format!("| `{AUTO}` | the best there is: "));
    let automatic = DEVICES.iter().filter(|device| device.automatic);
    let automatic: Vec<String> = automatic.map(|device| format!("`{}`", device.name)).collect();
    table.push_str(&format!("{} | all |\n", automatic.join(", else ")));
    for Device { name, about, feature, .. } in DEVICES {
        let builds = match *feature {
            "" => "all".to_owned(),
            feature => format!("with the feature `{feature}`"),
        };
        table.push_str(&format!("| `{name}` | {about} | {builds} |\n"));
    }
    table
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
    if device == AUTO {
        return automatic(options);
    }
    let found = DEVICES.iter().find(|known| known.name == device).and_then(|known| known.make);
    let make = found.ok_or_else(|| TrainerError::UnknownDevice {
        got: device.to_owned(),
        known: known_devices(),
    })?;
    make(options)
}

/// What can be asked for, and what another build of this program could be asked for.
fn known_devices() -> String {
    let mut known = devices().collect::<Vec<_>>().join(", ");
    // The one for tests is nobody's way out.
    let others = DEVICES.iter().filter(|device| device.make.is_none() && device.automatic);
    if !cfg!(feature = "metal-headless") {
        for Device { name, feature, .. } in others {
            known.push_str(&format!("; {name} is in builds with the feature `{feature}`"));
        }
    }
    known
}

/// The first device that works. The last one's error tells why none does.
fn automatic(options: &ExecutorOptions) -> Result<Box<dyn Executor>, TrainerError> {
    let devices = DEVICES.iter().filter(|device| device.automatic);
    let mut devices = devices.filter_map(|device| Some((device.name, device.make?))).peekable();
    while let Some((name, make)) = devices.next() {
        match make(options) {
            Err(error) if devices.peek().is_some() => {
                log::info!("device {name} is not used: {error}");
            }
            result => return result,
        }
    }
    Err(TrainerError::UnknownDevice { got: AUTO.into(), known: String::new() })
}

#[cfg(feature = "metal")]
fn metal(options: &ExecutorOptions) -> Result<Box<dyn Executor>, TrainerError> {
    let memory_budget = options.memory_budget.or_else(onestep_memory::available_memory);
    let options = MetalOptions { memory_budget, ..MetalOptions::default() };
    let device = if cfg!(feature = "metal-headless") { METAL_HEADLESS } else { "metal" };
    let executor = MetalExecutor::new(&options)
        .map_err(|error| TrainerError::Device { device, reason: error.to_string() })?;
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
