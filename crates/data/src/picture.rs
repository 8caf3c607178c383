//! Decoding one picture into planes of a fixed size.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;
use std::str::FromStr;

use image::imageops::{FilterType, resize};
use image::{DynamicImage, ImageDecoder, ImageReader, Limits};
use onestep_memory::Shape;

use crate::DataError;

/// Longer sides are refused, of files and of what they are resized to.
const LARGEST_SIDE: u32 = 16_384;

/// More pixels than these no picture is resized to.
const MOST_PIXELS: usize = 1 << 26;

/// Decoding a file takes no more memory than this.
const MOST_DECODED: u64 = 512 << 20;

/// Larger files are no pictures.
const LARGEST_FILE: u64 = 1 << 30;

/// So many pixels are believed of any file,
const BELIEVED_PIXELS: u64 = 1 << 20;

/// and so many of each of its bytes, beyond what formats reach on pictures of a single colour.
const PIXELS_OF_A_BYTE: u64 = 10_000;

/// How many channels a picture is read with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Colour {
    /// One channel: the luminance.
    Grey,
    /// Three channels: red, green, blue.
    Rgb,
}

impl Colour {
    /// The number of channels.
    pub fn channels(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::Rgb => 3,
        }
    }
}

impl FromStr for Colour {
    type Err = DataError;

    /// `grey` (or `gray`) and `rgb`.
    fn from_str(text: &str) -> Result<Self, DataError> {
        match text {
            "grey" | "gray" => Ok(Self::Grey),
            "rgb" => Ok(Self::Rgb),
            _ => Err(DataError::setting("colour", "grey or rgb", text)),
        }
    }
}

/// The form that pictures are brought into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    pub(crate) colour: Colour,
    pub(crate) height: usize,
    pub(crate) width: usize,
}

impl Picture {
    pub(crate) fn shape(self) -> Shape {
        Shape::from([self.colour.channels(), self.height, self.width])
    }

    pub(crate) fn elements(self) -> usize {
        self.colour.channels() * self.height * self.width
    }

    /// Reads a file and gives its pixels plane by plane, upright, and resized where it has another size.
    pub(crate) fn decode(self, path: &Path) -> Result<Box<[u8]>, DataError> {
        self.check()?;
        let image = upright(path)?;
        let (width, height) = (self.width as u32, self.height as u32);
        Ok(match self.colour {
            Colour::Grey => grey(&image, width, height),
            Colour::Rgb => rgb(&image, width, height),
        })
    }

    /// Refuses sizes that no picture is resized to.
    pub(crate) fn check(self) -> Result<(), DataError> {
        let sides = 1..=LARGEST_SIDE as usize;
        let fits = sides.contains(&self.height) && sides.contains(&self.width);
        if fits && self.height * self.width <= MOST_PIXELS {
            return Ok(());
        }
        let wanted =
            format!("at least 1x1 pixels, at most {LARGEST_SIDE} a side and {MOST_PIXELS} in all");
        let got = format!("{}x{}", self.height, self.width);
        Err(DataError::setting("image size", wanted, got))
    }

    /// Bytes to numbers from 0 to 1.
    pub(crate) fn to_floats(pixels: &[u8], input: &mut [f32]) {
        for (value, &byte) in input.iter_mut().zip(pixels) {
            *value = f32::from(byte) / 255.0;
        }
    }
}

fn grey(image: &DynamicImage, width: u32, height: u32) -> Box<[u8]> {
    let mut pixels = image.to_luma8();
    if pixels.dimensions() != (width, height) {
        pixels = resize(&pixels, width, height, FilterType::Triangle);
    }
    pixels.into_raw().into()
}

fn rgb(image: &DynamicImage, width: u32, height: u32) -> Box<[u8]> {
    let mut pixels = image.to_rgb8();
    if pixels.dimensions() != (width, height) {
        pixels = resize(&pixels, width, height, FilterType::Triangle);
    }
    let interleaved = pixels.into_raw();
    let plane = |channel| interleaved.iter().skip(channel).step_by(3).copied();
    plane(0).chain(plane(1)).chain(plane(2)).collect()
}

/// The size and colour of a file. All of it is decoded, as a header may claim anything.
pub(crate) fn probe(path: &Path) -> Result<Picture, DataError> {
    let image = upright(path)?;
    let colour = if image.color().has_color() { Colour::Rgb } else { Colour::Grey };
    Ok(Picture { colour, height: image.height() as usize, width: image.width() as usize })
}

/// Decodes a file, turned as its EXIF orientation says: cameras store pictures as the sensor was held.
fn upright(path: &Path) -> Result<DynamicImage, DataError> {
    let failed = |source| DataError::Image { path: path.to_path_buf(), source };
    let content = read(path)?;
    let bytes = content.len() as u64;
    if !is_whole(&content) {
        let wanted = "a whole picture; the file was cut off, copy or download it again";
        return Err(DataError::format(
            path,
            "content",
            wanted,
            format!("{bytes} bytes without their end"),
        ));
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(LARGEST_SIDE);
    limits.max_image_height = Some(LARGEST_SIDE);
    limits.max_alloc = Some(MOST_DECODED);
    let io = |source| DataError::io(path, "read", "a picture", source);
    // The content decides on the format, not the file's name.
    let mut reader = ImageReader::new(Cursor::new(content)).with_guessed_format().map_err(io)?;
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder().map_err(failed)?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels > BELIEVED_PIXELS.max(bytes.saturating_mul(PIXELS_OF_A_BYTE)) {
        let wanted = "no more pixels than a file of its size can hold";
        let got = format!("{height}x{width} in {bytes} bytes");
        return Err(DataError::format(path, "size", wanted, got));
    }
    limits.reserve(decoder.total_bytes()).map_err(failed)?;
    decoder.set_limits(limits).map_err(failed)?;
    let orientation = decoder.orientation().map_err(failed)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(failed)?;
    image.apply_orientation(orientation);
    Ok(image)
}

/// A file of a size that pictures have.
fn read(path: &Path) -> Result<Vec<u8>, DataError> {
    let failed = |source| DataError::io(path, "read", "a picture", source);
    let mut content = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(LARGEST_FILE + 1).read_to_end(&mut content).map_err(failed)?;
    if content.len() as u64 > LARGEST_FILE {
        let wanted = format!("at most {LARGEST_FILE} bytes of a picture");
        return Err(DataError::format(path, "size", wanted, "more"));
    }
    Ok(content)
}

/// Whether a file has its end, for the formats whose decoders fill with grey what is missing.
fn is_whole(content: &[u8]) -> bool {
    match content {
        [0xff, 0xd8, rest @ ..] => jpeg_has_end(rest),
        [b'R', b'I', b'F', b'F', a, b, c, d, rest @ ..] => {
            rest.len() as u64 >= u64::from(u32::from_le_bytes([*a, *b, *c, *d]))
        }
        _ => true,
    }
}

/// Goes from marker to marker of a JPEG, behind its first, to the one that ends it.
fn jpeg_has_end(mut rest: &[u8]) -> bool {
    while let Some(start) = rest.iter().position(|&byte| byte == 0xff) {
        rest = &rest[start + 1..];
        match *rest {
            [0xd9, ..] => return true,
            // Fill bytes, and what stands for 0xff within the compressed data; markers without content.
            [0xff, ..] => {}
            [0x00 | 0x01 | 0xd0..=0xd8, ref behind @ ..] => rest = behind,
            [_, high, low, ..] => {
                let length = usize::from(u16::from_be_bytes([high, low]));
                match rest.get(1 + length.max(2)..) {
                    Some(behind) => rest = behind,
                    None => return false,
                }
            }
            _ => return false,
        }
    }
    false
}

/// Reads one picture as an input of `shape`, `[1 or 3, height, width]`: turned as its EXIF orientation
/// says, resized where it has another size, from 0 to 1. This is what a folder of pictures gives, for predictions on single files.
///
/// # Errors
/// [`DataError::Setting`] for another kind of shape, [`DataError::Missing`], [`DataError::Io`],
/// [`DataError::Image`] or [`DataError::Format`] where the file cannot be read, was cut off or claims
/// more pixels than it can hold.
pub fn read_picture(path: impl AsRef<Path>, shape: &Shape) -> Result<Vec<f32>, DataError> {
    let picture = match *shape.dims() {
        [1, height, width] => Picture { colour: Colour::Grey, height, width },
        [3, height, width] => Picture { colour: Colour::Rgb, height, width },
        _ => {
            return Err(DataError::setting("shape of a picture", "[1 or 3, height, width]", shape));
        }
    };
    let pixels = picture.decode(path.as_ref())?;
    let mut input = vec![0.0; pixels.len()];
    Picture::to_floats(&pixels, &mut input);
    Ok(input)
}
