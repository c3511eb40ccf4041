//! Visual style: colours, font sizes, lines. Shared by all figures, so that pages look alike.

use std::fmt;

/// An opaque colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour {
    /// Red.
    pub red: u8,
    /// Green.
    pub green: u8,
    /// Blue.
    pub blue: u8,
}

impl Colour {
    /// Builds a colour from its components.
    pub const fn new(red: u8, green: u8, blue: u8) -> Self {
        Self { red, green, blue }
    }

    /// Blends the colour `share` of the way to white.
    pub(crate) fn paler(self, share: f64) -> Self {
        let mix = |part: u8| (f64::from(part) + share * (255.0 - f64::from(part))).round() as u8;
        Self::new(mix(self.red), mix(self.green), mix(self.blue))
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.red, self.green, self.blue)
    }
}

/// The colours of Okabe and Ito, distinguishable with any kind of colour vision (2008,
/// "Color universal design"). Their yellow comes last: on white it is weak.
pub const PALETTE: [Colour; 8] = [
    Colour::new(0x00, 0x72, 0xb2), // blue
    Colour::new(0xd5, 0x5e, 0x00), // vermilion
    Colour::new(0x00, 0x9e, 0x73), // bluish green
    Colour::new(0xcc, 0x79, 0xa7), // reddish purple
    Colour::new(0xe6, 0x9f, 0x00), // orange
    Colour::new(0x56, 0xb4, 0xe9), // sky blue
    Colour::new(0x00, 0x00, 0x00), // black
    Colour::new(0xf0, 0xe4, 0x42), // yellow
];

pub(crate) const PAPER: Colour = Colour::new(0xff, 0xff, 0xff);
/// Text and axes.
pub(crate) const INK: Colour = Colour::new(0x22, 0x22, 0x22);
/// Reference lines and secondary text.
pub(crate) const GREY: Colour = Colour::new(0x6e, 0x6e, 0x6e);
/// Grid lines: deliberately faint.
pub(crate) const FAINT: Colour = Colour::new(0xe4, 0xe4, 0xe4);
/// True positions beneath predicted ones.
pub(crate) const GHOST: Colour = Colour::new(0xc9, 0xc9, 0xc9);

/// Colour of the `index`-th series; cycles through the palette.
pub(crate) fn colour_of(index: usize) -> Colour {
    PALETTE[index % PALETTE.len()]
}

/// Shape of a point, so that colour is not the only difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker {
    /// ●
    Circle,
    /// ▲
    Triangle,
    /// ■
    Square,
    /// ◆
    Diamond,
}

impl Marker {
    /// Marker of the `index`-th series.
    pub(crate) fn of(index: usize) -> Self {
        [Self::Circle, Self::Triangle, Self::Square, Self::Diamond][index % 4]
    }
}

/// Dash pattern of a line. Colours repeat after eight series; the dash then distinguishes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dash {
    Solid,
    Dashed,
    Dotted,
}

impl Dash {
    /// Dash of the `index`-th series.
    pub(crate) fn of(index: usize) -> Self {
        [Self::Solid, Self::Dashed, Self::Dotted][(index / PALETTE.len()) % 3]
    }

    /// SVG dash pattern; `None` for a solid line.
    pub(crate) fn pattern(self) -> Option<&'static str> {
        match self {
            Self::Solid => None,
            Self::Dashed => Some("6 4"),
            Self::Dotted => Some("1.5 3"),
        }
    }
}

/// Sizes of text and gaps; smaller in small panels, but always legible.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    pub title: f64,
    pub label: f64,
    pub tick: f64,
    /// Gap between separate elements.
    pub gap: f64,
    /// Width of a series' line.
    pub line: f64,
}

impl Look {
    /// Returns the style for a figure of this width.
    pub(crate) fn for_width(width: f64) -> Self {
        // By the square root: letters must shrink more slowly than panels to stay legible.
        let scale = (width / 640.0).sqrt().clamp(0.78, 1.0);
        Self {
            title: 17.0 * scale,
            label: 14.0 * scale,
            tick: 12.5 * scale,
            gap: 10.0 * scale,
            line: 2.0 * scale,
        }
    }
}

/// Line height, in font sizes.
pub(crate) const LINE_HEIGHT: f64 = 1.25;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_written_as_svg_wants_them() {
        assert_eq!(PALETTE[1].to_string(), "#d55e00");
    }

    #[test]
    fn no_two_of_the_first_twenty_four_series_look_alike() {
        let looks: Vec<_> = (0..24).map(|index| (colour_of(index), Dash::of(index))).collect();
        for (index, look) in looks.iter().enumerate() {
            assert!(!looks[..index].contains(look), "series {index}");
        }
    }

    #[test]
    fn small_panels_have_letters_of_ten_units_at_least() {
        assert!(Look::for_width(100.0).tick >= 9.7);
        assert!(Look::for_width(800.0).title > Look::for_width(260.0).title);
    }
}
