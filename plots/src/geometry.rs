//! Places on the page, in SVG units: x to the right, y down.

/// A point on the page.
pub(crate) type Point = (f64, f64);

/// Width and height.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Size {
    /// To the right.
    pub width: f64,
    /// Down.
    pub height: f64,
}

/// An upright rectangle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rect {
    /// Its left edge.
    pub left: f64,
    /// Its upper edge.
    pub top: f64,
    /// From the left edge to the right one.
    pub width: f64,
    /// From the upper edge to the lower one.
    pub height: f64,
}

impl Rect {
    /// A rectangle with its upper left corner at a place.
    pub fn new(left: f64, top: f64, width: f64, height: f64) -> Self {
        Self { left, top, width, height }
    }

    /// From the left edge to the right one, from the upper edge to the lower one.
    pub fn from_edges(left: f64, top: f64, right: f64, bottom: f64) -> Self {
        Self::new(left, top, right - left, bottom - top)
    }

    /// Its right edge.
    pub fn right(&self) -> f64 {
        self.left + self.width
    }

    /// Its lower edge.
    pub fn bottom(&self) -> f64 {
        self.top + self.height
    }

    /// Its middle.
    pub fn centre(&self) -> (f64, f64) {
        (self.left + self.width / 2.0, self.top + self.height / 2.0)
    }

    /// The largest rectangle of these proportions in the middle of this one.
    pub(crate) fn fit(&self, width: f64, height: f64) -> Self {
        let unit = (self.width / width).min(self.height / height);
        let (x, y) = self.centre();
        Self::new(x - width * unit / 2.0, y - height * unit / 2.0, width * unit, height * unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fitting_keeps_proportions_and_middle() {
        let wide = Rect::new(10.0, 20.0, 300.0, 100.0);
        assert_eq!(wide.fit(2.0, 2.0), Rect::new(110.0, 20.0, 100.0, 100.0));
        assert_eq!(wide.fit(6.0, 1.0), Rect::from_edges(10.0, 45.0, 310.0, 95.0));
    }
}
