//! A full game as pictures.

use anyhow::Context;
use coordrl_agents::{Insight, Policy};
use coordrl_envs::{Env, EnvSeed, EpisodeStats, Role, derive_rng, make_env};

use super::Picture;
use crate::evaluation::Plan;

/// Emulator frames a second.
pub const FRAMES_PER_SECOND: f64 = 60.0;
/// How long a picture of a game without an emulator is shown.
const TOY_MILLIS: f64 = 150.0;

/// One decision, and what was seen until the next.
pub struct Moment<'a> {
    /// What the network saw, `u8 [C, H, W]`.
    pub obs: &'a [u8],
    /// What it said of it.
    pub insight: &'a Insight,
    /// Index of the action taken.
    pub action: usize,
    /// Undiscounted rewards of the game before this decision.
    pub score: f64,
    /// What was on the screen since the last decision, and then under this one; never empty.
    pub pictures: Vec<Picture>,
    /// How long each of them is shown, in milliseconds.
    pub millis: f64,
}

/// Plays game `number` of a plan, as `coordrl eval` does, and hands over each decision. Ends with the
/// game, or after `frame_limit` frames with nothing to tell.
///
/// # Errors
/// If the environment or the network fails, or `see` does.
pub fn watch(
    plan: &Plan<'_>,
    policy: &Policy,
    number: u64,
    frame_limit: Option<u64>,
    mut see: impl FnMut(Moment<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<Option<EpisodeStats>> {
    let seed = EnvSeed { seed: plan.seed, role: Role::EvalEnv, index: number };
    let mut env = make_env(plan.game, plan.env, plan.assets, seed)?;
    let mut rng = derive_rng(plan.seed, Role::EvalPolicy, number);
    let mut obs = vec![0; env.spec().obs_len()];
    env.record_screens(true);
    env.reset(&mut obs)?;
    let (mut frames, mut score) = (0, 0.0);
    loop {
        let before = obs.clone();
        let (action, insight) =
            policy.act_and_tell(&before, plan.mode, &mut rng).context("the network cannot choose actions")?;
        let step = env.step(action, &mut obs)?;
        let (pictures, millis) = pictures_of(env.as_mut(), &obs);
        frames += u64::from(env.spec().frame_skip);
        see(Moment { obs: &before, insight: &insight, action, score, pictures, millis })?;
        score += f64::from(step.raw_reward);
        if step.episode.is_some() {
            return Ok(step.episode);
        }
        if step.is_last()
            && let Some(ended) = env.reset(&mut obs)?
        {
            return Ok(Some(ended)); // under the frames of a reset after a lost life
        }
        if frame_limit.is_some_and(|limit| frames >= limit) {
            return Ok(None);
        }
    }
}

/// What was on the screen since the last call; the newest frame of the observation where there is no
/// screen.
fn pictures_of(env: &mut dyn Env, obs: &[u8]) -> (Vec<Picture>, f64) {
    let screens = env.take_screens();
    if !screens.is_empty() {
        return (screens.into_iter().map(Picture::from).collect(), 1000.0 / FRAMES_PER_SECOND);
    }
    let [_, height, width] = env.spec().obs_shape;
    let newest = &obs[obs.len() - height * width..];
    (vec![Picture::of_grey(newest, width)], TOY_MILLIS)
}

/// Shows fewer pictures a second: of every `together` the brightest pixels.
pub fn thin_out(pictures: Vec<Picture>, together: usize) -> Vec<(Picture, usize)> {
    let mut pictures = pictures.into_iter().peekable();
    let mut thinned = Vec::new();
    while pictures.peek().is_some() {
        let group: Vec<Picture> = pictures.by_ref().take(together.max(1)).collect();
        let count = group.len();
        thinned.extend(group.into_iter().reduce(|all, next| all.brighter(&next)).map(|one| (one, count)));
    }
    thinned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_out_keeps_the_time_and_what_blinks() {
        let blinking: Vec<Picture> = [0, 9, 0, 9, 0].map(|level| Picture::of_grey(&[level], 1)).to_vec();
        let thinned = thin_out(blinking.clone(), 2);
        let levels: Vec<(u8, usize)> =
            thinned.iter().map(|(picture, count)| (picture.rgb[0], *count)).collect();
        assert_eq!(levels, [(9, 2), (9, 2), (0, 1)]);
        assert_eq!(thin_out(blinking, 1).len(), 5);
    }
}
