//! Writes SVG: the few shapes that figures are made of.

use std::fmt::Write as _;

use crate::font::{self, Weight};
use crate::geometry::{Point, Rect, Size};
use crate::style::{Colour, Dash, Marker, PAPER};

/// Beyond this a place is as good as at infinity, and pixels are counted in `f32`.
const FAR: f64 = 1e5;

/// A page in the making. Figures draw on it; nothing else does.
#[derive(Debug)]
pub struct Canvas {
    size: Size,
    body: String,
    clips: usize,
}

/// How a line is drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stroke {
    pub colour: Colour,
    pub width: f64,
    pub dash: Dash,
}

impl Stroke {
    /// An unbroken line.
    pub(crate) fn solid(colour: Colour, width: f64) -> Self {
        Self { colour, width, dash: Dash::Solid }
    }
}

/// Which part of a text stands at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// Which way a text runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Level,
    /// Upwards, as labels of vertical axes do.
    Up,
}

/// What is around letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Halo {
    Off,
    /// A white rim, for words over data.
    On,
}

/// One line of text, placed by its baseline.
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
    /// An empty white page.
    pub(crate) fn new(size: Size) -> Self {
        Self { size, body: String::new(), clips: 0 }
    }

    /// The whole page as SVG.
    pub(crate) fn finish(self) -> String {
        let (width, height) = (number(self.size.width), number(self.size.height));
        let family = font::FAMILY;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"{family}\" style=\"font-kerning:none\">\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"{PAPER}\"/>\n{}</svg>\n",
            self.body
        )
    }

    /// From here to [`Canvas::end_clip`] nothing is seen outside `area`.
    pub(crate) fn begin_clip(&mut self, area: Rect) {
        let name = format!("clip{}", self.clips);
        self.clips += 1;
        self.put(&format!("<clipPath id=\"{name}\"><rect {}/></clipPath>", edges(area)));
        self.put(&format!("<g clip-path=\"url(#{name})\">"));
    }

    /// Ends what [`Canvas::begin_clip`] began.
    pub(crate) fn end_clip(&mut self) {
        self.put("</g>");
    }

    /// Lines from point to point.
    pub(crate) fn polyline(&mut self, points: &[Point], stroke: Stroke) {
        let dash =
            stroke.dash.pattern().map(|dash| format!(" stroke-dasharray=\"{dash}\"")).unwrap_or_default();
        self.put(&format!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{}\" stroke-linejoin=\"round\"{dash}/>",
            places(points),
            stroke.colour,
            number(stroke.width)
        ));
    }

    /// A filled shape that lets through what is below.
    pub(crate) fn polygon(&mut self, points: &[Point], colour: Colour, opacity: f64) {
        let opacity = number(opacity);
        self.put(&format!(
            "<polygon points=\"{}\" fill=\"{colour}\" fill-opacity=\"{opacity}\"/>",
            places(points)
        ));
    }

    /// A filled rectangle with sharp edges.
    pub(crate) fn fill(&mut self, area: Rect, colour: Colour) {
        self.put(&format!("<rect {} fill=\"{colour}\" shape-rendering=\"crispEdges\"/>", edges(area)));
    }

    /// The rim of a rectangle.
    pub(crate) fn outline(&mut self, area: Rect, stroke: Stroke) {
        let width = number(stroke.width);
        self.put(&format!(
            "<rect {} fill=\"none\" stroke=\"{}\" stroke-width=\"{width}\"/>",
            edges(area),
            stroke.colour
        ));
    }

    /// A ring.
    pub(crate) fn ring(&mut self, (x, y): Point, radius: f64, stroke: Stroke) {
        let (x, y, radius, width) = (number(x), number(y), number(radius), number(stroke.width));
        let colour = stroke.colour;
        self.put(&format!(
            "<circle cx=\"{x}\" cy=\"{y}\" r=\"{radius}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"/>"
        ));
    }

    /// Rectangles in units of cells, cell (0, 0) at `corner`, each drawn over those before.
    pub(crate) fn cells(&mut self, corner: Point, cell: f64, cells: &[(Rect, Colour)]) {
        let (x, y) = (number(corner.0), number(corner.1));
        // A factor, not a place: rounding it would add up over many cells.
        self.put(&format!(
            "<g transform=\"translate({x} {y}) scale({cell})\" shape-rendering=\"crispEdges\">"
        ));
        for &(area, colour) in cells {
            let [left, top, right, bottom] = [area.left, area.top, area.right(), area.bottom()].map(number);
            self.put(&format!("<path d=\"M{left} {top}H{right}V{bottom}H{left}z\" fill=\"{colour}\"/>"));
        }
        self.put("</g>");
    }

    /// Points of one kind.
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

    /// One line of text.
    pub(crate) fn text(&mut self, text: Text<'_>) {
        if text.text.trim().is_empty() {
            return;
        }
        if text.halo == Halo::On {
            // A text of its own: some readers of SVG draw strokes over letters whatever they are told.
            self.letters(text, &format!("stroke=\"{PAPER}\" stroke-width=\"3\" stroke-linejoin=\"round\""));
        }
        self.letters(text, &format!("fill=\"{}\"", text.colour));
    }

    /// A text's length is written down, so that any font fills the same room.
    fn letters(&mut self, text: Text<'_>, paint: &str) {
        let (x, y) = (number(text.at.0), number(text.at.1));
        let mut rest = String::new();
        if text.weight == Weight::Bold {
            rest.push_str(" font-weight=\"bold\"");
        }
        if text.turn == Turn::Up {
            let _ = write!(rest, " transform=\"rotate(-90 {x} {y})\"");
        }
        let (size, length) = (number(text.size), number(font::width(text.text, text.size, text.weight)));
        let (anchor, words) = (anchor_name(text.anchor), escape(text.text));
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
        let points: Vec<Point> = around.iter().map(|&(dx, dy)| (x + dx * radius, y + dy * radius)).collect();
        format!("<polygon points=\"{}\"/>", places(&points))
    };
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
    let places: Vec<String> = points.iter().map(|&(x, y)| format!("{},{}", number(x), number(y))).collect();
    places.join(" ")
}

/// Hundredths of a unit are finer than any eye, and keep files small.
fn number(value: f64) -> String {
    let value = (value.clamp(-FAR, FAR) * 100.0).round() / 100.0;
    // Negative zero would be written with its sign.
    format!("{}", value + 0.0)
}

/// Text as XML wants it. What XML cannot carry at all becomes the replacement character.
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
