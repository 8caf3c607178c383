//! Folders of pictures, good and bad.

#[path = "support/files.rs"]
mod files;
mod support;

use std::collections::BTreeSet;
use std::sync::Arc;

use files::Folder;
use onestep_data::{
    Colour, DataError, DataLoader, DataSplits, Dataset, ImageOptions, TargetSpec, image_folder,
    image_folder_splits, open, open_as, read_picture, read_sample,
};
use onestep_memory::{MemoryManager, Shape};
use support::within_a_minute;

fn text<T>(result: Result<T, DataError>) -> String {
    result.err().expect("an error").to_string()
}

#[test]
fn folders_are_classes_in_order() {
    let folder = Folder::new();
    folder.rgb("dog/b.png", 2, 2, [0, 0, 51]);
    folder.rgb("dog/a.png", 2, 2, [255, 0, 51]);
    folder.rgb("cat/a.bmp", 2, 2, [51, 102, 255]);
    folder.write("cat/.hidden.png", "no picture");
    folder.write("cat/notes.txt", "no picture");
    folder.write("readme.md", "no class");
    let set = image_folder(folder.path(), &ImageOptions::default()).unwrap();
    assert_eq!(set.input_shape().dims(), [3, 2, 2]);
    assert_eq!(set.target(), TargetSpec::named_classes(["cat", "dog"]));
    let samples: Vec<_> = (0..set.len()).map(|i| read_sample(&set, i).unwrap()).collect();
    let planes = |i: usize| [samples[i].0[0], samples[i].0[4], samples[i].0[8]];
    assert_eq!(
        [planes(0), planes(1), planes(2)],
        [[0.2, 0.4, 1.0], [1.0, 0.0, 0.2], [0.0, 0.0, 0.2]]
    );
    assert_eq!([0, 1, 2].map(|i| samples[i].1[0]), [0.0, 1.0, 1.0]);
    assert!(set.location(0).unwrap().ends_with("a.bmp"));
    assert!(read_sample(&set, 3).is_err());
    // From the cache it is the same.
    assert_eq!(read_sample(&set, 1).unwrap(), samples[1]);
}

#[test]
fn the_first_picture_decides_on_size_and_colour_unless_told() {
    let folder = Folder::new();
    folder.grey("a/1.png", 4, 6, 51);
    folder.rgb("b/1.png", 9, 3, [51, 51, 51]);
    let set = image_folder(folder.path(), &ImageOptions::default()).unwrap();
    assert_eq!(set.input_shape().dims(), [1, 6, 4]);
    let (input, _) = read_sample(&set, 1).unwrap();
    assert!(input.iter().all(|&value| (value - 0.2).abs() < 1e-3), "{input:?}");
    let options = ImageOptions { size: Some((5, 7)), colour: Some(Colour::Rgb), cache_bytes: 0 };
    let set = image_folder(folder.path(), &options).unwrap();
    assert_eq!(set.input_shape().dims(), [3, 5, 7]);
    let (input, _) = read_sample(&set, 0).unwrap();
    assert!(input.iter().all(|&value| value == 0.2), "{input:?}");
    let one = read_picture(set.path(0).unwrap(), &set.input_shape()).unwrap();
    assert_eq!(one, input);
    assert!(read_picture(set.path(0).unwrap(), &Shape::from([2, 5, 7])).is_err());
}

#[test]
fn train_and_test_folders_are_parts() {
    let folder = Folder::new();
    for (name, value) in [("train/x/1.png", 0), ("train/x/2.png", 1), ("train/y/1.png", 2)] {
        folder.grey(name, 3, 3, value);
    }
    // The held-out part may lack a class, and keeps the numbers of the training part.
    folder.grey("val/y/1.png", 5, 5, 9);
    let splits = image_folder_splits(folder.path(), &ImageOptions::default()).unwrap();
    assert_eq!((splits.train.len(), splits.validation.len()), (3, 1));
    assert_eq!(splits.validation.input_shape().dims(), [1, 3, 3]);
    assert_eq!(splits.validation.class(0), Some(1));
    folder.grey("val/z/1.png", 3, 3, 9);
    let error = text(image_folder_splits(folder.path(), &ImageOptions::default()));
    assert!(error.ends_with("expected one of the classes to learn (x, y), got z"), "{error}");
}

#[test]
fn validation_is_never_on_the_test_part() {
    let folder = Folder::new();
    for i in 0..30 {
        folder.grey(&format!("train/x/{i}.png"), 2, 2, 1);
        folder.grey(&format!("train/y/{i}.png"), 2, 2, 1);
    }
    for i in 0..3 {
        folder.grey(&format!("test/x/{i}.png"), 2, 2, 3);
    }
    let spec = format!("images:{}", folder.text());
    let read = || open(&spec).unwrap();
    let places = |set: &dyn Dataset, part: &str| {
        let part = format!("/{part}/");
        (0..set.len()).all(|index| set.location(index).unwrap().contains(&part))
    };
    let splits = read();
    assert_eq!(splits.train.len() + splits.validation.len(), 60);
    assert!(places(splits.train.as_ref(), "train") && places(splits.validation.as_ref(), "train"));
    assert_eq!(splits.test.as_ref().unwrap().len(), 3);
    let notes = splits.notes.join("\n");
    assert!(notes.contains("there is no val/") && notes.contains("test/ is kept"), "{notes}");
    for i in 0..5 {
        folder.grey(&format!("valid/y/{i}.png"), 2, 2, 2);
    }
    let splits = read();
    assert_eq!((splits.train.len(), splits.validation.len()), (60, 5));
    assert!(places(splits.validation.as_ref(), "valid") && splits.notes.is_empty());
    let test = splits.test.unwrap();
    assert!(test.len() == 3 && places(test.as_ref(), "test"));
    folder.grey("val/x/1.png", 2, 2, 2);
    assert!(text(open(&spec)).ends_with("expected one folder to validate on, got val/ and valid/"));
}

#[cfg(target_os = "linux")]
#[test]
fn class_folders_whose_names_are_no_text_are_refused() {
    use std::os::unix::ffi::OsStrExt;
    let folder = Folder::new();
    folder.grey("a/1.png", 2, 2, 0);
    for name in [b"caf\xe9", b"caf\xe8"] {
        let class = folder.path().join(std::ffi::OsStr::from_bytes(name));
        std::fs::create_dir(&class).unwrap();
        std::fs::copy(folder.path().join("a/1.png"), class.join("1.png")).unwrap();
    }
    let error = text(image_folder(folder.path(), &ImageOptions::default()));
    assert!(error.contains("class: expected a name that is UTF-8 text"), "{error}");
    assert!(error.contains(r"caf\xE8"), "{error}");
}

#[test]
fn the_models_form_of_pictures_is_kept() {
    let folder = Folder::new();
    for i in 0..10 {
        folder.grey(&format!("a/{i}.png"), 6, 6, i);
        folder.grey(&format!("b/{i}.png"), 6, 6, i);
    }
    let spec = format!("images:{}", folder.text());
    let record = open(&format!("{spec}?size=3x4")).unwrap().record;
    assert_eq!(open_as(&spec, &record).unwrap().train.input_shape().dims(), [1, 3, 4]);
    assert!(open_as(&format!("{spec}?size=3x4&colour=grey"), &record).is_ok());
    let error = text(open_as(&format!("{spec}?size=6"), &record));
    assert!(error.ends_with("expected 3x4 grey, as the model takes, got 6x6 grey"), "{error}");
    folder.grey("c/1.png", 6, 6, 0);
    let error = text(open_as(&spec, &record));
    assert!(
        error.ends_with("class: expected one of the classes to learn (a, b), got c"),
        "{error}"
    );
}

#[test]
fn what_is_kept_in_memory_stays_in_its_budget() {
    let folder = Folder::new();
    for part in ["train", "val", "test"] {
        for i in 0..4 {
            folder.grey(&format!("{part}/a/{i}.png"), 10, 10, i);
        }
    }
    // Pictures that are kept are read from their files once: those that change afterwards show which.
    let kept = |cache_bytes| {
        let options = ImageOptions { cache_bytes, ..ImageOptions::default() };
        let splits = image_folder_splits(folder.path(), &options).unwrap();
        let sets = [splits.train, splits.validation, splits.test.unwrap()];
        let sums = || sets.clone().map(|set| read_sample(set.as_ref(), 0).unwrap().0[0]);
        let before = sums();
        for part in ["train", "val", "test"] {
            folder.grey(&format!("{part}/a/0.png"), 10, 10, 255);
        }
        let same = std::array::from_fn(|i| before[i] == sums()[i]);
        for part in ["train", "val", "test"] {
            folder.grey(&format!("{part}/a/0.png"), 10, 10, 0);
        }
        same
    };
    assert_eq!(kept(1200), [true, true, true]);
    assert_eq!(kept(1199), [true, true, false]);
    assert_eq!(kept(799), [true, false, false]);
    assert_eq!(kept(0), [false, false, false]);
}

#[test]
fn a_plain_folder_is_split_by_class() {
    let folder = Folder::new();
    let spec = format!("images:{}?size=4x3&colour=rgb", folder.text());
    let files = |set: &dyn Dataset| -> BTreeSet<String> {
        (0..set.len()).map(|index| set.location(index).unwrap()).collect()
    };
    let mut before: Option<DataSplits> = None;
    for round in 0..5u8 {
        // Names before, between and behind those that are there.
        for i in 0..40 {
            let name = u32::from(i) * 97 % 100;
            folder.grey(&format!("x/{name}-{round}.png"), 2, 2, i);
            folder.grey(&format!("y/{name}-{round}.png"), 2, 2, i);
        }
        let splits = open(&spec).unwrap();
        assert_eq!(splits.train.len() + splits.validation.len(), 80 * (usize::from(round) + 1));
        assert_eq!(splits.train.input_shape().dims(), [3, 4, 3]);
        if let Some(before) = &before {
            assert!(files(before.train.as_ref()).is_disjoint(&files(splits.validation.as_ref())));
            assert!(files(before.validation.as_ref()).is_disjoint(&files(splits.train.as_ref())));
        }
        before = Some(splits);
    }
    let held = before.unwrap().validation;
    let ones = (0..held.len()).filter(|&i| held.class(i) == Some(1)).count();
    assert!(
        (60..100).contains(&held.len()) && (25..55).contains(&ones),
        "{ones} of {}",
        held.len()
    );
}

#[test]
fn folders_without_pictures_are_refused() {
    let folder = Folder::new();
    let options = ImageOptions::default();
    let error = text(image_folder(folder.path(), &options));
    let wanted = "content: expected a folder per class with pictures in it, or such folders in train/ \
                  and val/, got 0 folders, 0 pictures and 0 other files";
    assert!(error.ends_with(wanted), "{error}");
    folder.grey("loose.png", 2, 2, 0);
    folder.write("notes.txt", "none");
    let error = text(open(&format!("images:{}", folder.text())));
    assert!(error.ends_with("got 0 folders, 1 pictures and 1 other files"), "{error}");
    let error = text(image_folder(folder.path().join("nowhere"), &options));
    assert!(error.contains("nowhere: not found; expected a folder with a folder"), "{error}");
    folder.write("a/notes.txt", "none");
    let error = text(image_folder(folder.path(), &options));
    assert!(error.contains("a: content: expected at least one picture (png, jpg"), "{error}");
    assert!(error.ends_with("got 0 folders, 0 pictures and 1 other files"), "{error}");
    let file = folder.write("file", "none");
    assert!(text(image_folder(&file, &options)).contains("file: cannot read the folder"));
    folder.grey("a/1.png", 2, 2, 0);
    let none = ImageOptions { size: Some((0, 2)), ..options };
    assert!(text(image_folder(folder.path(), &none)).contains("got 0x2"));
}

#[test]
fn a_corrupt_picture_is_named_by_the_loader() {
    let folder = Folder::new();
    folder.grey("a/1.png", 8, 8, 0);
    folder.grey("a/2.png", 8, 8, 0);
    let good = std::fs::read(folder.grey("a/3.png", 8, 8, 77)).unwrap();
    folder.write("a/3.png", &good[..good.len() / 2]);
    folder.write("b/1.jpg", "this is no picture");
    let set = image_folder(folder.path(), &ImageOptions::default()).unwrap();
    assert!(text(read_sample(&set, 3)).contains("1.jpg: cannot decode the image (expected a png"));
    within_a_minute(move || {
        let memory = MemoryManager::host();
        let mut loader = DataLoader::builder(Arc::new(set)).batch_size(1).build(&memory).unwrap();
        let results: Vec<_> = loader.epoch(0).map(|batch| batch.map(|b| b.size())).collect();
        assert_eq!(results.len(), 3);
        let error = results[2].as_ref().unwrap_err().to_string();
        assert!(error.contains(": sample 2 ("), "{error}");
        assert!(error.contains("3.png: cannot decode the image"), "{error}");
    });
    // The first picture decides on the size, so its damage shows at once.
    folder.write("a/1.png", "no picture");
    assert!(text(image_folder(folder.path(), &ImageOptions::default())).contains("1.png"));
}
