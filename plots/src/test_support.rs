//! Checks shared by the tests of all figures: labels in the SVG, colours in the PNG, reproducible
//! bytes.

use std::collections::BTreeMap;

use resvg::tiny_skia::Pixmap;

use crate::figure::{Figure, PNG_SCALE};
use crate::style::Colour;

/// Returns all texts of a figure, in drawing order.
pub(crate) fn texts(figure: &dyn Figure) -> Vec<String> {
    let svg = figure.to_svg().unwrap();
    let page = roxmltree::Document::parse(&svg).unwrap();
    let texts = page.descendants().filter(|node| node.has_tag_name("text"));
    texts.map(|node| node.text().unwrap_or_default().to_owned()).collect()
}

/// Counts the elements of a figure with this name.
pub(crate) fn svg_shapes(figure: &dyn Figure, name: &str) -> usize {
    let svg = figure.to_svg().unwrap();
    let page = roxmltree::Document::parse(&svg).unwrap();
    page.descendants().filter(|node| node.tag_name().name() == name).count()
}

/// Returns the colours of a figure's PNG, with the number of pixels of each.
pub(crate) fn colours_of(figure: &dyn Figure) -> BTreeMap<ByParts, usize> {
    let picture = Pixmap::decode_png(&figure.to_png().unwrap()).unwrap();
    let size = figure.size();
    assert_eq!(f64::from(picture.width()), size.width * f64::from(PNG_SCALE));
    assert_eq!(f64::from(picture.height()), size.height * f64::from(PNG_SCALE));
    let mut counts = BTreeMap::new();
    for pixel in picture.pixels() {
        assert_eq!(pixel.alpha(), 255, "the page is opaque");
        *counts
            .entry(ByParts { red: pixel.red(), green: pixel.green(), blue: pixel.blue() })
            .or_default() += 1;
    }

    counts
}

/// A colour with an ordering, for counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ByParts {
    pub red: u8,
    pub green: u8,
    pub blue: u8,
}

/// Asserts that a figure's texts include these words and its picture these colours (approximately,
/// where translucent points blend with the background), and that its bytes are reproducible.
pub(crate) fn assert_shows(figure: &dyn Figure, words: &[&str], colours: &[Colour]) {
    let texts = texts(figure);
    for word in words {
        assert!(texts.iter().any(|text| text == word), "no `{word}` in {texts:?}");
    }

    let seen = colours_of(figure);
    for colour in colours {
        let is_seen = seen.keys().any(|c| {
            near(c.red, colour.red) && near(c.green, colour.green) && near(c.blue, colour.blue)
        });
        assert!(is_seen, "no {colour} in the picture");
    }

    assert_eq!(figure.to_svg().unwrap(), figure.to_svg().unwrap());
    assert_eq!(figure.to_png().unwrap(), figure.to_png().unwrap());
}

fn near(a: u8, b: u8) -> bool {
    a.abs_diff(b) <= 2
}
