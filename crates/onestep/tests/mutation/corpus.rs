//! Good files and settings of each kind, each with the door that it comes in by.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::{DynamicImage, GrayImage, ImageFormat, Luma, RgbImage};
use onestep::prelude::*;

use crate::doors::{self, Door};

/// A good input and its door.
pub(crate) struct Item {
    pub(crate) name: String,
    /// The file's place in the corpus' folder, for doors that need it there.
    pub(crate) file: PathBuf,
    pub(crate) bytes: Vec<u8>,
    pub(crate) door: Door,
}

/// All good inputs, in a folder.
pub(crate) struct Corpus {
    folder: tempfile::TempDir,
    pub(crate) items: Vec<Item>,
}

impl Corpus {
    pub(crate) fn new() -> Self {
        let mut corpus = Corpus { folder: tempfile::tempdir().unwrap(), items: Vec::new() };
        corpus.texts();
        corpus.tables();
        corpus.pictures();
        corpus.binary_sets();
        corpus.checkpoint();
        corpus
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    fn add(&mut self, file: &str, bytes: impl Into<Vec<u8>>, door: Door) {
        let (bytes, path) = (bytes.into(), self.path(file));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, &bytes).unwrap();
        self.items.push(Item { name: file.into(), file: file.into(), bytes, door });
    }

    fn texts(&mut self) {
        for (name, spec) in [
            ("mlp.json", factory::mlp([1, 8, 8], &[16], 10)),
            ("cnn.json", factory::cnn([3, 16, 16], 4)),
        ] {
            self.add(name, spec.to_json().unwrap(), doors::model);
        }
        self.add("layers.json", LAYERS, doors::model);
        self.add("settings.json", SETTINGS, doors::settings);
        for (name, text, door) in [
            ("loss.txt", r#"{"type": "cross_entropy", "weight": [1.0, 2.0]}"#, doors::loss as Door),
            ("optimizer.txt", r#"{"type": "sgd", "momentum": 0.9}"#, doors::optimizer),
            ("schedule.txt", "warmup:2+step:10:0.5", doors::schedule),
            ("pipeline.txt", "crop=4,flip=0.5,+normalise=0.5/0.4:0.25/0.2", doors::pipeline),
            ("data.txt", "csv:fruit.csv?target=fruit&kind=classes&header=yes", doors::data_text),
        ] {
            self.add(name, text, door);
        }
    }

    fn tables(&mut self) {
        let rows = (0..40).map(|i| format!("{}.5,{},{}\n", i, i % 7, ["kiwi", "pear"][i % 2]));
        self.add(
            "fruit.csv",
            "width,size,fruit\n".to_owned() + &rows.collect::<String>(),
            doors::table,
        );
        let rows = (0..40).map(|i| format!("{i};{};{}.25\n", i * i % 11, i * 3));
        self.add("values.csv", "a;b;c\n".to_owned() + &rows.collect::<String>(), doors::table);
    }

    fn pictures(&mut self) {
        let grey = DynamicImage::from(GrayImage::from_fn(12, 9, |x, y| Luma([(x * y) as u8])));
        let colours = DynamicImage::from(RgbImage::from_fn(9, 12, |x, y| {
            image::Rgb([x as u8, y as u8, (x * y) as u8])
        }));
        for (name, picture, format) in [
            ("grey.png", &grey, ImageFormat::Png),
            ("colours.png", &colours, ImageFormat::Png),
            ("grey.jpg", &grey, ImageFormat::Jpeg),
            ("colours.bmp", &colours, ImageFormat::Bmp),
            ("colours.gif", &colours, ImageFormat::Gif),
            ("colours.webp", &colours, ImageFormat::WebP),
        ] {
            let mut bytes = Cursor::new(Vec::new());
            picture.write_to(&mut bytes, format).unwrap();
            let bytes = bytes.into_inner();
            self.add(&format!("single/{name}"), bytes.clone(), doors::picture);
            for class in ["cat", "dog"] {
                let path = self.path(format!("folders/{class}/{name}"));
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, &bytes).unwrap();
            }
            self.add(&format!("folders/cat/damaged-{name}"), bytes, doors::folders);
        }
    }

    fn binary_sets(&mut self) {
        let idx = |dims: &[u32]| -> Vec<u8> {
            let head = [0, 0, 8, dims.len() as u8];
            let count = dims.iter().product::<u32>();
            let data = (0..count).map(|i| (i % 10) as u8);
            head.into_iter().chain(dims.iter().flat_map(|d| d.to_be_bytes())).chain(data).collect()
        };
        self.add("idx/train-images-idx3-ubyte", idx(&[20, 4, 4]), doors::idx);
        self.add("idx/train-labels-idx1-ubyte", idx(&[20]), doors::idx);
        let record = |label: u8| [label].into_iter().chain((0..3072).map(|i| i as u8));
        let records: Vec<u8> = (0..8).flat_map(record).collect();
        self.add("cifar/data_batch_1.bin", records, doors::cifar);
    }

    fn checkpoint(&mut self) {
        let data = open("digits").unwrap();
        let config = TrainerConfig { epochs: 1, threads: 1, batch_size: 500, ..Default::default() };
        let mut trainer = Trainer::new(factory::mlp([1, 8, 8], &[8], 10), config).unwrap();
        trainer.fit(data.train, Some(data.validation), &mut []).unwrap();
        trainer.keep_best().unwrap();
        trainer.save(self.path("checkpoint")).unwrap();
        for entry in fs::read_dir(self.path("checkpoint")).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let bytes = fs::read(self.path("checkpoint").join(&name)).unwrap();
            self.add(&format!("checkpoint/{name}"), bytes.clone(), doors::checkpoint);
            if name == "weights.safetensors" {
                self.add("weights.safetensors", bytes, doors::weights);
            }
        }
    }
}

const LAYERS: &str = r#"{ "name": "all", "input": { "shape": [2, 12, 12] }, "layers": [
  { "type": "conv2d", "name": "c", "out_channels": 4, "kernel_size": [3, 3], "stride": 2, "padding": 1 },
  { "type": "batch_norm", "name": "b", "momentum": 0.2 },
  { "type": "relu", "name": "r" },
  { "type": "max_pool2d", "name": "p", "kernel_size": 2 },
  { "type": "flatten", "name": "f" },
  { "type": "dropout", "name": "d", "p": 0.3 },
  { "type": "dense", "name": "x", "out_features": 5, "bias": false } ] }"#;

const SETTINGS: &str = r#"{ "epochs": 3, "batch_size": 16, "loss": "mse", "clip": {"norm": 1.0},
  "optimizer": {"type": "adamw", "lr": 0.003, "betas": [0.9, 0.99], "weight_decay": 0.01},
  "schedule": "cosine", "augmentation": "crop=1", "monitor": "train_loss", "top_k": 3,
  "early_stopping": {"patience": 3, "min_delta": 0.001}, "seed": 7, "workers": 1, "prefetch": 2 }"#;
