//! The bundled font: text widths and line breaks.

use std::sync::{Arc, LazyLock};

use resvg::usvg::fontdb::{Database, Source};
use skrifa::instance::{LocationRef, Size};
use skrifa::{FontRef, MetadataProvider as _};

/// Font family in the SVG, followed by the closest substitutes.
pub(crate) const FAMILY: &str = "DejaVu Sans, Verdana, sans-serif";
/// Distance from the baseline to the middle of capital letters and digits, in font sizes.
pub(crate) const HALF_CAPITAL: f64 = 0.36;
/// Width of a letter missing from the font, in font sizes.
const UNKNOWN_WIDTH: f64 = 0.6;

/// Font weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    Regular,
    Bold,
}

impl Weight {
    fn bytes(self) -> &'static [u8] {
        match self {
            Self::Regular => dejavu::sans::regular(),
            Self::Bold => dejavu::sans::bold(),
        }
    }
}

/// The only fonts available to `resvg`: the bundled ones, whatever the machine has.
pub(crate) fn database() -> Arc<Database> {
    static DATABASE: LazyLock<Arc<Database>> = LazyLock::new(|| {
        let mut database = Database::new();
        for weight in [Weight::Regular, Weight::Bold] {
            database.load_font_source(Source::Binary(Arc::new(weight.bytes())));
        }
        Arc::new(database)
    });
    Arc::clone(&DATABASE)
}

/// Width of a text: the sum of its letters' advances, since figures switch kerning off.
pub(crate) fn width(text: &str, size: f64, weight: Weight) -> f64 {
    let Ok(font) = FontRef::new(weight.bytes()) else {
        return UNKNOWN_WIDTH * size * to_f64(text.chars().count());
    };
    let letters = font.charmap();
    // At size 1 advances are fractions of the font size.
    let metrics = font.glyph_metrics(Size::new(1.0), LocationRef::default());
    let advances = text.chars().map(|letter| {
        let advance = letters.map(letter).and_then(|glyph| metrics.advance_width(glyph));
        advance.map_or(UNKNOWN_WIDTH, f64::from)
    });
    advances.sum::<f64>() * size
}

/// Wraps a text at spaces into lines no wider than `room`; a longer word gets a line of its own.
pub(crate) fn wrap(text: &str, room: f64, size: f64, weight: Weight) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if width(&format!("{line} {word}"), size, weight) <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Largest font size, up to `size`, at which the text is no wider than `room`.
pub(crate) fn shrink(text: &str, room: f64, size: f64, weight: Weight) -> f64 {
    // On a tiny panel margins can exceed the width: room may be negative, a font size may not.
    let needed = width(text, size, weight);
    if needed > room { size * (room / needed).max(0.0) } else { size }
}

#[expect(clippy::cast_precision_loss, reason = "counts of letters and cells")]
pub(crate) fn to_f64(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_come_from_the_font() {
        // DejaVu Sans: `0` is 1303 of 2048 units wide, `i` 569.
        assert!((width("0", 2048.0, Weight::Regular) - 1303.0).abs() < 1.0);
        assert!((width("i0", 2048.0, Weight::Regular) - 1872.0).abs() < 1.0);
        assert!(width("word", 12.0, Weight::Bold) > width("word", 12.0, Weight::Regular));
        assert!(width("", 12.0, Weight::Regular).abs() < 1e-9);
    }

    #[test]
    fn the_font_has_what_labels_need() {
        let font = FontRef::new(Weight::Regular.bytes()).unwrap();
        for letter in "−×⁻⁰¹²³⁴⁵⁶⁷⁸⁹±≤→αβγÅé".chars() {
            assert!(font.charmap().map(letter).is_some(), "{letter}");
        }
    }

    #[test]
    fn lines_break_at_spaces_only() {
        assert_eq!(wrap("one two three", 60.0, 12.0, Weight::Regular), ["one two", "three"]);
        assert_eq!(wrap("unbreakable", 5.0, 12.0, Weight::Regular), ["unbreakable"]);
        assert!(wrap(" ", 60.0, 12.0, Weight::Regular).is_empty());
    }

    #[test]
    fn shrinking_fits() {
        let size = shrink("a long label", 20.0, 12.0, Weight::Regular);
        assert!((width("a long label", size, Weight::Regular) - 20.0).abs() < 1e-6);
        assert!((shrink("short", 200.0, 12.0, Weight::Regular) - 12.0).abs() < 1e-9);
    }
}
