//! Videos of an agent at play: pictures in, a file's bytes out. Nothing needs a display.
//!
//! - [`gif`] and [`webp`]: the file formats, both without loss;
//! - [`game`]: a full game as pictures; [`panel`]: what the network makes of it, drawn beside;
//! - [`sheet`]: pictures of a game on one page; [`film`]: all of it put together.

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

/// File formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Plays everywhere; 256 colours, more than the console has.
    Gif,
    /// Smaller files, all colours; browsers and most players of today.
    Webp,
}

impl Format {
    /// The format that a file's ending names.
    ///
    /// # Errors
    /// If it names none of them.
    pub fn of(path: &Path) -> anyhow::Result<Self> {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        match ending.as_deref() {
            Some("gif") => Ok(Self::Gif),
            Some("webp") => Ok(Self::Webp),
            _ => bail!("`{}`: a video's name ends in `.gif` or `.webp`", path.display()),
        }
    }

    /// A video of this format, of pictures of this size.
    ///
    /// # Errors
    /// If the format has no room for such pictures.
    pub fn begin(self, width: usize, height: usize) -> anyhow::Result<Box<dyn Video>> {
        Ok(match self {
            Self::Gif => Box::new(gif::GifVideo::begin(width, height)?),
            Self::Webp => Box::new(webp::WebpVideo::begin(width, height)?),
        })
    }
}

/// A video in the making.
pub trait Video {
    /// Shows a picture, of the size the video began with, for some milliseconds.
    ///
    /// # Errors
    /// If the picture has another size or cannot be encoded.
    fn show(&mut self, picture: &Picture, millis: f64) -> anyhow::Result<()>;

    /// The file.
    ///
    /// # Errors
    /// If nothing was shown or it cannot be encoded.
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
