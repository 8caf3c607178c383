//! What is shown while training: a bar for the steps of an epoch, and a line for each epoch.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use onestep::trainer::{
    Callback, EpochRecord, EpochStart, Flow, Metrics, StepEvent, Trainer, TrainerError,
};

use super::console::Console;

/// Bars are redrawn this often at most.
const REDRAW: Duration = Duration::from_millis(80);

/// A callback that shows bars and lines.
pub(crate) struct ProgressDisplay {
    console: Console,
    bar: ProgressBar,
    epochs: usize,
    last: std::time::Instant,
}

impl ProgressDisplay {
    pub(crate) fn new(console: Console) -> Self {
        let bar = match console.shows_progress() {
            true => ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr()),
            false => ProgressBar::hidden(),
        };
        let template = "{prefix} {bar:24} {pos}/{len} {msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        ProgressDisplay { console, bar, epochs: 0, last: std::time::Instant::now() }
    }
}

/// `loss 0.1234  accuracy 97.2 %`
pub(crate) fn metrics_text(metrics: &Metrics) -> String {
    let mut text = format!("loss {:.4}", metrics.loss);
    if let Some(accuracy) = metrics.accuracy {
        text.push_str(&format!("  accuracy {:6.2} %", accuracy * 100.0));
    }
    if let Some(error) = metrics.mean_absolute_error {
        text.push_str(&format!("  mean absolute error {error:.4}"));
    }
    text
}

impl Callback for ProgressDisplay {
    fn name(&self) -> &str {
        "progress_display"
    }

    fn on_epoch_start(
        &mut self,
        _: &mut Trainer,
        start: &EpochStart,
    ) -> Result<Flow, TrainerError> {
        self.epochs = start.epochs;
        self.bar.reset();
        self.bar.set_length(start.batches as u64);
        self.bar.set_position(start.done as u64);
        self.bar.set_prefix(format!("epoch {:>3}/{}", start.epoch, start.epochs));
        Ok(Flow::Continue)
    }

    fn on_step(&mut self, _: &mut Trainer, step: &StepEvent) -> Result<Flow, TrainerError> {
        // A hidden bar costs nothing: no clock, no text.
        if !self.bar.is_hidden() && (self.last.elapsed() >= REDRAW || step.batch == step.batches) {
            self.last = std::time::Instant::now();
            let rate = step.batch as f64 / step.seconds.max(1e-9);
            self.bar.set_message(format!("{}  {rate:.0} steps/s", metrics_text(&step.running)));
            self.bar.set_position(step.batch as u64);
        }
        Ok(Flow::Continue)
    }

    fn on_epoch_end(&mut self, _: &mut Trainer, epoch: &EpochRecord) -> Result<Flow, TrainerError> {
        let validation = epoch.validation.as_ref();
        let validation = validation.map(|v| format!("  | validation {}", metrics_text(v)));
        let line = format!(
            "epoch {:>3}/{}  train {}{}  {:>7.0} steps/s",
            epoch.epoch,
            self.epochs,
            metrics_text(&epoch.train),
            validation.unwrap_or_default(),
            epoch.steps_per_second(),
        );
        self.bar.suspend(|| self.console.say(line));
        if epoch.epoch == self.epochs {
            self.bar.finish_and_clear();
        }
        Ok(Flow::Continue)
    }
}
