//! Reading one WAV file.

use std::f64::consts::PI;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use hound::{SampleFormat, WavReader};

use crate::{DataError, Sounds};

/// Samples at each side of one that is made between others, at the lower of the two rates.
const REACH: f64 = 16.0;

type Reader = WavReader<BufReader<File>>;

/// The rate and length of a file.
pub(super) fn probe(path: &Path) -> Result<Sounds, DataError> {
    let reader = open(path)?;
    Ok(Sounds { rate: reader.spec().sample_rate, length: reader.duration() as usize })
}

/// Reads one WAV file as a model takes it that learnt from recordings of this form, `[1, length]`: the mean
/// of its channels, brought to the rate, cut or filled up with silence at its end, from -1 to 1.
///
/// # Errors
/// [`DataError::Missing`], [`DataError::Io`] or [`DataError::Format`] where the file is none, was cut off or
/// is empty.
pub fn read_sound(path: impl AsRef<Path>, form: Sounds) -> Result<Vec<f32>, DataError> {
    read(path.as_ref(), form, true)
}

/// The same, where another rate is refused unless it is to be `resampled`.
pub(super) fn read(path: &Path, form: Sounds, resampled: bool) -> Result<Vec<f32>, DataError> {
    let reader = open(path)?;
    let rate = reader.spec().sample_rate;
    if rate != form.rate && !resampled {
        let wanted = format!(
            "{} a second, as the first recording has; `?rate={0}` (`SoundOptions::rate`) brings all to it",
            form.rate
        );
        return Err(DataError::format(path, "samples", wanted, format!("{rate} a second")));
    }
    let mut samples = match rate == form.rate {
        true => mixed(path, reader, form.length)?,
        false => {
            let ratio = f64::from(rate) / f64::from(form.rate);
            let needed = (form.length as f64 * ratio + 2.0 * REACH * ratio.max(1.0)).ceil();
            let samples = mixed(path, reader, needed as usize)?;
            at_rate(&samples, ratio, form.length)
        }
    };
    samples.resize(form.length, 0.0);
    Ok(samples)
}

fn open(path: &Path) -> Result<Reader, DataError> {
    let reader = WavReader::open(path).map_err(|error| failed(path, error))?;
    if reader.spec().sample_rate == 0 || reader.duration() == 0 {
        let wanted = "at least one sample at a rate above 0";
        let got = format!("{} at {}", reader.duration(), reader.spec().sample_rate);
        return Err(DataError::format(path, "samples", wanted, got));
    }
    Ok(reader)
}

fn failed(path: &Path, error: hound::Error) -> DataError {
    match error {
        hound::Error::IoError(source) if source.kind() != std::io::ErrorKind::Other => {
            DataError::io(path, "read", "a WAV file", source)
        }
        other => {
            let wanted = "a whole WAV file of integers or floats";
            DataError::format(path, "content", wanted, other.to_string())
        }
    }
}

/// The first samples, of all channels their mean.
fn mixed(path: &Path, mut reader: Reader, most: usize) -> Result<Vec<f32>, DataError> {
    let spec = reader.spec();
    let channels = usize::from(spec.channels);
    let most = most.min(reader.duration() as usize);
    let values: Result<Vec<f32>, hound::Error> = match spec.sample_format {
        SampleFormat::Float => reader.samples::<f32>().take(most * channels).collect(),
        SampleFormat::Int => {
            let largest = (1u64 << (spec.bits_per_sample - 1)) as f32;
            let scaled = |sample: Result<i32, _>| sample.map(|sample| sample as f32 / largest);
            reader.samples::<i32>().map(scaled).take(most * channels).collect()
        }
    };
    let values = values.map_err(|error| failed(path, error))?;
    if let Some(at) = values.iter().position(|value| !value.is_finite()) {
        let what = format!("sample {}", at / channels);
        return Err(DataError::format(path, what, "a finite number", values[at].to_string()));
    }
    let mean = |frame: &[f32]| frame.iter().sum::<f32>() / channels as f32;
    Ok(values.chunks_exact(channels).map(mean).collect())
}

/// Samples at another rate, `ratio` of the given ones to one: each the sum of those around it by a sine over
/// its angle, which lets pass what both rates can hold, within a raised cosine.
fn at_rate(samples: &[f32], ratio: f64, most: usize) -> Vec<f32> {
    let count = ((samples.len() as f64 / ratio).ceil() as usize).min(most);
    let (band, reach) = ((1.0 / ratio).min(1.0), REACH * ratio.max(1.0));
    let sample = |index: usize| {
        let at = index as f64 * ratio;
        let first = (at - reach).ceil().max(0.0) as usize;
        let last = ((at + reach).floor() as usize).min(samples.len() - 1);
        let weight = |place: usize| {
            let distance = place as f64 - at;
            let angle = PI * band * distance;
            let sinc = if angle == 0.0 { 1.0 } else { angle.sin() / angle };
            band * sinc * 0.5 * (1.0 + (PI * distance / reach).cos())
        };
        let near = (first..=last).map(|place| weight(place) * f64::from(samples[place]));
        near.sum::<f64>() as f32
    };
    (0..count).map(sample).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tone that both rates hold stays that tone; one that only the higher holds is gone.
    #[test]
    fn tones_keep_their_pitch_at_another_rate() {
        let tone = |rate: f64, hertz: f64, count: usize| -> Vec<f32> {
            (0..count).map(|i| (2.0 * PI * hertz * i as f64 / rate).sin() as f32).collect()
        };
        let apart = |found: &[f32], wanted: &[f32]| {
            let inner = 100..found.len() - 100;
            inner.map(|i| (found[i] - wanted[i]).abs()).fold(0f32, f32::max)
        };
        for (from, to) in [(16_000.0, 8_000.0), (8_000.0, 16_000.0), (11_025.0, 8_000.0)] {
            let (ratio, count) = (from / to, 1000);
            let given = tone(from, 440.0, (count as f64 * ratio) as usize);
            let found = at_rate(&given, ratio, count);
            assert!(found.len() >= count - 1, "{}", found.len());
            let error = apart(&found, &tone(to, 440.0, found.len()));
            assert!(error < 0.01, "{from} to {to}: {error}");
        }
        let high = at_rate(&tone(16_000.0, 6_000.0, 4000), 2.0, 2000);
        assert!(apart(&high, &vec![0.0; high.len()]) < 0.01);
    }
}
