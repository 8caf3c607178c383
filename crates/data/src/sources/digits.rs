//! The data set that is always there.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use flate2::read::GzDecoder;
use onestep_memory::Shape;

use super::kind::{DataKind, Opening};
use super::parts::{HELD_OUT, hold_out};
use crate::{DataError, DataSplits, InMemory, TargetSpec};

pub(super) const KIND: DataKind = DataKind {
    name: "digits",
    place: None,
    about: "1,797 embedded digits, `[1, 8, 8]`",
    parts: "about a fifth to validate on",
    options: &[],
    open,
};

fn open(opening: &Opening<'_>) -> Result<DataSplits, DataError> {
    let division = opening.record.own_division();
    let name = "digits".to_owned();
    hold_out(Path::new(&name), name.clone(), Arc::new(digits()?), HELD_OUT, division)
}

const COMPRESSED: &[u8] = include_bytes!("../../assets/digits.bin.gz");
const SAMPLES: usize = 1797;
const PIXELS: usize = 8 * 8;
const INK: f32 = 16.0;

/// 1,797 real handwritten digits of 8 by 8 pixels, the ones that scikit-learn ships.
///
/// Inputs are `[1, 8, 8]`, from 0 (paper) to 1 (ink); the labels are the ten digits. The set is
/// embedded (44 kB), so this needs no file and no network.
///
/// E. Alpaydin, C. Kaynak: *Optical Recognition of Handwritten Digits*, UCI Machine Learning
/// Repository, 1998, [doi:10.24432/C50P49](https://doi.org/10.24432/C50P49), CC BY 4.0.
///
/// # Errors
/// [`DataError::Format`] if the embedded copy is damaged.
///
/// ```
/// use onestep_data::{Dataset, digits};
///
/// let digits = digits()?;
/// assert_eq!(digits.len(), 1797);
/// assert_eq!(digits.input_shape().dims(), [1, 8, 8]);
/// # Ok::<(), onestep_data::DataError>(())
/// ```
pub fn digits() -> Result<InMemory, DataError> {
    let asset = Path::new("digits.bin.gz (embedded)");
    let mut pixels = Vec::with_capacity(SAMPLES * (PIXELS + 1));
    GzDecoder::new(COMPRESSED)
        .read_to_end(&mut pixels)
        .map_err(|source| DataError::io(asset, "decompress", "the embedded digits", source))?;
    let wanted = SAMPLES * (PIXELS + 1);
    if pixels.len() != wanted {
        let (wanted, got) = (format!("{wanted} bytes"), format!("{} bytes", pixels.len()));
        return Err(DataError::format(asset, "size", wanted, got));
    }
    let labels = pixels.split_off(SAMPLES * PIXELS).into_iter().map(i32::from).collect();
    let shape = Shape::from([1, 8, 8]);
    InMemory::pixels("digits", shape, pixels, INK, labels, TargetSpec::classes(10))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dataset, read_sample};

    #[test]
    fn the_first_digit_is_scikit_learns() {
        let digits = digits().unwrap();
        let (input, label) = read_sample(&digits, 0).unwrap();
        let top: Vec<f32> = input[..8].iter().map(|value| value * 16.0).collect();
        assert_eq!(top, [0.0, 0.0, 5.0, 13.0, 9.0, 1.0, 0.0, 0.0]);
        assert_eq!(label, [0.0]);
    }

    #[test]
    fn counts_and_sums_are_scikit_learns() {
        let digits = digits().unwrap();
        let mut counts = [0; 10];
        let mut ink = 0.0f64;
        for index in 0..digits.len() {
            let (input, label) = read_sample(&digits, index).unwrap();
            counts[label[0] as usize] += 1;
            ink += input.iter().map(|&value| f64::from(value) * 16.0).sum::<f64>();
            assert!(input.iter().all(|value| (0.0..=1.0).contains(value)));
        }
        assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
        assert_eq!(ink, 561_718.0);
    }
}
