//! Runs that are killed, and disks that fail, at every call that changes the disk: training that
//! goes on ends with the very bits of a run that nothing has happened to.
//!
//! With `ONESTEP_LONG_TESTS` set, every call of a run is tried and not a part of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use onestep::trainer::{Trainer, checkpoint};

use crate::support::{Place, wait_for};

/// All that a checkpoint has to keep: dropout, running statistics, moments, the best epoch.
const MODEL: &str = r#"{ "name": "small", "input": { "shape": [2] },
  "layers": [ { "type": "dense", "name": "fc1", "out_features": 3 },
              { "type": "batch_norm", "name": "bn1" },
              { "type": "relu", "name": "relu1" },
              { "type": "dropout", "name": "drop1", "p": 0.2 },
              { "type": "dense", "name": "fc2", "out_features": 2 } ] }"#;

/// What follows each letter, with dropout.
const LETTERS: &str = r#"{ "name": "letters", "input": { "shape": [8], "dtype": "i32" },
  "layers": [ { "type": "embedding", "name": "embed", "num_embeddings": 9, "embedding_dim": 4 },
              { "type": "dropout", "name": "drop1", "p": 0.2 },
              { "type": "dense", "name": "head", "out_features": 9 },
              { "type": "permute", "name": "classes_first", "dims": [0, 2, 1] } ] }"#;

/// Three epochs of four steps with two checkpoints each.
const SETTINGS: &str = "model = \"small.json\"\ndata = \"csv:t.csv\"\nepochs = 3\nthreads = 1\n\
    batch_size = 8\nworkers = 1\nsave_every_steps = 2\nearly_stopping = { patience = 9 }\n";

/// Updates of four batches each, with an average of the weights and an option on a schedule.
const ACCUMULATING: &str = "model = \"small.json\"\ndata = \"csv:t.csv\"\nepochs = 3\nthreads = 1\n\
    batch_size = 2\nworkers = 1\nsave_every_steps = 2\nearly_stopping = { patience = 9 }\n\
    accumulate = 4\noptimizer = { type = \"adamw\", weight_decay = 0.1 }\n\
    option_schedules = { weight_decay = \"cosine\" }\n";

/// A place with a model, its data, and a run that nothing happens to.
struct Trial {
    place: Place,
    /// The calls of that run that change the disk: what is done, and to which path.
    calls: Vec<(String, String)>,
    wanted: BTreeMap<&'static str, Vec<u8>>,
    seconds: f64,
}

impl Trial {
    fn new(faults: &str) -> Self {
        Self::of(SETTINGS, faults)
    }

    fn of(settings: &str, faults: &str) -> Self {
        let place = Place::new();
        place.write("small.json", MODEL);
        place.write("run.toml", settings);
        let rows = (0..40).map(|i| {
            let (x, y) = (f64::from(i * 7 % 40) / 20.0 - 1.0, f64::from(i * 11 % 40) / 20.0 - 1.0);
            format!("{x},{y},{}\n", if x * y > 0.0 { "same" } else { "different" })
        });
        place.write("t.csv", format!("a,b,label\n{}", rows.collect::<String>()));
        Self::at(place, faults)
    }

    /// A trial of the model, the data and the settings that are in a place.
    fn at(place: Place, faults: &str) -> Self {
        let mut trial = Trial { place, calls: Vec::new(), wanted: BTreeMap::new(), seconds: 0.0 };
        let start = Instant::now();
        let whole = trial.train(&format!("{faults},trace"), "whole", false);
        trial.seconds = start.elapsed().as_secs_f64();
        assert!(whole.status.success(), "{}", said(&whole));
        trial.calls = said(&whole).lines().filter_map(call).collect();
        assert!(trial.calls.len() > 200, "{}", said(&whole));
        trial.wanted = trial.results("whole");
        trial
    }

    fn path(&self, run: &str) -> PathBuf {
        self.place.path(run)
    }

    fn command(&self, faults: &str, run: &str, resume: bool) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_onestep"));
        match resume {
            true => command.args(["train", "--resume", run]),
            false => command.args(["train", "--config", "run.toml", "--out", run]),
        };
        command.current_dir(self.path("")).env_remove("RUST_LOG");
        command.env("ONESTEP_TEST_DISK", faults).stdin(Stdio::null());
        command
    }

    fn train(&self, faults: &str, run: &str, resume: bool) -> Output {
        self.command(faults, run, resume).output().unwrap()
    }

    /// Finishes a run from wherever it stands, and compares every bit of what came of it.
    fn finish(&self, what: &str, run: &str) {
        let resume = self.checkpoint(run).is_some();
        let output = self.train("", run, resume);
        assert!(output.status.success(), "{what}: {}", said(&output));
        assert!(self.results(run) == self.wanted, "{what}: the results differ");
        let left: Vec<_> = fs::read_dir(self.path(run))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with('.'))
            .collect();
        assert!(left.is_empty(), "{what}: left over: {left:?}");
        fs::remove_dir_all(self.path(run)).unwrap();
    }

    /// The checkpoint of a run, which must be whole where there is one.
    fn checkpoint(&self, run: &str) -> Option<Trainer> {
        let last = self.path(run).join("last");
        let found = [&last, &self.path(run).join(".last.previous")]
            .iter()
            .any(|folder| folder.join(checkpoint::PROGRESS).exists());
        found.then(|| Trainer::load(&last).unwrap())
    }

    fn results(&self, run: &str) -> BTreeMap<&'static str, Vec<u8>> {
        ["weights.safetensors", "last/state.safetensors", "last/best.safetensors"]
            .map(|name| (name, fs::read(self.path(run).join(name)).unwrap()))
            .into()
    }

    /// The first call after the first checkpoint: what fails from there on leaves one.
    fn first_checkpoint(&self) -> usize {
        let placed = |(action, path): &(String, String)| action == "rename" && is(path, "last");
        self.calls.iter().position(placed).unwrap() + 2
    }

    /// The calls to try, counted from 1: all, or those of a checkpoint that replaces another with
    /// the files beside it, and every so many of the others.
    fn tried(&self) -> impl Iterator<Item = usize> {
        let (first, all) = (self.first_checkpoint(), self.calls.len());
        let closely = first..first + 52;
        let long = std::env::var_os("ONESTEP_LONG_TESTS").is_some();
        (1..=all).filter(move |call| long || closely.contains(call) || call % 29 == 0)
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A line of a trace.
fn call(line: &str) -> Option<(String, String)> {
    let (_, call) = line.strip_prefix("disk ")?.split_once(' ')?;
    let (action, path) = call.split_once(' ')?;
    Some((action.to_owned(), path.to_owned()))
}

fn is(path: &str, name: &str) -> bool {
    Path::new(path).file_name().is_some_and(|own| own == name)
}

fn kill_at_each_call(faults: &str) {
    let trial = Trial::new(faults);
    for call in trial.tried() {
        let what = format!("{faults} killed at call {call}, {:?}", trial.calls[call - 1]);
        let killed = trial.train(&format!("{faults},kill:{call}"), "run", false);
        assert_eq!(killed.status.code(), Some(137), "{what}: {}", said(&killed));
        let whole = trial.checkpoint("run").is_some();
        assert!(whole || call < trial.first_checkpoint(), "{what}: no checkpoint");
        trial.finish(&what, "run");
    }
}

#[cfg(debug_assertions)]
#[test]
fn a_run_that_is_killed_at_any_call_goes_on_bit_for_bit() {
    kill_at_each_call("");
}

#[cfg(debug_assertions)]
#[test]
fn so_it_does_where_folders_cannot_be_swapped() {
    kill_at_each_call("no-exchange");
}

#[cfg(debug_assertions)]
#[test]
fn a_call_that_fails_is_named_and_leaves_the_checkpoint_before() {
    let trial = Trial::new("");
    // A sync of the folder belongs to the file that was put there before.
    let mut file = String::new();
    let files: Vec<String> = (trial.calls.iter())
        .map(|(_, path)| {
            let name = Path::new(path).file_name().unwrap().to_str().unwrap();
            if name != "whole" {
                file = name.to_owned();
            }
            file.clone()
        })
        .collect();
    for call in trial.tried() {
        let ((action, path), file) = (&trial.calls[call - 1], &files[call - 1]);
        let what = format!("call {call} failed, {action} {path}");
        let failed = trial.train(&format!("fail:{call}"), "run", false);
        let text = said(&failed);
        assert!(text.contains("no storage space"), "{what}: {text}");
        // `.weights.safetensors.4711-2.tmp`, `last`, `best.safetensors`
        let name = file.trim_start_matches('.').split(".tmp").next().unwrap();
        let name = name.rsplit_once('.').filter(|(_, end)| end.contains('-')).map_or(name, |n| n.0);
        assert!(text.contains(name), "{what}: {text}");
        let beside = ["metrics.csv", "metrics.json", "curves.svg"].contains(&name);
        assert_eq!(failed.status.success(), beside || action == "remove", "{what}: {text}");
        let whole = trial.checkpoint("run").is_some();
        assert!(whole || call < trial.first_checkpoint(), "{what}: no checkpoint");
        trial.finish(&what, "run");
    }
}

#[test]
fn a_run_that_is_killed_at_any_time_goes_on_bit_for_bit() {
    let count = if std::env::var_os("ONESTEP_LONG_TESTS").is_some() { 300 } else { 12 };
    kill_at_times(&Trial::new(""), count);
}

/// Three of four batches are in the middle of an update.
#[test]
fn a_run_that_is_killed_while_gradients_add_up_goes_on_bit_for_bit() {
    for averaging in ["ema = { decay = 0.9 }", "swa = {}"] {
        let settings = format!("{ACCUMULATING}averaging = {{ {averaging} }}\n");
        let count = if std::env::var_os("ONESTEP_LONG_TESTS").is_some() { 100 } else { 6 };
        kill_at_times(&Trial::of(&settings, ""), count);
    }
}

#[test]
fn a_run_of_mixed_samples_that_is_killed_goes_on_bit_for_bit() {
    let count = if std::env::var_os("ONESTEP_LONG_TESTS").is_some() { 100 } else { 6 };
    kill_at_times(&Trial::of(&format!("{SETTINGS}mix = \"mixup=0.4\"\n"), ""), count);
}

/// Lines of a text, of which each batch has those of one bucket.
#[test]
fn a_run_in_buckets_that_is_killed_goes_on_bit_for_bit() {
    let place = Place::new();
    let line = |i: usize| format!("{}\n", &"abcdefgh"[..1 + i * 5 % 8]);
    place.write("lines.txt", (0..60).map(line).collect::<String>());
    place.write("small.json", LETTERS);
    let settings = SETTINGS.replace("csv:t.csv", "text:lines.txt?cut=lines&length=8");
    place.write("run.toml", settings + "buckets = { bounds = [3, 6] }\n");
    let count = if std::env::var_os("ONESTEP_LONG_TESTS").is_some() { 100 } else { 6 };
    kill_at_times(&Trial::at(place, ""), count);
}

fn kill_at_times(trial: &Trial, count: u32) {
    for number in 0..count {
        // Places that lie evenly, in no order.
        let share = f64::from(number) * 0.618_034 % 1.0;
        let mut child = trial
            .command("", "run", false)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_secs_f64(share * trial.seconds));
        child.kill().unwrap();
        child.wait().unwrap();
        trial.finish(&format!("killed after {share:.2} of the time"), "run");
    }
}

#[test]
fn a_file_that_cannot_grow_leaves_the_checkpoint_before() {
    let trial = Trial::new("");
    fs::rename(trial.path("whole"), trial.path("run")).unwrap();
    // Files end at 1,024 bytes or less, and the signal for that is not wanted.
    let limited = Command::new("sh")
        .args(["-c", "ulimit -f 1; trap '' XFSZ; exec \"$0\" train --resume run --epochs 5"])
        .arg(env!("CARGO_BIN_EXE_onestep"))
        .current_dir(trial.path(""))
        .output()
        .unwrap();
    let text = said(&limited);
    assert_eq!(limited.status.code(), Some(1), "{text}");
    assert!(text.contains("run/last/") && text.contains("cannot write the file"), "{text}");
    assert_eq!(trial.checkpoint("run").unwrap().progress().epoch, 3);
}

#[cfg(debug_assertions)]
#[test]
fn readers_find_a_whole_checkpoint_where_folders_cannot_be_swapped() {
    let trial = Trial::new("no-exchange");
    place_endless(&trial);
    let mut child = trial
        .command("no-exchange", "run", false)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for(&trial.path("run/last/progress.json"));
    let mut steps = 0;
    for _ in 0..100 {
        let read = Trainer::load(trial.path("run/last")).unwrap();
        assert!(read.progress().step >= steps, "an older checkpoint came back");
        steps = read.progress().step;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(trial.checkpoint("run").is_some());
}

#[cfg(debug_assertions)]
fn place_endless(trial: &Trial) {
    trial.place.write("run.toml", SETTINGS.replace("epochs = 3", "epochs = 1000000"));
}
