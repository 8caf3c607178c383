//! Made-up files for the format tests.
#![allow(dead_code, reason = "each test file uses a part")]

use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use image::{GrayImage, Luma, Rgb, RgbImage};

/// A temporary folder that files are written to.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// The text form, for specs.
    pub(crate) fn text(&self) -> &str {
        self.path().to_str().unwrap()
    }

    /// Writes a file, and the folders above it.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn grey(&self, name: &str, width: u32, height: u32, value: u8) -> PathBuf {
        let path = self.write(name, []);
        GrayImage::from_pixel(width, height, Luma([value])).save(&path).unwrap();
        path
    }

    pub(crate) fn rgb(&self, name: &str, width: u32, height: u32, value: [u8; 3]) -> PathBuf {
        let path = self.write(name, []);
        RgbImage::from_pixel(width, height, Rgb(value)).save(&path).unwrap();
        path
    }
}

/// An idx file of bytes.
pub(crate) fn idx(dims: &[u32], data: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, dims.len() as u8];
    dims.iter().for_each(|dim| file.extend(dim.to_be_bytes()));
    file.extend(data);
    file
}

pub(crate) fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// `count` pictures of 2 x 3 pixels, and labels, as idx files.
pub(crate) fn mnist_pair(count: u32) -> (Vec<u8>, Vec<u8>) {
    let pixels: Vec<u8> = (0..count * 6).map(|i| i as u8).collect();
    let labels: Vec<u8> = (0..count).map(|i| (i % 10) as u8).collect();
    (idx(&[count, 2, 3], &pixels), idx(&[count], &labels))
}
