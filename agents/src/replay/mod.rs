//! Prioritised replay: recent transitions, sampled in proportion to priority.
//!
//! - [`PlaneWriter`]: one per environment, in the actor; converts observations to planes, so that a
//!   frame is stored once however many observations contain it
//! - [`Replay`]: accepts [`StreamPart`]s, returns [`Draw`]s, updates priorities
//! - [`Draw::assemble`]: copies the bytes into a batch, outside the replay and its lock
//! - [`SumTree`]: samples by priority
//!
//! Sources: Schaul et al. 2016, prioritised replay (arXiv:1511.05952); Horgan et al. 2018, initial
//! priorities from the actors and a soft capacity limit (arXiv:1803.00933).
//!
//! Nothing here synchronises threads: callers that share a replay must wrap it in a lock.
//!
//! ```
//! use coordrl_agents::replay::{PlaneForm, PlaneWriter, Replay, ReplayConfig, StreamPart, Transition};
//! use coordrl_envs::{Role, derive_rng};
//!
//! let config = ReplayConfig {
//!     capacity: 1000,
//!     slack_share: 0.05,
//!     priority_exponent: 0.6,
//!     importance_exponent: 0.4,
//!     priority_epsilon: 1e-6,
//!     obs_shape: [2, 1, 3],
//!     plane_form: PlaneForm::Raw,
//! };
//! let mut replay = Replay::try_new(config)?;
//!
//! let mut writer = PlaneWriter::try_new([2, 1, 3], PlaneForm::Raw)?;
//! let obs = writer.begin_episode(&[0, 0, 0, 1, 2, 3])?;
//! let next_obs = writer.follow(&[1, 2, 3, 4, 5, 6])?;
//! let transition = Transition { obs, next_obs, action: 1, reward: 0.5, discount: 0.99, td_error_abs: 0.3 };
//! let first_plane = writer.first_pending();
//! let planes = writer.take_planes();
//! assert_eq!(planes.len(), 2); // [1, 2, 3] is stored once
//! replay.insert(StreamPart { stream: 0, first_plane, planes, transitions: vec![transition] })?;
//!
//! let mut rng = derive_rng(1, Role::TrainPolicy, 0);
//! let batch = replay.draw(1, &mut rng)?.assemble()?;
//! assert_eq!(batch.next_obs, [1, 2, 3, 4, 5, 6]);
//! replay.update_priorities(&batch.rows.ids, &[0.1])?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod alloc;
mod config;
mod draw;
mod error;
mod memory;
mod plane_store;
mod plane_writer;
mod planes;
mod prioritized;
mod snapshot;
mod sum_tree;
mod transition;

pub use config::ReplayConfig;
pub use draw::{Batch, Draw, DrawnRows};
pub use error::ReplayError;
pub use plane_writer::{PlaneWriter, PlaneWriterState};
pub use planes::{MAX_CHANNELS, ObsRef, Plane, PlaneForm};
pub use prioritized::Replay;
pub use sum_tree::SumTree;
pub use transition::{StreamPart, Transition};
