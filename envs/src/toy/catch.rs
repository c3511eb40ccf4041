//! Catch: a ball falls and must be caught with a paddle.
//!
//! The rules are those of bsuite (Osband et al. 2020, <https://github.com/google-deepmind/bsuite>):
//! on a board of 10 rows by 5 columns, the paddle starts in the middle of the bottom row and the
//! ball in a random column of the top row, falling one row per step; when it reaches the bottom row
//! the game ends with +1 if the paddle is under it, else −1. Here the board is drawn as pixels, so
//! that every Atari torso can process it. A random player scores about −0.6, a perfect one +1.

use rand::RngExt as _;
use serde::{Deserialize, Serialize};

use crate::config::{Problem, ResolvedEnvConfig};
use crate::env::{Env, EnvSpec, EpisodeStats, Step};
use crate::error::EnvError;
use crate::frame_stack::FrameStack;
use crate::rng::Rng;
use crate::saved;

const NAME: &str = "catch";
const ROWS: u32 = 10;
const COLUMNS: u32 = 5;
const ACTIONS: [&str; 3] = ["LEFT", "STAY", "RIGHT"];

/// The game of catch, drawn `screen_size` pixels high and wide.
///
/// Only the settings `screen_size`, at least 10, and `frame_stack` apply; the others (stickiness,
/// no-ops, lives) have no meaning here. The ball falls one row per agent step.
pub struct Catch {
    spec: EnvSpec,
    size: u32,
    rng: Rng,
    board: Board,
    stack: FrameStack,
}

/// Positions of ball and paddle.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Board {
    ball_row: u32,
    ball_column: u32,
    paddle_column: u32,
    playing: bool,
}

#[derive(Serialize, Deserialize)]
struct CatchState {
    rng: Rng,
    board: Board,
    #[serde(with = "serde_bytes")]
    stack: Vec<u8>,
}

impl Catch {
    /// Builds the game; `rng` draws the ball's columns.
    ///
    /// # Errors
    /// [`EnvError::Config`] if the frame has fewer pixels than the board has rows: the ball would
    /// be invisible in some of them.
    pub fn try_new(config: &ResolvedEnvConfig, rng: Rng) -> Result<Self, EnvError> {
        if config.screen_size < ROWS {
            let message = format!(
                "is {}, but each of the {ROWS} rows of `{NAME}` needs a pixel: at least {ROWS}",
                config.screen_size
            );
            return Err(EnvError::Config(vec![Problem::new("env.screen_size", message)]));
        }

        let size = config.screen_size as usize;
        let depth = config.frame_stack as usize;
        let spec = EnvSpec {
            name: NAME.to_owned(),
            obs_shape: [depth, size, size],
            actions: ACTIONS.map(str::to_owned).to_vec(),
            frame_skip: 1,
        };

        let board =
            Board { ball_row: 0, ball_column: 0, paddle_column: COLUMNS / 2, playing: false };
        Ok(Self {
            spec,
            size: config.screen_size,
            rng,
            board,
            stack: FrameStack::new(depth, size * size),
        })
    }

    fn draw(&mut self, obs: &mut [u8]) {
        let board = self.board;
        let size = self.size;
        self.stack.push_with(|frame| {
            frame.fill(0);
            fill_cell(frame, size, board.ball_row, board.ball_column);
            fill_cell(frame, size, ROWS - 1, board.paddle_column);
        });
        obs.copy_from_slice(self.stack.as_slice());
    }

    fn check_obs(&self, obs: &[u8]) -> Result<(), EnvError> {
        let expected = self.spec.obs_len();
        if obs.len() == expected {
            return Ok(());
        }
        Err(EnvError::BufferLength { what: "one observation", found: obs.len(), expected })
    }
}

/// Paints one cell of the board white. Cells divide the frame evenly, to the pixel.
fn fill_cell(frame: &mut [u8], size: u32, row: u32, column: u32) {
    // Multiplied before dividing, so that one cell ends where the next begins, at any size.
    for y in row * size / ROWS..(row + 1) * size / ROWS {
        let start = y * size + column * size / COLUMNS;
        let end = y * size + (column + 1) * size / COLUMNS;
        frame[start as usize..end as usize].fill(255);
    }
}

impl Env for Catch {
    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn reset(&mut self, obs: &mut [u8]) -> Result<Option<EpisodeStats>, EnvError> {
        self.check_obs(obs)?;
        let ball_column = self.rng.random_range(0..COLUMNS);
        self.board = Board { ball_row: 0, ball_column, paddle_column: COLUMNS / 2, playing: true };
        self.stack.clear();
        self.draw(obs);
        Ok(None)
    }

    fn step(&mut self, action: usize, obs: &mut [u8]) -> Result<Step, EnvError> {
        self.check_obs(obs)?;
        if action >= ACTIONS.len() {
            return Err(EnvError::IllegalAction {
                action,
                num_actions: ACTIONS.len(),
                game: NAME.to_owned(),
            });
        }

        if !self.board.playing {
            return Err(EnvError::NeedsReset { game: NAME.to_owned() });
        }

        let board = &mut self.board;
        // Actions 0, 1, 2 move by −1, 0, +1; adding first keeps the arithmetic unsigned.
        board.paddle_column =
            (board.paddle_column + action as u32).saturating_sub(1).min(COLUMNS - 1);
        board.ball_row += 1;
        board.playing = board.ball_row < ROWS - 1;
        let caught = board.ball_column == board.paddle_column;
        let over = !board.playing;
        let steps = board.ball_row;
        self.draw(obs);
        let reward = match (over, caught) {
            (false, _) => 0.0,
            (true, true) => 1.0,
            (true, false) => -1.0,
        };

        let stats =
            EpisodeStats { episode_return: reward.into(), episode_length_frames: steps.into() };
        let episode = over.then_some(stats);
        Ok(Step { reward, raw_reward: reward, terminated: over, truncated: false, episode })
    }

    fn save_state(&self) -> Result<Vec<u8>, EnvError> {
        let stack = self.stack.as_slice().to_vec();
        saved::pack(NAME, &CatchState { rng: self.rng.clone(), board: self.board, stack })
    }

    fn load_state(&mut self, state: &[u8], obs: &mut [u8]) -> Result<(), EnvError> {
        self.check_obs(obs)?;
        let state: CatchState = saved::unpack(NAME, state)?;
        let board = state.board;
        // The checksum rules out damage, not other rules: such a ball would be drawn off the frame.
        if board.ball_row >= ROWS || board.ball_column >= COLUMNS || board.paddle_column >= COLUMNS
        {
            return Err(saved::bad(NAME, "its board has other measures"));
        }

        if !self.stack.restore(&state.stack) {
            return Err(saved::bad(NAME, "its frame stack has another size"));
        }

        (self.rng, self.board) = (state.rng, board);
        obs.copy_from_slice(self.stack.as_slice());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::EnvConfig;
    use crate::rng::{Role, derive_rng};

    fn catch(seed: u64) -> (Catch, Vec<u8>) {
        let env = sized(EnvConfig::default().resolve().screen_size, seed).unwrap();
        let obs = vec![0xAB; env.spec().obs_len()];
        (env, obs)
    }

    fn sized(size: u32, seed: u64) -> Result<Catch, EnvError> {
        let config = EnvConfig { screen_size: Some(size), ..EnvConfig::default() };
        Catch::try_new(&config.resolve(), derive_rng(seed, Role::TrainEnv, 0))
    }

    /// Plays one game, moving towards the ball (`sign` 1) or away from it (−1).
    fn play(env: &mut Catch, obs: &mut [u8], sign: i64) -> (f64, u64) {
        env.reset(obs).unwrap();
        loop {
            let towards = i64::from(env.board.ball_column) - i64::from(env.board.paddle_column);
            let action =
                if towards == 0 && sign < 0 { 2 } else { (towards.signum() * sign + 1) as usize };
            if let Some(stats) = env.step(action, obs).unwrap().episode {
                return (stats.episode_return, stats.episode_length_frames);
            }
        }
    }

    #[test]
    fn catching_gives_one_and_missing_minus_one_after_nine_steps() {
        let (mut env, mut obs) = catch(1);
        for _ in 0..20 {
            assert_eq!(play(&mut env, &mut obs, 1), (1.0, 9));
            assert_eq!(play(&mut env, &mut obs, -1), (-1.0, 9));
        }
    }

    #[test]
    fn the_ball_starts_in_every_column() {
        let (mut env, mut obs) = catch(2);
        let mut seen = [false; COLUMNS as usize];
        for _ in 0..100 {
            env.reset(&mut obs).unwrap();
            seen[env.board.ball_column as usize] = true;
        }
        assert_eq!(seen, [true; COLUMNS as usize]);
    }

    #[test]
    fn the_first_observation_is_three_zero_frames_and_a_board_with_ball_and_paddle() {
        let (mut env, mut obs) = catch(3);
        env.reset(&mut obs).unwrap();
        let (older, newest) = obs.split_at(3 * 84 * 84);
        assert!(older.iter().all(|byte| *byte == 0));
        let white = |row: usize, column: usize| newest[row * 84 + column] == 255;
        // 84 pixels over 10 rows and 5 columns: the bottom row is 75…83, the middle column 33…49.
        assert!(
            white(75, 33) && white(83, 49) && !white(74, 33) && !white(75, 32) && !white(75, 50)
        );
        let column = env.board.ball_column as usize;
        assert!(
            white(0, column * 84 / 5) && white(7, column * 84 / 5) && !white(8, column * 84 / 5)
        );
    }

    #[test]
    fn the_smallest_frame_shows_the_ball_in_every_row() {
        let mut env = sized(10, 5).unwrap();
        let mut obs = vec![0; env.spec().obs_len()];
        env.reset(&mut obs).unwrap();
        for row in 0..9 {
            // The newest frame comes last; a column is two pixels wide.
            let newest = &obs[3 * 100..];
            let ball = row * 10 + 2 * env.board.ball_column as usize;
            assert_eq!(newest[ball..ball + 2], [255, 255], "row {row}");
            assert_eq!(newest.iter().filter(|byte| **byte == 255).count(), 4, "row {row}");
            env.step(1, &mut obs).unwrap();
        }
    }

    #[test]
    fn frames_with_fewer_pixels_than_rows_are_refused() {
        for size in 1..10 {
            let error = sized(size, 1).err().unwrap().to_string();
            let expected = format!(
                "1 problem in the environment's settings: `env.screen_size` is {size}, but each of the 10 rows of \
                 `catch` needs a pixel: at least 10"
            );
            assert_eq!(error, expected);
        }
    }

    #[test]
    fn a_damaged_board_is_refused() {
        let (mut env, mut obs) = catch(4);
        env.reset(&mut obs).unwrap();
        let board = Board { ball_column: 9, ..env.board };
        let stack = env.stack.as_slice().to_vec();
        let state = saved::pack(NAME, &CatchState { rng: env.rng.clone(), board, stack }).unwrap();
        assert!(env.load_state(&state, &mut obs).unwrap_err().to_string().contains("measures"));
    }
}
