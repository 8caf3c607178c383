//! Folders of pictures with masks, good and bad.

#[path = "support/files.rs"]
mod files;

use files::Folder;
use onestep_data::{
    DataError, Dataset, ImageOptions, TargetSpec, mask_folder, open, open_as, read_sample,
};
use onestep_memory::Shape;

fn text<T>(result: Result<T, DataError>) -> String {
    result.err().expect("an error").to_string()
}

#[test]
fn a_mask_is_one_where_it_is_bright() {
    let folder = Folder::new();
    folder.rgb("images/a.png", 2, 3, [51, 102, 255]);
    folder.rgb("images/b.png", 2, 3, [0, 0, 0]);
    folder.grey("masks/a.bmp", 2, 3, 200);
    folder.grey("masks/b.png", 2, 3, 100);
    let set = mask_folder(folder.path(), &ImageOptions::default()).unwrap();
    assert_eq!(set.input_shape().dims(), [3, 3, 2]);
    assert_eq!(set.target(), TargetSpec::values(Shape::from([1, 3, 2])));
    let (input, mask) = read_sample(&set, 0).unwrap();
    assert_eq!([input[0], input[6], input[12]], [0.2, 0.4, 1.0]);
    assert_eq!(mask, [1.0; 6]);
    assert_eq!(read_sample(&set, 1).unwrap().1, [0.0; 6]);
    // From the cache it is the same, and without one.
    assert_eq!(read_sample(&set, 0).unwrap(), (input.clone(), mask.clone()));
    let options = ImageOptions { cache_bytes: 0, ..ImageOptions::default() };
    assert_eq!(read_sample(&mask_folder(folder.path(), &options).unwrap(), 0).unwrap().0, input);
    assert!(set.location(1).unwrap().ends_with("b.png"));
    assert!(read_sample(&set, 2).is_err());
}

#[test]
fn parts_are_folders_and_a_model_keeps_its_size() {
    let folder = Folder::new();
    for (part, count) in [("train", 5), ("val", 2), ("test", 1)] {
        for number in 0..count {
            folder.grey(&format!("{part}/images/{number}.png"), 4, 4, 30 * number);
            folder.grey(&format!("{part}/masks/{number}.png"), 8, 8, 255);
        }
    }
    let spec = format!("masks:{}", folder.text());
    let data = open(&spec).unwrap();
    let test = data.test.clone().unwrap();
    assert_eq!((data.train.len(), data.validation.len(), test.len()), (5, 2, 1));
    assert_eq!(data.validation.input_shape().dims(), [1, 4, 4]);
    assert_eq!(read_sample(test.as_ref(), 0).unwrap().1, [1.0; 16]);
    assert!(open_as(&spec, &data.record).is_ok());
    let error = text(open_as(&format!("{spec}?size=2"), &data.record));
    assert!(error.contains("4x4 grey, as the model takes, got 2x2 grey"), "{error}");
}

#[test]
fn what_has_no_partner_is_named() {
    let folder = Folder::new();
    folder.grey("images/a.png", 2, 2, 0);
    let error = text(mask_folder(folder.path(), &ImageOptions::default()));
    assert!(error.contains("masks") && error.contains("images/ and masks/"), "{error}");
    folder.grey("masks/a.png", 2, 2, 0);
    folder.grey("masks/b.png", 2, 2, 0);
    let error = text(mask_folder(folder.path(), &ImageOptions::default()));
    assert!(error.contains("b.png: picture: expected one of its name in images/"), "{error}");
    folder.grey("images/b.png", 2, 2, 0);
    folder.grey("images/c.png", 2, 2, 0);
    let error = text(mask_folder(folder.path(), &ImageOptions::default()));
    assert!(error.contains("c.png: mask: expected one of its name in masks/"), "{error}");
}
