//! Folders of pictures, good and bad.

#[path = "support/files.rs"]
mod files;
mod support;

use std::sync::Arc;

use files::Folder;
use onestep_data::{
    Colour, DataError, DataLoader, Dataset, ImageOptions, TargetSpec, image_folder,
    image_folder_splits, open, read_picture, read_sample,
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
    assert!(
        error.ends_with("expected one of the training part's classes (x, y), got z"),
        "{error}"
    );
}

#[test]
fn a_plain_folder_is_split_by_class() {
    let folder = Folder::new();
    for i in 0..10 {
        folder.grey(&format!("x/{i}.png"), 2, 2, i);
        folder.grey(&format!("y/{i}.png"), 2, 2, i);
    }
    let splits = open(&format!("images:{}?size=4x3&colour=rgb", folder.text())).unwrap();
    assert_eq!((splits.train.len(), splits.validation.len()), (16, 4));
    assert_eq!(splits.train.input_shape().dims(), [3, 4, 3]);
    let ones = (0..4).filter(|&i| splits.validation.class(i) == Some(1)).count();
    assert_eq!(ones, 2);
}

#[test]
fn folders_without_pictures_are_refused() {
    let folder = Folder::new();
    let options = ImageOptions::default();
    let error = text(image_folder(folder.path(), &options));
    assert!(
        error.contains("not found; expected a folder per class with pictures in it"),
        "{error}"
    );
    let error = text(image_folder(folder.path().join("nowhere"), &options));
    assert!(error.contains("nowhere: not found; expected a folder with a folder"), "{error}");
    folder.write("a/notes.txt", "none");
    let error = text(image_folder(folder.path(), &options));
    assert!(error.contains("a: not found; expected at least one picture (png, jpg"), "{error}");
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
