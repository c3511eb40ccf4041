//! Videos of an agent's games, from images to the bytes of a file. No display is needed.
//!
//! - [`gif`] and [`webp`]: the file formats, both lossless;
//! - [`game`]: a full game as images; [`panel`]: network inputs and outputs beside it;
//! - [`sheet`]: contact sheets; [`recorder`]: records a game with all of these.

pub mod game;
pub mod gif;
pub mod panel;
pub mod picture;
pub mod recorder;
pub mod sheet;
pub mod webp;

pub use picture::Picture;

use std::path::Path;

use anyhow::bail;

/// Video file formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Plays everywhere; 256 colours, more than the console has.
    Gif,
    /// Smaller files, all colours; supported by browsers and most current players.
    Webp,
}

impl Format {
    /// Returns the format named by a file's extension.
    ///
    /// # Errors
    /// If it names no known format.
    pub fn of(path: &Path) -> anyhow::Result<Self> {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        match ending.as_deref() {
            Some("gif") => Ok(Self::Gif),
            Some("webp") => Ok(Self::Webp),
            _ => bail!("`{}`: a video's name ends in `.gif` or `.webp`", path.display()),
        }
    }

    /// Starts a video of this format and the given image size.
    ///
    /// # Errors
    /// If the format does not support that size.
    pub fn begin(self, width: usize, height: usize) -> anyhow::Result<Box<dyn Video>> {
        Ok(match self {
            Self::Gif => Box::new(gif::GifVideo::begin(width, height)?),
            Self::Webp => Box::new(webp::WebpVideo::begin(width, height)?),
        })
    }
}

/// Video encoder.
pub trait Video {
    /// Appends an image, of the size the video began with, for a number of milliseconds.
    ///
    /// # Errors
    /// If the image has another size or cannot be encoded.
    fn show(&mut self, picture: &Picture, millis: f64) -> anyhow::Result<()>;

    /// Returns the encoded file.
    ///
    /// # Errors
    /// If there are no images, or encoding fails.
    fn finish(self: Box<Self>) -> anyhow::Result<Vec<u8>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_decides() {
        assert_eq!(Format::of(Path::new("a/b.GIF")).unwrap(), Format::Gif);
        assert_eq!(Format::of(Path::new("b.webp")).unwrap(), Format::Webp);
        for wrong in ["b.mp4", "b", "gif"] {
            let error = Format::of(Path::new(wrong)).unwrap_err().to_string();
            assert!(error.contains(wrong) && error.contains("`.gif` or `.webp`"), "{error}");
        }
    }
}
