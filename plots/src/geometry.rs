//! Page geometry in SVG units: x to the right, y down.

/// A point on the page.
pub(crate) type Point = (f64, f64);

/// Width and height.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Size {
    /// Horizontal extent.
    pub width: f64,
    /// Vertical extent.
    pub height: f64,
}

/// An axis-aligned rectangle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rect {
    /// Left edge.
    pub left: f64,
    /// Upper edge.
    pub top: f64,
    /// Horizontal extent.
    pub width: f64,
    /// Vertical extent.
    pub height: f64,
}

impl Rect {
    /// Builds a rectangle from its upper left corner and its size.
    pub fn new(left: f64, top: f64, width: f64, height: f64) -> Self {
        Self { left, top, width, height }
    }

    /// Builds a rectangle from its edges.
    pub fn from_edges(left: f64, top: f64, right: f64, bottom: f64) -> Self {
        Self::new(left, top, right - left, bottom - top)
    }

    /// Right edge.
    pub fn right(&self) -> f64 {
        self.left + self.width
    }

    /// Lower edge.
    pub fn bottom(&self) -> f64 {
        self.top + self.height
    }

    /// Centre.
    pub fn centre(&self) -> (f64, f64) {
        (self.left + self.width / 2.0, self.top + self.height / 2.0)
    }

    /// Returns the largest centred rectangle with these proportions.
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
