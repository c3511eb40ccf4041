//! From a game to files.

use anyhow::Context;
use coordrl_agents::Policy;
use coordrl_envs::{EnvSeed, EpisodeStats, Role, make_env};

use super::game::{FRAMES_PER_SECOND, thin_out, watch};
use super::panel::{Beside, Pages};
use super::sheet::{contact_sheet, evenly};
use super::{Format, Picture, Video};
use crate::evaluation::Plan;

/// Pictures on a contact sheet, and how many in a row.
const SHEET: (usize, usize) = (24, 6);

/// What is filmed.
#[derive(Clone, Copy, Debug)]
pub struct Scene {
    /// Which of the games of `coordrl eval`, from 0.
    pub number: u64,
    /// Emulator frames after which the film ends, if the game has not.
    pub frame_limit: Option<u64>,
    /// What is drawn beside the screen.
    pub beside: Beside,
}

/// Where the pictures of a game go: into a video, and some of them onto a contact sheet.
pub struct Film {
    format: Option<Format>,
    video: Option<Box<dyn Video>>,
    /// Emulator frames shown as one picture.
    together: usize,
    keeps: bool,
    /// Every so many-th picture, for a contact sheet.
    kept: Vec<Picture>,
    every: usize,
    seen: usize,
}

/// Pictures kept at most, before every other one is let go.
const MOST_KEPT: usize = 480;

impl Film {
    /// A film in this format, if any, with so many pictures a second: 60, 30 or 15. `keeps` says whether
    /// there will be a contact sheet.
    pub fn new(format: Option<Format>, fps: usize, keeps: bool) -> Self {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "60")]
        let together = FRAMES_PER_SECOND as usize / fps;
        Self { format, video: None, together, keeps, kept: Vec::new(), every: 1, seen: 0 }
    }

    fn show(&mut self, picture: Picture, millis: f64) -> anyhow::Result<()> {
        if let Some(format) = self.format {
            let video = match self.video.take() {
                Some(video) => video,
                None => format.begin(picture.width, picture.height)?,
            };
            self.video.insert(video).show(&picture, millis)?;
        }
        if self.keeps && self.seen.is_multiple_of(self.every) {
            self.kept.push(picture);
            if self.kept.len() == MOST_KEPT {
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

    /// Plays one game of a plan and takes it all in. Gives its statistics, if it came to its end.
    ///
    /// # Errors
    /// If the environment, the network or the encoder fails.
    pub fn shoot(
        &mut self,
        plan: &Plan<'_>,
        policy: &Policy,
        scene: Scene,
    ) -> anyhow::Result<Option<EpisodeStats>> {
        let probe = EnvSeed { seed: plan.seed, role: Role::EvalEnv, index: scene.number };
        let spec = make_env(plan.game, plan.env, plan.assets, probe)?.spec().clone();
        let mut pages = Pages::new(scene.beside, policy, &spec);
        watch(plan, policy, scene.number, scene.frame_limit, |mut moment| {
            let parts = pages.beside(&moment)?;
            for (screen, count) in thin_out(std::mem::take(&mut moment.pictures), self.together) {
                #[expect(clippy::cast_precision_loss, reason = "four at most")]
                let millis = moment.millis * count as f64;
                self.show(pages.page(screen, &parts)?, millis)?;
            }
            Ok(())
        })
    }

    /// Pictures of the whole game on one page.
    ///
    /// # Errors
    /// If none were kept.
    pub fn sheet(&self) -> anyhow::Result<Picture> {
        let places = evenly(self.kept.len(), SHEET.0).into_iter();
        contact_sheet(&places.map(|place| self.kept[place].clone()).collect::<Vec<_>>(), SHEET.1)
    }

    /// The video's file.
    ///
    /// # Errors
    /// If nothing was shown, or the film has no format.
    pub fn finish(self) -> anyhow::Result<Vec<u8>> {
        self.video.context("a video without pictures")?.finish()
    }
}
