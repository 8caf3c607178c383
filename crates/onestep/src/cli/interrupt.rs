//! Ctrl-C and other requests to end: finish the step, save, leave.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use onestep::trainer::{Callback, EpochRecord, Flow, RunView, StepEvent, TrainerError};

/// What Ctrl-C sends.
const INTERRUPT: u8 = 2;

/// A callback that ends training once somebody has asked for it: by Ctrl-C, by a closed terminal,
/// or as `kill` and the managers of clusters and containers do. A second request ends the program
/// at once.
#[derive(Debug)]
pub(crate) struct Interrupt {
    /// The signal, or 0.
    asked: Arc<AtomicU8>,
}

impl Interrupt {
    /// Starts to listen. Where the system does not allow it, signals end the program as usual.
    pub(crate) fn listen() -> Self {
        let asked = Arc::new(AtomicU8::new(0));
        let flag = Arc::clone(&asked);
        if let Err(error) = on_signals(move |signal| note(&flag, signal)) {
            log::warn!("Ctrl-C will not save a checkpoint: {error}");
        }
        Interrupt { asked }
    }

    /// The signal by which somebody has asked to stop.
    pub(crate) fn asked(&self) -> Option<u8> {
        Some(self.asked.load(Ordering::SeqCst)).filter(|signal| *signal != 0)
    }

    fn flow(&self) -> Result<Flow, TrainerError> {
        Ok(if self.asked().is_some() { Flow::Stop } else { Flow::Continue })
    }
}

/// The exit code of a program that a signal has ended, as shells have it.
pub(crate) fn exit_code(signal: u8) -> u8 {
    128 + signal
}

fn note(asked: &AtomicU8, signal: u8) {
    if asked.swap(signal, Ordering::SeqCst) != 0 {
        std::process::exit(exit_code(signal).into());
    }
    let how = if signal == INTERRUPT { "press Ctrl-C again" } else { "send it again" };
    // A terminal that was closed takes no message.
    let _ = writeln!(io::stderr(), "\ninterrupted: saving a checkpoint ({how} to leave at once)");
}

/// Calls `note` for each signal from now on.
#[cfg(unix)]
fn on_signals(note: impl Fn(u8) + Send + 'static) -> io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let mut wanted = vec![SIGINT, SIGTERM];
    if !is_ignored(SIGHUP) {
        wanted.push(SIGHUP);
    }
    let mut signals = signal_hook::iterator::Signals::new(wanted)?;
    let listen = move || signals.forever().for_each(|signal| note(signal as u8));
    std::thread::Builder::new().name("signals".to_owned()).spawn(listen).map(drop)
}

/// Whether the program was started so that a signal does nothing, as `nohup` does for the closing
/// of the terminal.
#[cfg(unix)]
#[allow(unsafe_code, reason = "no crate asks for this without changing it")]
fn is_ignored(signal: i32) -> bool {
    // SAFETY: a null pointer for the new action leaves the action as it is, and the old one is
    // written to a place of its own, for which all zeros are a value.
    unsafe {
        let mut now: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &raw mut now) == 0
            && now.sa_sigaction == libc::SIG_IGN
    }
}

#[cfg(not(unix))]
fn on_signals(note: impl Fn(u8) + Send + 'static) -> io::Result<()> {
    ctrlc::set_handler(move || note(INTERRUPT)).map_err(io::Error::other)
}

impl Callback for Interrupt {
    fn name(&self) -> &str {
        "interrupt"
    }

    fn on_step(&mut self, _: &mut RunView<'_>, _: &StepEvent) -> Result<Flow, TrainerError> {
        self.flow()
    }

    fn on_epoch_end(&mut self, _: &mut RunView<'_>, _: &EpochRecord) -> Result<Flow, TrainerError> {
        self.flow()
    }
}
