//! The files of a checkpoint: broken, edited, replaced, and beside files of other people.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use onestep_data::{DataRecord, open_as};
use onestep_trainer::{
    Checkpoints, Trainer, TrainerBuilder, TrainerConfig, TrainerError, checkpoint,
};
use support::{executor, halves, small_config, stateful_model, trainer};

const FILES: [&str; 6] = [
    checkpoint::STATE,
    checkpoint::WEIGHTS,
    checkpoint::MODEL,
    checkpoint::TRAINER,
    checkpoint::DATA,
    checkpoint::PROGRESS,
];

/// A checkpoint of a trained model.
fn saved(folder: &Path) -> Trainer {
    let mut trainer = trainer(stateful_model(), small_config());
    trainer.fit(halves(16), None, &mut []).unwrap();
    trainer.save(folder).unwrap();
    trainer
}

fn load(folder: &Path) -> Result<Trainer, TrainerError> {
    TrainerBuilder::load(folder)?.executor(executor()).build()
}

/// The error for a checkpoint after a change to one of its files, which it must name.
fn broken(folder: &Path, name: &str, change: &dyn Fn(Vec<u8>) -> Option<Vec<u8>>) -> String {
    let path = folder.join(name);
    let content = fs::read(&path).unwrap();
    match change(content.clone()) {
        Some(changed) => fs::write(&path, changed).unwrap(),
        None => fs::remove_file(&path).unwrap(),
    }
    // Everything that makes something of a checkpoint looks at the hashes first.
    let error = TrainerBuilder::load(folder).err().expect("it was loaded").to_string();
    fs::write(&path, content).unwrap();
    assert!(error.contains(name), "{error}");
    error
}

#[test]
fn what_is_broken_is_named() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("run");
    saved(&folder);
    load(&folder).unwrap();
    for name in FILES {
        let missing = broken(&folder, name, &|_| None);
        assert!(missing.contains("cannot read the file"), "{missing}");
        let half = broken(&folder, name, &|content| Some(content[..content.len() / 2].to_vec()));
        assert!(half.contains("not a usable checkpoint"), "{half}");
        broken(&folder, name, &|_| Some(Vec::new()));
        let longer = |mut content: Vec<u8>| {
            content.extend(b"\n\n");
            Some(content)
        };
        broken(&folder, name, &longer);
        let flipped = |mut content: Vec<u8>| {
            let middle = content.len() / 2;
            content[middle] ^= 1;
            Some(content)
        };
        broken(&folder, name, &flipped);
    }
    let version = broken(&folder, checkpoint::PROGRESS, &|content| {
        let text = String::from_utf8(content).unwrap();
        Some(text.replace("\"format_version\": 3", "\"format_version\": 9").into_bytes())
    });
    assert!(version.contains("expected format version 3, got 9"), "{version}");
    load(&folder).unwrap();
}

/// Writes the record anew after a change.
fn edit(content: Vec<u8>, change: impl Fn(&mut serde_json::Value)) -> Option<Vec<u8>> {
    let mut value = serde_json::from_slice(&content).unwrap();
    change(&mut value);
    Some(serde_json::to_vec_pretty(&value).unwrap())
}

#[test]
fn an_edited_record_is_not_believed() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("run");
    saved(&folder);
    let edits: [&dyn Fn(&mut serde_json::Value); 7] = [
        &|record| record["progress"]["step"] = 1.into(),
        &|record| record["progress"]["seed"] = 77.into(),
        &|record| record["progress"]["epochs"] = serde_json::json!([]),
        &|record| record["files"] = serde_json::json!({}),
        &|record| record["files"]["/etc/passwd"] = record["files"][checkpoint::STATE].clone(),
        &|record| record["sha256"] = serde_json::Value::Null,
        // As one of the first version, which had no hash of itself.
        &|record| {
            record["format_version"] = 1.into();
            record["sha256"] = serde_json::Value::Null;
            record["files"] = serde_json::json!({});
        },
    ];
    for (number, change) in edits.iter().enumerate() {
        let error = broken(&folder, checkpoint::PROGRESS, &|content| edit(content, change));
        assert!(error.contains("not what was written"), "edit {number}: {error}");
    }
    load(&folder).unwrap();
}

fn first_version() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/checkpoint-v1")
}

/// Its files.
fn of_the_first() -> impl Iterator<Item = &'static str> {
    FILES.into_iter().filter(|name| *name != checkpoint::DATA).chain([checkpoint::BEST])
}

#[test]
fn checkpoints_of_the_first_version_are_read_and_checked() {
    let mut trainer = load(&first_version()).unwrap();
    assert_eq!((trainer.progress().epoch, trainer.progress().step), (2, 8));
    let weights = fs::read(first_version().join(checkpoint::WEIGHTS)).unwrap();
    let weights = safetensors::SafeTensors::deserialize(&weights).unwrap();
    let bytes: Vec<u8> = trainer
        .parameter("fc1.weight")
        .unwrap()
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    assert_eq!(weights.tensor("fc1.weight").unwrap().data(), bytes);

    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("run");
    let copy = || {
        fs::create_dir_all(&folder).unwrap();
        for name in of_the_first() {
            fs::copy(first_version().join(name), folder.join(name)).unwrap();
        }
    };
    copy();
    for name in of_the_first().filter(|name| *name != checkpoint::PROGRESS) {
        let flipped = |mut content: Vec<u8>| {
            *content.last_mut().unwrap() ^= 1;
            Some(content)
        };
        broken(&folder, name, &flipped);
    }
    let outside = |name: &str| {
        let change = |record: &mut serde_json::Value| record["files"][name] = "x".into();
        broken(&folder, checkpoint::PROGRESS, &|content| edit(content, change))
    };
    for name in ["/etc/passwd", "../run/model.json", "/dev/zero"] {
        let error = outside(name);
        assert!(error.contains("no file of a checkpoint"), "{error}");
    }
    // Saved again, it is of the version of today.
    trainer.save(&folder).unwrap();
    let record = fs::read_to_string(folder.join(checkpoint::PROGRESS)).unwrap();
    assert!(record.contains("\"format_version\": 3"), "{record}");
    load(&folder).unwrap();
}

/// A run of an earlier build, cut after two of three epochs, and the weights that the whole run ended with.
#[test]
fn a_run_of_the_second_version_goes_on_as_it_would_have() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/checkpoint-v2");
    let record = fs::read_to_string(folder.join(checkpoint::PROGRESS)).unwrap();
    assert!(record.contains("\"format_version\": 2"), "{record}");
    let builder = TrainerBuilder::load(&folder).unwrap().executor(executor());
    let mut trainer = builder.configure(|config| config.epochs = 3).build().unwrap();
    assert_eq!((trainer.progress().epoch, trainer.progress().step), (2, 12));
    // Divided as the data was then.
    let known: DataRecord =
        serde_json::from_str(&fs::read_to_string(folder.join(checkpoint::DATA)).unwrap()).unwrap();
    let data = open_as("digits", &known).unwrap();
    trainer.fit(data.train, None, &mut []).unwrap();
    let wanted = fs::read(folder.join("continued.safetensors")).unwrap();
    let wanted = safetensors::SafeTensors::deserialize(&wanted).unwrap();
    for name in ["fc.weight", "fc.bias"] {
        let numbers = wanted.tensor(name).unwrap().data().chunks_exact(4);
        let numbers = numbers.map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()));
        let got = trainer.parameter(name).unwrap();
        for (got, wanted) in got.iter().zip(numbers) {
            // Another number of threads adds in another order.
            assert!((got - wanted).abs() < 1e-5, "{name}: {got}, wanted {wanted}");
        }
    }
}

#[cfg(unix)]
#[test]
fn only_plain_files_are_read() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("run");
    saved(&folder);
    let elsewhere = root.path().join("elsewhere");
    for name in FILES {
        let path = folder.join(name);
        fs::rename(&path, &elsewhere).unwrap();
        let replacements: [&dyn Fn(); 4] = [
            &|| std::os::unix::fs::symlink(&elsewhere, &path).unwrap(),
            &|| std::os::unix::fs::symlink("/dev/zero", &path).unwrap(),
            &|| fs::create_dir(&path).unwrap(),
            &|| {
                // A pipe that nobody writes to: reading it would never end.
                let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
                assert!(made.success());
            },
        ];
        for replace in replacements {
            replace();
            let error = load(&folder).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("not a plain file"), "{error}");
            let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir(&path));
        }
        fs::rename(&elsewhere, &path).unwrap();
    }
    load(&folder).unwrap();
}

#[test]
fn sizes_are_limited_before_anything_is_read() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("run");
    let mut trainer = saved(&folder);
    for name in FILES {
        let path = folder.join(name);
        let content = fs::read(&path).unwrap();
        // Ten gigabytes, which take no room on the disk.
        fs::File::options().write(true).open(&path).unwrap().set_len(10_000_000_000).unwrap();
        let error = load(&folder).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("larger than"), "{error}");
        if name == checkpoint::WEIGHTS {
            let error = trainer.load_weights(&path).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("larger than"), "{error}");
        }
        fs::write(&path, content).unwrap();
    }
    load(&folder).unwrap();
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_crash_between_two_renames_loses_nothing() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("run");
    saved(&folder);
    // As a crash would leave it: the old one set aside, the new one not yet there.
    fs::rename(&folder, root.path().join(".run.previous")).unwrap();
    assert_eq!(checkpoint::locate(root.path(), &["best", "run"]), folder);
    let mut trainer = load(&folder).unwrap();
    checkpoint::remove_leftovers(root.path()).unwrap();
    assert_eq!(names(root.path()), ["run"]);
    trainer.save(&folder).unwrap();
    assert_eq!(names(root.path()), ["run"], "nothing is left beside it");
}

#[test]
fn leftovers_are_removed_and_other_files_are_not() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("last");
    saved(&folder);
    // A crash before the swap, one after it, and one in the middle of a file.
    for left in [".last.999999.tmp", ".last.1-7.tmp", ".last.previous"] {
        saved(&root.path().join(left));
    }
    fs::write(root.path().join(".last.1-7.tmp/notes.txt"), "precious").unwrap();
    fs::remove_file(root.path().join(".last.999999.tmp").join(checkpoint::PROGRESS)).unwrap();
    fs::write(root.path().join(".metrics.csv.12.tmp"), "half of").unwrap();
    let others = [".cache.tmp", ".last.x1.tmp", "a.1.tmp", ".keep.previous"];
    for other in others {
        fs::write(root.path().join(other), "").unwrap();
    }
    checkpoint::remove_leftovers(root.path()).unwrap();
    let mut wanted = vec!["last"];
    wanted.extend(others);
    wanted.sort_unstable();
    assert_eq!(names(root.path()), wanted);
    assert_eq!(fs::read_to_string(folder.join("notes.txt")).unwrap(), "precious");
    load(&folder).unwrap();
}

#[test]
fn other_peoples_files_are_not_replaced() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("run");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("thesis.txt"), "precious").unwrap();
    let mut trainer = trainer(stateful_model(), small_config());
    let error = trainer.save(&folder).unwrap_err().to_string();
    assert!(error.contains("thesis.txt"), "{error}");
    // Found out before the first step.
    let mut checkpoints = Checkpoints::new(&folder);
    let error = trainer.fit(halves(16), None, &mut [&mut checkpoints]).unwrap_err().to_string();
    assert!(error.contains("thesis.txt"), "{error}");
    assert_eq!(trainer.progress().step, 0);
    assert_eq!(fs::read_to_string(folder.join("thesis.txt")).unwrap(), "precious");

    let blocked = root.path().join("run/thesis.txt/checkpoint");
    let error = trainer.save(&blocked).unwrap_err().to_string();
    assert!(error.contains("thesis.txt") && error.contains("make the folder"), "{error}");
    assert_eq!(trainer.last_checkpoint(), None);
}

#[test]
fn stray_files_in_a_checkpoint_stay_and_end_nothing() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("last");
    let mut trainer = saved(&folder);
    for stray in [".DS_Store", "Thumbs.db", "._weights.safetensors", "notes.txt"] {
        fs::write(folder.join(stray), stray).unwrap();
    }
    fs::create_dir(folder.join("plots")).unwrap();
    fs::write(folder.join("plots/a.svg"), "a picture").unwrap();
    // What is in the way of a clean-up is none of training's business either.
    fs::write(root.path().join(".last.previous"), "a file, not a folder").unwrap();
    for _ in 0..3 {
        trainer.save(&folder).unwrap();
    }
    assert_eq!(names(root.path()), [".last.previous", "last"]);
    assert_eq!(fs::read_to_string(folder.join("notes.txt")).unwrap(), "notes.txt");
    assert_eq!(fs::read_to_string(folder.join("plots/a.svg")).unwrap(), "a picture");
    assert!(folder.join(".DS_Store").exists());
    load(&folder).unwrap();

    let error = checkpoint::remove(&folder).unwrap_err().to_string();
    assert!(error.contains("notes.txt") || error.contains("plots"), "{error}");
    load(&folder).unwrap();
    fs::remove_file(folder.join("notes.txt")).unwrap();
    fs::remove_dir_all(folder.join("plots")).unwrap();
    fs::remove_file(root.path().join(".last.previous")).unwrap();
    checkpoint::remove(&folder).unwrap();
    assert_eq!(names(root.path()), [""; 0]);
}

#[cfg(unix)]
#[test]
fn a_link_to_a_checkpoint_stays_a_link() {
    let root = tempfile::tempdir().unwrap();
    let (real, link) = (root.path().join("real"), root.path().join("link"));
    fs::create_dir(&real).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let mut trainer = saved(&link);
    trainer.save(&link).unwrap();
    assert!(link.is_symlink());
    assert_eq!(load(&link).unwrap().progress(), load(&real).unwrap().progress());
    assert_eq!(names(root.path()), ["link", "real"]);
}

#[cfg(unix)]
#[test]
fn a_path_need_not_be_text() {
    use std::os::unix::ffi::OsStrExt;
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join(std::ffi::OsStr::from_bytes(b"l\xffst"));
    let mut trainer = saved(&folder);
    trainer.save(&folder).unwrap();
    load(&folder).unwrap();
    fs::rename(&folder, root.path().join(std::ffi::OsStr::from_bytes(b".l\xffst.previous")))
        .unwrap();
    checkpoint::remove_leftovers(root.path()).unwrap();
    load(&folder).unwrap();
}

/// One thread saves without a pause while others load. Every one of them must find a whole
/// checkpoint, with all its numbers from one moment.
#[test]
fn readers_find_a_whole_checkpoint_while_it_is_replaced() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("last");
    let config = TrainerConfig { threads: 1, ..small_config() };
    let mut writer = trainer(stateful_model(), config);
    let fill = |writer: &mut Trainer, value: f32| {
        writer.set_parameter("fc1.weight", &[value; 128]).unwrap();
        writer.set_parameter("fc2.weight", &[value; 16]).unwrap();
        writer.remember("value", &value).unwrap();
    };
    fill(&mut writer, 0.0);
    writer.save(&folder).unwrap();
    let (loads, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    while !done.load(Ordering::SeqCst) {
                        let mut read = load(&checkpoint::locate(root.path(), &["last"])).unwrap();
                        let value: f32 = read.recall("value").unwrap().unwrap();
                        assert!(read.parameter("fc1.weight").unwrap().iter().all(|x| *x == value));
                        assert!(read.parameter("fc2.weight").unwrap().iter().all(|x| *x == value));
                        loads.fetch_add(1, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        let mut saves = 0;
        while (saves < 50 || loads.load(Ordering::SeqCst) < 50)
            && !readers.iter().any(|reader| reader.is_finished())
        {
            saves += 1;
            fill(&mut writer, saves as f32);
            writer.save(&folder).unwrap();
        }
        done.store(true, Ordering::SeqCst);
    });
    assert_eq!(names(root.path()), ["last"]);
}
