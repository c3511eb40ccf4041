//! Full games as images.

use anyhow::Context;
use coordrl_agents::{ActionScores, Policy};
use coordrl_envs::EpisodeStats;

use super::Picture;
use crate::eval::evaluation::{EvalPlan, EvaluatedGame};
use crate::stop_flag::StopFlag;

/// Emulator frames per second.
pub const FRAMES_PER_SECOND: f64 = 60.0;
/// Display time of one image of a game without an emulator.
const TOY_MILLIS: f64 = 150.0;

/// One decision, and the images up to the next one.
pub struct Moment<'a> {
    /// Observation, `u8 [C, H, W]`.
    pub obs: &'a [u8],
    /// Network outputs for the observation.
    pub insight: &'a ActionScores,
    /// Index of the action taken.
    pub action: usize,
    /// Images since the last decision, followed by those of this one; never empty.
    pub pictures: Vec<Picture>,
    /// Display time of each image in milliseconds.
    pub millis: f64,
}

/// Reason why a recording ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Ending {
    /// The game ended.
    Game(EpisodeStats),
    /// The frame limit was reached.
    Limit,
    /// A stop was requested.
    Stopped,
}

/// Plays game `number` of a plan as `coordrl eval` does and passes each decision to `see`. Ends
/// with the game, after `frame_limit` frames, or when stopped.
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
    let mut game = EvaluatedGame::start(plan, number, true)?;
    let mut frames = 0;
    let (mut pictures, mut millis) = pictures_of(&mut game);
    loop {
        if stop.is_raised() {
            return Ok(Ending::Stopped);
        }
        // The step overwrites the observation on which the decision was based.
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

/// Returns the screens since the last call or, for a game without screens, the newest frame of the
/// observation.
fn pictures_of(game: &mut EvaluatedGame) -> (Vec<Picture>, f64) {
    let screens = game.env.take_screens();
    if !screens.is_empty() {
        return (screens.into_iter().map(Picture::from).collect(), 1000.0 / FRAMES_PER_SECOND);
    }
    let [_, height, width] = game.env.spec().obs_shape;
    // Frames are stacked with the newest last.
    let newest = &game.obs[game.obs.len() - height * width..];
    (vec![Picture::of_grey(newest, width)], TOY_MILLIS)
}
