//! `onestep bench`: steps a second of the reference workloads.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use comfy_table::{CellAlignment, Table, presets};
use onestep::memory::format_bytes;
use onestep::trainer::peak_resident_bytes;
use onestep::workloads::{self, Ceilings, Measurement, ProfileRow, Workload};
use serde::Serialize;

use crate::cli::console::Console;
use crate::cli::device::DeviceFlags;
use crate::cli::profile;

/// Measure training steps of the reference workloads
///
/// Each workload trains on one fixed random batch, so that its loss must fall: the rate is one of
/// steps that learn. After a warm-up, seven stretches of steps are timed; the median is reported.
#[derive(Debug, Args)]
#[command(after_help = examples())]
pub(crate) struct Bench {
    /// The workloads to run [default: all]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Seconds for each workload
    #[arg(long, value_name = "S", default_value_t = 4.0, value_parser = positive)]
    seconds: f64,
    /// Determines the initial parameters and the batch
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    device: DeviceFlags,
    /// Show where the time of a step goes, by phase, op and kernel, beside what this machine can do
    #[arg(long)]
    profile: bool,
    /// Write a profiled step as a trace for ui.perfetto.dev or chrome://tracing
    #[arg(long, value_name = "FILE", requires = "profile")]
    trace: Option<PathBuf>,
    /// Print one JSON object a workload, each on a line of its own
    #[arg(long)]
    json: bool,
}

fn examples() -> String {
    let workloads = workloads::ALL.iter();
    let list: Vec<String> =
        workloads.map(|w| format!("  {:<14} {}", w.name, w.description)).collect();
    format!(
        "Workloads:\n{}\n\nExamples:\n  onestep bench\n  onestep bench mlp_mnist cifar_cnn \
         --threads 2 --seconds 10 --json\n  onestep bench cifar_cnn --profile \
         --trace step.json",
        list.join("\n")
    )
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= 86_400.0 => Ok(seconds),
        _ => Err("expected seconds above 0 and up to 86400".to_owned()),
    }
}

/// One line of the result.
#[derive(Debug, Serialize)]
struct Row {
    name: &'static str,
    device: String,
    #[serde(flatten)]
    measured: Measurement,
    /// The most memory of the process while this workload ran, where the system tells, else what
    /// its plan needs.
    peak_memory_bytes: u64,
    planned_memory_bytes: u64,
}

/// A profile as JSON.
#[derive(Debug, Serialize)]
struct Profiled {
    name: &'static str,
    device: String,
    ceilings: Ceilings,
    kernels: Vec<ProfileRow>,
}

impl Bench {
    pub(crate) fn run(self) -> Result<()> {
        let console = Console::new(self.json);
        let mut chosen = Vec::new();
        for name in &self.names {
            chosen.push(workloads::find(name)?);
        }
        if chosen.is_empty() {
            chosen.extend(&workloads::ALL);
        }
        if self.profile {
            return self.profile_all(&console, &chosen);
        }
        let mut rows = Vec::new();
        for workload in chosen {
            let row = self.measure(workload).with_context(|| workload.name.to_owned())?;
            console.object(&row)?;
            rows.push(row);
        }
        if let Some(first) = rows.first() {
            console.say(&first.device);
        }
        console.say(table(&rows));
        Ok(())
    }

    fn profile_all(&self, console: &Console, chosen: &[&Workload]) -> Result<()> {
        let one = self.trace.is_none() || chosen.len() == 1;
        ensure!(one, "--trace: expected one workload, got {}; name it", chosen.len());
        let ceilings = Ceilings::measure(&mut *self.device.executor()?)?;
        console.say(format!(
            "what this machine does at best: {:.0} GFLOP/s (a {n} x {n} matrix product), {:.1} GB/s \
             (a triad beyond the caches)",
            ceilings.gflops,
            ceilings.gbytes,
            n = Ceilings::MATRIX,
        ));
        for workload in chosen {
            self.profile_one(console, workload, ceilings).context(workload.name)?;
        }
        Ok(())
    }

    fn profile_one(
        &self,
        console: &Console,
        workload: &Workload,
        ceilings: Ceilings,
    ) -> Result<()> {
        let mut runner = workload.runner(self.device.executor()?, self.seed)?;
        let found = runner.profile_steps(Duration::from_secs_f64(self.seconds))?;
        let microseconds: f64 = found.rows.iter().map(|row| row.microseconds).sum();
        let device = runner.device_name();
        console.say(format!("\n{} on {device}: {microseconds:.1} us a step", workload.name));
        console.say(profile::by_kind(&found.rows, &ceilings));
        console.say(profile::by_kernel(&found.rows, &ceilings));
        console.object(&Profiled { name: workload.name, device, ceilings, kernels: found.rows })?;
        if let Some(path) = &self.trace {
            profile::write_trace(path, workload.name, &found.step)?;
            console.say(format!("{}: one step; open it in ui.perfetto.dev", path.display()));
        }
        Ok(())
    }

    fn measure(&self, workload: &Workload) -> Result<Row> {
        forget_peak();
        let mut runner = workload.runner(self.device.executor()?, self.seed)?;
        let planned = runner.footprint()?.peak() as u64;
        let measured = runner.measure(Duration::from_secs_f64(self.seconds))?;
        Ok(Row {
            name: workload.name,
            device: runner.device_name(),
            measured,
            peak_memory_bytes: peak_resident_bytes().unwrap_or(planned),
            planned_memory_bytes: planned,
        })
    }
}

/// Starts the system's record of the most resident memory anew. Where that is not possible the
/// record covers earlier workloads too, and is then only an upper bound.
fn forget_peak() {
    // Linux: writing 5 resets VmHWM. Other systems have no such file.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "workload",
        "ms/step",
        "steps/s",
        "samples/s",
        "first loss",
        "last loss",
        "planned",
        "peak",
    ]);
    for row in rows {
        let m = &row.measured;
        table.add_row([
            row.name.to_owned(),
            format!("{:.4}", m.ms_per_step),
            format!("{:.1}", m.steps_per_second),
            format!("{:.0}", m.samples_per_second),
            format!("{:.4}", m.first_loss),
            format!("{:.4}", m.last_loss),
            format_bytes(row.planned_memory_bytes as usize).to_string(),
            format_bytes(row.peak_memory_bytes as usize).to_string(),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
