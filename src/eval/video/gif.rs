//! GIF encoder: plays everywhere. One palette for all images; each stores only the part that
//! changed.

use std::borrow::Cow;
use std::collections::HashMap;

use anyhow::{Context, ensure};
use gif::{DisposalMethod, Encoder, Frame, Repeat};

use super::{Picture, Video};

const MOST_COLOURS: usize = 256;
/// Minimum delay in hundredths of a second: players replace shorter ones by a tenth of a second.
const LEAST_CENTIS: u64 = 2;

/// GIF under construction. Kept in memory, because the palette is known only at the end.
pub struct GifVideo {
    width: usize,
    height: usize,
    palette: Palette,
    parts: Vec<Part>,
    /// Palette indices of the image shown now.
    shown: Vec<u8>,
    /// Current time of the video in milliseconds.
    millis: f64,
}

/// Part that changed from one image to the next, and its start time.
struct Part {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
    /// Palette indices, compressed: an hour of play must fit in memory.
    compressed: Vec<u8>,
    /// Start time in hundredths of a second.
    start: u64,
}

impl GifVideo {
    /// Starts a video of the given size.
    ///
    /// # Errors
    /// If the size is zero or too large for the format.
    pub fn begin(width: usize, height: usize) -> anyhow::Result<Self> {
        let most = usize::from(u16::MAX);
        let sides = 1..=most;
        ensure!(
            sides.contains(&width) && sides.contains(&height),
            "pictures of {width} × {height} pixels: a GIF has 1 to {most} on either side"
        );
        let palette = Palette::default();
        Ok(Self { width, height, palette, parts: Vec::new(), shown: Vec::new(), millis: 0.0 })
    }

    /// Returns the smallest rectangle that contains all differences; the whole image if it is the
    /// first.
    fn changed(&self, colours: &[u8]) -> Option<[usize; 4]> {
        if self.shown.is_empty() {
            return Some([0, 0, self.width, self.height]);
        }

        let differs =
            |y: usize, x: usize| colours[y * self.width + x] != self.shown[y * self.width + x];
        let mut rows = (0..self.height).filter(|&y| (0..self.width).any(|x| differs(y, x)));
        let top = rows.next()?;
        let bottom = rows.next_back().unwrap_or(top);
        let mut columns = (0..self.width).filter(|&x| (top..=bottom).any(|y| differs(y, x)));
        let left = columns.next()?;
        let right = columns.next_back().unwrap_or(left);
        Some([left, top, right + 1 - left, bottom + 1 - top])
    }

    fn cut(&self, colours: &[u8], [left, top, width, height]: [usize; 4], start: u64) -> Part {
        let colours: Vec<u8> = (0..height)
            .flat_map(|y| &colours[(top + y) * self.width + left..][..width])
            .copied()
            .collect();
        let mut frame = Frame { buffer: Cow::Owned(colours), ..Frame::default() };
        frame.make_lzw_pre_encoded();
        Part { left, top, width, height, compressed: frame.buffer.into_owned(), start }
    }
}

impl Video for GifVideo {
    fn show(&mut self, picture: &Picture, millis: f64) -> anyhow::Result<()> {
        let width = self.width;
        let height = self.height;
        ensure!(
            (picture.width, picture.height) == (width, height),
            "a picture of {} × {} in a video of {width} × {height}",
            picture.width,
            picture.height
        );
        let start = centis(self.millis);
        self.millis += millis;
        let last = self.parts.last().map_or(0, |part| part.start + LEAST_CENTIS);
        ensure!(
            self.parts.is_empty() || start >= last,
            "more than 50 pictures a second: a GIF has no room for them"
        );
        let colours = self.palette.colours_of(picture);
        // An image like the one before needs no part: the earlier part is shown for longer.
        if let Some(area) = self.changed(&colours) {
            self.parts.push(self.cut(&colours, area, start));
            self.shown = colours;
        }

        Ok(())
    }

    fn finish(self: Box<Self>) -> anyhow::Result<Vec<u8>> {
        ensure!(!self.parts.is_empty(), "a video without pictures");
        let mut bytes = Vec::new();
        let mut encoder =
            Encoder::new(&mut bytes, side(self.width)?, side(self.height)?, &self.palette.bytes())?;
        encoder.set_repeat(Repeat::Infinite)?;
        let end = centis(self.millis);
        // A part ends where the next begins, so that rounded times leave no gaps.
        let ends = self.parts.iter().skip(1).map(|part| part.start).chain([end]);
        for (part, end) in self.parts.iter().zip(ends) {
            let shown = end.saturating_sub(part.start).max(LEAST_CENTIS);
            encoder.write_lzw_pre_encoded_frame(&Frame {
                // The format holds no delay above 655 seconds.
                delay: u16::try_from(shown).unwrap_or(u16::MAX),
                dispose: DisposalMethod::Keep,
                left: side(part.left)?,
                top: side(part.top)?,
                width: side(part.width)?,
                height: side(part.height)?,
                buffer: Cow::Borrowed(&part.compressed),
                ..Frame::default()
            })?;
        }

        drop(encoder);
        Ok(bytes)
    }
}

fn side(length: usize) -> anyhow::Result<u16> {
    u16::try_from(length).context("a side longer than a GIF can say")
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "times are positive and short"
)]
fn centis(millis: f64) -> u64 {
    (millis / 10.0).round() as u64
}

/// Returns the squared distance of two colours.
fn distance(colour: &[u8; 3], other: &[u8; 3]) -> u32 {
    colour.iter().zip(other).map(|(a, b)| u32::from(a.abs_diff(*b)).pow(2)).sum()
}

/// Palette of colours in order of first use; when it is full, the nearest colour is used.
#[derive(Default)]
struct Palette {
    colours: Vec<[u8; 3]>,
    places: HashMap<[u8; 3], u8>,
}

impl Palette {
    fn colours_of(&mut self, picture: &Picture) -> Vec<u8> {
        let (pixels, _) = picture.rgb.as_chunks::<3>();
        pixels.iter().map(|pixel| self.place_of(*pixel)).collect()
    }

    fn place_of(&mut self, colour: [u8; 3]) -> u8 {
        if let Some(place) = self.places.get(&colour) {
            return *place;
        }

        let place = if self.colours.len() < MOST_COLOURS {
            self.colours.push(colour);
            self.colours.len() - 1
        } else {
            (0..MOST_COLOURS)
                .min_by_key(|&place| distance(&colour, &self.colours[place]))
                .unwrap_or(0)
        };

        let place = u8::try_from(place).unwrap_or(u8::MAX);
        // Colours without a place of their own are remembered too, since the search is slow.
        self.places.insert(colour, place);
        place
    }

    fn bytes(&self) -> Vec<u8> {
        self.colours.concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes the images and their delays.
    fn decode(bytes: &[u8]) -> (Vec<Picture>, Vec<u16>) {
        let mut options = gif::DecodeOptions::new();
        options.set_color_output(gif::ColorOutput::RGBA);
        let mut decoder = options.read_info(bytes).unwrap();
        let width = usize::from(decoder.width());
        let height = usize::from(decoder.height());
        let mut page = Picture::filled(width, height, [0; 3]);
        let mut pictures = Vec::new();
        let mut delays = Vec::new();
        while let Some(frame) = decoder.read_next_frame().unwrap() {
            let rgb = frame.buffer.chunks(4).flat_map(|pixel| pixel[..3].to_vec()).collect();
            let part = Picture { width: frame.width.into(), height: frame.height.into(), rgb };
            page.put(&part, frame.left.into(), frame.top.into()).unwrap();
            pictures.push(page.clone());
            delays.push(frame.delay);
        }

        (pictures, delays)
    }

    fn moving(step: u8) -> Picture {
        let mut picture = Picture::filled(20, 10, [10, 20, 30]);
        let dot = Picture::filled(2, 2, [200, step, 0]);
        picture.put(&dot, usize::from(step), 3).unwrap();
        picture
    }

    #[test]
    fn every_pixel_comes_back_and_time_adds_up() {
        let mut video = Box::new(GifVideo::begin(20, 10).unwrap());
        let shown: Vec<Picture> = (0..12).map(moving).collect();
        for picture in &shown {
            video.show(picture, 1000.0 / 30.0).unwrap();
        }

        let (pictures, delays) = decode(&video.finish().unwrap());
        assert_eq!(pictures, shown);
        assert_eq!(
            delays.iter().map(|&delay| u32::from(delay)).sum::<u32>(),
            40,
            "12/30 of a second"
        );
        assert!(delays.iter().all(|delay| (3..=4).contains(delay)), "{delays:?}");
    }

    #[test]
    fn a_picture_shown_twice_is_stored_once() {
        let mut video = Box::new(GifVideo::begin(20, 10).unwrap());
        for step in [1, 1, 1, 2] {
            video.show(&moving(step), 100.0).unwrap();
        }
        let (pictures, delays) = decode(&video.finish().unwrap());
        assert_eq!((pictures.len(), delays), (2, vec![30, 10]));
    }

    #[test]
    fn colours_beyond_the_palette_become_their_neighbours() {
        let mut palette = Palette::default();
        for level in 0..=255 {
            palette.place_of([level, 0, 0]);
        }
        assert_eq!(palette.place_of([77, 1, 0]), 77);
        assert_eq!(palette.bytes().len(), 3 * 256);
    }

    #[test]
    fn mistakes_are_named() {
        assert!(GifVideo::begin(0, 5).is_err() && GifVideo::begin(70_000, 5).is_err());
        let mut video = Box::new(GifVideo::begin(20, 11).unwrap());
        let error = video.show(&moving(1), 10.0).unwrap_err().to_string();
        assert!(error.contains("20 × 10 in a video of 20 × 11"), "{error}");
        assert!(video.finish().is_err());
    }
}
