//! An SVG writer for the few shapes that figures consist of.

use std::fmt::Write as _;

use crate::font::{self, Weight};
use crate::geometry::{Point, Rect, Size};
use crate::style::{Colour, Dash, Marker, PAPER};

/// Clamp for coordinates: anything beyond is as good as infinite, and rasterisation uses `f32`.
const FAR: f64 = 1e5;

/// A page under construction. Only figures draw on it.
#[derive(Debug)]
pub struct Canvas {
    size: Size,
    body: String,
    clips: usize,
}

/// Style of a line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stroke {
    pub colour: Colour,
    pub width: f64,
    pub dash: Dash,
}

impl Stroke {
    /// Builds a solid stroke.
    pub(crate) fn solid(colour: Colour, width: f64) -> Self {
        Self { colour, width, dash: Dash::Solid }
    }
}

/// Part of a text that is aligned with its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// Direction of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Level,
    /// Upwards, as for labels of vertical axes.
    Up,
}

/// Outline around letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Halo {
    Off,
    /// A white outline, for text over data.
    On,
}

/// One line of text, positioned by its baseline.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<'a> {
    pub text: &'a str,
    pub at: Point,
    pub size: f64,
    pub weight: Weight,
    pub colour: Colour,
    pub anchor: Anchor,
    pub turn: Turn,
    pub halo: Halo,
}

impl Canvas {
    /// Builds an empty white page.
    pub(crate) fn new(size: Size) -> Self {
        Self { size, body: String::new(), clips: 0 }
    }

    /// Returns the whole page as SVG.
    pub(crate) fn finish(self) -> String {
        let width = number(self.size.width);
        let height = number(self.size.height);
        let family = font::FAMILY;
        // Kerning is off because `font::width` adds up advances without it.
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"{family}\" style=\"font-kerning:none\">\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"{PAPER}\"/>\n{}</svg>\n",
            self.body
        )
    }

    /// Clips everything up to [`Canvas::end_clip`] to `area`.
    pub(crate) fn begin_clip(&mut self, area: Rect) {
        // Counted: unique within the page, as ids must be, and the same in every rendering.
        let name = format!("clip{}", self.clips);
        self.clips += 1;
        self.put(&format!("<clipPath id=\"{name}\"><rect {}/></clipPath>", edges(area)));
        self.put(&format!("<g clip-path=\"url(#{name})\">"));
    }

    /// Ends the region begun by [`Canvas::begin_clip`].
    pub(crate) fn end_clip(&mut self) {
        self.put("</g>");
    }

    /// Draws lines from point to point.
    pub(crate) fn polyline(&mut self, points: &[Point], stroke: Stroke) {
        let dash = stroke
            .dash
            .pattern()
            .map(|dash| format!(" stroke-dasharray=\"{dash}\""))
            .unwrap_or_default();
        self.put(&format!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{}\" stroke-linejoin=\"round\"{dash}/>",
            places(points),
            stroke.colour,
            number(stroke.width)
        ));
    }

    /// Draws a filled, translucent polygon.
    pub(crate) fn polygon(&mut self, points: &[Point], colour: Colour, opacity: f64) {
        let opacity = number(opacity);
        self.put(&format!(
            "<polygon points=\"{}\" fill=\"{colour}\" fill-opacity=\"{opacity}\"/>",
            places(points)
        ));
    }

    /// Draws a filled rectangle with sharp edges.
    pub(crate) fn fill(&mut self, area: Rect, colour: Colour) {
        self.put(&format!(
            "<rect {} fill=\"{colour}\" shape-rendering=\"crispEdges\"/>",
            edges(area)
        ));
    }

    /// Draws the border of a rectangle.
    pub(crate) fn outline(&mut self, area: Rect, stroke: Stroke) {
        let width = number(stroke.width);
        self.put(&format!(
            "<rect {} fill=\"none\" stroke=\"{}\" stroke-width=\"{width}\"/>",
            edges(area),
            stroke.colour
        ));
    }

    /// Draws rectangles in units of cells, cell (0, 0) at `corner`, each over the previous ones.
    pub(crate) fn cells(&mut self, corner: Point, cell: f64, cells: &[(Rect, Colour)]) {
        let x = number(corner.0);
        let y = number(corner.1);
        // The factor is not rounded like a coordinate: the error would add up over many cells.
        self.put(&format!(
            "<g transform=\"translate({x} {y}) scale({cell})\" shape-rendering=\"crispEdges\">"
        ));
        for &(area, colour) in cells {
            let [left, top, right, bottom] =
                [area.left, area.top, area.right(), area.bottom()].map(number);
            self.put(&format!(
                "<path d=\"M{left} {top}H{right}V{bottom}H{left}z\" fill=\"{colour}\"/>"
            ));
        }

        self.put("</g>");
    }

    /// Draws points of one kind.
    pub(crate) fn markers(
        &mut self,
        points: &[Point],
        marker: Marker,
        radius: f64,
        colour: Colour,
        opacity: f64,
    ) {
        self.put(&format!("<g fill=\"{colour}\" fill-opacity=\"{}\">", number(opacity)));
        for &point in points {
            self.put(&marker_shape(marker, point, radius));
        }
        self.put("</g>");
    }

    /// Draws one line of text.
    pub(crate) fn text(&mut self, text: Text<'_>) {
        if text.text.trim().is_empty() {
            return;
        }

        if text.halo == Halo::On {
            // A separate text element: some SVG readers ignore `paint-order` and draw strokes over
            // letters.
            self.letters(
                text,
                &format!("stroke=\"{PAPER}\" stroke-width=\"3\" stroke-linejoin=\"round\""),
            );
        }

        self.letters(text, &format!("fill=\"{}\"", text.colour));
    }

    /// Writes a text with its length, so that any font fills the same space.
    fn letters(&mut self, text: Text<'_>, paint: &str) {
        let x = number(text.at.0);
        let y = number(text.at.1);
        let mut rest = String::new();
        if text.weight == Weight::Bold {
            rest.push_str(" font-weight=\"bold\"");
        }

        if text.turn == Turn::Up {
            // Writing to a String cannot fail.
            let _ = write!(rest, " transform=\"rotate(-90 {x} {y})\"");
        }

        let size = number(text.size);
        let length = number(font::width(text.text, text.size, text.weight));
        let anchor = anchor_name(text.anchor);
        let words = escape(text.text);
        self.put(&format!(
            "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" text-anchor=\"{anchor}\" textLength=\"{length}\" \
             lengthAdjust=\"spacingAndGlyphs\" {paint}{rest}>{words}</text>"
        ));
    }

    fn put(&mut self, element: &str) {
        self.body.push_str(element);
        self.body.push('\n');
    }
}

fn anchor_name(anchor: Anchor) -> &'static str {
    match anchor {
        Anchor::Start => "start",
        Anchor::Middle => "middle",
        Anchor::End => "end",
    }
}

fn marker_shape(marker: Marker, (x, y): Point, radius: f64) -> String {
    let corners = |around: &[Point]| {
        let points: Vec<Point> =
            around.iter().map(|&(dx, dy)| (x + dx * radius, y + dy * radius)).collect();
        format!("<polygon points=\"{}\"/>", places(&points))
    };

    // Circle, square and diamond cover the same area to within 4 %, so that none looks larger.
    match marker {
        Marker::Circle => {
            format!("<circle cx=\"{}\" cy=\"{}\" r=\"{}\"/>", number(x), number(y), number(radius))
        }
        Marker::Triangle => corners(&[(0.0, -1.25), (1.15, 0.8), (-1.15, 0.8)]),
        Marker::Square => corners(&[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)]),
        Marker::Diamond => corners(&[(0.0, -1.25), (1.25, 0.0), (0.0, 1.25), (-1.25, 0.0)]),
    }
}

fn edges(area: Rect) -> String {
    let [left, top, width, height] = [area.left, area.top, area.width, area.height].map(number);
    format!("x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\"")
}

fn places(points: &[Point]) -> String {
    let places: Vec<String> =
        points.iter().map(|&(x, y)| format!("{},{}", number(x), number(y))).collect();
    places.join(" ")
}

/// Formats a number rounded to hundredths of a unit: finer than visible, and compact.
fn number(value: f64) -> String {
    let value = (value.clamp(-FAR, FAR) * 100.0).round() / 100.0;
    // Adding 0 turns −0, which would be written with its sign, into 0.
    format!("{}", value + 0.0)
}

/// Escapes text for XML. Characters that XML cannot represent become the replacement character.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            letter if letter.is_control() => escaped.push('\u{fffd}'),
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_never_out_of_reach() {
        assert_eq!(number(1.0 / 3.0), "0.33");
        assert_eq!(number(-0.001), "0");
        assert_eq!(number(1e300), "100000");
    }

    #[test]
    fn text_cannot_break_the_page() {
        assert_eq!(escape("a < b & c\u{1}"), "a &lt; b &amp; c\u{fffd}");
    }

    #[test]
    fn an_empty_page_is_xml() {
        let svg = Canvas::new(Size { width: 10.0, height: 20.0 }).finish();
        let page = roxmltree::Document::parse(&svg).unwrap();
        assert_eq!(page.root_element().attribute("viewBox"), Some("0 0 10 20"));
    }
}
