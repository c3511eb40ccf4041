//! An Atari game as seen by an agent: preprocessed, with episodes that a lost life may end.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::ale::{ACTION_NAMES, Ale, AleAction, FIRE, NOOP};
use super::game::{Game, GameEnd, GameState, Held, Player, nanos_since};
use super::preprocess::AreaResize;
use crate::config::{EnvConfig, GameSetting, ResolvedEnvConfig};
use crate::env::{Env, EnvSpec, EnvTiming, EpisodeStats, Screen, Step};
use crate::error::EnvError;
use crate::frame_stack::FrameStack;
use crate::registry::{Assets, EnvSeed, find_game};
use crate::saved;

/// An Atari game under the rules of its [`EnvConfig`].
///
/// The order of wrappers and the handling of lost lives are those of Stable-Baselines3's
/// `AtariWrapper` (<https://github.com/DLR-RM/stable-baselines3>) under a vector frame stack; the
/// image differs: it uses ALE's own grey.
pub struct AtariEnv {
    spec: EnvSpec,
    config: ResolvedEnvConfig,
    seed: EnvSeed,
    game: Game,
    /// ALE's number of each of the agent's actions.
    actions: Vec<AleAction>,
    /// Actions held at the start of an episode; empty if FIRE has no effect or is not wanted.
    opening: Vec<AleAction>,
    resize: AreaResize,
    stack: FrameStack,
    /// Lives after the last step or reset.
    lives: i32,
    phase: Phase,
    preprocess_nanos: u64,
}

/// State of the agent's episode: determines the work of `reset` and whether a step is legal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Phase {
    /// No game has begun, or it is over.
    NoGame,
    /// The agent's episode is running.
    Playing,
    /// A lost life ended the episode; the game continues.
    LifeLost,
}

#[derive(Serialize, Deserialize)]
struct AtariState {
    game: GameState,
    lives: i32,
    phase: Phase,
    #[serde(with = "serde_bytes")]
    stack: Vec<u8>,
}

impl AtariEnv {
    /// Loads `game`, in any spelling of [`find_game`], from the ROMs of `assets`.
    pub fn try_new(
        game: &str,
        config: &EnvConfig,
        assets: &Assets,
        seed: EnvSeed,
    ) -> Result<Self, EnvError> {
        let name = find_game(game)?.name;
        let problems = config.check();
        if !problems.is_empty() {
            return Err(EnvError::Config(problems));
        }

        let config = config.resolve();
        let mut ale = Ale::open(name, &assets.rom_dir.join(format!("{name}.bin")))?;
        ale.choose(number(config.mode), number(config.difficulty))?;
        let minimal = ale.minimal_actions()?;
        let has_fire = minimal.contains(&FIRE);
        let actions = if config.full_action_set { (0..18).collect() } else { minimal };
        let fires = config.fire_on_reset && has_fire;
        // By index, as in Stable-Baselines3's `FireResetEnv`: action 1, which is FIRE in games that
        // have it, then action 2.
        let opening =
            if fires { actions.iter().copied().skip(1).take(2).collect() } else { Vec::new() };
        let size = config.screen_size as usize;
        Ok(Self {
            spec: spec_of(name, &config, &actions),
            seed,
            actions,
            opening,
            resize: AreaResize::new(ale.height(), ale.width(), size),
            stack: FrameStack::new(config.frame_stack as usize, size * size),
            lives: 0,
            phase: Phase::NoGame,
            preprocess_nanos: 0,
            game: Game::new(ale, &config, seed.rng()),
            config,
        })
    }

    /// Returns the settings with every value filled in.
    pub fn config(&self) -> &ResolvedEnvConfig {
        &self.config
    }

    /// Returns the emulator, for reading RAM, screen and lives.
    pub fn ale(&self) -> &Ale {
        self.game.ale()
    }

    /// Resets the emulator once more before the first game, as other libraries do.
    pub fn begin_after_reset(&mut self) {
        self.game.begin_after_reset();
    }

    /// Replaces the seed; it takes effect with the next game.
    pub fn reseed(&mut self, seed: u64) {
        self.seed.seed = seed;
        self.game.reseed(self.seed.rng());
    }

    /// Begins the agent's next episode: the next life of this game, or the next game.
    ///
    /// Returns the statistics of the agent's game if it ended under the first no-op or FIRE.
    fn begin_episode(&mut self) -> Result<Option<EpisodeStats>, EnvError> {
        let mut ended = self.begin_life()?;
        for index in 0..self.opening.len() {
            if self.press(self.opening[index])?.is_last {
                // The agent has no frames in a game begun here, so at most one game is reported.
                ended = ended.or(self.finished_game());
                ended = ended.or(self.begin_life()?);
            }
        }
        self.phase = Phase::Playing;
        Ok(ended)
    }

    /// Continues after a lost life with one held no-op; otherwise starts a new game.
    fn begin_life(&mut self) -> Result<Option<EpisodeStats>, EnvError> {
        let mut ended = None;
        // Stable-Baselines3's `EpisodicLifeEnv` takes the same no-op, and starts a new game if this
        // one ends under it.
        if self.phase == Phase::LifeLost && self.game.hold(NOOP, Player::Reset)?.end.is_some() {
            self.phase = Phase::NoGame;
            ended = self.finished_game();
        }
        if self.phase != Phase::LifeLost {
            self.game.start(self.config.noop_max)?;
        }
        self.lives = self.ale().lives();
        Ok(ended)
    }

    /// Returns the statistics of a game that has just ended in a reset, if the agent played in it
    /// at all.
    fn finished_game(&self) -> Option<EpisodeStats> {
        let stats = self.game.stats();
        (self.phase == Phase::NoGame && stats.episode_length_frames > 0).then_some(stats)
    }

    /// Holds one of the opening's actions.
    fn press(&mut self, action: AleAction) -> Result<StepEnd, EnvError> {
        let held = self.game.hold(action, Player::Reset)?;
        Ok(self.episode_end(held))
    }

    /// Derives the effect of a held action on the agent's episode.
    ///
    /// A life counts as lost only while lives remain: some games show zero lives for a few frames
    /// before they end by themselves.
    fn episode_end(&mut self, held: Held) -> StepEnd {
        let lives = self.ale().lives();
        let lost = self.config.life_loss_ends_episode && 0 < lives && lives < self.lives;
        self.lives = lives;
        let terminated = lost || held.end == Some(GameEnd::Over);
        // A true end wins: nothing follows it that could be bootstrapped from.
        let truncated = !terminated && held.end == Some(GameEnd::Limit);
        self.phase = match (held.end, lost) {
            (Some(_), _) => Phase::NoGame,
            (None, true) => Phase::LifeLost,
            (None, false) => Phase::Playing,
        };
        StepEnd { terminated, truncated, is_last: self.phase != Phase::Playing }
    }

    /// Adds the current screen to the stack and writes the stack out: C frames, newest last.
    fn observe(&mut self, obs: &mut [u8]) {
        let start = Instant::now();
        let (latest, previous) = self.game.screens();
        let grey = self.game.ale().grey();
        let resize = &mut self.resize;
        // The stack drops its oldest frame, and the new one is written in at its end.
        self.stack.push_with(|frame| resize.write_grey_max(grey, latest, previous, frame));
        obs.copy_from_slice(self.stack.as_slice());
        self.preprocess_nanos += nanos_since(start);
    }

    fn check_obs(&self, obs: &[u8]) -> Result<(), EnvError> {
        let expected = self.spec.obs_len();
        if obs.len() == expected {
            return Ok(());
        }
        Err(EnvError::BufferLength { what: "one observation", found: obs.len(), expected })
    }

    fn ale_action(&self, action: usize) -> Result<AleAction, EnvError> {
        self.actions.get(action).copied().ok_or_else(|| EnvError::IllegalAction {
            action,
            num_actions: self.actions.len(),
            game: self.spec.name.clone(),
        })
    }
}

/// Effect of one held action on the agent's episode.
#[derive(Clone, Copy)]
struct StepEnd {
    terminated: bool,
    truncated: bool,
    is_last: bool,
}

impl Env for AtariEnv {
    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    /// Continues the game after a lost life; otherwise starts a new one.
    fn reset(&mut self, obs: &mut [u8]) -> Result<Option<EpisodeStats>, EnvError> {
        self.check_obs(obs)?;
        if self.phase == Phase::Playing {
            self.phase = Phase::NoGame;
        }
        let ended = self.begin_episode()?;
        // Only the last screen of the reset enters the stack; its older places are zero, as with a
        // frame stack around all other wrappers.
        self.stack.clear();
        self.observe(obs);
        Ok(ended)
    }

    fn step(&mut self, action: usize, obs: &mut [u8]) -> Result<Step, EnvError> {
        self.check_obs(obs)?;
        let action = self.ale_action(action)?;
        if self.phase != Phase::Playing {
            return Err(EnvError::NeedsReset { game: self.spec.name.clone() });
        }

        let held = self.game.hold(action, Player::Agent)?;
        let StepEnd { terminated, truncated, .. } = self.episode_end(held);
        self.observe(obs);
        // Rewards are whole numbers, exact in `f32` up to 2²⁴; the return is summed in `f64`.
        let raw_reward = held.reward as f32;
        let reward = if self.config.reward_clip { sign(raw_reward) } else { raw_reward };
        let episode = held.end.map(|_| self.game.stats());
        Ok(Step { reward, raw_reward, terminated, truncated, episode })
    }

    fn save_state(&self) -> Result<Vec<u8>, EnvError> {
        let stack = self.stack.as_slice().to_vec();
        let state =
            AtariState { game: self.game.save()?, lives: self.lives, phase: self.phase, stack };
        saved::pack(&self.spec.name, &state)
    }

    fn load_state(&mut self, state: &[u8], obs: &mut [u8]) -> Result<(), EnvError> {
        self.check_obs(obs)?;
        let state: AtariState = saved::unpack(&self.spec.name, state)?;
        if !self.stack.restore(&state.stack) {
            let reason =
                "its frame stack has another size; check `env.frame_stack` and `env.screen_size`";
            return Err(saved::bad(&self.spec.name, reason));
        }

        // If the emulator refuses the state, only a new game can be played.
        self.phase = Phase::NoGame;
        self.game.load(state.game)?;
        (self.lives, self.phase) = (state.lives, state.phase);
        obs.copy_from_slice(self.stack.as_slice());
        Ok(())
    }

    fn record_screens(&mut self, on: bool) {
        self.game.record(on);
    }

    fn take_screens(&mut self) -> Vec<Screen> {
        let width = self.ale().width();
        let height = self.ale().height();
        let palette = self.ale().rgb();
        // Recorded as palette indices, a third of the size, and coloured only now.
        let recorded = self.game.take_recorded().into_iter();
        recorded.map(|indices| Screen { width, height, rgb: to_rgb(&indices, &palette) }).collect()
    }

    fn take_timing(&mut self) -> EnvTiming {
        EnvTiming {
            emulate_nanos: self.game.take_emulate_nanos(),
            preprocess_nanos: std::mem::take(&mut self.preprocess_nanos),
        }
    }
}

fn spec_of(name: &str, config: &ResolvedEnvConfig, actions: &[AleAction]) -> EnvSpec {
    let size = config.screen_size as usize;
    EnvSpec {
        name: name.to_owned(),
        obs_shape: [config.frame_stack as usize, size, size],
        actions: actions
            .iter()
            .map(|action| ACTION_NAMES[usize::from(*action)].to_owned())
            .collect(),
        frame_skip: config.frame_skip,
    }
}

/// Replaces palette indices, `[H, W]`, by their colours, `[H, W, 3]`.
fn to_rgb(indices: &[u8], palette: &[u32; 256]) -> Vec<u8> {
    let mut rgb = Vec::with_capacity(3 * indices.len());
    for index in indices {
        let [_, red, green, blue] = palette[usize::from(*index)].to_be_bytes();
        rgb.extend([red, green, blue]);
    }
    rgb
}

fn number(setting: GameSetting) -> Option<u32> {
    match setting {
        GameSetting::Default => None,
        GameSetting::Number(number) => Some(number),
    }
}

/// Returns −1, 0 or 1, the clipping of Mnih et al. 2015. (`f32::signum` returns 1 for 0.)
fn sign(reward: f32) -> f32 {
    if reward == 0.0 { 0.0 } else { reward.signum() }
}
