//! WebP encoder: lossless, smaller files, all colours.

use anyhow::{anyhow, ensure};
use webp_animation::{Encoder, EncoderOptions, EncodingConfig, EncodingType};

use super::{Picture, Video};

/// WebP animation under construction.
pub struct WebpVideo {
    width: usize,
    height: usize,
    encoder: Encoder,
    millis: f64,
    pictures: u64,
}

impl WebpVideo {
    /// Starts a video of the given size.
    ///
    /// # Errors
    /// If the size is zero or too large for the format.
    pub fn begin(width: usize, height: usize) -> anyhow::Result<Self> {
        const MOST: usize = 16_383;
        let sides = 1..=MOST;
        ensure!(
            sides.contains(&width) && sides.contains(&height),
            "pictures of {width} × {height} pixels: a WebP file has 1 to {MOST} on either side"
        );
        let size = (u32::try_from(width)?, u32::try_from(height)?);
        let lossless =
            EncodingConfig { encoding_type: EncodingType::Lossless, ..EncodingConfig::default() };
        let options =
            EncoderOptions { encoding_config: Some(lossless), ..EncoderOptions::default() };
        let encoder = Encoder::new_with_options(size, options).map_err(failed)?;
        Ok(Self { width, height, encoder, millis: 0.0, pictures: 0 })
    }
}

impl Video for WebpVideo {
    fn show(&mut self, picture: &Picture, millis: f64) -> anyhow::Result<()> {
        let width = self.width;
        let height = self.height;
        ensure!(
            (picture.width, picture.height) == (width, height),
            "a picture of {} × {} in a video of {width} × {height}",
            picture.width,
            picture.height
        );
        let (pixels, _) = picture.rgb.as_chunks::<3>();
        let rgba: Vec<u8> =
            pixels.iter().flat_map(|&[red, green, blue]| [red, green, blue, 255]).collect();
        // The exact time is rounded anew for each image, so that errors do not add up.
        self.encoder.add_frame(&rgba, whole(self.millis)).map_err(failed)?;
        self.millis += millis;
        self.pictures += 1;
        Ok(())
    }

    fn finish(self: Box<Self>) -> anyhow::Result<Vec<u8>> {
        ensure!(self.pictures > 0, "a video without pictures");
        Ok(self.encoder.finalize(whole(self.millis)).map_err(failed)?.to_vec())
    }
}

fn failed(error: webp_animation::Error) -> anyhow::Error {
    anyhow!("the WebP encoder failed: {error:?}")
}

#[expect(clippy::cast_possible_truncation, reason = "a month fits")]
fn whole(millis: f64) -> i32 {
    millis.round() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pixel_comes_back_at_its_time() {
        let picture = |step: u8| {
            let mut picture = Picture::filled(20, 10, [10, 20, 30]);
            picture.put(&Picture::filled(2, 2, [200, step, 0]), usize::from(step), 3).unwrap();
            picture
        };

        let mut video = Box::new(WebpVideo::begin(20, 10).unwrap());
        (0..12).for_each(|step| video.show(&picture(step), 1000.0 / 60.0).unwrap());
        let bytes = video.finish().unwrap();
        let decoder = webp_animation::Decoder::new(&bytes).unwrap();
        let frames: Vec<_> = decoder.into_iter().collect();
        assert_eq!(frames.len(), 12);
        for (step, frame) in frames.iter().enumerate() {
            let rgb: Vec<u8> =
                frame.data().chunks(4).flat_map(|pixel| pixel[..3].to_vec()).collect();
            assert_eq!(rgb, picture(step as u8).rgb, "picture {step}");
        }

        assert_eq!(frames[11].timestamp(), 200, "a frame's time is that of its end");
    }

    #[test]
    fn mistakes_are_named() {
        assert!(WebpVideo::begin(0, 5).is_err() && WebpVideo::begin(5, 20_000).is_err());
        let mut video = Box::new(WebpVideo::begin(20, 11).unwrap());
        assert!(video.show(&Picture::filled(20, 10, [0; 3]), 10.0).is_err());
        assert!(video.finish().is_err());
    }
}
