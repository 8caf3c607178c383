//! A profile as tables, and as a trace for Perfetto or Chrome.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use comfy_table::{CellAlignment, Table, presets};
use onestep::engine::KernelTime;
use onestep::trainer::write_atomically;
use onestep::workloads::{Ceilings, ProfileRow};
use serde_json::json;

/// Kernels that the table of kernels shows.
const SHOWN: usize = 20;

/// The phases in their order within a step.
const PHASES: [&str; 4] = ["data", "forward", "backward", "update"];

/// Time by phase and kind of kernel, with what was achieved of the ceilings.
pub(crate) fn by_kind(rows: &[ProfileRow], ceilings: &Ceilings) -> Table {
    let mut sums: BTreeMap<(usize, &str), (usize, ProfileRow)> = BTreeMap::new();
    for row in rows {
        let phase = PHASES.iter().position(|phase| *phase == row.phase).unwrap_or(PHASES.len());
        let empty = ProfileRow { microseconds: 0.0, flops: 0, bytes: 0, ..row.clone() };
        let (count, sum) = sums.entry((phase, &row.kind)).or_insert((0, empty));
        *count += 1;
        sum.microseconds += row.microseconds;
        sum.flops += row.flops;
        sum.bytes += row.bytes;
    }
    let total: f64 = rows.iter().map(|row| row.microseconds).sum();
    let mut table = empty_table(&["phase", "kind", "kernels"]);
    for (count, row) in sums.into_values() {
        let first = vec![row.phase.clone(), row.kind.clone(), count.to_string()];
        table.add_row(cells(first, &row, total, ceilings));
    }
    align(&mut table, 2);
    table
}

/// The kernels that take most, in their order within the step.
pub(crate) fn by_kernel(rows: &[ProfileRow], ceilings: &Ceilings) -> Table {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by(|&a, &b| rows[b].microseconds.total_cmp(&rows[a].microseconds));
    order.truncate(SHOWN);
    order.sort_unstable();
    let total: f64 = rows.iter().map(|row| row.microseconds).sum();
    let mut table = empty_table(&["phase", "kind", "kernel"]);
    for row in order.into_iter().map(|i| &rows[i]) {
        let label = match row.ways.is_empty() {
            true => shortened(&row.label),
            false => format!("{} by {}", shortened(&row.label), row.ways.join(", ")),
        };
        let first = vec![row.phase.clone(), row.kind.clone(), label];
        table.add_row(cells(first, row, total, ceilings));
    }
    align(&mut table, 3);
    table
}

fn empty_table(first: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    let rest = ["us/step", "share", "GFLOP/s", "GB/s", "of the roof"];
    table.set_header(first.iter().chain(&rest).copied());
    table
}

fn cells(mut row: Vec<String>, of: &ProfileRow, total: f64, ceilings: &Ceilings) -> Vec<String> {
    row.push(format!("{:.1}", of.microseconds));
    row.push(format!("{:.1} %", 100.0 * of.microseconds / total));
    row.push(format!("{:.1}", of.gflops()));
    row.push(format!("{:.1}", of.gbytes()));
    row.push(format!("{:.0} %", 100.0 * of.roof(ceilings)));
    row
}

fn align(table: &mut Table, texts: usize) {
    for column in table.column_iter_mut().skip(texts) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

fn shortened(label: &str) -> String {
    const MOST: usize = 48;
    match label.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &label[..end]),
        None => label.to_owned(),
    }
}

/// Writes one step in Chrome's trace format, which Perfetto (ui.perfetto.dev) shows too: the
/// phases on one line, the kernels on another.
///
/// # Errors
/// The file cannot be written; one that was there stays.
pub(crate) fn write_trace(path: &Path, name: &str, step: &[KernelTime]) -> Result<()> {
    let mut events = Vec::new();
    for kernel in step {
        let (start, time) = (micros(kernel.start), micros(kernel.duration));
        events.push(json!({
            "name": kernel.label, "cat": kernel.phase.to_string(), "ph": "X", "pid": 1, "tid": 2,
            "ts": start, "dur": time,
            "args": { "kind": kernel.kind, "ways": kernel.ways, "flops": kernel.cost.flops, "bytes": kernel.cost.bytes },
        }));
    }
    for run in step.chunk_by(|a, b| a.phase == b.phase) {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
        let time = micros(last.start + last.duration) - micros(first.start);
        events.push(json!({
            "name": first.phase.to_string(), "cat": "phase", "ph": "X", "pid": 1, "tid": 1,
            "ts": micros(first.start), "dur": time,
        }));
    }
    for (tid, line) in [(1, "phases"), (2, "kernels")] {
        let args = json!({ "name": line });
        events
            .push(json!({ "name": "thread_name", "ph": "M", "pid": 1, "tid": tid, "args": args }));
    }
    let args = json!({ "name": name });
    events.push(json!({ "name": "process_name", "ph": "M", "pid": 1, "args": args }));
    let text = json!({ "traceEvents": events, "displayTimeUnit": "ns" }).to_string();
    write_atomically(path, |file| file.write_all(text.as_bytes()))
        .with_context(|| format!("{}: cannot write the trace", path.display()))
}

fn micros(time: std::time::Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
