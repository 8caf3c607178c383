//! Ctrl-C: finish the step, save, leave.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use onestep::trainer::{Callback, EpochRecord, Flow, StepEvent, Trainer, TrainerError};

/// A callback that ends training once the user has asked for it. A second Ctrl-C ends the program
/// at once.
#[derive(Debug)]
pub(crate) struct Interrupt {
    asked: Arc<AtomicBool>,
}

impl Interrupt {
    /// Starts to listen. Where the system does not allow it, Ctrl-C ends the program as usual.
    pub(crate) fn listen() -> Self {
        let asked = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&asked);
        let handler = move || {
            if flag.swap(true, Ordering::SeqCst) {
                std::process::exit(130);
            }
            eprintln!("\ninterrupted: saving a checkpoint (press Ctrl-C again to leave at once)");
        };
        if let Err(error) = ctrlc::set_handler(handler) {
            log::warn!("Ctrl-C will not save a checkpoint: {error}");
        }
        Interrupt { asked }
    }

    /// Whether the user has asked to stop.
    pub(crate) fn asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    fn flow(&self) -> Result<Flow, TrainerError> {
        Ok(if self.asked() { Flow::Stop } else { Flow::Continue })
    }
}

impl Callback for Interrupt {
    fn name(&self) -> &str {
        "interrupt"
    }

    fn on_step(&mut self, _: &mut Trainer, _: &StepEvent) -> Result<Flow, TrainerError> {
        self.flow()
    }

    fn on_epoch_end(&mut self, _: &mut Trainer, _: &EpochRecord) -> Result<Flow, TrainerError> {
        self.flow()
    }
}
