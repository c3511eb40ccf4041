//! SVG to PNG.

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree};

use crate::error::PlotError;
use crate::font;

/// A picture in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pixels {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Red, green and blue of each pixel, row by row.
    pub rgb: Vec<u8>,
}

/// Renders an SVG as a PNG file, `scale` pixels per unit.
pub(crate) fn to_png(svg: &str, scale: f32) -> Result<Vec<u8>, PlotError> {
    draw(svg, scale)?.encode_png().map_err(|cause| PlotError::Png { cause: cause.to_string() })
}

/// Renders an SVG, `scale` pixels per unit. Pages are opaque, so dropping alpha loses nothing.
pub(crate) fn to_pixels(svg: &str, scale: f32) -> Result<Pixels, PlotError> {
    let picture = draw(svg, scale)?;
    let rgb = picture
        .pixels()
        .iter()
        .flat_map(|pixel| [pixel.red(), pixel.green(), pixel.blue()])
        .collect();
    Ok(Pixels { width: picture.width() as usize, height: picture.height() as usize, rgb })
}

fn draw(svg: &str, scale: f32) -> Result<Pixmap, PlotError> {
    let options = Options { fontdb: font::database(), ..Options::default() };
    let tree = Tree::from_str(svg, &options).map_err(|cause| PlotError::Svg { cause })?;
    let width = pixels(tree.size().width() * scale);
    let height = pixels(tree.size().height() * scale);
    let mut picture = Pixmap::new(width, height).ok_or(PlotError::PictureSize { width, height })?;
    resvg::render(&tree, Transform::from_scale(scale, scale), &mut picture.as_mut());
    Ok(picture)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "casts of floats saturate"
)]
fn pixels(length: f32) -> u32 {
    length.round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_svg_is_refused() {
        assert!(matches!(to_png("<svg", 1.0), Err(PlotError::Svg { .. })));
    }

    #[test]
    fn a_picture_beyond_all_memory_is_refused() {
        let svg =
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="3000000000" height="3000000000"/>"#;
        assert!(matches!(to_png(svg, 1.0), Err(PlotError::PictureSize { .. })));
    }

    #[test]
    fn letters_are_as_wide_in_the_picture_as_the_svg_says() {
        use crate::canvas::Canvas;
        use crate::font::{Weight, width};
        use crate::geometry::Size;
        use crate::heading::plain;

        let mut canvas = Canvas::new(Size { width: 400.0, height: 40.0 });
        canvas.text(plain("|To five Waves, 10⁻⁵|", (200.0, 30.0), 20.0));
        let picture = Pixmap::decode_png(&to_png(&canvas.finish(), 1.0).unwrap()).unwrap();
        let dark =
            |x: &u32| (0..40).any(|y| picture.pixel(*x, y).is_some_and(|pixel| pixel.red() < 128));
        let first = (0..400).find(dark).unwrap();
        let last = (0..400).rfind(dark).unwrap();
        let length = width("|To five Waves, 10⁻⁵|", 20.0, Weight::Regular);
        // The outermost strokes are centred in their letters, 0.34 of a font size wide.
        let seen = f64::from(last - first) + 20.0 * 0.34;
        assert!((seen - length).abs() < 3.0, "{seen} {length}");
    }
}
