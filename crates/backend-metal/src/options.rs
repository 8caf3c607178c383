//! How an executor is made.

pub use onestep_metal_sys::ConvolutionPath;

/// The options of a [`MetalExecutor`](crate::MetalExecutor).
///
/// ```
/// use onestep_backend_metal::{ConvolutionPath, MetalOptions};
///
/// let options = MetalOptions { convolution_path: ConvolutionPath::Hybrid, ..Default::default() };
/// assert_eq!(options.in_flight, 3);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetalOptions {
    /// Which device; 0 is the system's default.
    pub device: u32,
    /// The most steps in flight, 1 to 16. A further [`submit`](onestep_engine::Step::submit) waits.
    pub in_flight: u32,
    /// The most bytes of device memory that tensors may take; `None` for what the device has.
    pub memory_budget: Option<usize>,
    /// How convolutions run.
    pub convolution_path: ConvolutionPath,
    /// Floating-point operations above which a step is split over several command buffers, so that
    /// the watchdog of a Mac with a display does not end it; 0 never splits.
    pub flops_per_command_buffer: u64,
}

impl Default for MetalOptions {
    fn default() -> Self {
        MetalOptions {
            device: 0,
            in_flight: 3,
            memory_budget: None,
            convolution_path: ConvolutionPath::default(),
            flops_per_command_buffer: 0,
        }
    }
}
