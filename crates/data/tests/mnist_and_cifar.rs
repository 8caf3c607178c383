//! The binary formats, good and bad, on made-up files.

#[path = "support/files.rs"]
mod files;

use files::{Folder, gzip, idx, mnist_pair};
use onestep_data::{
    DataError, Split, cifar10, cifar10_splits, mnist, mnist_files, mnist_splits, read_idx,
    read_sample,
};

fn text<T>(result: Result<T, DataError>) -> String {
    result.err().expect("an error").to_string()
}

/// Writes one part of MNIST.
fn write_part(folder: &Folder, prefix: &str, count: u32, suffix: &str) {
    let (images, labels) = mnist_pair(count);
    let pack = |raw: Vec<u8>| if suffix == ".gz" { gzip(&raw) } else { raw };
    folder.write(&format!("{prefix}-images-idx3-ubyte{suffix}"), pack(images));
    folder.write(&format!("{prefix}-labels-idx1-ubyte{suffix}"), pack(labels));
}

#[test]
fn idx_is_read_plain_and_compressed() {
    let folder = Folder::new();
    let raw = idx(&[2, 3], &[1, 2, 3, 4, 5, 6]);
    let plain = read_idx(folder.write("a", &raw)).unwrap();
    assert_eq!((&plain.dims[..], &plain.data[..]), (&[2, 3][..], &[1, 2, 3, 4, 5, 6][..]));
    assert_eq!(read_idx(folder.write("b", gzip(&raw))).unwrap(), plain);
}

#[test]
fn damaged_idx_is_refused() {
    let folder = Folder::new();
    let good = idx(&[2, 3], &[1, 2, 3, 4, 5, 6]);
    let cases: [(&str, Vec<u8>, &str); 8] = [
        ("empty", vec![], "magic number: expected 4 bytes, got the end of the file after 0"),
        ("magic", vec![0, 0, 13, 1, 0, 0, 0, 0], "got 00 00 0d 01"),
        ("rank", vec![0, 0, 8, 0], "expected 00 00 08 and 1 to 6 dimensions"),
        ("header", good[..10].to_vec(), "extent of dimension 1: expected 4 bytes"),
        ("short", good[..15].to_vec(), "expected 6 bytes, got the end of the file after 3"),
        ("long", [&good[..], &[0]].concat(), "expected 6 bytes, got more"),
        ("huge", idx(&[u32::MAX, u32::MAX, u32::MAX], &[]), "product that fits memory"),
        // A false claim of 4 GB must not be allocated.
        ("claim", idx(&[u32::MAX], &[1]), "got the end of the file after 1"),
    ];
    for (name, content, wanted) in cases {
        let path = folder.write(name, content);
        let error = text(read_idx(&path));
        assert!(error.starts_with(path.to_str().unwrap()), "{error}");
        assert!(error.contains(wanted), "{error}");
    }
}

#[test]
fn damaged_gzip_is_refused() {
    let folder = Folder::new();
    let mut packed = gzip(&idx(&[1000], &(0..1000).map(|i| (i * 7) as u8).collect::<Vec<_>>()));
    let cut = folder.write("cut.gz", &packed[..packed.len() / 2]);
    let error = text(read_idx(&cut));
    assert!(error.contains("cut.gz: cannot read (is the file complete?)"), "{error}");
    let checksum = packed.len() - 8;
    packed[checksum] ^= 0xff;
    assert!(text(read_idx(folder.write("sum.gz", &packed))).contains("sum.gz: cannot read"));
    let rubbish = folder.write("rubbish.gz", [0x1f, 0x8b, 9, 9, 9, 9]);
    assert!(text(read_idx(rubbish)).contains("rubbish.gz: cannot read"));
    // A gz name with other content is told by its magic.
    assert!(text(read_idx(folder.write("text.gz", "hello"))).contains("got 68 65 6c 6c"));
}

#[test]
fn mnist_takes_what_is_there() {
    let folder = Folder::new();
    write_part(&folder, "t10k", 100, ".gz");
    let splits = mnist_splits(folder.path()).unwrap();
    assert_eq!((splits.train.len(), splits.validation.len()), (89, 11));
    assert_eq!(splits.train.input_shape().dims(), [1, 2, 3]);
    write_part(&folder, "train", 50, "");
    let splits = mnist_splits(folder.path()).unwrap();
    assert_eq!((splits.train.len(), splits.validation.len()), (50, 100));
    let (input, label) = read_sample(splits.train.as_ref(), 1).unwrap();
    assert_eq!(input[0], 6.0 / 255.0);
    assert_eq!(label, [1.0]);
}

#[test]
fn wrong_mnist_is_refused() {
    let folder = Folder::new();
    let missing = text(mnist_splits(folder.path()));
    assert!(missing.contains("not found; expected train-images-idx3-ubyte(.gz)"), "{missing}");
    let nowhere = text(mnist(folder.path().join("nowhere"), Split::Train));
    assert!(nowhere.contains("train-images-idx3-ubyte or train-images-idx3-ubyte.gz"), "{nowhere}");
    let (images, labels) = mnist_pair(10);
    let images = folder.write("t10k-images-idx3-ubyte", images);
    assert!(text(mnist_splits(folder.path())).contains("t10k-labels-idx1-ubyte"));
    let labels = folder.write("labels", labels);

    let nine = folder.write("nine", mnist_pair(9).1);
    let error = text(mnist_files(&images, nine));
    assert!(error.contains("nine: number of labels: expected 10, as many as"), "{error}");
    assert!(error.ends_with("has pictures, got 9"), "{error}");

    let swapped = text(mnist_files(&labels, &images));
    assert!(swapped.contains("labels: shape of the pictures: expected an array of 3"), "{swapped}");
    assert!(text(mnist_files(&images, &images)).contains("shape of the labels"));

    let out_of_range = folder.write("range", idx(&[10], &[0, 1, 2, 10, 4, 5, 6, 7, 8, 9]));
    let error = text(mnist_files(&images, out_of_range));
    assert!(error.ends_with("range: label 3: expected 0 to 9, got 10"), "{error}");

    let none = folder.write("none", idx(&[0, 2, 3], &[]));
    let no_labels = folder.write("no-labels", idx(&[0], &[]));
    assert!(text(mnist_files(none, no_labels)).ends_with("expected at least one sample, got none"));
}

/// A CIFAR-10 batch with these labels; every pixel of record i is i.
fn cifar_batch(labels: &[u8]) -> Vec<u8> {
    let records = labels.iter().enumerate();
    records.flat_map(|(i, &label)| [vec![label], vec![i as u8; 3072]].concat()).collect()
}

#[test]
fn cifar_is_read_from_either_folder() {
    let folder = Folder::new();
    folder.write("cifar-10-batches-bin/data_batch_1.bin", cifar_batch(&[3, 4]));
    folder.write("cifar-10-batches-bin/data_batch_2.bin", cifar_batch(&[9]));
    folder.write("cifar-10-batches-bin/test_batch.bin", cifar_batch(&[0]));
    for dir in [folder.path().to_path_buf(), folder.path().join("cifar-10-batches-bin")] {
        let splits = cifar10_splits(dir).unwrap();
        assert_eq!((splits.train.len(), splits.validation.len()), (3, 1));
        let (input, label) = read_sample(splits.train.as_ref(), 1).unwrap();
        assert!(input.iter().all(|&value| value == 1.0 / 255.0));
        assert_eq!((input.len(), label[0]), (3072, 4.0));
        assert_eq!(splits.augmentation.to_string(), "crop=4,flip=0.5");
        splits.augmentation.check(&splits.train.input_shape()).unwrap();
    }
}

#[test]
fn cifar_without_a_test_batch_is_split() {
    let folder = Folder::new();
    folder.write("data_batch_5.bin", cifar_batch(&[1; 30]));
    let splits = cifar10_splits(folder.path()).unwrap();
    assert_eq!((splits.train.len(), splits.validation.len()), (25, 5));
}

#[test]
fn wrong_cifar_is_refused() {
    let folder = Folder::new();
    let error = text(cifar10(folder.path(), Split::Train));
    assert!(error.ends_with("not found; expected data_batch_1.bin to data_batch_5.bin"), "{error}");
    folder.write("data_batch_1.bin", &cifar_batch(&[1, 2])[..6000]);
    let error = text(cifar10(folder.path(), Split::Train));
    assert!(error.contains("data_batch_1.bin: size: expected a multiple of 3073"), "{error}");
    folder.write("data_batch_1.bin", cifar_batch(&[1, 2, 77]));
    let error = text(cifar10(folder.path(), Split::Train));
    assert!(error.ends_with("label of record 2: expected 0 to 9, got 77"), "{error}");
    folder.write("test_batch.bin", []);
    assert!(text(cifar10(folder.path(), Split::Test)).ends_with("got 0 bytes"));
}
