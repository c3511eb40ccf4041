//! Maps from values to colours.

use crate::style::{Colour, PALETTE};

/// Number of shades in a map, less one: as many as a screen has grey levels.
pub(crate) const SHADES: f64 = 255.0;

/// Colours of viridis (Smith and van der Walt, CC0) at intervals of a tenth.
const VIRIDIS: [Colour; 11] = [
    Colour::new(0x44, 0x01, 0x54),
    Colour::new(0x48, 0x24, 0x75),
    Colour::new(0x41, 0x44, 0x87),
    Colour::new(0x35, 0x5f, 0x8d),
    Colour::new(0x2a, 0x78, 0x8e),
    Colour::new(0x21, 0x91, 0x8c),
    Colour::new(0x22, 0xa8, 0x84),
    Colour::new(0x44, 0xbf, 0x70),
    Colour::new(0x7a, 0xd1, 0x51),
    Colour::new(0xbd, 0xdf, 0x26),
    Colour::new(0xfd, 0xe7, 0x25),
];
const GREY: [Colour; 2] = [Colour::new(0, 0, 0), Colour::new(255, 255, 255)];
const DIVERGING: [Colour; 3] = [PALETTE[0], Colour::new(0xf7, 0xf7, 0xf7), PALETTE[1]];

/// Colours between two ends. In all maps lightness alone distinguishes values, except between
/// the two sides of `Diverging`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColourMap {
    /// From black to white: pixels as they are.
    Grey,
    /// From dark blue through green to yellow: amounts and probabilities.
    Viridis,
    /// From blue through white to vermilion: differences around zero, with a symmetric range.
    Diverging,
}

impl ColourMap {
    /// Returns the colour at `part` of the way, 0 to 1, clamped to the ends.
    pub(crate) fn colour(self, part: f64) -> Colour {
        let stops: &[Colour] = match self {
            Self::Grey => &GREY,
            Self::Viridis => &VIRIDIS,
            Self::Diverging => &DIVERGING,
        };
        mix(stops, part.clamp(0.0, 1.0))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between the first stop and the last"
)]
fn mix(stops: &[Colour], part: f64) -> Colour {
    let place = part * crate::font::to_f64(stops.len() - 1);
    // The last stop ends the last segment and begins none.
    let below = (place as usize).min(stops.len() - 2);
    let share = place - crate::font::to_f64(below);
    let from = stops[below];
    let to = stops[below + 1];
    let blend =
        |from: u8, to: u8| (f64::from(from) * (1.0 - share) + f64::from(to) * share).round() as u8;
    Colour::new(blend(from.red, to.red), blend(from.green, to.green), blend(from.blue, to.blue))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_and_middles() {
        assert_eq!(ColourMap::Grey.colour(0.5), Colour::new(128, 128, 128));
        assert_eq!(ColourMap::Grey.colour(7.0), Colour::new(255, 255, 255));
        assert_eq!(ColourMap::Viridis.colour(-1.0), VIRIDIS[0]);
        assert_eq!(ColourMap::Viridis.colour(1.0), VIRIDIS[10]);
        assert_eq!(ColourMap::Diverging.colour(0.5), DIVERGING[1]);
    }

    #[test]
    fn viridis_grows_lighter_all_the_way() {
        let light = |colour: Colour| {
            0.2126 * f64::from(colour.red)
                + 0.7152 * f64::from(colour.green)
                + 0.0722 * f64::from(colour.blue)
        };
        let steps: Vec<f64> =
            (0..=100).map(|k| light(ColourMap::Viridis.colour(f64::from(k) / 100.0))).collect();
        assert!(steps.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
