//! Evaluation: full games with a trained network.
//!
//! Each game has its own environment and random generator, derived from its number. Which games are
//! played is fixed before the first one starts, so short games are not over-represented, and
//! neither threads nor machine affect the result.

use std::path::{Path, PathBuf};

use anyhow::Context;
use coordrl_agents::{ActMode, Policy, find_torso};
use coordrl_envs::{
    Assets, Env, EnvConfig, EnvError, EnvSeed, EpisodeStats, FrameLimit, ResolvedEnvConfig, Rng,
    Role, derive_rng, make_env,
};
use coordrl_stats::{mean, median, standard_deviation};
use rayon::ThreadPool;
use rayon::prelude::*;
use serde::Serialize;
use tch::{Device, Tensor};

use crate::config::RunConfig;
use crate::config::assets;
use crate::eval::known_scores::known_scores;
use crate::stop_flag::StopFlag;

/// Number of concurrent games without a frame limit. Fixed, because the batch size can change the
/// last bits of the network's outputs.
const SLOTS: usize = 16;

/// Games to play, and how to play them.
pub struct EvalPlan<'a> {
    /// Game.
    pub game: &'a str,
    /// Environment settings of the run, so that the agent sees what it saw in training.
    pub env: &'a EnvConfig,
    /// Location of the ROMs.
    pub assets: &'a Assets,
    /// Number of full games.
    pub episodes: u64,
    /// Action selection.
    pub mode: ActMode,
    /// Random seed; its streams are separate from those of training.
    pub seed: u64,
    /// Number of the first game: see [`WHILE_TRAINING`] and [`FINAL`].
    pub first_game: u64,
    /// Emulator frames, over all games, after which unfinished games are cut; `None` for no limit.
    /// With a limit, all games start at once, so that those cut are cut at the same length.
    pub max_frames: Option<u64>,
}

/// First game number during training. These games select the best checkpoint, so `coordrl eval`,
/// which starts at 0, must play others: otherwise it would report the score of the luckiest draw.
pub const WHILE_TRAINING: u64 = 1 << 32;
/// First game number of the final evaluation, separate for the same reason.
pub const FINAL: u64 = 1 << 33;

impl<'a> EvalPlan<'a> {
    /// Plans the games of a run during training, with its own rules and its algorithm's default
    /// policy.
    pub fn while_training(config: &'a RunConfig, assets: &'a Assets) -> Self {
        Self {
            game: &config.game,
            env: &config.env,
            assets,
            episodes: config.evaluation.episodes,
            mode: config.algorithm().evaluation_mode(),
            seed: config.seed,
            first_game: WHILE_TRAINING,
            max_frames: Some(config.evaluation.max_frames),
        }
    }

    /// Plans the games with a run's final weights.
    pub fn of_final_weights(config: &'a RunConfig, assets: &'a Assets) -> Self {
        Self {
            episodes: config.evaluation.final_episodes,
            first_game: FINAL,
            max_frames: Some(config.evaluation.final_max_frames),
            ..Self::while_training(config, assets)
        }
    }
}

/// Builds a run's network with the given weights on `device`.
///
/// # Errors
/// If the game cannot be created or the weights do not fit.
pub fn policy_of(
    config: &RunConfig,
    weights: &[(String, Tensor)],
    device: Device,
) -> anyhow::Result<Policy> {
    let assets = assets(config.rom_dir.as_deref());
    // Only an environment knows the shape of its observations and its actions.
    let probe = EnvSeed { seed: config.seed, role: Role::EvalEnv, index: 0 };
    let spec = make_env(&config.game, &config.env, &assets, probe)?.spec().clone();
    let torso = find_torso(&config.torso)?;
    Ok(config.algorithm().build_policy(torso, &spec, weights, device)?)
}

/// Game in progress.
pub struct EvaluatedGame {
    number: u64,
    /// The environment.
    pub env: Box<dyn Env>,
    /// Current observation, `u8 [C, H, W]`.
    pub obs: Vec<u8>,
    /// Random generator for the actions.
    pub rng: Rng,
    /// Unclipped return and number of frames so far.
    so_far: EpisodeStats,
}

/// Game played to its end or to the frame limit of its evaluation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlayedGame {
    /// Return and length; for a game that was cut, those so far.
    pub stats: EpisodeStats,
    /// `true` if [`EvalPlan::max_frames`] ended it.
    pub was_cut: bool,
}

/// Plays the games of a plan; results are ordered by game number.
///
/// A lost life ends the agent's episode as in training (followed by FIRE if the protocol presses
/// it), but only full games count. Returns `None` if stopped.
pub fn play(
    plan: &EvalPlan<'_>,
    policy: &Policy,
    pool: &ThreadPool,
    stop: &StopFlag,
) -> anyhow::Result<Option<Vec<PlayedGame>>> {
    let mut waiting = 0..plan.episodes;
    let side_by_side = if plan.max_frames.is_some() { plan.episodes as usize } else { SLOTS };
    let first: Vec<u64> = waiting.by_ref().take(side_by_side).collect();
    let mut slots = start_all(plan, &first, pool)?;
    let mut results: Vec<(u64, PlayedGame)> = Vec::new();
    let mut frames = 0;
    while !slots.is_empty() {
        if stop.is_raised() {
            return Ok(None);
        }
        if plan.max_frames.is_some_and(|limit| frames >= limit) {
            results.extend(slots.into_iter().map(|slot| (slot.number, slot.cut())));
            break;
        }

        let actions = act(&mut slots, plan.mode, policy)?;
        let finished = step_all(&mut slots, &actions, pool)?;
        // Before finished games leave the slots: their last step counts as well.
        frames += slots.iter().map(|slot| u64::from(slot.env.spec().frame_skip)).sum::<u64>();

        let mut next = Vec::with_capacity(slots.len());
        for (slot, game) in slots.into_iter().zip(finished) {
            match game {
                None => next.push(slot),
                Some(stats) => {
                    results.push((slot.number, PlayedGame { stats, was_cut: false }));
                    next.extend(
                        waiting
                            .next()
                            .map(|number| EvaluatedGame::start(plan, number, false))
                            .transpose()?,
                    );
                }
            }
        }
        slots = next;
    }

    results.sort_by_key(|(number, _)| *number);
    Ok(Some(results.into_iter().map(|(_, game)| game).collect()))
}

/// Starts games in parallel: loading an emulator takes longer than many steps.
fn start_all(
    plan: &EvalPlan<'_>,
    numbers: &[u64],
    pool: &ThreadPool,
) -> Result<Vec<EvaluatedGame>, EnvError> {
    pool.install(|| {
        numbers.par_iter().map(|&number| EvaluatedGame::start(plan, number, false)).collect()
    })
}

fn act(slots: &mut [EvaluatedGame], mode: ActMode, policy: &Policy) -> anyhow::Result<Vec<usize>> {
    let mut obs = Vec::with_capacity(slots.iter().map(|slot| slot.obs.len()).sum());
    slots.iter().for_each(|slot| obs.extend_from_slice(&slot.obs)); // u8 [N, C, H, W]
    let mut rngs: Vec<&mut Rng> = slots.iter_mut().map(|slot| &mut slot.rng).collect();
    policy.act(&obs, mode, &mut rngs).context("the network cannot choose actions")
}

fn step_all(
    slots: &mut [EvaluatedGame],
    actions: &[usize],
    pool: &ThreadPool,
) -> Result<Vec<Option<EpisodeStats>>, EnvError> {
    pool.install(|| {
        slots.par_iter_mut().zip(actions).map(|(slot, &action)| slot.step(action)).collect()
    })
}

impl EvaluatedGame {
    /// Starts game `number` of a plan; `filmed` records its screens from the first one on.
    pub fn start(plan: &EvalPlan<'_>, number: u64, filmed: bool) -> Result<Self, EnvError> {
        let index = plan.first_game + number;
        let seed = EnvSeed { seed: plan.seed, role: Role::EvalEnv, index };
        let mut env = make_env(plan.game, plan.env, plan.assets, seed)?;
        env.record_screens(filmed);
        let mut obs = vec![0; env.spec().obs_len()];
        env.reset(&mut obs)?;
        // Separate from the environment, so that a policy that draws more does not change the game.
        let rng = derive_rng(plan.seed, Role::EvalPolicy, index);
        Ok(Self { number, env, obs, rng, so_far: EpisodeStats::default() })
    }

    /// Takes one step; returns the game's statistics when it is over.
    pub fn step(&mut self, action: usize) -> Result<Option<EpisodeStats>, EnvError> {
        let step = self.env.step(action, &mut self.obs)?;
        self.so_far.episode_return += f64::from(step.raw_reward);
        self.so_far.episode_length_frames += u64::from(self.env.spec().frame_skip);
        if step.episode.is_none() && step.is_last() {
            // A life was lost. The game may end within the frames of this reset.
            return self.env.reset(&mut self.obs);
        }
        Ok(step.episode)
    }

    /// Cuts the game at its current length. Excludes points scored during the no-op after a lost
    /// life.
    fn cut(self) -> PlayedGame {
        PlayedGame { stats: self.so_far, was_cut: true }
    }
}

/// Result of an evaluation, as printed by `eval --json`.
#[derive(Clone, Debug, Serialize)]
pub struct Evaluation {
    /// Run folder.
    #[serde(serialize_with = "crate::text::path_text::serialize")]
    pub run: PathBuf,
    /// Checkpoint folder.
    #[serde(serialize_with = "crate::text::path_text::serialize")]
    pub checkpoint: PathBuf,
    /// Emulator frames trained at the checkpoint.
    pub frames: u64,
    /// Game.
    pub game: String,
    /// Torso.
    pub torso: String,
    /// `sampled`, `greedy`, or `epsilon` with its value.
    pub policy: String,
    /// `classic`, `machado` or `raw`.
    pub protocol: String,
    /// Start of the games and their perturbations, in words.
    pub start: String,
    /// All environment settings.
    pub env: ResolvedEnvConfig,
    /// Definition of a game and the effect of a lost life, in words.
    pub counting: String,
    /// Seed of the evaluation.
    pub seed: u64,
    /// Statistics over the games.
    #[serde(flatten)]
    pub summary: EvaluationSummary,
    /// (mean return − random) / |human − random|, for games with known scores in their default mode
    /// and difficulty.
    pub human_normalised: Option<f64>,
    /// Remarks needed to read the numbers correctly, in full sentences.
    pub remarks: Vec<String>,
    /// Return of each game.
    pub returns: Vec<f64>,
    /// Length of each game in emulator frames.
    pub lengths_frames: Vec<u64>,
    /// Indices into `returns` of the games that were cut at the evaluation's limit.
    pub games_cut: Vec<usize>,
}

impl Evaluation {
    /// Summarises the games played by a network trained for `frames`.
    pub fn new(
        plan: &EvalPlan<'_>,
        torso: &str,
        [run, checkpoint]: [&Path; 2],
        frames: u64,
        games: &[PlayedGame],
    ) -> Self {
        let stats: Vec<EpisodeStats> = games.iter().map(|game| game.stats).collect();
        let summary = EvaluationSummary::of(&stats);
        let env = plan.env.resolve();
        let known = known_scores(plan.game, &env);

        Self {
            run: run.to_owned(),
            checkpoint: checkpoint.to_owned(),
            frames,
            game: plan.game.to_owned(),
            torso: torso.to_owned(),
            policy: policy_name(plan.mode),
            protocol: format!("{:?}", env.protocol).to_lowercase(),
            start: start_of(&env),
            counting: counting_of(&env),
            seed: plan.seed,
            human_normalised: known.map(|known| known.normalise(summary.mean_return)),
            summary,
            returns: stats.iter().map(|game| game.episode_return).collect(),
            env,
            lengths_frames: stats.iter().map(|game| game.episode_length_frames).collect(),
            games_cut: cut_games(games),
            remarks: Vec::new(),
        }
    }
}

/// Returns the indices of the games that were cut.
pub fn cut_games(games: &[PlayedGame]) -> Vec<usize> {
    games.iter().enumerate().filter(|(_, game)| game.was_cut).map(|(place, _)| place).collect()
}

/// Returns the name of a mode, as in the options of `eval`.
fn policy_name(mode: ActMode) -> String {
    match mode {
        ActMode::Sampled => "sampled".to_owned(),
        ActMode::Greedy => "greedy".to_owned(),
        ActMode::EpsilonGreedy { epsilon } => format!("epsilon {epsilon}"),
    }
}

/// Describes the start of games and their perturbations.
fn start_of(env: &ResolvedEnvConfig) -> String {
    let mut parts = Vec::new();
    parts.push(match env.noop_max {
        0 => "plain reset".to_owned(),
        noops => format!("1 to {noops} no-ops"),
    });

    if env.fire_on_reset {
        parts.push("FIRE where the game has it".to_owned());
    }

    if env.sticky_action_prob > 0.0 {
        parts.push(format!("sticky actions {}", env.sticky_action_prob));
    }

    if let FrameLimit::Frames(frames) = env.max_episode_frames {
        parts.push(format!("at most {frames} frames"));
    }

    parts.join(", ")
}

/// Describes what counts as a game, and the effect of a lost life.
fn counting_of(env: &ResolvedEnvConfig) -> String {
    let lost = match (env.life_loss_ends_episode, env.fire_on_reset) {
        (true, true) => "; after a lost life a no-op, and FIRE where the game has it",
        (true, false) => "; after a lost life a no-op",
        (false, _) => "",
    };
    format!("full games, not lives{lost}")
}

/// Statistics of the returns of full games.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EvaluationSummary {
    /// Number of games.
    pub episodes: usize,
    /// Mean return.
    pub mean_return: f64,
    /// Sample standard deviation (n − 1); absent for a single game.
    pub sd_return: Option<f64>,
    /// Median return.
    pub median_return: f64,
    /// Lowest return.
    pub min_return: f64,
    /// Highest return.
    pub max_return: f64,
    /// Mean length in emulator frames.
    pub mean_length_frames: f64,
}

impl EvaluationSummary {
    /// Summarises at least one game.
    #[expect(clippy::cast_precision_loss, reason = "numbers of frames stay far below 2^53")]
    pub fn of(games: &[EpisodeStats]) -> Self {
        let mut returns: Vec<f64> = games.iter().map(|game| game.episode_return).collect();
        returns.sort_by(f64::total_cmp);
        Self {
            episodes: games.len(),
            mean_return: mean(returns.iter().copied()),
            sd_return: (games.len() > 1).then(|| standard_deviation(&returns)),
            min_return: returns[0],
            max_return: returns[returns.len() - 1],
            median_return: median(returns),
            mean_length_frames: mean(games.iter().map(|game| game.episode_length_frames as f64)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn games(returns: &[f64]) -> Vec<EpisodeStats> {
        returns
            .iter()
            .map(|&episode_return| EpisodeStats { episode_return, episode_length_frames: 8 })
            .collect()
    }

    #[test]
    fn the_deviation_is_that_of_a_sample_and_the_median_lies_between() {
        let summary = EvaluationSummary::of(&games(&[4.0, 1.0, 2.0, 3.0]));
        assert_eq!((summary.mean_return, summary.median_return), (2.5, 2.5));
        assert_eq!(summary.sd_return, Some((5.0f64 / 3.0).sqrt()));
        assert_eq!(
            (summary.min_return, summary.max_return, summary.mean_length_frames),
            (1.0, 4.0, 8.0)
        );
    }

    #[test]
    fn one_game_has_no_deviation() {
        let summary = EvaluationSummary::of(&games(&[-21.0]));
        assert_eq!(
            (summary.mean_return, summary.sd_return, summary.median_return),
            (-21.0, None, -21.0)
        );
    }
}
