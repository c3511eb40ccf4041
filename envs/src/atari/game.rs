//! One game on an emulator: frame skip, sticky actions, frame limit and score.

use std::time::Instant;

use rand::RngExt as _;
use serde::{Deserialize, Serialize};

use super::ale::{Ale, AleAction, NOOP};
use crate::config::{FrameLimit, ResolvedEnvConfig};
use crate::env::EpisodeStats;
use crate::error::EnvError;
use crate::rng::Rng;

/// A game from its first frame to its end, independent of the agent's episodes within it.
pub(super) struct Game {
    ale: Ale,
    rng: Rng,
    sticky_action_prob: f64,
    frame_skip: u32,
    limit: FrameLimit,
    progress: GameProgress,
    /// The frame before the latest, if the last hold ran at least two.
    previous: Vec<u8>,
    has_previous: bool,
    emulate_nanos: u64,
    /// Palette indices of every frame, while recording.
    recorded: Option<Vec<Vec<u8>>>,
}

/// Progress of the current game.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct GameProgress {
    /// `true` if the emulator must be reset before a game starts: a frame has run, or
    /// [`Game::begin_after_reset`] was called. Right after loading, the game is already at its
    /// start, and a reset would not always lead to the same state: the console's timer starts at a
    /// random value and its RAM keeps its contents.
    used: bool,
    /// Action pressed in the latest frame; sticky actions repeat it.
    pressed: AleAction,
    /// Frames of this game including those of resets, as counted by the limit.
    frames: u64,
    /// Frames of this game that the agent played.
    played_frames: u64,
    /// Sum of this game's unclipped rewards, including those of resets.
    episode_return: f64,
}

/// The complete serialised state of a [`Game`].
#[derive(Serialize, Deserialize)]
pub(super) struct GameState {
    #[serde(with = "serde_bytes")]
    ale: Vec<u8>,
    rng: Rng,
    progress: GameProgress,
}

/// Cause of a game's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GameEnd {
    /// Game over.
    Over,
    /// Frame limit reached.
    Limit,
}

/// Result of holding an action for some frames.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Held {
    pub(super) reward: f64,
    pub(super) end: Option<GameEnd>,
}

/// Source of an action: frames of resets do not count as played by the agent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Player {
    Agent,
    Reset,
}

impl Game {
    pub(super) fn new(ale: Ale, config: &ResolvedEnvConfig, rng: Rng) -> Self {
        let previous = vec![0; ale.screen().len()];
        Self {
            ale,
            rng,
            sticky_action_prob: config.sticky_action_prob,
            frame_skip: config.frame_skip,
            limit: config.max_episode_frames,
            progress: GameProgress::default(),
            previous,
            has_previous: false,
            emulate_nanos: 0,
            recorded: None,
        }
    }

    /// Switches to a new generator.
    pub(super) fn reseed(&mut self, rng: Rng) {
        self.rng = rng;
    }

    /// Resets the emulator before the first game too, as before every other.
    pub(super) fn begin_after_reset(&mut self) {
        self.progress.used = true;
    }

    /// Starts a new game with 1 to `noop_max` no-op frames (none if 0).
    ///
    /// If the game ends during them, another one starts and the count continues, as in
    /// Stable-Baselines3's `NoopResetEnv`.
    pub(super) fn start(&mut self, noop_max: u32) -> Result<(), EnvError> {
        self.restart()?;
        let noops = if noop_max == 0 { 0 } else { self.rng.random_range(1..=noop_max) };
        for _ in 0..noops {
            self.frame(NOOP)?;
            if self.end().is_some() {
                self.restart()?;
            }
        }
        Ok(())
    }

    fn restart(&mut self) -> Result<(), EnvError> {
        if self.progress.used {
            let start = Instant::now();
            self.ale.reset()?;
            self.emulate_nanos += nanos_since(start);
        }

        // No button is held when a game begins: what sticks to its first frame is a no-op.
        self.progress =
            GameProgress { used: self.progress.used, pressed: NOOP, ..GameProgress::default() };
        self.has_previous = false;
        Ok(())
    }

    /// Holds `action` for `frame_skip` frames, or fewer if the game ends.
    pub(super) fn hold(&mut self, action: AleAction, player: Player) -> Result<Held, EnvError> {
        let before = self.progress.frames;
        let mut reward = 0.0;
        self.has_previous = false;
        for frame in 0..self.frame_skip {
            if frame > 0 {
                // Keep the screen before each further frame, since the game may end after any.
                self.previous.copy_from_slice(self.ale.screen());
                self.has_previous = true;
            }
            reward += self.frame(action)?;
            if self.end().is_some() {
                break;
            }
        }

        if player == Player::Agent {
            self.progress.played_frames += self.progress.frames - before;
        }

        Ok(Held { reward, end: self.end() })
    }

    /// Runs one emulator frame. The previous action stays pressed with the sticky probability,
    /// drawn anew for each frame (Machado et al. 2018, §5.2).
    fn frame(&mut self, action: AleAction) -> Result<f64, EnvError> {
        // Without stickiness no number is drawn here, so only the no-ops use the generator.
        let sticks =
            self.sticky_action_prob > 0.0 && self.rng.random::<f64>() < self.sticky_action_prob;
        if !sticks {
            self.progress.pressed = action;
        }

        let start = Instant::now();
        let reward = f64::from(self.ale.act(self.progress.pressed)?);
        self.emulate_nanos += nanos_since(start);
        self.progress.used = true;
        self.progress.frames += 1;
        self.progress.episode_return += reward;
        if let Some(recorded) = &mut self.recorded {
            recorded.push(self.ale.screen().to_vec());
        }

        Ok(reward)
    }

    /// Returns the cause of the game's end, if it has ended.
    fn end(&self) -> Option<GameEnd> {
        // Game over comes first: a game that ends by itself on the limit's frame has truly ended.
        if self.ale.game_over() {
            Some(GameEnd::Over)
        } else if self.limit.reached(self.progress.frames) {
            Some(GameEnd::Limit)
        } else {
            None
        }
    }

    /// Turns recording of frames on or off.
    pub(super) fn record(&mut self, on: bool) {
        self.recorded = on.then(Vec::new);
    }

    /// Takes the frames recorded since the last call, as palette indices.
    pub(super) fn take_recorded(&mut self) -> Vec<Vec<u8>> {
        self.recorded.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Returns the latest frame and, if the last hold ran at least two, the one before it.
    pub(super) fn screens(&self) -> (&[u8], Option<&[u8]>) {
        (self.ale.screen(), self.has_previous.then_some(self.previous.as_slice()))
    }

    pub(super) fn ale(&self) -> &Ale {
        &self.ale
    }

    pub(super) fn stats(&self) -> EpisodeStats {
        let GameProgress { episode_return, played_frames, .. } = self.progress;
        EpisodeStats { episode_return, episode_length_frames: played_frames }
    }

    pub(super) fn take_emulate_nanos(&mut self) -> u64 {
        std::mem::take(&mut self.emulate_nanos)
    }

    pub(super) fn save(&self) -> Result<GameState, EnvError> {
        Ok(GameState {
            ale: self.ale.save_state()?,
            rng: self.rng.clone(),
            progress: self.progress,
        })
    }

    pub(super) fn load(&mut self, state: GameState) -> Result<(), EnvError> {
        // Should ALE reject the state half way, the next game has to start from a reset.
        self.progress.used = true;
        self.ale.load_state(&state.ale)?;
        (self.rng, self.progress) = (state.rng, state.progress);
        // The frame before the latest is not saved: the current observation is in the saved stack,
        // and the next hold records its own.
        self.has_previous = false;
        Ok(())
    }
}

pub(super) fn nanos_since(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::config::{EnvConfig, Protocol};
    use crate::registry::Assets;
    use crate::rng::{Role, derive_rng};

    fn pong(sticky_action_prob: f64) -> Game {
        let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../.deps");
        let deps = std::env::var_os("COORDRL_DEPS_DIR").map_or_else(beside, PathBuf::from);
        let ale = Ale::open("pong", &Assets::in_deps(&deps).rom_dir.join("pong.bin")).unwrap();
        let config =
            ResolvedEnvConfig { sticky_action_prob, ..EnvConfig::of(Protocol::Raw).resolve() };
        Game::new(ale, &config, derive_rng(1, Role::TrainEnv, 0))
    }

    /// Counts the frames, out of 2 000, in which another action was pressed than requested.
    fn stuck(game: &mut Game) -> usize {
        // Cycle through all eighteen actions, so that consecutive requests always differ.
        (0..2_000)
            .map(|frame| (frame % 18) as AleAction)
            .filter(|action| {
                game.frame(*action).unwrap();
                game.progress.pressed != *action
            })
            .count()
    }

    #[test]
    fn a_quarter_of_the_frames_stick_and_none_without_stickiness() {
        assert_eq!(stuck(&mut pong(0.0)), 0);
        let found = stuck(&mut pong(0.25));
        // 500 expected; the standard deviation is 19.
        assert!((430..570).contains(&found), "{found}");
    }

    #[test]
    fn without_stickiness_no_draw_is_made() {
        let mut game = pong(0.0);
        let before = game.rng.clone();
        game.hold(2, Player::Agent).unwrap();
        assert_eq!(game.rng, before);
    }

    #[test]
    fn no_ops_are_drawn_evenly_from_one_to_the_maximum() {
        let mut game = pong(0.0);
        let mut seen = [0; 5];
        for _ in 0..100 {
            game.start(4).unwrap();
            seen[game.progress.frames as usize] += 1;
        }
        assert_eq!(seen[0], 0);
        assert!(seen[1..].iter().all(|count| *count > 10), "{seen:?}");
        game.start(0).unwrap();
        assert_eq!(game.progress.frames, 0);
    }
}
