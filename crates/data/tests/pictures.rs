//! Single pictures: whole ones upright, damaged ones refused, and no memory on faith.

#[path = "support/files.rs"]
mod files;

use std::io::Cursor;

use files::Folder;
use image::{DynamicImage, GrayImage, ImageFormat, Luma, RgbImage};
use onestep_data::{DataError, ImageOptions, SampleRng, image_folder, open, read_picture};

fn text<T>(result: Result<T, DataError>) -> String {
    result.err().expect("an error").to_string()
}

fn noise() -> DynamicImage {
    let mut rng = SampleRng::new(5, 0, 0);
    let pixels = (0..11 * 9 * 3).map(|_| rng.below(256) as u8).collect();
    RgbImage::from_raw(11, 9, pixels).unwrap().into()
}

fn encode(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    image.write_to(&mut file, format).unwrap();
    file.into_inner()
}

#[test]
fn a_picture_that_was_cut_off_never_gives_other_pixels() {
    let folder = Folder::new();
    let shape = [3, 9, 11].into();
    for (format, name) in [
        (ImageFormat::Jpeg, "x.jpg"),
        (ImageFormat::Png, "x.png"),
        (ImageFormat::Gif, "x.gif"),
        (ImageFormat::Bmp, "x.bmp"),
        (ImageFormat::WebP, "x.webp"),
    ] {
        let whole = encode(&noise(), format);
        let pixels = read_picture(folder.write(name, &whole), &shape).unwrap();
        let near_the_end = |length: &usize| length.is_multiple_of(5) || length + 40 > whole.len();
        for length in (0..whole.len()).filter(near_the_end) {
            // Some formats can do without their last bytes; then the pixels are all there.
            match read_picture(folder.write(name, &whole[..length]), &shape) {
                Ok(found) => assert_eq!(found, pixels, "{name}, {length} of {}", whole.len()),
                Err(error) => assert!(error.to_string().contains(name), "{error}"),
            }
            if format == ImageFormat::Jpeg {
                assert!(read_picture(folder.write(name, &whole[..length]), &shape).is_err());
            }
        }
    }
    let jpeg = encode(&noise(), ImageFormat::Jpeg);
    let error = text(read_picture(folder.write("y.jpg", &jpeg[..jpeg.len() / 2]), &shape));
    assert!(
        error.contains("y.jpg: content: expected a whole picture; the file was cut off"),
        "{error}"
    );
    // What follows the end is no fault: phones write films and depths there.
    read_picture(folder.write("z.jpg", [&jpeg[..], b"more"].concat()), &shape).unwrap();
}

/// A JPEG whose EXIF part asks for an orientation, as phones write it.
fn turned(image: &DynamicImage, orientation: u8) -> Vec<u8> {
    let jpeg = encode(image, ImageFormat::Jpeg);
    let mut file = jpeg[..2].to_vec();
    file.extend([0xff, 0xe1, 0, 34]);
    file.extend(b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0");
    file.extend([orientation, 0, 0, 0, 0, 0, 0]);
    file.extend(&jpeg[2..]);
    file
}

/// Where a pixel is stored, from its column and row and the last ones.
type Place = fn(u32, u32, u32, u32) -> (u32, u32);

#[test]
fn pictures_are_turned_upright() {
    // Four blocks of 8 x 8, which JPEG keeps: 0 and 80 over 160 and 240, and a third row of 40 and 120.
    let value =
        |x: u32, y: u32| [[0, 80], [160, 240], [40, 120]][(y / 8) as usize][(x / 8) as usize];
    let image: DynamicImage = GrayImage::from_fn(16, 24, |x, y| Luma([value(x, y)])).into();
    let folder = Folder::new();
    let (w, h) = (15, 23);
    // Where each pixel of the upright picture is in the stored one.
    let stored: [Place; 8] = [
        |x, y, _, _| (x, y),
        |x, y, w, _| (w - x, y),
        |x, y, w, h| (w - x, h - y),
        |x, y, _, h| (x, h - y),
        |x, y, _, _| (y, x),
        |x, y, _, h| (y, h - x),
        |x, y, w, h| (w - y, h - x),
        |x, y, w, _| (w - y, x),
    ];
    for (number, stored) in stored.iter().enumerate() {
        let sides_swap = number >= 4;
        let (width, height) = if sides_swap { (24, 16) } else { (16, 24) };
        folder.write("a/1.jpg", turned(&image, number as u8 + 1));
        // The first picture's size is that of the upright picture.
        let set = image_folder(folder.path(), &ImageOptions::default()).unwrap();
        let shape = onestep_data::Dataset::input_shape(&set);
        assert_eq!(shape.dims(), [1, height, width], "orientation {}", number + 1);
        let pixels = read_picture(folder.path().join("a/1.jpg"), &shape).unwrap();
        for y in 0..height {
            for x in 0..width {
                let (from_x, from_y) = stored(x as u32, y as u32, w, h);
                let wanted = f32::from(value(from_x, from_y)) / 255.0;
                let found = pixels[y * width + x];
                assert!((found - wanted).abs() < 0.03, "orientation {}: {x} {y}", number + 1);
            }
        }
    }
}

/// A PNG whose header claims a size that its data does not have.
fn claiming(width: u32, height: u32) -> Vec<u8> {
    let chunk = |kind: &[u8; 4], data: &[u8]| {
        let body = [kind, data].concat();
        let crc = flate2::Crc::new();
        let crc = body.iter().fold(crc, |mut crc, byte| {
            crc.update(&[*byte]);
            crc
        });
        [&(data.len() as u32).to_be_bytes(), &body[..], &crc.sum().to_be_bytes()].concat()
    };
    let size = [width.to_be_bytes(), height.to_be_bytes()].concat();
    [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        chunk(b"IHDR", &[&size[..], &[8, 2, 0, 0, 0]].concat()),
        chunk(b"IDAT", &[0x78, 0x9c, 0x03, 0, 0, 0, 0, 1]),
        chunk(b"IEND", &[]),
    ]
    .concat()
}

#[test]
fn a_size_that_a_file_only_claims_is_not_believed() {
    let folder = Folder::new();
    let file = folder.write("a/1.png", claiming(5000, 5000));
    let error = text(image_folder(folder.path(), &ImageOptions::default()));
    let wanted =
        "1.png: size: expected no more pixels than a file of its size can hold, got 5000x5000 in";
    assert!(error.contains(wanted), "{error}");
    assert!(text(read_picture(&file, &[3, 8, 8].into())).contains(wanted));
    // Below what is believed, the decoder finds out, and the header alone decides nothing.
    folder.write("a/1.png", claiming(900, 900));
    let error = text(image_folder(folder.path(), &ImageOptions::default()));
    assert!(error.contains("1.png: cannot decode the image"), "{error}");
    folder.write("a/1.png", claiming(60_000, 60_000));
    assert!(text(image_folder(folder.path(), &ImageOptions::default())).contains("1.png"));
}

#[test]
fn a_photograph_needs_a_size() {
    let folder = Folder::new();
    folder.grey("a/1.png", 2400, 1800, 7);
    folder.grey("b/1.png", 2400, 1800, 7);
    let spec = format!("images:{}", folder.text());
    let error = text(open(&spec));
    assert!(error.contains("1.png: size: expected at most 4194304 pixels"), "{error}");
    assert!(error.contains("`?size=224`") && error.ends_with("got 1800x2400"), "{error}");
    assert_eq!(open(&format!("{spec}?size=6x8")).unwrap().train.input_shape().dims(), [1, 6, 8]);
    for size in ["0", "100000", "16384x16384", "18446744073709551615"] {
        let error = text(open(&format!("{spec}?size={size}")));
        assert!(
            error.contains("image size: expected at least 1x1 pixels, at most 16384"),
            "{error}"
        );
    }
}
