//! Walks through a model's latent space: a sheet of all frames, and a video.

use coordrl_studies::{Exhibit, PaintedWalk};

use super::StudyResult;
use super::figures::Shown;
use crate::eval::video::sheet::{GAP, contact_sheet, to_png};
use crate::eval::video::{Format, Picture};

/// Factor by which pixels are enlarged.
const ENLARGED: usize = 3;
const FRAME_COLOUR: [u8; 3] = [0x6e; 3];
const MILLIS_PER_FRAME: f64 = 250.0;

/// Walks of one study.
pub(super) struct Drawn {
    pub task: String,
    pub layer: String,
    /// Name of the files without their endings.
    pub name: String,
    /// All walks side by side, there and back, as WebP.
    pub video: Vec<u8>,
    pub sheet: Sheet,
}

/// All frames of all walks, a row per walk.
pub(super) struct Sheet {
    /// The page as PNG.
    pub png: Vec<u8>,
    /// Its width and height, in pixels.
    pub size: [usize; 2],
    /// Captions of the columns.
    pub columns: Vec<String>,
    /// Distance of a column from the next one, in pixels.
    pub pitch: usize,
}

/// Draws all walks that are shown.
pub(super) fn draw(shown: &[Shown<'_>]) -> anyhow::Result<Vec<Drawn>> {
    let mut all = Vec::new();
    for Shown { result, exhibit, .. } in shown {
        let Exhibit::Walks { side, walks } = exhibit else { continue };
        let StudyResult { task, split, layer, .. } = (*result).clone();
        let name = format!("{task}-{split}-{layer}-walks");
        let (video, sheet) = (video(*side, walks)?, sheet(*side, walks)?);
        all.push(Drawn { task, layer, name, video, sheet });
    }
    Ok(all)
}

/// A row per walk: the picture it starts from, its frames, the picture it leads to; the frames alone
/// where a model encodes no pictures.
fn sheet(side: usize, walks: &[PaintedWalk]) -> anyhow::Result<Sheet> {
    let mut pictures = Vec::new();
    let mut columns = Vec::new();
    for PaintedWalk { ends, frames } in walks {
        let (from, to) = ends.as_ref().map(|[from, to]| (from, to)).unzip();
        let row = from.into_iter().chain(frames).chain(to);
        for frame in row {
            pictures.push(framed(side, frame)?);
        }
        let steps = (1..=frames.len()).map(|step| format!("step {step} of {}", frames.len()));
        columns = from.map(|_| "the picture encoded first".to_owned()).into_iter().collect();
        columns.extend(steps);
        columns.extend(to.map(|_| "the picture encoded last".to_owned()));
    }
    let page = contact_sheet(&pictures, columns.len())?;
    let size = [page.width, page.height];
    let pitch = pictures.first().map_or(0, |picture| picture.width + GAP);
    Ok(Sheet { png: to_png(&page)?, size, columns, pitch })
}

/// All walks side by side, there and back.
fn video(side: usize, walks: &[PaintedWalk]) -> anyhow::Result<Vec<u8>> {
    let count = walks.iter().map(|walk| walk.frames.len()).min().unwrap_or(0);
    let there = 0..count;
    let back = (1..count.saturating_sub(1)).rev();
    let mut video = None;
    for index in there.chain(back) {
        let frames: Vec<Picture> = walks
            .iter()
            .map(|walk| framed(side, &walk.frames[index]))
            .collect::<anyhow::Result<_>>()?;
        let page = contact_sheet(&frames, frames.len())?;
        let video = match &mut video {
            Some(video) => video,
            None => video.insert(Format::Webp.begin(page.width, page.height)?),
        };
        video.show(&page, MILLIS_PER_FRAME)?;
    }
    video.map_or_else(|| anyhow::bail!("there are no walks"), |video| video.finish())
}

fn framed(side: usize, rgb: &[u8]) -> anyhow::Result<Picture> {
    let picture = Picture { width: side, height: side, rgb: rgb.to_vec() }.enlarged(ENLARGED);
    let mut framed = Picture::filled(picture.width + 2, picture.height + 2, FRAME_COLOUR);
    framed.put(&picture, 1, 1)?;
    Ok(framed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sheet_has_a_row_per_walk_and_a_video_goes_there_and_back() {
        let frame = |level: u8| vec![level; 3 * 4];
        let walk =
            PaintedWalk { ends: Some([frame(1), frame(9)]), frames: [2, 4, 6].map(frame).to_vec() };
        let walks = [walk.clone(), walk];
        let whole = sheet(2, &walks).unwrap();
        // Pictures of 2 · 3 + 2 pixels, four between them.
        assert_eq!((whole.size, whole.pitch), ([5 * 12 + 4, 2 * 12 + 4], 12));
        assert_eq!(whole.columns.len(), 5);
        assert_eq!(whole.columns[3], "step 3 of 3");
        let without_ends = walks.clone().map(|walk| PaintedWalk { ends: None, ..walk });
        let sheet = sheet(2, &without_ends).unwrap();
        assert_eq!((sheet.size, sheet.columns.len()), ([3 * 12 + 4, 2 * 12 + 4], 3));
        assert!(video(2, &walks).unwrap().starts_with(b"RIFF"));
        assert!(video(2, &[]).is_err());
    }
}
