//! Decoding one picture into planes of a fixed size.

use std::path::Path;
use std::str::FromStr;

use image::imageops::{FilterType, resize};
use image::{DynamicImage, ImageDecoder, ImageReader};
use onestep_memory::Shape;

use crate::DataError;

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

    /// Reads a file and gives its pixels plane by plane, resized where it has another size.
    pub(crate) fn decode(self, path: &Path) -> Result<Box<[u8]>, DataError> {
        let failed = |source| DataError::Image { path: path.to_path_buf(), source };
        let image = open(path)?.decode().map_err(failed)?;
        let (Ok(width), Ok(height)) = (u32::try_from(self.width), u32::try_from(self.height))
        else {
            let got = format!("{}x{}", self.height, self.width);
            return Err(DataError::setting("image size", "below 2^32 pixels a side", got));
        };
        Ok(match self.colour {
            Colour::Grey => grey(&image, width, height),
            Colour::Rgb => rgb(&image, width, height),
        })
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

/// The size and colour of a file, from its header alone.
pub(crate) fn probe(path: &Path) -> Result<Picture, DataError> {
    let failed = |source| DataError::Image { path: path.to_path_buf(), source };
    let decoder = open(path)?.into_decoder().map_err(failed)?;
    let (width, height) = decoder.dimensions();
    let colour = if decoder.color_type().has_color() { Colour::Rgb } else { Colour::Grey };
    Ok(Picture { colour, height: height as usize, width: width as usize })
}

fn open(path: &Path) -> Result<ImageReader<std::io::BufReader<std::fs::File>>, DataError> {
    let failed = |source| DataError::io(path, "open", "a picture", source);
    // The content decides on the format, not the file's name.
    ImageReader::open(path).map_err(failed)?.with_guessed_format().map_err(failed)
}

/// Reads one picture as an input of `shape`, `[1 or 3, height, width]`: resized where it has another
/// size, from 0 to 1. This is what a folder of pictures gives, for predictions on single files.
///
/// # Errors
/// [`DataError::Setting`] for another kind of shape, [`DataError::Missing`], [`DataError::Io`] or
/// [`DataError::Image`] where the file cannot be read.
pub fn read_picture(path: impl AsRef<Path>, shape: &Shape) -> Result<Vec<f32>, DataError> {
    let picture = match *shape.dims() {
        [1, height, width] if height * width > 0 => Picture { colour: Colour::Grey, height, width },
        [3, height, width] if height * width > 0 => Picture { colour: Colour::Rgb, height, width },
        _ => {
            return Err(DataError::setting("shape of a picture", "[1 or 3, height, width]", shape));
        }
    };
    let pixels = picture.decode(path.as_ref())?;
    let mut input = vec![0.0; pixels.len()];
    Picture::to_floats(&pixels, &mut input);
    Ok(input)
}
