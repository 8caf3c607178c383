//! The folder of a run: whose it is, what stays in it, and what ends a run.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use crate::support::{Finished, MLP, Place, wait_for};

const ENDLESS: &str = "train --model mlp.json --epochs 100000 --threads 1 --out out --json";

fn place() -> Place {
    let place = Place::new();
    place.write("mlp.json", MLP);
    place
}

fn send(signal: &str, process: u32) {
    let sent = Command::new("kill").args([signal, &process.to_string()]).status().unwrap();
    assert!(sent.success());
}

/// Whether whoever started the tests keeps SIGHUP away from them, and so from what they start.
fn hangup_is_ignored() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0) & 1 == 1
}

#[test]
fn requests_to_end_save_a_checkpoint() {
    for (signal, code) in [("-INT", 130), ("-TERM", 143), ("-HUP", 129)] {
        if signal == "-HUP" && hangup_is_ignored() {
            eprintln!("skipped: the tests themselves run under nohup");
            continue;
        }
        let place = place();
        let child = place.start(ENDLESS);
        wait_for(&place.path("out/last/progress.json"));
        send(signal, child.id());
        let finished = place.finish(child);
        assert_eq!(finished.code, Some(code), "{signal}: {finished:?}");
        assert!(finished.stderr.contains("saving a checkpoint"), "{finished:?}");
        let report: serde_json::Value =
            serde_json::from_str(finished.stdout.lines().last().unwrap()).unwrap();
        assert_eq!(report["interrupted"], true);
        let epochs = report["epochs"].as_u64().unwrap() + 1;
        let resumed = place.json(&format!("train --resume out --epochs {epochs} --json"));
        assert_eq!(resumed["epochs"].as_u64(), Some(epochs));
    }
}

#[test]
fn a_terminal_that_nohup_keeps_away_does_not_end_a_run() {
    let place = place();
    let command = format!("trap '' HUP; exec {} {ENDLESS}", env!("CARGO_BIN_EXE_onestep"));
    let mut shell = Command::new("sh");
    shell.args(["-c", &command]).current_dir(place.path(""));
    let mut child = shell.stdout(std::process::Stdio::null()).spawn().unwrap();
    wait_for(&place.path("out/last/progress.json"));
    send("-HUP", child.id());
    send("-TERM", child.id());
    assert_eq!(child.wait().unwrap().code(), Some(143));
}

#[test]
fn two_runs_do_not_share_a_folder() {
    let place = place();
    let child = place.start(ENDLESS);
    wait_for(&place.path("out/last/progress.json"));
    for second in [
        "train --model mlp.json --epochs 1 --out out",
        "train --model mlp.json --epochs 1 --out out --overwrite",
        "train --resume out --epochs 100001",
    ] {
        let other = Command::new(env!("CARGO_BIN_EXE_onestep"))
            .args(second.split_whitespace())
            .current_dir(place.path(""))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&other.stderr).into_owned();
        assert_eq!(other.status.code(), Some(1), "{second}: {said}");
        assert!(said.contains("another run") && said.contains(&child.id().to_string()), "{said}");
    }
    send("-TERM", child.id());
    assert_eq!(place.finish(child).code, Some(143));
}

#[test]
fn a_finished_run_is_overwritten_only_where_that_is_asked_for() {
    let place = place();
    let train = "train --model mlp.json --threads 1 --out out --json";
    place.json(&format!("{train} --epochs 2"));
    let weights = || fs::read(place.path("out/weights.safetensors")).unwrap();
    let before = weights();
    place.fails(&format!("{train} --epochs 1"), 1, &["out", "--overwrite", "--resume"]);
    assert_eq!(weights(), before);
    place.json("train --model mlp.json --threads 1 --epochs 1 --out other --json");
    place.fails("train --resume out --epochs 3 --out other", 1, &["other", "--overwrite"]);
    // A run goes on in its own folder, whatever it is called.
    place.json("train --resume out --epochs 3 --out ./out --overwrite --json");
    let report = place.json(&format!("{train} --epochs 1 --overwrite"));
    assert_eq!(report["epochs"], 1);
    assert_eq!(fs::read_to_string(place.path("out/metrics.csv")).unwrap().lines().count(), 2);
    // A checkpoint is no place for a run.
    place.fails("train --epochs 1 --out out/last --overwrite", 1, &["it is a checkpoint"]);
}

#[test]
fn what_killed_runs_have_left_is_removed() {
    let place = place();
    place.json("train --model mlp.json --threads 1 --epochs 1 --out out --json");
    let copy = |to: &str| {
        fs::create_dir(place.path(to)).unwrap();
        for entry in fs::read_dir(place.path("out/last")).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), place.path(to).join(entry.file_name())).unwrap();
        }
    };
    copy("out/.last.999999.tmp");
    copy("out/.last.1-3.tmp");
    place.write("out/.metrics.csv.77.tmp", "half of");
    place.write("out/.lock", "77");
    place.write("out/.notes", "precious");
    place.write("out/last/.DS_Store", "");
    place.json("train --resume out --epochs 2 --json");
    let mut names: Vec<_> = fs::read_dir(place.path("out"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let wanted = [
        ".notes",
        "curves.svg",
        "last",
        "metrics.csv",
        "metrics.json",
        "model.json",
        "trainer.json",
        "weights.safetensors",
    ];
    assert_eq!(names, wanted);
}

#[test]
fn a_run_goes_on_without_its_pictures() {
    let place = place();
    fs::create_dir_all(place.path("out/curves.svg")).unwrap();
    let finished =
        place.run("train --model mlp.json --threads 1 --epochs 2 --out out --overwrite --json");
    // A folder of that name is somebody else's, and so nothing to overwrite.
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("curves.svg"), "{finished:?}");
    fs::remove_dir(place.path("out/curves.svg")).unwrap();
    place.json("train --model mlp.json --threads 1 --epochs 1 --out out --json");
    fs::remove_file(place.path("out/curves.svg")).unwrap();
    fs::create_dir_all(place.path("out/curves.svg/x")).unwrap();
    let finished = place.run("train --resume out --epochs 3");
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let warnings = finished.stderr.matches("curves.svg").count();
    assert_eq!(warnings, 1, "said once: {finished:?}");
}

#[test]
fn a_path_need_not_be_text() {
    let place = place();
    let run = |arguments: &[&OsStr]| -> Finished {
        let output = Command::new(env!("CARGO_BIN_EXE_onestep"))
            .args(arguments)
            .current_dir(place.path(""))
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        Finished { code: output.status.code(), stdout, stderr }
    };
    let odd = OsStr::from_bytes(b"o\xffut");
    let words = |text: &'static str| text.split_whitespace().map(OsStr::new);
    for (arguments, tail) in [
        ("train --model mlp.json --threads 1 --epochs 1 --json --out", ""),
        ("train --resume", "--epochs 2 --json"),
        ("evaluate --json --checkpoint", ""),
    ] {
        let arguments: Vec<&OsStr> = words(arguments).chain([odd]).chain(words(tail)).collect();
        let finished = run(&arguments);
        assert_eq!(finished.code, Some(0), "{arguments:?}: {finished:?}");
        assert!(!finished.stderr.contains("panicked"), "{finished:?}");
    }
    assert!(place.path("").join(odd).join("last/progress.json").is_file());
}
