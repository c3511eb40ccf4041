//! Rollouts: data collected by a group of environments between two updates.

use coordrl_envs::{EpisodeStats, VecEnv, VecStep};
use tch::Tensor;

use crate::maths::{gae_advantages, n_step_returns};
use crate::nn::NamedTensors;
use crate::policy::obs_tensor;

/// T agent steps of n environments, time first. Allocated once and refilled for every update.
#[derive(Debug)]
pub(crate) struct Rollout {
    steps: usize,
    envs: usize,
    obs_shape: [usize; 3],
    /// Observations `u8 [T + 1, n, C, H, W]`; the last row is the first of the next rollout.
    obs: Vec<u8>,
    /// Actions `[T, n]`.
    actions: Vec<i64>,
    /// Rewards `[T, n]` as returned by the environment (clipped if the protocol clips).
    rewards: Vec<f32>,
    /// Discounts `[T, n]`: γ, or 0 where an episode ended or was truncated.
    discounts: Vec<f32>,
    /// Values `[T + 1, n]`: V of each observation under the acting weights.
    values: Vec<f32>,
    /// Rows (t · n + i) at which an episode was truncated.
    truncated_rows: Vec<usize>,
    /// Final observations of these episodes, `u8 [len(truncated_rows), C, H, W]`.
    truncated_obs: Vec<u8>,
    ended: Vec<EndedGame>,
}

/// A game that ended during the rollout.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EndedGame {
    /// Agent step within the rollout.
    pub step: usize,
    /// Index of the environment within the group.
    pub env: usize,
    pub stats: EpisodeStats,
}

/// Regression targets for each row of a rollout: `[T · n]`, time first.
#[derive(Debug)]
pub struct Targets {
    /// Advantages.
    pub advantages: Vec<f32>,
    /// Returns.
    pub returns: Vec<f32>,
}

impl Rollout {
    pub fn new(steps: usize, envs: usize, obs_shape: [usize; 3]) -> Self {
        let rows = steps * envs;
        let obs_len: usize = obs_shape.iter().product();
        Self {
            steps,
            envs,
            obs_shape,
            // Poison values, so that a row read before it is written is noticed.
            obs: vec![0xAB; (rows + envs) * obs_len],
            actions: vec![i64::MIN; rows],
            rewards: vec![f32::NAN; rows],
            discounts: vec![f32::NAN; rows],
            values: vec![f32::NAN; rows + envs],
            truncated_rows: Vec::new(),
            truncated_obs: Vec::new(),
            ended: Vec::new(),
        }
    }

    /// Starts a new rollout from the last observations of the previous one.
    pub fn begin(&mut self) {
        let group = self.group_len();
        let len = self.obs.len();
        self.obs.copy_within(len - group.., 0);
        self.truncated_rows.clear();
        self.truncated_obs.clear();
        self.ended.clear();
        // Poisoned again, in debug builds only: it is a pass over all observations in every update.
        if cfg!(debug_assertions) {
            self.obs[group..].fill(0xAB);
            self.values.fill(f32::NAN);
            self.rewards.fill(f32::NAN);
            self.discounts.fill(f32::NAN);
        }
    }

    /// Returns the last row of observations, the destination of resets and restored states.
    pub fn last_obs_mut(&mut self) -> &mut [u8] {
        let start = self.obs.len() - self.group_len();
        &mut self.obs[start..]
    }

    /// Records the actions and values of the n observations at step `t`.
    pub fn record_decision(
        &mut self,
        t: usize,
        actions: &[usize],
        values: impl Iterator<Item = f32>,
    ) {
        let rows = t * self.envs..(t + 1) * self.envs;
        for (slot, &action) in self.actions[rows.clone()].iter_mut().zip(actions) {
            *slot = action as i64;
        }
        self.record_values(t, values);
    }

    /// Records the values of the observations of row `t`, 0 to T.
    pub fn record_values(&mut self, t: usize, values: impl Iterator<Item = f32>) {
        let rows = t * self.envs..(t + 1) * self.envs;
        self.values[rows].iter_mut().zip(values).for_each(|(slot, value)| *slot = value);
    }

    /// Returns the buffer for the observations after step `t`.
    pub fn next_obs_mut(&mut self, t: usize) -> &mut [u8] {
        let group = self.group_len();
        &mut self.obs[(t + 1) * group..(t + 2) * group]
    }

    /// Records the results of the environments at step `t`.
    pub fn record_steps(&mut self, t: usize, steps: &[VecStep], envs: &VecEnv, discount: f64) {
        for (i, step) in steps.iter().enumerate() {
            let row = t * self.envs + i;
            self.rewards[row] = step.reward;
            // 0 after a truncation too: `targets` adds its bootstrap to the reward instead.
            self.discounts[row] = if step.is_last() { 0.0 } else { discount as f32 };
            // A true end wins over a truncation in the same step: nothing follows it.
            if step.truncated
                && !step.terminated
                && let Some(last) = envs.final_obs(i)
            {
                self.truncated_rows.push(row);
                self.truncated_obs.extend_from_slice(last);
            }
            self.ended.extend(step.episodes().map(|stats| EndedGame { step: t, env: i, stats }));
        }
    }

    /// Returns the observations of row `t`, `u8 [n, C, H, W]`.
    pub fn obs_tensor(&self, t: usize) -> Tensor {
        let group = self.group_len();
        obs_tensor(&self.obs[t * group..(t + 1) * group], self.envs, self.obs_shape)
    }

    /// Returns all observations acted on, `u8 [T · n, C, H, W]`.
    pub fn acted_obs_tensor(&self) -> Tensor {
        let rows = self.steps * self.envs;
        obs_tensor(&self.obs[..self.steps * self.group_len()], rows, self.obs_shape)
    }

    /// Returns the final observations of truncated episodes, if any.
    pub fn truncated_obs_tensor(&self) -> Option<Tensor> {
        let rows = self.truncated_rows.len();
        (rows > 0).then(|| obs_tensor(&self.truncated_obs, rows, self.obs_shape))
    }

    /// Computes returns and advantages from the recorded values and those of the truncated
    /// episodes' final observations.
    ///
    /// A truncated episode's last reward gets γ·V(`final_obs`) added *after* clipping, and the step
    /// is then treated as an end, because the next row already belongs to the next episode.
    pub fn targets(&self, truncated_values: &[f32], discount: f64, gae_lambda: f64) -> Targets {
        // A copy, because reports need the rewards without bootstrap.
        let mut rewards = self.rewards.clone();
        for (&row, &value) in self.truncated_rows.iter().zip(truncated_values) {
            rewards[row] += discount as f32 * value;
        }

        let shape = [self.steps as i64, self.envs as i64];
        let rewards = Tensor::from_slice(&rewards).view(shape); // [T, n]
        let discounts = Tensor::from_slice(&self.discounts).view(shape); // [T, n]
        let values = Tensor::from_slice(&self.values).view([shape[0] + 1, shape[1]]); // [T + 1, n]
        let acted = values.narrow(0, 0, shape[0]); // [T, n]
        // At λ = 1 both agree up to rounding, but only the direct form is that of Mnih et al.
        let (advantages, returns) = if gae_lambda < 1.0 {
            let advantages = gae_advantages(&rewards, &discounts, &values, gae_lambda);
            let returns = &advantages + acted;
            (advantages, returns)
        } else {
            let returns = n_step_returns(&rewards, &discounts, &values.get(shape[0]));
            (&returns - acted, returns)
        };

        Targets { advantages: to_vec(&advantages), returns: to_vec(&returns) }
    }

    /// Returns the actions taken, `[T · n]`.
    pub fn actions(&self) -> &[i64] {
        &self.actions
    }

    /// Returns the rewards from the environments, `[T · n]`.
    pub fn rewards(&self) -> &[f32] {
        &self.rewards
    }

    /// Returns the values of the observations acted on, `[T · n]`.
    pub fn acted_values(&self) -> &[f32] {
        &self.values[..self.steps * self.envs]
    }

    /// Returns all recorded data as tensors named `{prefix}.…`; shapes as in the struct.
    pub fn to_named(&self, prefix: &str) -> NamedTensors {
        let steps = self.steps as i64;
        let envs = self.envs as i64;
        let [c, h, w] = self.obs_shape.map(|size| size as i64);
        [
            ("obs", Tensor::from_slice(&self.obs).view([steps + 1, envs, c, h, w])),
            ("actions", Tensor::from_slice(&self.actions).view([steps, envs])),
            ("rewards", Tensor::from_slice(&self.rewards).view([steps, envs])),
            ("discounts", Tensor::from_slice(&self.discounts).view([steps, envs])),
            ("values", Tensor::from_slice(&self.values).view([steps + 1, envs])),
        ]
        .map(|(name, tensor)| (format!("{prefix}.{name}"), tensor))
        .into()
    }

    /// Returns the games that ended, by step and then by environment.
    pub fn ended(&self) -> &[EndedGame] {
        &self.ended
    }

    /// Returns the bytes of one row of observations of all n environments.
    fn group_len(&self) -> usize {
        self.obs.len() / (self.steps + 1)
    }
}

/// Copies a small `f32` host tensor into a vector.
fn to_vec(tensor: &Tensor) -> Vec<f32> {
    let mut numbers = vec![0.0; tensor.numel()];
    tensor.contiguous().copy_data(&mut numbers, tensor.numel());
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;
    use coordrl_envs::{Env, EnvError, EnvSpec, Step};

    /// Emits the number of observations shown so far; ends as scripted.
    struct Counting(EnvSpec, u8, Step);

    impl Env for Counting {
        fn spec(&self) -> &EnvSpec {
            &self.0
        }

        fn reset(&mut self, obs: &mut [u8]) -> Result<Option<EpisodeStats>, EnvError> {
            self.1 += 1;
            obs.fill(self.1);
            Ok(None)
        }

        fn step(&mut self, _: usize, obs: &mut [u8]) -> Result<Step, EnvError> {
            self.reset(obs)?;
            Ok(self.2.clone())
        }

        fn save_state(&self) -> Result<Vec<u8>, EnvError> {
            Ok(Vec::new())
        }

        fn load_state(&mut self, _: &[u8], _: &mut [u8]) -> Result<(), EnvError> {
            Ok(())
        }
    }

    fn envs(step: &Step) -> VecEnv {
        let spec = EnvSpec {
            name: "counting".into(),
            obs_shape: [1, 1, 2],
            actions: vec!["A".into()],
            frame_skip: 1,
        };
        let one = || Box::new(Counting(spec.clone(), 0, step.clone())) as Box<dyn Env>;
        VecEnv::try_new(vec![one(), one()]).unwrap()
    }

    fn filled(step: Step) -> Rollout {
        let mut envs = envs(&step);
        let mut rollout = Rollout::new(2, 2, [1, 1, 2]);
        envs.reset(rollout.last_obs_mut()).unwrap();
        rollout.begin();
        let mut steps = vec![VecStep::default(); 2];
        for t in 0..2 {
            rollout.record_decision(t, &[0, 0], [0.5, 1.5].into_iter());
            envs.step(&[0, 0], rollout.next_obs_mut(t), &mut steps).unwrap();
            rollout.record_steps(t, &steps, &envs, 0.5);
        }

        rollout.record_values(2, [10.0, 20.0].into_iter());
        rollout
    }

    #[test]
    fn one_rollout_starts_where_the_other_stopped() {
        let mut rollout = filled(Step { reward: 1.0, ..Default::default() });
        assert_eq!(rollout.obs, [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3]);
        let targets = rollout.targets(&[], 0.5, 1.0);
        assert_eq!(targets.returns, [1.0 + 0.5 * 6.0, 1.0 + 0.5 * 11.0, 6.0, 11.0]);
        assert_eq!(targets.advantages, [3.5, 5.0, 5.5, 9.5]);
        rollout.begin();
        assert_eq!(rollout.obs[..4], [3, 3, 3, 3]);
        if cfg!(debug_assertions) {
            assert_eq!(rollout.obs[4..], [0xAB; 8]); // nothing of the previous rollout is left
            assert!(rollout.rewards().iter().chain(rollout.acted_values()).all(|x| x.is_nan()));
        }
    }

    #[test]
    fn a_cut_row_gets_the_value_of_its_own_last_observation() {
        let rollout = filled(Step { reward: 1.0, truncated: true, ..Default::default() });
        // Emitted: 1 at the reset, 2 at the end, 3 at the reset after it, and so on.
        assert_eq!(rollout.obs, [1, 1, 1, 1, 3, 3, 3, 3, 5, 5, 5, 5]);
        assert_eq!(rollout.truncated_obs, [2, 2, 2, 2, 4, 4, 4, 4]);
        let targets = rollout.targets(&[8.0, 6.0, 4.0, 2.0], 0.5, 1.0);
        assert_eq!(targets.returns, [5.0, 4.0, 3.0, 2.0]);
        let with_lambda = rollout.targets(&[8.0, 6.0, 4.0, 2.0], 0.5, 0.9);
        assert_eq!(with_lambda.returns, [5.0, 4.0, 3.0, 2.0]);
    }

    #[test]
    fn a_true_end_is_one_even_at_the_limit() {
        for truncated in [false, true] {
            let step = Step { reward: 1.0, terminated: true, truncated, ..Default::default() };
            let rollout = filled(step);
            assert!(rollout.truncated_obs_tensor().is_none());
            assert_eq!(rollout.targets(&[], 0.5, 1.0).returns, [1.0; 4]);
        }
    }
}
