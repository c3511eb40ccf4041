//! Records a game to files.

use anyhow::Context;
use coordrl_agents::Policy;
use coordrl_envs::{EnvSeed, Role, make_env};

use super::game::{Ending, watch};
use super::panel::{PanelRenderer, SidePanel};
use super::sheet::{contact_sheet, evenly};
use super::{Format, Picture, Video};
use crate::eval::evaluation::EvalPlan;
use crate::stop_flag::StopFlag;

/// Number of images on a contact sheet, and the number per row.
const SHEET: (usize, usize) = (24, 6);
/// Maximum number of images kept for the sheet; then every other one is dropped.
const MOST_KEPT: usize = 2 * SHEET.0;

/// Options of a recording.
#[derive(Clone, Copy, Debug)]
pub struct RecordSpec {
    /// Number of the game, as played by `coordrl eval`, from 0.
    pub number: u64,
    /// Maximum length in emulator frames.
    pub frame_limit: Option<u64>,
    /// Parts drawn beside the screen.
    pub beside: SidePanel,
}

/// Recorder for a game, into a video and a contact sheet.
pub struct VideoRecorder {
    format: Option<Format>,
    video: Option<Box<dyn Video>>,
    /// Maximum frame rate.
    fps: f64,
    /// Image being merged, with its number of screens so far.
    open: Option<(Picture, usize)>,
    keeps: bool,
    /// Every `every`-th image, for a contact sheet.
    kept: Vec<Picture>,
    every: usize,
    seen: usize,
}

impl VideoRecorder {
    /// Builds a recorder for this format, if any, at `fps` images per second: 60, 30 or 15. With
    /// `keeps`, it also keeps images for a contact sheet.
    pub fn new(format: Option<Format>, fps: usize, keeps: bool) -> Self {
        let fps = as_times(fps.max(1));
        Self { format, video: None, fps, open: None, keeps, kept: Vec::new(), every: 1, seen: 0 }
    }

    /// Plays and records one game of a plan.
    ///
    /// # Errors
    /// If the environment, the network or the encoder fails.
    pub fn record(
        &mut self,
        plan: &EvalPlan<'_>,
        policy: &Policy,
        record: RecordSpec,
        stop: &StopFlag,
    ) -> anyhow::Result<Ending> {
        // This environment is asked for its shapes alone; the game makes one of its own.
        let probe = EnvSeed { seed: plan.seed, role: Role::EvalEnv, index: record.number };
        let spec = make_env(plan.game, plan.env, plan.assets, probe)?.spec().clone();
        let mut pages = PanelRenderer::new(record.beside, policy, &spec);
        let mut parts = Vec::new();
        let mut millis = 0.0;
        let ending = watch(plan, policy, record.number, record.frame_limit, stop, |moment| {
            parts = pages.beside(&moment)?;
            millis = moment.millis;
            for screen in moment.pictures {
                if let Some((screen, count)) = self.merge_frames(screen, millis) {
                    self.show(pages.page(screen, &parts)?, millis * count)?;
                }
            }
            Ok(())
        })?;

        // The game may end before the last image has all its screens.
        if let Some((screen, count)) = self.open.take() {
            self.show(pages.page(screen, &parts)?, millis * as_times(count))?;
        }

        Ok(ending)
    }

    /// Merges screens into one image, taking the brightest value of each pixel so that nothing that
    /// flickers is lost. Once there are enough, returns the image and its number of screens; each
    /// lasts `millis`.
    fn merge_frames(&mut self, screen: Picture, millis: f64) -> Option<(Picture, f64)> {
        // Zero where an image lasts longer than one of the video: then none are merged.
        let together = (1000.0 / self.fps / millis).round();
        let (picture, count) = match self.open.take() {
            None => (screen, 1),
            Some((open, count)) => (open.brighter(&screen), count + 1),
        };
        if as_times(count) < together {
            self.open = Some((picture, count));
            return None;
        }
        Some((picture, as_times(count)))
    }

    fn show(&mut self, picture: Picture, millis: f64) -> anyhow::Result<()> {
        if let Some(format) = self.format {
            // Begun late, because the first image decides the size.
            let video = match self.video.take() {
                Some(video) => video,
                None => format.begin(picture.width, picture.height)?,
            };
            self.video.insert(video).show(&picture, millis)?;
        }

        if self.keeps && self.seen.is_multiple_of(self.every) {
            self.kept.push(picture);
            if self.kept.len() == MOST_KEPT {
                // The length of the game is unknown, so the spacing doubles whenever there are
                // too many.
                let mut index = 0;
                self.kept.retain(|_| {
                    index += 1;
                    index % 2 == 1
                });
                self.every *= 2;
            }
        }

        self.seen += 1;
        Ok(())
    }

    /// Builds a contact sheet of the whole game.
    ///
    /// # Errors
    /// If no images were kept.
    pub fn sheet(&self) -> anyhow::Result<Picture> {
        let places = evenly(self.kept.len(), SHEET.0).into_iter();
        contact_sheet(&places.map(|place| self.kept[place].clone()).collect::<Vec<_>>(), SHEET.1)
    }

    /// Returns the encoded video file.
    ///
    /// # Errors
    /// If there are no images, or the recorder has no format.
    pub fn finish(self) -> anyhow::Result<Vec<u8>> {
        self.video.context("a video without pictures")?.finish()
    }
}

#[expect(clippy::cast_precision_loss, reason = "sixty at most")]
fn as_times(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_level(level: u8) -> Picture {
        Picture::of_grey(&[level], 1)
    }

    #[test]
    fn fewer_pictures_keep_what_blinks() {
        let mut recorder = VideoRecorder::new(None, 30, false);
        let millis = 1000.0 / 60.0;
        let merge_frames = |level| recorder.merge_frames(of_level(level), millis);
        let pictures: Vec<_> = [0, 9, 0, 7].into_iter().filter_map(merge_frames).collect();
        assert_eq!(pictures, [(of_level(9), 2.0), (of_level(7), 2.0)]);
        let mut recorder = VideoRecorder::new(None, 60, false);
        assert_eq!(recorder.merge_frames(of_level(3), millis), Some((of_level(3), 1.0)));
        let mut recorder = VideoRecorder::new(None, 30, false);
        assert_eq!(
            recorder.merge_frames(of_level(3), 150.0),
            Some((of_level(3), 1.0)),
            "slower than asked for"
        );
    }

    #[test]
    fn a_sheet_is_made_of_pictures_from_beginning_to_end() {
        let mut recorder = VideoRecorder::new(None, 60, true);
        (0..=200).for_each(|level| recorder.show(of_level(level), 1.0).unwrap());
        assert!((SHEET.0..MOST_KEPT).contains(&recorder.kept.len()), "{}", recorder.kept.len());
        let levels: Vec<u8> = recorder.kept.iter().map(|picture| picture.rgb[0]).collect();
        assert!(levels[0] == 0 && *levels.last().unwrap() > 180, "{levels:?}");
        assert!(
            levels.windows(3).all(|three| three[1] - three[0] == three[2] - three[1]),
            "{levels:?}"
        );
    }
}
