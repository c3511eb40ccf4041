//! The equations: pure functions, no state.

mod losses;
mod returns;
mod schedule;
mod stats;

pub use losses::{LossSums, a2c_loss_sums, entropy};
pub use returns::{gae_advantages, n_step_returns};
pub use schedule::Schedule;
pub use stats::{explained_variance, mean_and_std, normalize};
