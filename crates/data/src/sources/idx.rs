//! The idx format of MNIST and its relatives, plain or gzipped.
//!
//! Four bytes of magic (0, 0, the type, the number of dimensions), the dimensions as big-endian
//! `u32`, then the elements. Only the type 0x08 (unsigned byte) is read; MNIST uses no other.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::DataError;

const UNSIGNED_BYTE: u8 = 0x08;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// An array of bytes from an idx file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdxArray {
    /// The extent of each dimension, outermost first.
    pub dims: Vec<usize>,
    /// The elements, row by row.
    pub data: Vec<u8>,
}

/// Reads an idx file of unsigned bytes, which may be compressed with gzip (the content decides,
/// not the name).
///
/// # Errors
/// [`DataError::Missing`] or [`DataError::Io`] where the file cannot be read (a damaged gzip stream
/// among them), [`DataError::Format`] where the magic is another, or where there are fewer or more
/// bytes than the dimensions ask for.
pub fn read_idx(path: impl AsRef<Path>) -> Result<IdxArray, DataError> {
    let path = path.as_ref();
    let mut reader = open(path)?;
    let dims = read_dims(path, &mut reader)?;
    let wanted = dims.iter().try_fold(1usize, |size, &dim| size.checked_mul(dim));
    let Some(wanted) = wanted else {
        let got = format!("{dims:?}");
        return Err(DataError::format(path, "dimensions", "a product that fits memory", got));
    };
    // One byte more than wanted tells of a file that is too long; what a header only claims is
    // never allocated.
    let mut data = Vec::new();
    reader
        .take((wanted as u64).saturating_add(1))
        .read_to_end(&mut data)
        .map_err(|source| unreadable(path, source))?;
    if data.len() != wanted {
        let end = format!("the end of the file after {}", data.len());
        let got = if data.len() > wanted { "more".to_owned() } else { end };
        let what = format!("elements of {dims:?}");
        return Err(DataError::format(path, what, format!("{wanted} bytes"), got));
    }
    Ok(IdxArray { dims, data })
}

fn unreadable(path: &Path, source: std::io::Error) -> DataError {
    DataError::io(path, "read (is the file complete?)", "an idx file", source)
}

/// Opens a file, through a gzip decoder where it starts like one.
pub(crate) fn open(path: &Path) -> Result<Box<dyn Read>, DataError> {
    let file = File::open(path).map_err(|source| unreadable(path, source))?;
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let start = std::io::BufRead::fill_buf(&mut reader).map_err(|e| unreadable(path, e))?;
    if start.starts_with(&GZIP_MAGIC) {
        return Ok(Box::new(MultiGzDecoder::new(reader)));
    }
    Ok(Box::new(reader))
}

fn read_dims(path: &Path, reader: &mut dyn Read) -> Result<Vec<usize>, DataError> {
    let magic = read_word(path, reader, "magic number")?;
    let [0, 0, UNSIGNED_BYTE, rank @ 1..=6] = magic else {
        let wanted = "00 00 08 and 1 to 6 dimensions (an idx file of unsigned bytes)";
        let got = magic.map(|byte| format!("{byte:02x}")).join(" ");
        return Err(DataError::format(path, "magic number", wanted, got));
    };
    (0..rank)
        .map(|i| {
            let word = read_word(path, reader, &format!("extent of dimension {i}"))?;
            Ok(u32::from_be_bytes(word) as usize)
        })
        .collect()
}

fn read_word(path: &Path, reader: &mut dyn Read, what: &str) -> Result<[u8; 4], DataError> {
    let mut word = Vec::with_capacity(4);
    reader.take(4).read_to_end(&mut word).map_err(|source| unreadable(path, source))?;
    word[..].try_into().map_err(|_| {
        DataError::format(
            path,
            what,
            "4 bytes",
            format!("the end of the file after {}", word.len()),
        )
    })
}
