//! Anchors: the boxes that proposals start from.

use super::boxes::BoundingBox;

/// Heights and widths of the anchors at each place, in the order of the released code.
pub const SHAPES: [[f32; 2]; 9] = [
    [15.0, 15.0],
    [20.0, 20.0],
    [25.0, 25.0],
    [15.0, 20.0],
    [20.0, 25.0],
    [20.0, 15.0],
    [25.0, 20.0],
    [15.0, 25.0],
    [25.0, 15.0],
];
/// Pixels of the canvas per pixel of the last map: two poolings.
pub const STEP: f32 = 4.0;

/// Returns the anchors of a map of `side` × `side` pixels, place by place, row by row: anchor number
/// (row · `side` + column) · 9 + shape. `first` is the centre of the first place.
pub fn anchors(side: usize, first: f32) -> Vec<BoundingBox> {
    let centre = |index: usize| first + STEP * index as f32;
    let places = (0..side).flat_map(|row| (0..side).map(move |column| (row, column)));
    places
        .flat_map(|(row, column)| {
            SHAPES.map(|[height, width]| BoundingBox {
                row: centre(row),
                column: centre(column),
                height,
                width,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_as_in_the_released_code() {
        let valid = anchors(13, 8.0);
        assert_eq!(valid.len(), 1521);
        assert_eq!(valid.iter().filter(|anchor| anchor.is_within(0.0, 63.0)).count(), 1024);
        assert_eq!(anchors(16, 2.0).len(), 2304);
    }

    #[test]
    fn they_are_numbered_by_row_column_and_shape() {
        let all = anchors(13, 8.0);
        let expected = BoundingBox { row: 16.0, column: 20.0, height: 15.0, width: 20.0 };
        assert_eq!(all[(2 * 13 + 3) * 9 + 3], expected);
    }
}
