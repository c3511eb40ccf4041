//! Equations of RL as pure, stateless functions.

mod losses;
mod returns;
mod schedule;
mod stats;
mod td;

pub use losses::{LossSums, a2c_loss_sums, entropy};
pub use returns::{gae_advantages, n_step_returns};
pub use schedule::Schedule;
pub use stats::{explained_variance, mean_and_std, normalize};
pub use td::{
    TdLoss, ValueRescaling, double_q_targets, max_q_targets, q_of_actions, weighted_td_loss,
};
