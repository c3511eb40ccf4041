//! A full game as pictures.

use anyhow::Context;
use coordrl_agents::{ActionScores, Policy};
use coordrl_envs::EpisodeStats;

use super::Picture;
use crate::eval::evaluation::{EvalPlan, Game};
use crate::stop_flag::StopFlag;

/// Emulator frames a second.
pub const FRAMES_PER_SECOND: f64 = 60.0;
/// How long a picture of a game without an emulator is shown.
const TOY_MILLIS: f64 = 150.0;

/// One decision, and what was seen until the next.
pub struct Moment<'a> {
    /// What the network saw, `u8 [C, H, W]`.
    pub obs: &'a [u8],
    /// What it said of it.
    pub insight: &'a ActionScores,
    /// Index of the action taken.
    pub action: usize,
    /// What was on the screen since the last decision, and then under this one; never empty.
    pub pictures: Vec<Picture>,
    /// How long each of them is shown, in milliseconds.
    pub millis: f64,
}

/// How a film came to its end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Ending {
    /// With its game.
    Game(EpisodeStats),
    /// At the limit of frames.
    Limit,
    /// It was told to stop.
    Stopped,
}

/// Plays game `number` of a plan as `coordrl eval` does and hands over each decision. Ends with the
/// game, after `frame_limit` frames, or when told to.
///
/// # Errors
/// If the environment or the network fails, or `see` does.
pub fn watch(
    plan: &EvalPlan<'_>,
    policy: &Policy,
    number: u64,
    frame_limit: Option<u64>,
    stop: &StopFlag,
    mut see: impl FnMut(Moment<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<Ending> {
    let mut game = Game::start(plan, number, true)?;
    let mut frames = 0;
    let (mut pictures, mut millis) = pictures_of(&mut game);
    loop {
        if stop.is_raised() {
            return Ok(Ending::Stopped);
        }
        let obs = game.obs.clone();
        let (action, insight) = policy
            .act_with_scores(&obs, plan.mode, &mut game.rng)
            .context("the network cannot choose actions")?;
        let ended = game.step(action)?;
        frames += u64::from(game.env.spec().frame_skip);
        let seen = pictures_of(&mut game);
        pictures.extend(seen.0);
        millis = millis.max(seen.1);
        see(Moment {
            obs: &obs,
            insight: &insight,
            action,
            pictures: std::mem::take(&mut pictures),
            millis,
        })?;
        match ended {
            Some(game) => return Ok(Ending::Game(game)),
            None if frame_limit.is_some_and(|limit| frames >= limit) => return Ok(Ending::Limit),
            None => {}
        }
    }
}

/// What was on the screen since the last call; the newest frame of the observation where there is no
/// screen.
fn pictures_of(game: &mut Game) -> (Vec<Picture>, f64) {
    let screens = game.env.take_screens();
    if !screens.is_empty() {
        return (screens.into_iter().map(Picture::from).collect(), 1000.0 / FRAMES_PER_SECOND);
    }
    let [_, height, width] = game.env.spec().obs_shape;
    let newest = &game.obs[game.obs.len() - height * width..];
    (vec![Picture::of_grey(newest, width)], TOY_MILLIS)
}
