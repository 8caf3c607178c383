//! Running the command with a time limit, and looking at what it left.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

/// No command of these tests takes longer than seconds; one that hangs is killed.
const LIMIT: Duration = Duration::from_secs(240);

/// A folder of its own that commands run in.
pub(crate) struct Place {
    folder: tempfile::TempDir,
}

/// What a command has done.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A small classifier of the digits.
pub(crate) const MLP: &str = r#"{ "name": "mlp", "input": { "shape": [1, 8, 8] },
  "layers": [ { "type": "flatten", "name": "flat" },
              { "type": "dense", "name": "fc1", "out_features": 16 },
              { "type": "relu", "name": "relu1" },
              { "type": "dense", "name": "fc2", "out_features": 10 } ] }"#;

impl Place {
    pub(crate) fn new() -> Self {
        Place { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    /// Starts the command with arguments separated by spaces.
    pub(crate) fn start(&self, arguments: &str) -> Child {
        self.start_with(arguments, None)
    }

    fn start_with(&self, arguments: &str, last: Option<&OsStr>) -> Child {
        let file = |name: &str| Stdio::from(File::create(self.path(name)).unwrap());
        Command::new(env!("CARGO_BIN_EXE_onestep"))
            .args(arguments.split_whitespace())
            .args(last)
            .current_dir(self.folder.path())
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .spawn()
            .unwrap()
    }

    /// Waits for a command and collects what it said.
    pub(crate) fn finish(&self, mut child: Child) -> Finished {
        let status = wait(&mut child);
        let text = |name: &str| std::fs::read_to_string(self.path(name)).unwrap();
        Finished { code: status.code(), stdout: text("stdout"), stderr: text("stderr") }
    }

    /// Runs the command with arguments separated by spaces.
    pub(crate) fn run(&self, arguments: &str) -> Finished {
        self.finish(self.start(arguments))
    }

    /// Runs the command with one more argument, which need not be text.
    #[cfg(unix)]
    pub(crate) fn run_with(&self, arguments: &str, last: &OsStr) -> Finished {
        self.finish(self.start_with(arguments, Some(last)))
    }

    /// Runs the command, which must succeed, and reads the last line of its standard output.
    pub(crate) fn json(&self, arguments: &str) -> Value {
        let finished = self.run(arguments);
        assert_eq!(finished.code, Some(0), "{arguments}: {finished:?}");
        let last = finished.stdout.lines().last().unwrap_or_default();
        serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {finished:?}"))
    }

    /// Runs the command, which must fail with a code and a message that names these things.
    pub(crate) fn fails(&self, arguments: &str, code: i32, names: &[&str]) {
        let finished = self.run(arguments);
        assert_eq!(finished.code, Some(code), "{arguments}: {finished:?}");
        for name in names {
            assert!(finished.stderr.contains(name), "`{name}` is not in: {}", finished.stderr);
        }
        assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
        assert!(!finished.stderr.contains("stack backtrace"), "{}", finished.stderr);
    }
}

fn wait(child: &mut Child) -> ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if start.elapsed() > LIMIT {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("the command did not end within {LIMIT:?}");
        }
        sleep(Duration::from_millis(10));
    }
}

/// Waits until a file is there.
pub(crate) fn wait_for(path: &Path) {
    let start = Instant::now();
    while !path.exists() {
        assert!(start.elapsed() < LIMIT, "{} did not appear", path.display());
        sleep(Duration::from_millis(10));
    }
}
