//! Transforms, mixing and padding against torchvision's and torch's own numbers, to the bit.
//!
//! They are in `crates/conformance/goldens`, which a package of this crate alone does not have.

use std::path::Path;
use std::sync::Arc;

use onestep_memory::{MemoryManager, Shape};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

use crate::loader::{Draw, mix_labels};
use crate::{
    Collation, DataError, DataLoader, Dataset, Field, Fields, Normalise, RandomCrop,
    RandomHorizontalFlip, SampleMut, SampleRng, Transform,
};

/// The golden cases and their tensors.
struct Goldens {
    cases: Vec<Value>,
    tensors: Vec<u8>,
}

/// A case whose tensors can be read.
struct Case<'a> {
    entry: &'a Value,
    tensors: SafeTensors<'a>,
}

impl Goldens {
    fn read() -> Option<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance/goldens/data");
        let Ok(index) = std::fs::read_to_string(folder.join("batches.json")) else {
            eprintln!("skipped: {} is not there", folder.display());
            return None;
        };
        let index: Value = serde_json::from_str(&index).unwrap();
        let tensors = std::fs::read(folder.join("batches.safetensors")).unwrap();
        Some(Self { cases: index["cases"].as_array().unwrap().clone(), tensors })
    }

    /// The cases of a kind, of which there must be as many as are named here.
    fn of(&self, kind: &str, names: &[&str]) -> Vec<Case<'_>> {
        let of_kind = |entry: &&Value| entry["kind"] == kind;
        let cases = self.cases.iter().filter(of_kind);
        let cases: Vec<Case<'_>> = cases
            .map(|entry| Case { entry, tensors: SafeTensors::deserialize(&self.tensors).unwrap() })
            .collect();
        let found: Vec<&str> = cases.iter().map(Case::name).collect();
        assert_eq!(found, names);
        cases
    }
}

impl<'a> Case<'a> {
    fn name(&self) -> &'a str {
        self.entry["name"].as_str().unwrap()
    }

    fn number(&self, key: &str) -> usize {
        usize::try_from(self.entry[key].as_u64().unwrap()).unwrap()
    }

    fn words<T>(&self, tensor: &str, dtype: Dtype, of: impl Fn([u8; 4]) -> T) -> Vec<T> {
        let view = self.tensors.tensor(&format!("{}/{tensor}", self.name())).unwrap();
        assert_eq!(view.dtype(), dtype, "{tensor}");
        view.data().chunks_exact(4).map(|word| of(word.try_into().unwrap())).collect()
    }

    fn f32(&self, tensor: &str) -> Vec<f32> {
        self.words(tensor, Dtype::F32, f32::from_le_bytes)
    }

    fn i32(&self, tensor: &str) -> Vec<i32> {
        self.words(tensor, Dtype::I32, i32::from_le_bytes)
    }

    fn shape(&self, tensor: &str) -> Vec<usize> {
        let view = self.tensors.tensor(&format!("{}/{tensor}", self.name())).unwrap();
        view.shape().to_vec()
    }

    /// What a transform makes of the input.
    fn transformed(&self, transform: &dyn Transform) -> Vec<f32> {
        let mut input = self.f32("input");
        let shape = Shape::new(&self.shape("input")).unwrap();
        transform.check(&shape).unwrap();
        let mut rng = SampleRng::new(0, 0, 0);
        transform.apply(&mut input, &shape, &mut rng, &mut Vec::new()).unwrap();
        input
    }
}

#[test]
fn crops_are_torchvisions() {
    let Some(goldens) = Goldens::read() else { return };
    for case in goldens.of("crop", &["crop_corner", "crop_inside", "crop_still"]) {
        let crop = RandomCrop { padding: case.number("padding") };
        let [.., height, width] = case.shape("input")[..] else { panic!("no picture") };
        let start = (case.number("down"), case.number("right"));
        let mut input = case.f32("input");
        crop.cut(&mut input, (height, width), start, &mut Vec::new());
        assert_eq!(input, case.f32("output"), "{}", case.name());
    }
}

#[test]
fn flips_are_torchvisions() {
    let Some(goldens) = Goldens::read() else { return };
    for case in goldens.of("flip", &["flip"]) {
        let flip = RandomHorizontalFlip { probability: 1.0 };
        assert_eq!(case.transformed(&flip), case.f32("output"));
    }
}

#[test]
fn normalisations_are_torchvisions() {
    let Some(goldens) = Goldens::read() else { return };
    for case in goldens.of("normalise", &["normalise_channels", "normalise_one"]) {
        let numbers = |key: &str| -> Vec<f32> {
            let all = case.entry[key].as_array().unwrap().iter();
            all.map(|number| number.as_f64().unwrap() as f32).collect()
        };
        let normalise = Normalise::new(&numbers("mean"), &numbers("std")).unwrap();
        assert_eq!(case.transformed(&normalise), case.f32("output"), "{}", case.name());
    }
}

/// Pictures and probabilities of a batch, mixed by a draw.
fn check_mixed(case: &Case<'_>, draw: Draw) {
    let field = Field::f32("input", Shape::new(&case.shape("input")[1..]).unwrap());
    let mut pictures = case.f32("input");
    // Room that has something else in it.
    let share = draw.mix(&mut pictures, &field, &mut vec![7.0; 3]);
    assert_eq!(pictures, case.f32("output"), "{}", case.name());
    let classes = case.shape("probabilities")[1];
    let wanted = case.f32("probabilities");
    let mut probabilities = vec![9.0; wanted.len()];
    mix_labels(&case.i32("label"), share, classes, &mut probabilities);
    assert_eq!(probabilities, wanted, "{}", case.name());
}

#[test]
fn mixed_batches_are_torchvisions() {
    let Some(goldens) = Goldens::read() else { return };
    for case in goldens.of("mixup", &["mixup", "mixup_of_rows", "mixup_of_one"]) {
        check_mixed(&case, Draw::Blend(case.entry["share"].as_f64().unwrap()));
    }
}

#[test]
fn cut_batches_are_torchvisions() {
    let Some(goldens) = Goldens::read() else { return };
    let names = ["cutmix", "cutmix_corner", "cutmix_nothing", "cutmix_all"];
    for case in goldens.of("cutmix", &names) {
        let [.., height, width] = case.shape("input")[..] else { panic!("no pictures") };
        // Between the edges of the pixel that torchvision drew.
        let within = |key, size: usize| (case.number(key) as f64 + 0.5) / size as f64;
        let kept = case.entry["share"].as_f64().unwrap();
        let draw = Draw::Cut { kept, row: within("row", height), column: within("column", width) };
        check_mixed(&case, draw);
    }
}

/// The sequences of a golden case.
struct Sequences {
    lengths: Vec<usize>,
    tokens: Vec<i32>,
    labels: Vec<i32>,
    features: Vec<f32>,
}

impl Dataset for Sequences {
    fn name(&self) -> &str {
        "sequences"
    }
    fn len(&self) -> usize {
        self.lengths.len()
    }
    fn fields(&self) -> Fields {
        let longest = self.lengths.iter().copied().max().unwrap();
        [
            Field::i32("tokens", [longest]).varying(),
            Field::f32("features", [longest, 2]).varying(),
            Field::labels("labels", [longest], ["a", "b", "c", "d"]).ignoring().varying(),
        ]
        .into()
    }
    fn length(&self, index: usize) -> Option<usize> {
        self.lengths.get(index).copied()
    }
    fn read(&self, index: usize, sample: &mut SampleMut<'_>) -> Result<(), DataError> {
        let start: usize = self.lengths[..index].iter().sum();
        let range = start..start + self.lengths[index];
        sample.put("tokens", &self.tokens[range.clone()])?;
        sample.put("labels", &self.labels[range.clone()])?;
        sample.put("features", &self.features[2 * range.start..2 * range.end])
    }
}

#[test]
fn padded_batches_are_torchs() {
    let Some(goldens) = Goldens::read() else { return };
    let cases = goldens.of("pad", &["pad"]);
    let case = &cases[0];
    let lengths: Vec<usize> = case.i32("lengths").into_iter().map(|n| n as usize).collect();
    let set = Sequences {
        tokens: case.i32("tokens"),
        labels: case.i32("labels"),
        features: case.f32("features"),
        lengths: lengths.clone(),
    };
    let bounds = case.entry["bounds"].as_array().unwrap();
    let bounds: Vec<usize> = bounds.iter().map(|bound| bound.as_u64().unwrap() as usize).collect();
    let mut loader = DataLoader::builder(Arc::new(set))
        .batch_size(4)
        .collate(Collation::buckets(&bounds[..1]).with_mask("mask").with_length("length"))
        .build(&MemoryManager::host())
        .unwrap();
    let batches: Vec<_> = loader.epoch(0).collect::<Result<_, _>>().unwrap();
    assert_eq!(batches.len(), bounds.len());
    for (batch, bound) in batches.iter().zip(bounds) {
        let tensor = |name: &str| batch.tensor(name).unwrap();
        let of = |name: &str| format!("{name}_{bound}");
        assert_eq!(tensor("tokens").shape().dims(), case.shape(&of("tokens")));
        assert_eq!(tensor("features").shape().dims(), case.shape(&of("features")));
        assert_eq!(tensor("tokens").read::<i32>().unwrap(), case.i32(&of("tokens")));
        assert_eq!(tensor("labels").read::<i32>().unwrap(), case.i32(&of("labels")));
        assert_eq!(tensor("features").read::<f32>().unwrap(), case.f32(&of("features")));
        let mask = tensor("mask").read::<u8>().unwrap().into_iter().map(i32::from);
        assert_eq!(mask.collect::<Vec<_>>(), case.i32(&of("mask")));
        let own = batch.samples().iter().map(|&index| lengths[index] as i32);
        assert_eq!(tensor("length").read::<i32>().unwrap(), own.collect::<Vec<_>>());
    }
}
