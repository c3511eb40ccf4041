//! Walks through a model's latent space: a sheet of all frames, and a video.

use coordrl_studies::{Exhibit, PaintedWalk};

use super::{StudyResult, StudyRunConfig, launch};
use crate::eval::video::sheet::{contact_sheet, to_png};
use crate::eval::video::{Format, Picture};
use crate::run::run_dir::RunDir;

/// Factor by which pixels are enlarged.
const ENLARGED: usize = 3;
const FRAME_COLOUR: [u8; 3] = [0x6e; 3];
const MILLIS_PER_FRAME: f64 = 250.0;

/// Draws the walks of the first seed of each study that has some: files by name.
pub(super) fn draw(results: &[StudyResult]) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    for result in results.iter().filter(|result| result.seed == 1) {
        let run = RunDir::open_to_read(&result.run)?;
        let config: StudyRunConfig = run.read_config()?;
        if !config.task.shows_walks {
            continue; // not loaded in vain
        }
        let loaded = launch::load(&run, &config)?;
        if let Some(Exhibit::Walks { side, walks }) = loaded.built.subject.study().exhibit()? {
            let StudyResult { task, split, layer, .. } = result;
            let name = format!("{task}-{split}-{layer}-walks");
            files.push((format!("{name}.png"), sheet(side, &walks)?));
            files.push((format!("{name}.webp"), video(side, &walks)?));
        }
    }
    Ok(files)
}

/// A row per walk: the picture it starts from, its frames, the picture it leads to; the frames alone
/// where a model encodes no pictures.
fn sheet(side: usize, walks: &[PaintedWalk]) -> anyhow::Result<Vec<u8>> {
    let mut pictures = Vec::new();
    let mut columns = 1;
    for PaintedWalk { ends, frames } in walks {
        let (from, to) = ends.as_ref().map(|[from, to]| (from, to)).unzip();
        let row: Vec<_> = from.into_iter().chain(frames).chain(to).collect();
        columns = row.len();
        for frame in row {
            pictures.push(framed(side, frame)?);
        }
    }
    to_png(&contact_sheet(&pictures, columns)?)
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
        let png = sheet(2, &walks).unwrap();
        let reader = png::Decoder::new(std::io::Cursor::new(&png)).read_info().unwrap();
        let info = reader.info();
        // Pictures of 2 · 3 + 2 pixels, four between them.
        assert_eq!((info.width, info.height), (5 * 12 + 4, 2 * 12 + 4));
        let without_ends = sheet(2, &walks.clone().map(|walk| PaintedWalk { ends: None, ..walk }));
        assert_ne!(without_ends.unwrap(), png);
        assert!(video(2, &walks).unwrap().starts_with(b"RIFF"));
        assert!(video(2, &[]).is_err());
    }
}
