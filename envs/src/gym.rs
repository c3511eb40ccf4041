//! Adapters to and from the traits of `gymnasium-rs`.
//!
//! [`AtariEnv`](crate::AtariEnv) implements [`gymnasium_rs::core::Env`], [`ToGym`] adapts any
//! environment of this crate to it, and [`FromGym`] adapts any of theirs that shows images to
//! [`Env`]. The methods of that trait cannot return an error, so failures panic, as each
//! implementation documents. `try_` methods and constructors return errors.

use std::collections::HashMap;

use gymnasium_rs::core::{self, Info, Options, Reward, Space};
use ndarray::{Array1, Array3};

use crate::env::{Env, EnvSpec, EpisodeStats, Step};
use crate::error::EnvError;

/// Any [`Env`] as a `gymnasium-rs` environment. Observations are `[C, H, W]`.
pub struct ToGym<E> {
    env: E,
}

impl<E: Env> ToGym<E> {
    /// Wraps `env`.
    pub fn new(env: E) -> Self {
        Self { env }
    }

    /// Returns the wrapped environment.
    pub fn into_inner(self) -> E {
        self.env
    }

    /// Like `reset`, but returns failures as errors.
    pub fn try_reset(&mut self) -> Result<(Array3<u8>, Info), EnvError> {
        try_reset(&mut self.env)
    }

    /// Like `step`, but returns failures as errors.
    pub fn try_step(
        &mut self,
        action: usize,
    ) -> Result<(Array3<u8>, Reward, bool, bool, Info), EnvError> {
        try_step(&mut self.env, action)
    }
}

impl<E: Env> core::Env<Array3<u8>, usize> for ToGym<E> {
    fn observation_space(&self) -> Space {
        observation_space(self.env.spec())
    }

    fn action_space(&self) -> Space {
        action_space(self.env.spec())
    }

    /// Ignores the seed: environments here are seeded when they are made.
    ///
    /// # Panics
    /// If the environment fails; [`ToGym::try_reset`] returns the failure instead.
    fn reset(&mut self, _seed: Option<i32>, _options: Options) -> (Array3<u8>, Info) {
        self.try_reset().unwrap_or_else(|error| panic!("reset failed: {error}"))
    }

    /// # Panics
    /// If the action is out of range, if the episode is over, or if the environment fails;
    /// [`ToGym::try_step`] returns the failure instead.
    fn step(&mut self, action: usize) -> (Array3<u8>, Reward, bool, bool, Info) {
        self.try_step(action).unwrap_or_else(|error| panic!("step failed: {error}"))
    }

    /// Returns `None`: an [`Env`] has no rendering other than its observations.
    fn render(&self) -> Option<Array3<u8>> {
        None
    }

    fn close(&mut self) {}
}

/// Returns the space of flattened observations: a box of C · H · W bytes.
pub(crate) fn observation_space(spec: &EnvSpec) -> Space {
    let len = spec.obs_len();
    Space::Box { low: Array1::zeros(len), high: Array1::from_elem(len, 255.0) }
}

pub(crate) fn action_space(spec: &EnvSpec) -> Space {
    // No spec comes near `i32::MAX` actions; saturating merely spares callers an error.
    Space::Discrete(i32::try_from(spec.num_actions()).unwrap_or(i32::MAX))
}

pub(crate) fn try_reset(env: &mut dyn Env) -> Result<(Array3<u8>, Info), EnvError> {
    // The trait returns owned arrays, so every call allocates one. Training uses `Env` directly.
    let mut obs = Array3::zeros(env.spec().obs_shape);
    let ended = env.reset(bytes_of(&mut obs))?;
    let mut info = HashMap::new();
    add_episode(&mut info, ended);
    Ok((obs, info))
}

pub(crate) fn try_step(
    env: &mut dyn Env,
    action: usize,
) -> Result<(Array3<u8>, Reward, bool, bool, Info), EnvError> {
    let mut obs = Array3::zeros(env.spec().obs_shape);
    let step = env.step(action, bytes_of(&mut obs))?;
    let mut info = HashMap::from([("raw_reward".to_owned(), step.raw_reward.into())]);
    add_episode(&mut info, step.episode);
    Ok((obs, step.reward, step.terminated, step.truncated, info))
}

fn add_episode(info: &mut Info, episode: Option<EpisodeStats>) {
    if let Some(stats) = episode {
        info.insert("episode_return".to_owned(), stats.episode_return.into());
        info.insert("episode_length_frames".to_owned(), stats.episode_length_frames.into());
    }
}

#[expect(clippy::expect_used, reason = "an array just made by `zeros` lies in memory in one piece")]
fn bytes_of(obs: &mut Array3<u8>) -> &mut [u8] {
    obs.as_slice_mut().expect("`zeros` makes arrays in standard layout")
}

/// A `gymnasium-rs` environment of images as an [`Env`].
///
/// Such an environment has no saved state, so a run on it cannot be resumed; saving and restoring
/// return [`EnvError::StateNotSupported`].
pub struct FromGym<G> {
    env: G,
    spec: EnvSpec,
    episode: Option<EpisodeStats>,
    /// Passed to the first reset only, as in Gymnasium.
    seed: Option<i32>,
}

impl<G> FromGym<G>
where
    G: core::Env<Array3<u8>, usize> + Send,
{
    /// Wraps `env`, which must produce `[C, H, W]` images and take discrete actions.
    ///
    /// `seed` is passed to its first reset.
    pub fn try_new(
        name: &str,
        env: G,
        obs_shape: [usize; 3],
        seed: Option<i32>,
    ) -> Result<Self, EnvError> {
        let unwrappable = |reason: String| EnvError::Unwrappable { game: name.to_owned(), reason };
        let num_actions = match env.action_space() {
            Space::Discrete(n) if n > 0 => n,
            other => {
                return Err(unwrappable(format!("its actions are {other:?}, not numbered ones")));
            }
        };

        let wanted = obs_shape.iter().product::<usize>();
        match env.observation_space() {
            Space::Box { low, .. } if low.len() == wanted => {}
            Space::Box { low, .. } => {
                return Err(unwrappable(format!(
                    "its observations hold {} values, not {wanted}",
                    low.len()
                )));
            }
            Space::Discrete(_) => {
                return Err(unwrappable("its observations are not images".to_owned()));
            }
        }

        let actions = (0..num_actions).map(|action| action.to_string()).collect();
        let spec = EnvSpec { name: name.to_owned(), obs_shape, actions, frame_skip: 1 };
        Ok(Self { env, spec, episode: None, seed })
    }

    /// Copies an image out, whatever its memory order.
    fn write(&self, image: &Array3<u8>, obs: &mut [u8]) -> Result<(), EnvError> {
        if image.len() != obs.len() {
            let found = image.len();
            let expected = obs.len();
            return Err(EnvError::BufferLength {
                what: "the wrapped environment's image",
                found,
                expected,
            });
        }

        for (byte, pixel) in obs.iter_mut().zip(image.iter()) {
            *byte = *pixel;
        }

        Ok(())
    }

    fn check_obs(&self, obs: &[u8]) -> Result<(), EnvError> {
        let expected = self.spec.obs_len();
        if obs.len() == expected {
            return Ok(());
        }
        Err(EnvError::BufferLength { what: "one observation", found: obs.len(), expected })
    }
}

impl<G> Env for FromGym<G>
where
    G: core::Env<Array3<u8>, usize> + Send,
{
    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn reset(&mut self, obs: &mut [u8]) -> Result<Option<EpisodeStats>, EnvError> {
        self.check_obs(obs)?;
        let (image, _) = self.env.reset(self.seed.take(), HashMap::new());
        self.episode = Some(EpisodeStats::default());
        self.write(&image, obs)?;
        Ok(None)
    }

    fn step(&mut self, action: usize, obs: &mut [u8]) -> Result<Step, EnvError> {
        self.check_obs(obs)?;
        let game = self.spec.name.clone();
        let num_actions = self.spec.num_actions();
        if action >= num_actions {
            return Err(EnvError::IllegalAction { action, num_actions, game });
        }

        let Some(mut stats) = self.episode else { return Err(EnvError::NeedsReset { game }) };
        let (image, reward, terminated, truncated, _) = self.env.step(action);
        // Gymnasium allows both at once. A true end wins: there is nothing to bootstrap from.
        let truncated = truncated && !terminated;
        stats.episode_return += f64::from(reward);
        stats.episode_length_frames += 1;
        let over = terminated || truncated;
        // Stored before the copy, which may fail: the wrapped environment has already moved on.
        self.episode = (!over).then_some(stats);
        self.write(&image, obs)?;
        Ok(Step {
            reward,
            raw_reward: reward,
            terminated,
            truncated,
            episode: over.then_some(stats),
        })
    }

    fn save_state(&self) -> Result<Vec<u8>, EnvError> {
        Err(EnvError::StateNotSupported { game: self.spec.name.clone() })
    }

    fn load_state(&mut self, _: &[u8], _: &mut [u8]) -> Result<(), EnvError> {
        Err(EnvError::StateNotSupported { game: self.spec.name.clone() })
    }
}

#[cfg(feature = "ale")]
mod atari {
    use super::{Array3, Env, EnvError, Info, Options, Reward, Space};
    use super::{action_space, core, observation_space, try_reset, try_step};
    use crate::atari::AtariEnv;

    impl AtariEnv {
        /// Like `reset` of `gymnasium_rs`, but returns failures as errors.
        pub fn try_reset(&mut self) -> Result<(Array3<u8>, Info), EnvError> {
            let (obs, mut info) = try_reset(self)?;
            info.insert("lives".to_owned(), self.ale().lives().into());
            Ok((obs, info))
        }

        /// Like `step` of `gymnasium_rs`, but returns failures as errors.
        pub fn try_step(
            &mut self,
            action: usize,
        ) -> Result<(Array3<u8>, Reward, bool, bool, Info), EnvError> {
            let (obs, reward, terminated, truncated, mut info) = try_step(self, action)?;
            info.insert("lives".to_owned(), self.ale().lives().into());
            Ok((obs, reward, terminated, truncated, info))
        }

        /// Returns the screen in colour, `[H, W, 3]`, at the ROM's native size.
        pub fn rgb_screen(&self) -> Array3<u8> {
            let ale = self.ale();
            let rgb = self.ale().rgb();
            Array3::from_shape_fn((ale.height(), ale.width(), 3), |(y, x, channel)| {
                let colour = rgb[usize::from(ale.screen()[y * ale.width() + x])];
                // `0x00RRGGBB`: the first of the four bytes is unused.
                colour.to_be_bytes()[channel + 1]
            })
        }
    }

    impl core::Env<Array3<u8>, usize> for AtariEnv {
        fn observation_space(&self) -> Space {
            observation_space(self.spec())
        }

        fn action_space(&self) -> Space {
            action_space(self.spec())
        }

        /// A given `seed` replaces the environment's own from the next game on.
        ///
        /// # Panics
        /// If the emulator fails; [`AtariEnv::try_reset`] returns the failure instead.
        fn reset(&mut self, seed: Option<i32>, _options: Options) -> (Array3<u8>, Info) {
            if let Some(seed) = seed {
                // The bits are kept, so negative seeds are valid and distinct seeds stay distinct.
                self.reseed(u64::from(seed.cast_unsigned()));
            }
            self.try_reset().unwrap_or_else(|error| panic!("reset failed: {error}"))
        }

        /// # Panics
        /// If the action is out of range, if the episode is over, or if the emulator fails;
        /// [`AtariEnv::try_step`] returns the failure instead.
        fn step(&mut self, action: usize) -> (Array3<u8>, Reward, bool, bool, Info) {
            self.try_step(action).unwrap_or_else(|error| panic!("step failed: {error}"))
        }

        /// Returns the screen in colour, `[H, W, 3]`, at the ROM's native size.
        fn render(&self) -> Option<Array3<u8>> {
            Some(self.rgb_screen())
        }

        fn close(&mut self) {}
    }
}
