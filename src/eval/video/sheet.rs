//! Contact sheets.

use anyhow::Context;

use super::Picture;

/// Pixels between images.
pub const GAP: usize = 4;

/// Arranges images in rows of `columns`, in order, on white.
///
/// # Errors
/// If an image is larger than the first.
pub fn contact_sheet(pictures: &[Picture], columns: usize) -> anyhow::Result<Picture> {
    let first = pictures.first().context("a contact sheet without pictures")?;
    let columns = columns.clamp(1, pictures.len());
    let rows = pictures.len().div_ceil(columns);
    let mut page =
        Picture::filled(offset(columns, first.width), offset(rows, first.height), [255; 3]);
    for (index, picture) in pictures.iter().enumerate() {
        let column = index % columns;
        let row = index / columns;
        page.put(picture, offset(column, first.width), offset(row, first.height))?;
    }
    Ok(page)
}

/// Returns where image `index` of a row or column begins; for their number, the page's length.
fn offset(index: usize, length: usize) -> usize {
    GAP + index * (length + GAP)
}

/// Encodes an image as PNG.
///
/// # Errors
/// If encoding fails.
pub fn to_png(picture: &Picture) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(
        &mut bytes,
        u32::try_from(picture.width)?,
        u32::try_from(picture.height)?,
    );
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&picture.rgb)?;
    writer.finish()?;
    Ok(bytes)
}

/// Returns `count` evenly spaced indices below `total`, including the first and the last.
pub fn evenly(total: usize, count: usize) -> Vec<usize> {
    let last = total.saturating_sub(1);
    // At least 1, since a single picture would divide by 0.
    let steps = count.min(total).saturating_sub(1).max(1);
    (0..count.min(total)).map(|index| index * last / steps).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_stand_in_rows() {
        let pictures: Vec<Picture> =
            (1..=3).map(|level| Picture::filled(2, 1, [level; 3])).collect();
        let page = contact_sheet(&pictures, 2).unwrap();
        assert_eq!((page.width, page.height), (3 * GAP + 4, 3 * GAP + 2));
        let at = |x: usize, y: usize| page.rgb[3 * (y * page.width + x)];
        assert_eq!(
            [at(GAP, GAP), at(2 * GAP + 2, GAP), at(GAP, 2 * GAP + 1), at(0, 0)],
            [1, 2, 3, 255]
        );
        assert!(contact_sheet(&[], 2).is_err());
    }

    #[test]
    fn first_and_last_are_among_the_chosen() {
        assert_eq!(evenly(10, 4), [0, 3, 6, 9]);
        assert_eq!(evenly(2, 4), [0, 1]);
        assert_eq!(evenly(5, 1), [0]);
        assert_eq!(evenly(0, 3), Vec::<usize>::new());
    }
}
