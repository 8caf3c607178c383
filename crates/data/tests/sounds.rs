//! Folders of WAV files, good and bad.

#[path = "support/files.rs"]
mod files;

use files::Folder;
use hound::{SampleFormat, WavSpec, WavWriter};
use onestep_data::{
    DataError, Dataset, SoundOptions, Sounds, TargetSpec, open, open_as, read_sample, read_sound,
    sound_folder,
};

fn text<T>(result: Result<T, DataError>) -> String {
    result.err().expect("an error").to_string()
}

fn spec(channels: u16, sample_rate: u32, bits_per_sample: u16) -> WavSpec {
    WavSpec { channels, sample_rate, bits_per_sample, sample_format: SampleFormat::Int }
}

fn write(folder: &Folder, name: &str, spec: WavSpec, samples: &[i32]) {
    let path = folder.write(name, []);
    let mut writer = WavWriter::create(path, spec).unwrap();
    samples.iter().for_each(|&sample| writer.write_sample(sample).unwrap());
    writer.finalize().unwrap();
}

#[test]
fn channels_are_mixed_and_lengths_are_one() {
    let folder = Folder::new();
    write(&folder, "dog/a.wav", spec(2, 8000, 16), &[16384, 0, -32768, -32768, 0, 8192]);
    write(&folder, "dog/b.WAV", spec(1, 8000, 24), &[1 << 22, -(1 << 23)]);
    write(&folder, "cat/a.wav", spec(1, 8000, 8), &[64, -128, 32, 1]);
    let options = SoundOptions { length: Some(3), ..SoundOptions::default() };
    let set = sound_folder(folder.path(), &options).unwrap();
    assert_eq!(set.input_shape().dims(), [1, 3]);
    assert_eq!(set.target(), TargetSpec::named_classes(["cat", "dog"]));
    let read = |index| read_sample(&set, index).unwrap();
    assert_eq!(read(0), (vec![0.5, -1.0, 0.25], vec![0.0]));
    assert_eq!(read(1), (vec![0.25, -1.0, 0.125], vec![1.0]));
    assert_eq!(read(2), (vec![0.5, -1.0, 0.0], vec![1.0]));
    // From the cache it is the same; the first recording's length is that of all unless told.
    assert_eq!(read(1), (vec![0.25, -1.0, 0.125], vec![1.0]));
    let set = sound_folder(folder.path(), &SoundOptions::default()).unwrap();
    assert_eq!(set.input_shape().dims(), [1, 4]);
}

#[test]
fn floats_are_read_and_must_be_finite() {
    let folder = Folder::new();
    let path = folder.write("a.wav", []);
    let format = SampleFormat::Float;
    let spec = WavSpec { sample_format: format, ..spec(1, 8000, 32) };
    let mut writer = WavWriter::create(&path, spec).unwrap();
    [0.5f32, f32::NAN].iter().for_each(|&sample| writer.write_sample(sample).unwrap());
    writer.finalize().unwrap();
    assert_eq!(read_sound(&path, Sounds { rate: 8000, length: 1 }).unwrap(), [0.5]);
    let error = text(read_sound(&path, Sounds { rate: 8000, length: 2 }));
    assert!(error.contains("sample 1: expected a finite number, got NaN"), "{error}");
}

#[test]
fn other_rates_are_refused_unless_one_is_asked_for() {
    let folder = Folder::new();
    write(&folder, "a/1.wav", spec(1, 8000, 16), &[100; 800]);
    write(&folder, "b/1.wav", spec(1, 16000, 16), &[16384; 1600]);
    let set = sound_folder(folder.path(), &SoundOptions::default()).unwrap();
    assert!(read_sample(&set, 0).is_ok());
    let error = text(read_sample(&set, 1));
    assert!(error.contains("1.wav") && error.contains("got 16000 a second"), "{error}");
    assert!(error.contains("8000 a second") && error.contains("?rate=8000"), "{error}");
    let options = SoundOptions { rate: Some(8000), ..SoundOptions::default() };
    let set = sound_folder(folder.path(), &options).unwrap();
    let (input, _) = read_sample(&set, 1).unwrap();
    assert_eq!(input.len(), 800);
    // A constant stays what it is, but for the ends.
    assert!(input[50..750].iter().all(|x| (x - 0.5).abs() < 0.005), "{:?}", &input[50..60]);
}

#[test]
fn a_model_keeps_form_scale_and_classes() {
    let folder = Folder::new();
    for class in ["a", "b"] {
        for number in 0..20 {
            let samples: Vec<i32> = (0..40).map(|i| 1000 + (i * 37 + number * 11) % 200).collect();
            write(&folder, &format!("{class}/{number}.wav"), spec(1, 8000, 16), &samples);
        }
    }
    let spec = format!("wav:{}", folder.text());
    let data = open(&spec).unwrap();
    assert_eq!(data.record.sounds, Some(Sounds { rate: 8000, length: 40 }));
    assert_eq!(data.train.len() + data.validation.len(), 40);
    let text_of = data.augmentation.to_string();
    assert!(text_of.starts_with("+normalise=0.03"), "{text_of}");
    // Again as the model knows it: no other scale.
    let again = open_as(&spec, &data.record).unwrap();
    assert!(again.augmentation.is_empty());
    let error = text(open_as(&format!("{spec}?length=20"), &data.record));
    let wanted = "40 samples at 8000 a second, as the model takes, got 20 samples at 8000 a second";
    assert!(error.contains(wanted), "{error}");
}

#[test]
fn what_is_no_recording_is_named() {
    let folder = Folder::new();
    folder.write("a/1.wav", "RIFF of no use");
    let error = text(sound_folder(folder.path(), &SoundOptions::default()));
    assert!(error.contains("1.wav") && error.contains("a whole WAV file"), "{error}");
    write(&folder, "a/1.wav", spec(1, 8000, 16), &[]);
    let error = text(sound_folder(folder.path(), &SoundOptions::default()));
    assert!(error.contains("at least one sample"), "{error}");
    write(&folder, "a/1.wav", spec(1, 8000, 16), &[5; 100]);
    let whole = std::fs::read(folder.path().join("a/1.wav")).unwrap();
    folder.write("a/1.wav", &whole[..whole.len() - 20]);
    let set = sound_folder(folder.path(), &SoundOptions::default()).unwrap();
    let error = text(read_sample(&set, 0));
    assert!(error.contains("1.wav"), "{error}");
    let text_of = text(open(&format!("wav:{}?rate=0", folder.text())));
    assert!(text_of.contains("at least 1 a second"), "{text_of}");
    let error = text(open("wav:nowhere"));
    assert!(error.contains("nowhere"), "{error}");
}
