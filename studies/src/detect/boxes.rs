//! Boxes: overlap, moves between them, and the choice of the best.

/// An axis-aligned box in pixels; pixel i covers [i, i + 1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BoundingBox {
    /// Row of the centre.
    pub row: f32,
    /// Column of the centre.
    pub column: f32,
    /// Height.
    pub height: f32,
    /// Width.
    pub width: f32,
}

/// The edges of a box.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Edges {
    /// Least row.
    pub top: f32,
    /// Least column.
    pub left: f32,
    /// Largest row.
    pub bottom: f32,
    /// Largest column.
    pub right: f32,
}

impl BoundingBox {
    /// Returns the edges.
    pub fn edges(self) -> Edges {
        let Self { row, column, height, width } = self;
        Edges {
            top: row - height / 2.0,
            left: column - width / 2.0,
            bottom: row + height / 2.0,
            right: column + width / 2.0,
        }
    }

    /// Intersection over union with another box, from 0 to 1.
    pub fn overlap(self, other: Self) -> f32 {
        let a = self.edges();
        let b = other.edges();
        let height = (a.bottom.min(b.bottom) - a.top.max(b.top)).max(0.0);
        let width = (a.right.min(b.right) - a.left.max(b.left)).max(0.0);
        let shared = height * width;
        let whole = self.height * self.width + other.height * other.width - shared;
        if whole > 0.0 { shared / whole } else { 0.0 }
    }

    /// Returns `true` if no edge is outside [`low`, `high`]².
    pub fn is_within(self, low: f32, high: f32) -> bool {
        let Edges { top, left, bottom, right } = self.edges();
        top >= low && left >= low && bottom <= high && right <= high
    }

    /// Moves the box by (row, column, height, width): centres in units of its size, sizes as
    /// logarithms of their ratio (Girshick et al. 2014, appendix C).
    pub fn moved(self, [row, column, height, width]: [f32; 4]) -> Self {
        Self {
            row: self.row + row * self.height,
            column: self.column + column * self.width,
            height: self.height * height.exp(),
            width: self.width * width.exp(),
        }
    }

    /// Returns the move that turns this box into `other`: the inverse of [`BoundingBox::moved`].
    pub fn move_to(self, other: Self) -> [f32; 4] {
        [
            (other.row - self.row) / self.height,
            (other.column - self.column) / self.width,
            (other.height / self.height).ln(),
            (other.width / self.width).ln(),
        ]
    }

    /// Clamps low edges to [0, `side` − 2] and high ones to [1, `side` − 1], as the released code
    /// does; a box outside becomes one of a pixel at the nearest edge.
    pub fn clipped(self, side: f32) -> Self {
        let Edges { top, left, bottom, right } = self.edges();
        let low = |edge: f32| edge.clamp(0.0, side - 2.0);
        let high = |edge: f32| edge.clamp(1.0, side - 1.0);
        Edges { top: low(top), left: low(left), bottom: high(bottom), right: high(right) }.to_box()
    }
}

impl Edges {
    /// Returns the box with these edges.
    pub fn to_box(self) -> BoundingBox {
        let Self { top, left, bottom, right } = self;
        BoundingBox {
            row: (top + bottom) / 2.0,
            column: (left + right) / 2.0,
            height: bottom - top,
            width: right - left,
        }
    }
}

/// Greedy non-maximum suppression: indices of at most `count` boxes, the best score first; every box
/// that overlaps an earlier one by more than `most` is left out. Of equal scores the first box wins.
pub fn suppress(boxes: &[BoundingBox], scores: &[f32], most: f32, count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..boxes.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let mut kept: Vec<usize> = Vec::new();
    for candidate in order {
        if kept.len() == count {
            break;
        }
        if kept.iter().all(|&better| boxes[better].overlap(boxes[candidate]) <= most) {
            kept.push(candidate);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: BoundingBox = BoundingBox { row: 5.0, column: 7.0, height: 10.0, width: 4.0 };

    #[test]
    fn overlaps_are_those_of_areas() {
        assert_eq!(UNIT.overlap(UNIT), 1.0);
        let half = BoundingBox { row: 10.0, ..UNIT }; // shares 5 × 4 of 10 × 4 each
        assert_eq!(UNIT.overlap(half), 20.0 / 60.0);
        assert_eq!(half.overlap(UNIT), 20.0 / 60.0);
        let inner = BoundingBox { height: 5.0, width: 2.0, ..UNIT };
        assert_eq!(UNIT.overlap(inner), 0.25);
        assert_eq!(UNIT.overlap(BoundingBox { row: 15.0, ..UNIT }), 0.0, "they only touch");
        assert_eq!(UNIT.overlap(BoundingBox { row: 50.0, column: 50.0, ..UNIT }), 0.0);
        let none = BoundingBox { height: 0.0, ..UNIT };
        assert_eq!(none.overlap(none), 0.0);
    }

    #[test]
    fn a_move_to_a_box_leads_there() {
        let other = BoundingBox { row: 1.0, column: -3.0, height: 25.0, width: 8.0 };
        let by = UNIT.move_to(other);
        assert_eq!(by[..2], [-0.4, -2.5]);
        let moved = UNIT.moved(by);
        for (found, expected) in
            [moved.row, moved.column, moved.height, moved.width].iter().zip([1.0, -3.0, 25.0, 8.0])
        {
            assert!((found - expected).abs() < 1e-5, "{moved:?}");
        }
        assert_eq!(UNIT.moved([0.0; 4]), UNIT);
    }

    #[test]
    fn clipping_keeps_at_least_a_pixel() {
        let inside = BoundingBox { row: 20.0, column: 30.0, height: 10.0, width: 6.0 };
        assert_eq!(inside.clipped(64.0), inside);
        let over = BoundingBox { row: 60.0, column: 30.0, height: 10.0, width: 6.0 };
        assert_eq!(over.clipped(64.0).edges().bottom, 63.0);
        let beyond = BoundingBox { row: -40.0, column: 200.0, height: 10.0, width: 6.0 };
        let expected = Edges { top: 0.0, left: 62.0, bottom: 1.0, right: 63.0 };
        assert_eq!(beyond.clipped(64.0).edges(), expected);
        assert!(over.clipped(64.0).is_within(0.0, 63.0) && !over.is_within(0.0, 63.0));
    }

    #[test]
    fn the_best_boxes_are_kept_and_their_neighbours_are_not() {
        let at = |row: f32| BoundingBox { row, ..UNIT };
        let boxes = [at(0.0), at(1.0), at(30.0), at(31.0), at(60.0)];
        let scores = [0.5, 0.9, 0.7, 0.6, 0.1];
        assert_eq!(suppress(&boxes, &scores, 0.5, 10), [1, 2, 4]);
        assert_eq!(suppress(&boxes, &scores, 0.5, 2), [1, 2]);
        assert_eq!(suppress(&boxes, &scores, 1.0, 10), [1, 2, 3, 0, 4], "nothing overlaps more");
        assert_eq!(suppress(&boxes, &[0.5; 5], 0.5, 10), [0, 2, 4], "the first of equals");
        assert!(suppress(&[], &[], 0.5, 10).is_empty());
    }
}
