//! What is shown while training: a bar for the steps of an epoch, and a line for each epoch.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use onestep::trainer::{
    Callback, EpochRecord, EpochStart, Flow, Metrics, RunView, StepEvent, TrainerError,
};

use super::console::Console;

/// Bars are redrawn this often at most.
const REDRAW: Duration = Duration::from_millis(80);

/// A callback that shows bars and a table with a line for each epoch, which fits in 80 columns.
pub(crate) struct ProgressDisplay {
    console: Console,
    bar: ProgressBar,
    epochs: usize,
    epoch: usize,
    /// Epochs that are done in this run, since when it runs, and whether the table has its head.
    done: usize,
    started: Instant,
    headed: bool,
    last: Instant,
}

impl ProgressDisplay {
    pub(crate) fn new(console: Console) -> Self {
        let bar = match console.shows_progress() {
            true => ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr()),
            false => ProgressBar::hidden(),
        };
        if let Ok(style) = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} {msg}") {
            bar.set_style(style);
        }
        let now = Instant::now();
        let (epochs, epoch, done, headed) = (0, 0, 0, false);
        ProgressDisplay { console, bar, epochs, epoch, done, started: now, headed, last: now }
    }

    fn line(&self, epoch: &EpochRecord) -> String {
        let left = self.epochs.saturating_sub(epoch.epoch);
        let each = self.started.elapsed().as_secs_f64() / self.done.max(1) as f64;
        let left = if left == 0 { String::new() } else { time_text(each * left as f64) };
        let number = format!("{}/{}", epoch.epoch, self.epochs);
        let rate = format!("{:.0}", epoch.steps_per_second());
        row(&number, figures(epoch).into_iter().map(|(_, value)| value), &rate, &left)
    }
}

/// The figures of an epoch with what they are called.
fn figures(epoch: &EpochRecord) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let parts = [("", Some(&epoch.train)), ("val ", epoch.validation.as_ref())];
    for (prefix, metrics) in parts {
        let Some(metrics) = metrics else { continue };
        found.push((format!("{prefix}loss"), figure(metrics.loss)));
        for (name, value) in metrics.iter() {
            found.push((format!("{prefix}{}", short(name)), metric(name, value)));
        }
    }
    found
}

/// The head of a column.
fn short(name: &str) -> String {
    match name {
        "accuracy" => "acc".to_owned(),
        "mean_absolute_error" => "mae".to_owned(),
        "mean_squared_error" => "mse".to_owned(),
        "root_mean_squared_error" => "rmse".to_owned(),
        "perplexity" => "ppl".to_owned(),
        other => other.chars().take(6).collect(),
    }
}

/// A metric as people write it: shares in per cent.
fn metric(name: &str, value: f64) -> String {
    let share =
        name == "accuracy" || name.strip_prefix("top").is_some_and(|k| k.parse::<u32>().is_ok());
    if share { percent(value) } else { figure(value) }
}

fn row(epoch: &str, figures: impl Iterator<Item = String>, rate: &str, left: &str) -> String {
    let figures: String = figures.map(|figure| format!(" {figure:>10}")).collect();
    format!("{epoch:>9}{figures} {rate:>8} {left:>8}").trim_end().to_owned()
}

/// A number in as few digits as tell epochs apart.
pub(crate) fn figure(value: f64) -> String {
    match value.abs() {
        size if size == 0.0 || (1e-3..100.0).contains(&size) => format!("{value:.4}"),
        size if (100.0..1e4).contains(&size) => format!("{value:.2}"),
        size if (1e4..1e7).contains(&size) => format!("{value:.0}"),
        size if size.is_finite() => format!("{value:.3e}"),
        _ => value.to_string(),
    }
}

fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

/// A time in the two largest of its units.
fn time_text(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{:02}s", seconds % 60),
        (..100, _) => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{}d{:02}h", hours / 24, hours % 24),
    }
}

/// `loss 0.1234  accuracy 97.20 %`
pub(crate) fn metrics_text(metrics: &Metrics) -> String {
    let mut text = format!("loss {}", figure(metrics.loss));
    for (name, value) in metrics.iter() {
        text.push_str(&format!("  {} {}", name.replace('_', " "), metric(name, value)));
    }
    text
}

impl Callback for ProgressDisplay {
    fn name(&self) -> &str {
        "progress_display"
    }

    fn on_epoch_start(
        &mut self,
        _: &mut RunView<'_>,
        start: &EpochStart,
    ) -> Result<Flow, TrainerError> {
        if self.done == 0 {
            self.started = Instant::now();
        }
        (self.epoch, self.epochs) = (start.epoch, start.epochs);
        self.bar.reset();
        self.bar.set_length(start.batches as u64);
        self.bar.set_position(start.done as u64);
        self.bar.set_prefix(format!("epoch {}/{}", start.epoch, start.epochs));
        Ok(Flow::Continue)
    }

    fn on_step(&mut self, _: &mut RunView<'_>, step: &StepEvent) -> Result<Flow, TrainerError> {
        // A hidden bar costs nothing: no clock, no text.
        if !self.bar.is_hidden() && (self.last.elapsed() >= REDRAW || step.batch == step.batches) {
            self.last = Instant::now();
            let rate = step.batch as f64 / step.seconds.max(1e-9);
            let later = self.epochs.saturating_sub(self.epoch) * step.batches;
            let left = later + step.batches.saturating_sub(step.batch);
            let loss = figure(step.running.loss);
            let left = time_text(left as f64 / rate.max(1e-9));
            self.bar.set_message(format!("loss {loss} {rate:.0} steps/s {left} left"));
            self.bar.set_position(step.batch as u64);
        }
        Ok(Flow::Continue)
    }

    fn on_epoch_end(
        &mut self,
        _: &mut RunView<'_>,
        epoch: &EpochRecord,
    ) -> Result<Flow, TrainerError> {
        self.done += 1;
        let line = self.line(epoch);
        self.bar.suspend(|| {
            if !self.headed {
                let names = figures(epoch).into_iter().map(|(name, _)| name);
                self.console.say(row("epoch", names, "steps/s", "left"));
            }
            self.console.say(line);
        });
        self.headed = true;
        if epoch.epoch == self.epochs {
            self.bar.finish_and_clear();
        }
        Ok(Flow::Continue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fit_in_eighty_columns() {
        let mut display = ProgressDisplay::new(Console::new(true));
        (display.epochs, display.done) = (1_000, 1);
        display.started = Instant::now() - Duration::from_secs(50);
        for (loss, name, value) in [
            (0.123456, "accuracy", 1.0),
            (1.5e-12, "mean_absolute_error", 123_456.7),
            (-9_999_999.0, "root_mean_squared_error", 1e-30),
            (f64::NAN, "top5", 0.0),
        ] {
            let train = Metrics::new(loss).with(name, value);
            let validation = Some(train.clone());
            let epoch = EpochRecord { epoch: 100, train, validation, ..EpochRecord::default() };
            let line = display.line(&epoch);
            assert!(line.chars().count() <= 80, "{} in {line}", line.chars().count());
            assert!(line.contains("12h30m"), "{line}");
            let names = figures(&epoch).into_iter().map(|(name, _)| name);
            let head = row("epoch", names, "steps/s", "left");
            assert_eq!(head.chars().count(), line.chars().count(), "{head}\n{line}");
        }
    }

    #[test]
    fn numbers_and_times_are_short() {
        let figures = [0.0, 0.25, -12.5, 123.456, 33961.1, 1e-7, 3e20].map(figure);
        let wanted = ["0.0000", "0.2500", "-12.5000", "123.46", "33961", "1.000e-7", "3.000e20"];
        assert_eq!(figures, wanted);
        let times = [0.4, 59.0, 61.0, 3_700.0, 400_000.0].map(time_text);
        assert_eq!(times, ["0s", "59s", "1m01s", "1h01m", "4d15h"]);
    }
}
