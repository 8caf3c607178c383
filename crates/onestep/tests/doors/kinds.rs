//! The kinds of data, each small, with files to predict from and data that does not fit.

use std::fs;
use std::path::Path;

use image::{GrayImage, Luma, Rgb, RgbImage};
use onestep::data::{SampleRng, open, read_sample};

use crate::support::Place;

/// What is right for a sample.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Truth {
    Class(String),
    Value(f64),
}

/// Data with all that a walk through the doors needs.
pub(crate) struct Kind {
    pub(crate) place: Place,
    /// The data, as `--data` takes it.
    pub(crate) data: String,
    /// The model, without dropout and batch statistics, so that a step's output is a prediction.
    pub(crate) model: String,
    /// Lines of the configuration besides model, data and epochs.
    pub(crate) settings: String,
    /// The files to predict from, separated by spaces, and what is right for each sample in them.
    pub(crate) files: String,
    pub(crate) truths: Vec<Truth>,
    /// The same samples as data sets deliver them.
    pub(crate) inputs: Vec<Vec<f32>>,
    /// Data that does not fit, and what the refusal must name.
    pub(crate) misfits: Vec<(String, Vec<&'static str>)>,
}

fn linear(shape: &str, outputs: usize) -> String {
    format!(
        r#"{{ "name": "linear", "input": {{ "shape": {shape} }},
  "layers": [ {{ "type": "flatten", "name": "flat" }},
              {{ "type": "dense", "name": "fc1", "out_features": 8 }},
              {{ "type": "tanh", "name": "tanh1" }},
              {{ "type": "dense", "name": "fc2", "out_features": {outputs} }} ] }}"#
    )
}

/// Draws from 0 to 1 that are the same in each run.
struct Draws(SampleRng);

impl Draws {
    fn new(seed: u64) -> Self {
        Draws(SampleRng::new(seed, 0, 0))
    }

    /// Close to normal: mean 0, deviation 1.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| f64::from(self.0.uniform())).sum::<f64>() - 6.0
    }

    /// A grey level around one of these.
    fn grey(&mut self, level: f64, deviation: f64) -> u8 {
        (level + deviation * self.normal()).round().clamp(0.0, 255.0) as u8
    }
}

pub(crate) fn digits() -> Kind {
    let place = Place::new();
    let data = open("digits").unwrap();
    let all: Vec<(Vec<f32>, Vec<f32>)> = [&data.train, &data.validation]
        .into_iter()
        .flat_map(|part| (0..part.len()).map(|i| read_sample(part.as_ref(), i).unwrap()))
        .collect();
    let inputs: Vec<Vec<f32>> = all.iter().map(|(input, _)| input.clone()).collect();
    write_tensor(&place.path("all.safetensors"), &[inputs.len(), 1, 8, 8], &inputs.concat());
    pictures_into(&place.path("other"), &["cat", "dog"]);
    Kind {
        data: "digits".into(),
        model: linear("[1, 8, 8]", 10),
        settings: String::new(),
        files: "all.safetensors".into(),
        truths: all.iter().map(|(_, target)| Truth::Class(target[0].to_string())).collect(),
        inputs,
        misfits: vec![("images:other".into(), vec!["cat"])],
        place,
    }
}

const LEVELS: [(&str, f64); 4] = [("cat", 60.0), ("dog", 120.0), ("fox", 200.0), ("owl", 160.0)];

/// A folder a class, whose pictures differ in brightness. Gives the files in their order.
fn pictures_into(folder: &Path, classes: &[&str]) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut draws = Draws::new(1);
    for class in classes {
        let level = LEVELS.iter().find(|(name, _)| name == class).unwrap().1;
        fs::create_dir_all(folder.join(class)).unwrap();
        for number in 0..24 {
            let picture = GrayImage::from_fn(8, 8, |_, _| Luma([draws.grey(level, 12.0)]));
            let file = format!("{class}/{number:02}.png");
            picture.save(folder.join(&file)).unwrap();
            files.push((file, (*class).to_owned()));
        }
    }
    files
}

pub(crate) fn pictures() -> Kind {
    let place = Place::new();
    let files = pictures_into(&place.path("animals"), &["cat", "dog", "fox"]);
    pictures_into(&place.path("birds"), &["dog", "owl"]);
    let read = |file: &str| -> Vec<f32> {
        let picture = image::open(place.path("animals").join(file)).unwrap().to_luma8();
        picture.pixels().map(|pixel| f32::from(pixel.0[0]) / 255.0).collect()
    };
    Kind {
        data: "images:animals".into(),
        model: linear("[1, 8, 8]", 3),
        settings: "augmentation = \"flip,+normalise=0.45:0.2\"\n".into(),
        files: files.iter().map(|(file, _)| format!("animals/{file} ")).collect(),
        truths: files.iter().map(|(_, class)| Truth::Class(class.clone())).collect(),
        inputs: files.iter().map(|(file, _)| read(file)).collect(),
        misfits: vec![("images:birds".into(), vec!["owl"])],
        place,
    }
}

const FRUIT: [(&str, f64, f64); 3] =
    [("apple", 80.0, 0.8), ("kiwi", 55.0, 0.6), ("pear", 70.0, 1.4)];

pub(crate) fn table_for_classes() -> Kind {
    let place = Place::new();
    let mut draws = Draws::new(2);
    let (mut text, mut features) = ("width,ratio,fruit\n".to_owned(), "width,ratio\n".to_owned());
    let (mut truths, mut inputs) = (Vec::new(), Vec::new());
    for number in 0..120 {
        let (name, width, ratio) = FRUIT[number % 3];
        let row =
            format!("{:.2},{:.3}", width + 2.0 * draws.normal(), ratio + 0.05 * draws.normal());
        text += &format!("{row},{name}\n");
        features += &format!("{row}\n");
        truths.push(Truth::Class(name.to_owned()));
        inputs.push(row.split(',').map(|cell| cell.parse().unwrap()).collect());
    }
    place.write("fruit.csv", text);
    place.write("new.csv", features);
    place.write("height.csv", "width,height,fruit\n1,2,kiwi\n3,4,pear\n5,6,kiwi\n7,8,pear\n");
    place.write("plum.csv", "width,ratio,fruit\n1,2,kiwi\n3,4,plum\n5,6,kiwi\n7,8,plum\n");
    Kind {
        data: "csv:fruit.csv".into(),
        model: linear("[2]", 3),
        settings: String::new(),
        files: "new.csv".into(),
        truths,
        inputs,
        misfits: vec![
            ("csv:height.csv".into(), vec!["ratio"]),
            ("csv:plum.csv".into(), vec!["plum"]),
        ],
        place,
    }
}

pub(crate) fn table_for_values() -> Kind {
    let place = Place::new();
    let mut draws = Draws::new(3);
    let (mut text, mut features) = ("area,age,price\n".to_owned(), "area,age\n".to_owned());
    let (mut truths, mut inputs) = (Vec::new(), Vec::new());
    for _ in 0..150 {
        let (area, age) = (90.0 + 25.0 * draws.normal(), 30.0 + 8.0 * draws.normal());
        let row = format!("{area:.2},{age:.1}");
        let price = (3_000.0 * area - 900.0 * age + 2_000.0 * draws.normal()).round() + 0.5;
        text += &format!("{row},{price}\n");
        features += &format!("{row}\n");
        truths.push(Truth::Value(price));
        inputs.push(row.split(',').map(|cell| cell.parse().unwrap()).collect());
    }
    place.write("homes.csv", text);
    place.write("new.csv", features);
    place.write("rooms.csv", "area,rooms,price\n1,2,3.5\n4,5,6.5\n7,8,9.5\n10,11,12.5\n");
    Kind {
        data: "csv:homes.csv".into(),
        model: linear("[2]", 1),
        settings: "loss = \"mse\"\n".into(),
        files: "new.csv".into(),
        truths,
        inputs,
        misfits: vec![("csv:rooms.csv".into(), vec!["age"])],
        place,
    }
}

fn idx_file(dims: &[usize], data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, dims.len() as u8];
    for &dim in dims {
        bytes.extend((dim as u32).to_be_bytes());
    }
    bytes.extend(data);
    bytes
}

pub(crate) fn idx() -> Kind {
    let place = Place::new();
    let mut draws = Draws::new(4);
    fs::create_dir_all(place.path("idx")).unwrap();
    let (mut truths, mut inputs, mut files) = (Vec::new(), Vec::new(), String::new());
    for (part, count) in [("train", 120), ("t10k", 40)] {
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        for number in 0..count {
            let label = number % 10;
            // A bright pixel pair at a place of its own for each label.
            let grey = |draws: &mut Draws, place: usize| {
                draws.grey(if place / 6 == label { 200.0 } else { 40.0 }, 15.0)
            };
            let picture: Vec<u8> = (0..64).map(|place| grey(&mut draws, place)).collect();
            let file = format!("{part}-{number}.png");
            let saved = GrayImage::from_raw(8, 8, picture.clone()).unwrap();
            saved.save(place.path(&file)).unwrap();
            files += &format!("{file} ");
            truths.push(Truth::Class(label.to_string()));
            inputs.push(picture.iter().map(|&pixel| f32::from(pixel) / 255.0).collect());
            pixels.extend(picture);
            labels.push(label as u8);
        }
        let write = |name: String, bytes| fs::write(place.path("idx").join(name), bytes).unwrap();
        write(format!("{part}-images-idx3-ubyte"), idx_file(&[count, 8, 8], &pixels));
        write(format!("{part}-labels-idx1-ubyte"), idx_file(&[count], &labels));
    }
    pictures_into(&place.path("animals"), &["cat", "dog"]);
    Kind {
        data: "mnist:idx".into(),
        model: linear("[1, 8, 8]", 10),
        settings: "augmentation = \"+normalise=0.25:0.3\"\n".into(),
        files,
        truths,
        inputs,
        misfits: vec![("images:animals".into(), vec!["cat"])],
        place,
    }
}

const CIFAR: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

pub(crate) fn cifar() -> Kind {
    let place = Place::new();
    let mut draws = Draws::new(5);
    fs::create_dir_all(place.path("cifar")).unwrap();
    let (mut truths, mut inputs, mut files) = (Vec::new(), Vec::new(), String::new());
    for (part, count) in [("data_batch_1", 100), ("test_batch", 30)] {
        let mut bytes = Vec::new();
        for number in 0..count {
            let label = number % 10;
            let planes: Vec<u8> = (0..3 * 32 * 32)
                .map(|place| draws.grey(if place / 308 == label { 180.0 } else { 60.0 }, 15.0))
                .collect();
            let at =
                |channel: usize, x: u32, y: u32| planes[channel * 1024 + (y * 32 + x) as usize];
            let picture =
                RgbImage::from_fn(32, 32, |x, y| Rgb([at(0, x, y), at(1, x, y), at(2, x, y)]));
            let file = format!("{part}-{number}.png");
            picture.save(place.path(&file)).unwrap();
            files += &format!("{file} ");
            truths.push(Truth::Class(CIFAR[label].to_owned()));
            inputs.push(planes.iter().map(|&pixel| f32::from(pixel) / 255.0).collect());
            bytes.push(label as u8);
            bytes.extend(planes);
        }
        fs::write(place.path("cifar").join(format!("{part}.bin")), bytes).unwrap();
    }
    pictures_into(&place.path("birds"), &["dog", "owl"]);
    Kind {
        data: "cifar10:cifar".into(),
        model: linear("[3, 32, 32]", 10),
        settings: "augmentation = \"crop=2,flip,+normalise=0.3/0.3/0.3:0.2/0.2/0.2\"\n".into(),
        files,
        truths,
        inputs,
        misfits: vec![("images:birds?size=32".into(), vec!["owl"])],
        place,
    }
}

/// Recordings of two classes that differ in loudness, with a noise of their own each.
pub(crate) fn recordings() -> Kind {
    let place = Place::new();
    let mut draws = Draws::new(6);
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 4000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let (mut truths, mut inputs, mut files) = (Vec::new(), Vec::new(), String::new());
    for (folder, class, loud) in
        [("calls", "hiss", 400.0), ("calls", "roar", 9000.0), ("others", "squeak", 900.0)]
    {
        fs::create_dir_all(place.path(folder).join(class)).unwrap();
        for number in 0..30 {
            let samples: Vec<i16> = (0..64).map(|_| (loud * draws.normal().abs()) as i16).collect();
            let file = format!("{folder}/{class}/{number:02}.wav");
            let mut writer = hound::WavWriter::create(place.path(&file), spec).unwrap();
            samples.iter().for_each(|&sample| writer.write_sample(sample).unwrap());
            writer.finalize().unwrap();
            if folder == "calls" {
                files += &format!("{file} ");
                truths.push(Truth::Class(class.to_owned()));
                inputs.push(samples.iter().map(|&sample| f32::from(sample) / 32768.0).collect());
            }
        }
    }
    Kind {
        data: "wav:calls".into(),
        model: linear("[1, 64]", 2),
        settings: String::new(),
        files,
        truths,
        inputs,
        misfits: vec![
            ("wav:others".into(), vec!["squeak"]),
            ("wav:calls?length=32".into(), vec!["64 samples at 4000 a second"]),
        ],
        place,
    }
}

/// Writes samples as the tensor `input` of a file.
pub(crate) fn write_tensor(path: &Path, shape: &[usize], values: &[f32]) {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let view =
        safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.to_vec(), &bytes);
    let tensors = [("input", view.unwrap())];
    fs::write(path, safetensors::serialize(tensors, None).unwrap()).unwrap();
}
