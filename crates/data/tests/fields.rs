//! Samples of many fields on their way into a batch.

mod support;

use std::sync::Arc;

use onestep_data::{
    DataError, DataLoader, Dataset, Field, Fields, IGNORED, Pipeline, Role, Sample, SampleMut,
};
use onestep_memory::MemoryManager;
use support::within_a_minute;

type Script = fn(usize, &mut SampleMut<'_>) -> Result<(), DataError>;

struct Scripted {
    fields: Fields,
    script: Script,
}

impl Dataset for Scripted {
    fn name(&self) -> &str {
        "scripted"
    }

    fn len(&self) -> usize {
        6
    }

    fn fields(&self) -> Fields {
        self.fields.clone()
    }

    fn read(&self, index: usize, sample: &mut SampleMut<'_>) -> Result<(), DataError> {
        (self.script)(index, sample)
    }
}

fn loader(fields: Vec<Field>, pipeline: &str, script: Script) -> Result<DataLoader, DataError> {
    let dataset = Arc::new(Scripted { fields: fields.into(), script });
    let pipeline: Pipeline = pipeline.parse()?;
    DataLoader::builder(dataset).batch_size(4).pipeline(pipeline).build(&MemoryManager::host())
}

fn refused(fields: Vec<Field>, pipeline: &str) -> String {
    loader(fields, pipeline, |_, _| Ok(())).unwrap_err().to_string()
}

fn failed(fields: Vec<Field>, script: Script) -> String {
    within_a_minute(move || {
        let mut loader = loader(fields, "", script).unwrap();
        let error = loader.epoch(0).find_map(Result::err);
        error.unwrap().to_string()
    })
}

fn all_kinds() -> Vec<Field> {
    vec![
        Field::f32("image", [2, 2]),
        Field::indices("tokens", [3], 100),
        Field::u8("mask", [3]),
        Field::labels("next", [3], ["x", "y"]).ignoring(),
        Field::weight("weight"),
    ]
}

#[test]
fn every_field_arrives_by_its_name() {
    within_a_minute(|| {
        let mut loader = loader(all_kinds(), "", |index, sample| {
            sample.f32("image")?.fill(index as f32);
            sample.i32("tokens")?.copy_from_slice(&[index as i32, 1, 2]);
            sample.u8("mask")?.copy_from_slice(&[1, 1, index as u8]);
            sample.put("next", &[0, 1, IGNORED])?;
            sample.put("weight", &[index as f32 / 2.0])
        })
        .unwrap();
        let batches: Vec<_> = loader.epoch(0).map(Result::unwrap).collect();
        let [full, short] = &batches[..] else { panic!("{batches:?}") };
        assert_eq!(full.fields().names(), "image, tokens, mask, next, weight");
        assert_eq!(full.tensors().len(), 5);
        assert_eq!(short.tensor("tokens").unwrap().read::<i32>().unwrap(), [4, 1, 2, 5, 1, 2]);
        assert_eq!(short.tensor("mask").unwrap().read::<u8>().unwrap(), [1, 1, 4, 1, 1, 5]);
        assert_eq!(short.tensor("image").unwrap().shape().dims(), [2, 2, 2]);
        assert_eq!(short.target().read::<i32>().unwrap(), [0, 1, IGNORED, 0, 1, IGNORED]);
        assert_eq!(full.tensors()[4].read::<f32>().unwrap(), [0.0, 0.5, 1.0, 1.5]);
        assert_eq!(full.tensors()[4].shape().dims(), [4]);
        assert!(full.tensor("label").is_none());
        assert_eq!(full.fields()[4].role, Role::Weight);
    });
}

#[test]
fn fields_that_make_no_batch_are_refused() {
    let image = || Field::f32("image", [1]);
    assert_eq!(
        refused(vec![image(), image()], ""),
        "field `image`: expected a name of its own, got fields image, image"
    );
    assert_eq!(
        refused(vec![Field::f32("image", [3, 0])], ""),
        "field `image`: expected at least one element, got [3, 0]"
    );
    assert_eq!(
        refused(vec![Field::values("y", [1])], ""),
        "fields: expected at least one input, got y"
    );
    let mut half = image();
    half.dtype = onestep_memory::DType::F16;
    assert_eq!(refused(vec![half], ""), "field `image`: expected f32, i32 or u8, got f16");
    let mut labels = Field::labels("kind", [], ["a"]);
    labels.dtype = onestep_memory::DType::U8;
    assert_eq!(
        refused(vec![image(), labels], ""),
        "field `kind`: expected i32 for labels and indices, got u8"
    );
}

#[test]
fn what_a_reader_does_wrong_is_named() {
    let fields = || vec![Field::f32("image", [2]), Field::indices("tokens", [2], 9)];
    assert_eq!(
        failed(fields(), |_, sample| sample.f32("picture").map(|_| ())),
        "scripted: sample 0: field `picture`: expected one of image, tokens, got none"
    );
    assert_eq!(
        failed(fields(), |_, sample| sample.put("image", &[1i32, 2])),
        "scripted: sample 0: field `image`: expected f32, got a reader of i32"
    );
    assert_eq!(
        failed(fields(), |_, sample| sample.put("image", &[1.0f32])),
        "scripted: sample 0: field `image`: expected 2 elements, got 1"
    );
    assert_eq!(
        failed(fields(), |index, sample| sample.put("tokens", &[8, 7 + index as i32])),
        "scripted: sample 2: field `tokens`, element 1: expected 0 to 8, got 9"
    );
    // What was not written is no index of the sample before.
    assert_eq!(
        failed(fields(), |index, sample| match index {
            5 => Ok(()),
            _ => sample.put("tokens", &[1, 1]),
        }),
        "scripted: sample 5: field `tokens`, element 0: expected 0 to 8, got -1"
    );
}

#[test]
fn labels_are_ignored_only_where_the_field_says_so() {
    let script: Script = |_, sample| sample.put("kind", &[0, IGNORED]);
    let fields = |kind| vec![Field::f32("x", [1]), kind];
    let kind = || Field::labels("kind", [2], ["a", "b"]);
    assert_eq!(
        failed(fields(kind()), script),
        "scripted: sample 0: field `kind`, element 1: expected 0 to 1, got -100"
    );
    within_a_minute(move || {
        let mut loader = loader(fields(kind().ignoring()), "", script).unwrap();
        assert!(loader.epoch(0).all(|batch| batch.is_ok()));
    });
    let beyond: Script = |_, sample| sample.put("kind", &[0, -99]);
    assert_eq!(
        failed(fields(kind().ignoring()), beyond),
        "scripted: sample 0: field `kind`, element 1: expected 0 to 1 or -100, got -99"
    );
}

#[test]
fn weights_are_finite_and_not_below_zero() {
    for weight in [-0.5, f32::NAN, f32::INFINITY] {
        let script: Script = match weight {
            w if w < 0.0 => |_, sample| sample.put("weight", &[-0.5f32]),
            w if w.is_nan() => |_, sample| sample.put("weight", &[f32::NAN]),
            _ => |_, sample| sample.put("weight", &[f32::INFINITY]),
        };
        let error = failed(vec![Field::f32("x", [1]), Field::weight("weight")], script);
        let wanted = "scripted: sample 0: field `weight`: expected finite weights from 0 on, got ";
        assert!(error.starts_with(wanted), "{error}");
    }
}

#[test]
fn a_transform_changes_the_fields_that_it_names() {
    let fields = || vec![Field::f32("a", [2]), Field::f32("b", [2]), Field::values("y", [2])];
    let read = |pipeline: &'static str| {
        within_a_minute(move || {
            let script: Script = |_, sample| {
                let names = ["a", "b", "y"];
                names.into_iter().try_for_each(|name| sample.put(name, &[1.0f32, 3.0]))
            };
            let mut loader = loader(fields(), pipeline, script).unwrap();
            let batch = loader.epoch(0).next().unwrap().unwrap();
            batch
                .tensors()
                .iter()
                .map(|t| t.read::<f32>().unwrap()[..2].to_vec())
                .collect::<Vec<_>>()
        })
    };
    assert_eq!(read("+normalise=1:2"), [[0.0, 1.0], [0.0, 1.0], [1.0, 3.0]]);
    assert_eq!(read("+normalise@b=1:2"), [[1.0, 3.0], [0.0, 1.0], [1.0, 3.0]]);
    assert_eq!(read("+normalise@y=1/3:2/2"), [[1.0, 3.0], [1.0, 3.0], [0.0, 0.0]]);
    assert_eq!(
        "flip@a,+normalise@b=1:2".parse::<Pipeline>().unwrap().to_string(),
        "flip@a=0.5,+normalise@b=1:2"
    );
    assert_eq!(refused(fields(), "crop@c=1"), "field `c`: expected one of a, b, y, got none");
    assert_eq!(
        refused(all_kinds(), "+normalise@tokens=1:2"),
        "field `tokens`: expected f32 for the transform normalise=1:2, got i32"
    );
    assert_eq!(
        refused(vec![Field::indices("tokens", [2], 9)], "+normalise=1:2"),
        "fields: expected an f32 input for the transform normalise=1:2, got tokens"
    );
}

#[test]
fn all_fields_of_a_sample_are_augmented_alike() {
    within_a_minute(|| {
        let fields = vec![Field::f32("image", [8, 8]), Field::f32("mask", [8, 8])];
        let script: Script = |_, sample| {
            for name in ["image", "mask"] {
                for (place, value) in sample.f32(name)?.iter_mut().enumerate() {
                    *value = place as f32;
                }
            }
            Ok(())
        };
        let dataset = Arc::new(Scripted { fields: fields.into(), script });
        let builder = DataLoader::builder(dataset).training(true);
        let builder = builder.pipeline("crop=3,flip".parse().unwrap());
        let mut loader = builder.build(&MemoryManager::host()).unwrap();
        let batch = loader.epoch(0).next().unwrap().unwrap();
        let [image, mask] = [0, 1].map(|place| batch.tensors()[place].read::<f32>().unwrap());
        assert_eq!(image, mask);
        assert_ne!(image[..64], image[64..128]);
    });
}

#[test]
fn a_sample_stands_alone() {
    let mut sample = Sample::new(&all_kinds().into());
    sample.as_mut().put("mask", &[1u8, 0, 1]).unwrap();
    assert_eq!(sample.u8("mask").unwrap(), [1, 0, 1]);
    assert_eq!(sample.iter().map(|(_, values)| values.len()).sum::<usize>(), 4 + 3 + 3 + 3 + 1);
    let error = sample.i32("mask").unwrap_err().to_string();
    assert_eq!(error, "field `mask`: expected u8, got a reader of i32");
    let error = sample.as_mut().pair().unwrap_err().to_string();
    assert_eq!(error, "field `next`: expected one i32 label, or f32 values, got i32");
}
