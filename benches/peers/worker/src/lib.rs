//! The line protocol that every worker of the comparison speaks.
//!
//! A worker is a process for one framework and one workload: `WORKER WORKLOAD FILE`. It loads the
//! parameters and the batch from the safetensors file, prints `{"ready": "<framework, version>"}`
//! and then answers one JSON object a line:
//!
//! | request | answer |
//! | --- | --- |
//! | `{"losses": n}` | `{"losses": [...]}`: n steps, the loss of each read |
//! | `{"steps": n, "warm": w}` | `{"ms": milliseconds of n steps, "loss": of the last}` after w steps that are not timed |
//! | `{"quit": true}` | `{"peak_bytes": most resident memory of the process}` |
//!
//! The loss of a step is that of the parameters before its update. Between a request and the next
//! the process waits for its standard input.

use std::fs::File;
use std::io::{BufRead, Read, Seek, SeekFrom, Write};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use bytemuck::Pod;
use safetensors::tensor::Metadata;
use serde::Deserialize;
use serde_json::json;

/// Names of the batch in the file of a workload.
pub const INPUT: &str = "batch.input";
/// See [`INPUT`].
pub const TARGET: &str = "batch.target";

/// One framework's training of one workload.
pub trait Trainer {
    /// The loss of a step, possibly before it is known.
    type Loss;

    /// Runs (or submits) a step.
    fn step(&mut self) -> Result<Self::Loss>;

    /// Waits for the step and gives its loss.
    fn loss(&mut self, loss: Self::Loss) -> Result<f32>;
}

/// What the command line of a worker names.
pub struct Job {
    /// The name of the workload.
    pub workload: String,
    /// The file with its parameters and its batch.
    pub file: String,
}

impl Job {
    /// The job on the command line.
    pub fn from_arguments() -> Result<Job> {
        let mut arguments = std::env::args().skip(1);
        match (arguments.next(), arguments.next(), arguments.next()) {
            (Some(workload), Some(file), None) => Ok(Job { workload, file }),
            _ => bail!("expected: WORKLOAD FILE"),
        }
    }
}

/// The file of a workload. Tensors are read one by one, so that the peak of memory is not that of
/// the loading.
pub struct Tensors {
    file: File,
    metadata: Metadata,
    start: u64,
}

impl Tensors {
    /// Opens the file and reads what it holds.
    pub fn open(path: &str) -> Result<Tensors> {
        let mut file = File::open(path).with_context(|| path.to_owned())?;
        // The format: the length of the header (8 bytes), the header in JSON, the elements.
        let mut length = [0; 8];
        file.read_exact(&mut length)?;
        let length = u64::from_le_bytes(length);
        let metadata: Metadata = serde_json::from_reader((&file).take(length))
            .with_context(|| format!("{path}: the header"))?;
        Ok(Tensors { file, metadata, start: 8 + length })
    }

    /// The shape and the elements of a tensor; `T` is f32 or i32.
    pub fn read<T: Pod>(&mut self, name: &str) -> Result<(Vec<usize>, Vec<T>)> {
        let info = self.metadata.info(name).with_context(|| format!("no tensor {name}"))?;
        let (begin, end) = info.data_offsets;
        let mut elements = vec![T::zeroed(); (end - begin) / size_of::<T>()];
        self.file.seek(SeekFrom::Start(self.start + begin as u64))?;
        self.file.read_exact(bytemuck::cast_slice_mut(&mut elements))?;
        ensure!(
            elements.len() == info.shape.iter().product::<usize>(),
            "{name}: got {:?}",
            info.dtype
        );
        Ok((info.shape.clone(), elements))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    losses: Option<usize>,
    steps: Option<usize>,
    #[serde(default)]
    warm: usize,
    #[serde(default)]
    quit: bool,
}

/// Answers requests until one says to quit or the input ends.
pub fn serve(framework: &str, trainer: &mut impl Trainer) -> Result<()> {
    say(&json!({ "ready": framework }))?;
    for line in std::io::stdin().lock().lines() {
        let request: Request = serde_json::from_str(&line?)?;
        if request.quit {
            say(&json!({ "peak_bytes": peak_bytes() }))?;
            break;
        } else if let Some(count) = request.losses {
            let mut losses = Vec::with_capacity(count);
            for _ in 0..count {
                let loss = trainer.step()?;
                losses.push(trainer.loss(loss)?);
            }
            say(&json!({ "losses": losses }))?;
        } else if let Some(count) = request.steps {
            if request.warm > 0 {
                run(trainer, request.warm)?;
            }
            let start = Instant::now();
            let loss = run(trainer, count)?;
            let ms = start.elapsed().as_secs_f64() * 1e3;
            say(&json!({ "ms": ms, "loss": loss }))?;
        } else {
            bail!("expected losses, steps or quit");
        }
    }
    Ok(())
}

/// The loss of the last of so many steps, at least one. Only that one is waited for, as in a
/// training loop that logs now and then.
fn run(trainer: &mut impl Trainer, steps: usize) -> Result<f32> {
    let mut last = trainer.step()?;
    for _ in 1..steps {
        last = trainer.step()?;
    }
    trainer.loss(last)
}

fn say(answer: &serde_json::Value) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{answer}")?;
    Ok(out.flush()?)
}

/// The most resident memory of this process; `None` where the system does not tell.
#[cfg(target_os = "linux")]
fn peak_bytes() -> Option<u64> {
    // getrusage would include what the process was before it became this program.
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// The most resident memory of this process; `None` where the system does not tell.
#[cfg(target_os = "macos")]
fn peak_bytes() -> Option<u64> {
    // SAFETY: all zeros are a valid value of this struct of integers.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is a valid place for the result.
    let failed = unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut usage) } != 0;
    if failed { None } else { u64::try_from(usage.ru_maxrss).ok() }
}

/// The most resident memory of this process; `None` where the system does not tell.
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn peak_bytes() -> Option<u64> {
    None
}
