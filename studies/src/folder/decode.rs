//! Decoding pictures to red, green and blue, as Pillow's `convert("RGB")` does.

use std::fs::File;
use std::io::{BufReader, Cursor};
use std::path::Path;

use image::{ImageFormat, ImageReader, RgbImage};
use jpeg_decoder::PixelFormat;

/// Reasons why a file is no picture that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PictureError {
    /// The file cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// Its content is of another kind, whatever its name says.
    #[error("it is neither a JPEG nor a PNG")]
    Format,
    /// It begins as a picture and does not go on as one.
    #[error("it does not decode: {0}")]
    Damaged(String),
    /// It has this width and height, of which one is more than a hundred times the other: resized by its
    /// shorter side it would fill the memory.
    #[error("it is a strip: {0} × {1} pixels")]
    Strip(u32, u32),
    /// It has this width and height, of which one is 0.
    #[error("it is empty: {0} × {1} pixels")]
    Empty(u32, u32),
}

/// Most that a picture's longer side may be, in shorter ones.
const MOST_STRETCHED: u32 = 100;
/// Most bytes that a decoded JPEG in four colours may take.
const MOST_BYTES: usize = 1 << 30;

/// Width and height of a picture, by its header alone. The format is told by content: names lie.
pub(super) fn size_of(path: &Path) -> Result<[u32; 2], PictureError> {
    let unreadable = |error: std::io::Error| PictureError::Unreadable(error.to_string());
    // Not `ImageReader::open`, which believes the name where the content is unknown.
    let file = BufReader::new(File::open(path).map_err(unreadable)?);
    let reader = ImageReader::new(file).with_guessed_format().map_err(unreadable)?;
    if !matches!(reader.format(), Some(ImageFormat::Jpeg | ImageFormat::Png)) {
        return Err(PictureError::Format);
    }
    match reader.into_dimensions().map_err(damaged)? {
        (0, height) => Err(PictureError::Empty(0, height)),
        (width, 0) => Err(PictureError::Empty(width, 0)),
        (width, height) if width / height > MOST_STRETCHED || height / width > MOST_STRETCHED => {
            Err(PictureError::Strip(width, height))
        }
        (width, height) => Ok([width, height]),
    }
}

/// Decodes a picture; transparency is dropped, not blended.
pub fn decode(bytes: &[u8]) -> Result<RgbImage, PictureError> {
    match image::guess_format(bytes) {
        // Decoders paint what is missing grey and say nothing; Pillow refuses.
        Ok(ImageFormat::Jpeg) if !has_end(bytes) => {
            Err(PictureError::Damaged("it is cut off".to_owned()))
        }
        Ok(ImageFormat::Jpeg) if components(bytes)? == 4 => four_colours(bytes),
        Ok(format @ (ImageFormat::Jpeg | ImageFormat::Png)) => {
            let reader = ImageReader::with_format(Cursor::new(bytes), format);
            Ok(reader.decode().map_err(damaged)?.into_rgb8())
        }
        _ => Err(PictureError::Format),
    }
}

/// Returns `true` if a JPEG's end marker follows its last scan, within which it cannot occur.
fn has_end(bytes: &[u8]) -> bool {
    let scan = bytes.windows(2).rposition(|pair| pair == [0xff, 0xda]).unwrap_or(0);
    bytes[scan..].windows(2).any(|pair| pair == [0xff, 0xd9])
}

/// Number of a JPEG's colour components.
fn components(bytes: &[u8]) -> Result<usize, PictureError> {
    let mut decoder = jpeg_decoder::Decoder::new(bytes);
    decoder.read_info().map_err(damaged)?;
    Ok(decoder.info().map_or(0, |info| info.pixel_format.pixel_bytes()))
}

/// Decodes a JPEG in cyan, magenta, yellow and black, of which ImageNet has a few. The usual decoder
/// inverts some of them.
fn four_colours(bytes: &[u8]) -> Result<RgbImage, PictureError> {
    let mut decoder = jpeg_decoder::Decoder::new(bytes);
    decoder.set_max_decoding_buffer_size(MOST_BYTES);
    let inks = decoder.decode().map_err(damaged)?;
    let Some(info) = decoder.info().filter(|info| info.pixel_format == PixelFormat::CMYK32) else {
        return Err(PictureError::Damaged("its colours are of an unknown kind".to_owned()));
    };
    let rgb = inks.as_chunks().0.iter().flat_map(|&inks| rgb_of(inks)).collect();
    let picture = RgbImage::from_raw(info.width.into(), info.height.into(), rgb);
    picture.ok_or_else(|| PictureError::Damaged("it has too few pixels".to_owned()))
}

/// Mixes inks as Pillow does: what cyan leaves of red, and black of that.
fn rgb_of([cyan, magenta, yellow, black]: [u8; 4]) -> [u8; 3] {
    let light = 255 - u32::from(black);
    [cyan, magenta, yellow].map(|ink| {
        let taken = u32::from(ink) * light + 128;
        // Division by 255, rounded.
        (light - ((taken + (taken >> 8)) >> 8)) as u8
    })
}

fn damaged(error: impl std::fmt::Display) -> PictureError {
    PictureError::Damaged(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::Value;

    use super::*;

    /// Every kind of picture against Pillow's `convert("RGB")`.
    #[test]
    fn colours_are_those_of_pillow() {
        let golden: Value =
            serde_json::from_str(include_str!("../../golden/pictures.json")).unwrap();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/pictures");
        let decoded = golden["decoded"].as_object().unwrap();
        assert_eq!(decoded.len(), 13);
        for (name, expected) in decoded {
            let picture = decode(&fs::read(folder.join(name)).unwrap()).unwrap();
            let size = [picture.width(), picture.height()];
            assert_eq!(size_of(&folder.join(name)).unwrap(), size, "{name}");
            assert_eq!(size.map(u64::from), [24, 18], "{name}");
            // Decoders of JPEG differ in rounding, and in how they enlarge colours stored at half
            // the size.
            let most = match name.as_str() {
                "subsampled.jpg" => 40,
                "inks.jpg" | "inks_as_differences.jpg" => 4,
                name if name.ends_with("jpg") || name == "named_wrongly.png" => 2,
                _ => 0,
            };
            let pixels = expected["pixels"].as_array().unwrap();
            assert_eq!(pixels.len(), picture.as_raw().len(), "{name}");
            for (found, expected) in picture.as_raw().iter().zip(pixels) {
                let off = i64::from(*found) - expected.as_i64().unwrap();
                assert!(off.abs() <= most, "{name}: off by {off}");
            }
        }
    }

    #[test]
    fn a_strip_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let sizes = [(1, 101, false), (202, 2, false), (2, 200, true)];
        for (width, height, is_fine) in sizes {
            let mut png = Cursor::new(Vec::new());
            RgbImage::new(width, height).write_to(&mut png, ImageFormat::Png).unwrap();
            fs::write(file.path(), png.into_inner()).unwrap();
            assert_eq!(size_of(file.path()).is_ok(), is_fine, "{width} × {height}");
        }
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        assert_eq!(decode(b"no picture"), Err(PictureError::Format));
        assert_eq!(decode(b""), Err(PictureError::Format));
    }
}
