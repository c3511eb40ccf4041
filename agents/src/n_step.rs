//! Conversion of an environment's steps to n-step transitions.

use std::collections::VecDeque;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::AgentError;
use crate::maths::ValueRescaling;

/// Action taken on one observation, with the acting network's values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decision<O> {
    /// The observation or a handle to it, such as an index into a store or a shared buffer.
    pub obs: O,
    /// Action taken.
    pub action: u32,
    /// Q of the action taken.
    pub q_taken: f32,
    /// Maximum Q over all actions.
    pub max_q: f32,
}

/// Outcome of an agent step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StepOutcome<O> {
    /// The episode continues with the next decision.
    Continues,
    /// True end of the episode.
    Terminated,
    /// Episode truncated. The next decision already belongs to another episode.
    Truncated {
        /// Final observation of the episode, `final_obs`.
        last_obs: O,
        /// Maximum Q over all actions there.
        max_q: f32,
    },
}

/// A transition over up to n agent steps: (s, a, Σ γᵏ·r, discount, s').
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NStepTransition<O> {
    /// s, the observation acted on.
    pub obs_tm1: O,
    /// Action taken there.
    pub action_tm1: u32,
    /// Σ γᵏ·r over the accumulated steps.
    pub reward_t: f32,
    /// γ to the power of the number of accumulated steps; 0 at a true end.
    pub discount_t: f32,
    /// s', the observation after the last accumulated step; `None` at a true end, where it is not
    /// used.
    pub obs_t: Option<O>,
    /// Initial priority |h(reward + discount · h⁻¹(max_a Q(s', a))) − Q(s, a)| under the actor's
    /// own weights.
    pub abs_td_error: f32,
}

/// Accumulates the steps of *one* environment into n-step transitions.
///
/// Within an episode a transition is emitted with the decision n steps after its own, when Q of its
/// last observation is first known. At the end of an episode all pending transitions are emitted at
/// once, over the steps available; none crosses into the next episode. A truncation bootstraps from
/// the final observation, a true end does not bootstrap. Transitions are emitted in the order of
/// their actions.
///
/// The initial priority is the actor's own n-step error, with a plain maximum instead of double
/// Q-learning. It costs no extra forward pass, and new experience does not need an artificial
/// maximum priority. Source: Horgan et al. 2018 (arXiv:1803.00933), section 3 and algorithm 1.
///
/// ```
/// use coordrl_agents::maths::ValueRescaling;
/// use coordrl_agents::{Decision, NStep, StepOutcome};
///
/// let mut steps = NStep::new(2u32.try_into()?, 0.5, ValueRescaling::Off);
/// let mut out = Vec::new();
/// let decision = |obs| Decision { obs, action: 0, q_taken: 1.0, max_q: 4.0 };
/// steps.push(decision("s0"), 1.0, StepOutcome::Continues, &mut out);
/// steps.push(decision("s1"), 1.0, StepOutcome::Continues, &mut out);
/// assert!(out.is_empty()); // Q of s2 is not known yet
/// steps.push(decision("s2"), 1.0, StepOutcome::Terminated, &mut out);
/// let (first, last) = (&out[0], &out[2]);
/// assert_eq!((first.obs_tm1, first.obs_t), ("s0", Some("s2")));
/// assert_eq!((first.reward_t, first.discount_t), (1.5, 0.25));
/// assert_eq!(first.abs_td_error, 1.5 + 0.25 * 4.0 - 1.0);
/// assert_eq!((last.obs_tm1, last.obs_t, last.discount_t), ("s2", None, 0.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct NStep<O> {
    n: usize,
    discount: f64,
    rescaling: ValueRescaling,
    pending: VecDeque<Pending<O>>,
}

/// A pending action with fewer than n steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Pending<O> {
    obs: O,
    action: u32,
    q_taken: f32,
    /// Σ γᵏ·r so far.
    reward: f64,
    /// γ to the power of the number of steps so far.
    discount: f64,
}

/// State saved by [`NStep::save`]: the pending actions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NStepState<O> {
    pending: Vec<Pending<O>>,
}

impl<O: Clone> NStep<O> {
    /// Creates an accumulator over `n` steps with `discount` γ per step and the network's value
    /// `rescaling`.
    pub fn new(n: NonZeroU32, discount: f64, rescaling: ValueRescaling) -> Self {
        Self { n: n.get() as usize, discount, rescaling, pending: VecDeque::new() }
    }

    /// Adds one agent step and appends the transitions it completes to `out`: at most one while the
    /// episode continues, up to n + 1 at its end.
    pub fn push(
        &mut self,
        decision: Decision<O>,
        reward: f32,
        outcome: StepOutcome<O>,
        out: &mut Vec<NStepTransition<O>>,
    ) {
        // First, because the reward belongs to a step beyond the n of the oldest action.
        self.complete_oldest(&decision, out);
        let Decision { obs, action, q_taken, .. } = decision;
        self.pending.push_back(Pending { obs, action, q_taken, reward: 0.0, discount: 1.0 });
        for pending in &mut self.pending {
            // `discount` still is γᵏ for k earlier steps: an action's first reward counts in full.
            pending.reward += pending.discount * f64::from(reward);
            pending.discount *= self.discount;
        }

        let next = match outcome {
            StepOutcome::Continues => return,
            StepOutcome::Terminated => None,
            StepOutcome::Truncated { last_obs, max_q } => Some((last_obs, max_q)),
        };

        out.extend(
            self.pending.drain(..).map(|pending| pending.complete(next.clone(), self.rescaling)),
        );
    }

    /// Returns the pending actions, for a checkpoint.
    pub fn save(&self) -> NStepState<O> {
        NStepState { pending: self.pending.iter().cloned().collect() }
    }

    /// Restores the state saved by [`NStep::save`].
    ///
    /// # Errors
    /// If it was saved with another n or another discount; nothing is changed then.
    pub fn load(&mut self, state: NStepState<O>) -> Result<(), AgentError> {
        // Up to n: the oldest action waits for the decision that follows its last step.
        if state.pending.len() > self.n {
            let found = state.pending.len();
            let n = self.n;
            let reason =
                format!("it has {found} actions that wait for their n steps, but n is {n}");
            return Err(AgentError::State { reason });
        }

        let mut expected = 1.0;
        // The newest action has taken one step, the one before it two, and so on.
        for pending in state.pending.iter().rev() {
            expected *= self.discount;
            // Exact: `push` multiplies in the same order.
            if pending.discount != expected {
                let found = pending.discount;
                let discount = self.discount;
                let reason =
                    format!("its actions have discount {found}, which is no power of {discount}");
                return Err(AgentError::State { reason });
            }
        }

        self.pending = state.pending.into();
        Ok(())
    }

    /// Discards the pending actions.
    pub fn clear(&mut self) {
        self.pending.clear();
    }

    /// Completes the oldest action once it has n steps: they end at the observation of the new
    /// decision.
    fn complete_oldest(&mut self, decision: &Decision<O>, out: &mut Vec<NStepTransition<O>>) {
        if self.pending.len() == self.n
            && let Some(oldest) = self.pending.pop_front()
        {
            out.push(oldest.complete(Some((decision.obs.clone(), decision.max_q)), self.rescaling));
        }
    }
}

impl<O> Pending<O> {
    /// Builds the transition; `next` is s' with its maximum Q, `None` at a true end.
    fn complete(self, next: Option<(O, f32)>, rescaling: ValueRescaling) -> NStepTransition<O> {
        let discount = if next.is_some() { self.discount } else { 0.0 };
        let next_value =
            next.as_ref().map_or(0.0, |(_, max_q)| rescaling.unsquash_one(f64::from(*max_q)));
        let target = rescaling.squash_one(self.reward + discount * next_value);
        NStepTransition {
            obs_tm1: self.obs,
            action_tm1: self.action,
            // Rounded to `f32` only here, after all sums and powers.
            reward_t: self.reward as f32,
            discount_t: discount as f32,
            obs_t: next.map(|(obs, _)| obs),
            abs_td_error: (target - f64::from(self.q_taken)).abs() as f32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GAMMA: f64 = 0.9;
    const ON: ValueRescaling = ValueRescaling::On { epsilon: 0.01 };

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum End {
        No,
        Terminated,
        Truncated,
    }

    /// A scripted agent step. Observations are named by (episode, step within it).
    #[derive(Clone, Copy, Debug)]
    struct Scripted {
        reward: f32,
        end: End,
        q_taken: f32,
        max_q: f32,
        last_max_q: f32,
    }

    type Obs = (usize, usize);

    fn n_step(n: u32, rescaling: ValueRescaling) -> NStep<Obs> {
        NStep::new(n.try_into().unwrap(), GAMMA, rescaling)
    }

    /// Splits a script into episodes; the last one may be unfinished.
    fn episodes(script: &[Scripted]) -> Vec<Vec<Scripted>> {
        let mut episodes = vec![Vec::new()];
        for step in script {
            episodes.last_mut().unwrap().push(*step);
            if step.end != End::No {
                episodes.push(Vec::new());
            }
        }
        episodes
    }

    fn run(steps: &mut NStep<Obs>, script: &[Scripted]) -> Vec<NStepTransition<Obs>> {
        let mut out = Vec::new();
        for (index, episode) in episodes(script).iter().enumerate() {
            for (t, step) in episode.iter().enumerate() {
                push(steps, (index, t), step, &mut out);
            }
        }
        out
    }

    fn push(
        steps: &mut NStep<Obs>,
        (episode, t): Obs,
        step: &Scripted,
        out: &mut Vec<NStepTransition<Obs>>,
    ) {
        let decision = Decision {
            obs: (episode, t),
            action: action(episode, t),
            q_taken: step.q_taken,
            max_q: step.max_q,
        };

        let outcome = match step.end {
            End::No => StepOutcome::Continues,
            End::Terminated => StepOutcome::Terminated,
            End::Truncated => {
                StepOutcome::Truncated { last_obs: (episode, t + 1), max_q: step.last_max_q }
            }
        };

        steps.push(decision, step.reward, outcome, out);
    }

    fn action(episode: usize, t: usize) -> u32 {
        (episode * 31 + t) as u32
    }

    /// Builds transitions from whole episodes by looking ahead from every step.
    fn naive(
        script: &[Scripted],
        n: usize,
        rescaling: ValueRescaling,
    ) -> Vec<NStepTransition<Obs>> {
        let mut found = Vec::new();
        for (index, episode) in episodes(script).iter().enumerate() {
            for t in 0..episode.len() {
                let until = (t + n).min(episode.len());
                let steps = until - t;
                let last = episode[until - 1];
                let mut reward = 0.0;
                for (k, step) in episode[t..until].iter().enumerate() {
                    reward += GAMMA.powi(k as i32) * f64::from(step.reward);
                }
                let power = GAMMA.powi(steps as i32);
                let (discount, next_q) = match last.end {
                    End::Terminated => (0.0, 0.0),
                    End::Truncated => (power, last.last_max_q),
                    End::No if until == episode.len() => continue, // the next decision has not been made yet
                    End::No => (power, episode[until].max_q),
                };
                let target =
                    rescaling.squash_one(reward + discount * rescaling.unsquash_one(next_q.into()));
                found.push(NStepTransition {
                    obs_tm1: (index, t),
                    action_tm1: action(index, t),
                    reward_t: reward as f32,
                    discount_t: discount as f32,
                    obs_t: (last.end != End::Terminated).then_some((index, until)),
                    abs_td_error: (target - f64::from(episode[t].q_taken)).abs() as f32,
                });
            }
        }

        found
    }

    fn assert_same(found: &[NStepTransition<Obs>], expected: &[NStepTransition<Obs>]) {
        assert_eq!(found.len(), expected.len());
        let close = |a: f32, b: f32| (a - b).abs() <= 1e-5 * b.abs().max(1.0);
        for (a, b) in found.iter().zip(expected) {
            assert_eq!((a.obs_tm1, a.action_tm1, a.obs_t), (b.obs_tm1, b.action_tm1, b.obs_t));
            let numbers = [(a.reward_t, b.reward_t), (a.discount_t, b.discount_t)];
            let all = numbers.into_iter().chain([(a.abs_td_error, b.abs_td_error)]);
            assert!(all.into_iter().all(|(a, b)| close(a, b)), "{a:?} for {b:?}");
        }
    }

    fn step() -> impl Strategy<Value = Scripted> {
        let end =
            prop_oneof![6 => Just(End::No), 1 => Just(End::Terminated), 1 => Just(End::Truncated)];
        (end, prop::array::uniform4(-3.0f32..3.0)).prop_map(
            |(end, [reward, q_taken, max_q, last_max_q])| Scripted {
                reward,
                end,
                q_taken,
                max_q,
                last_max_q,
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..Default::default() })]
        #[test]
        fn any_script_gives_what_looking_ahead_gives(
            script in prop::collection::vec(step(), 0..40),
            n in 1u32..=5,
            rescaling in prop_oneof![Just(ValueRescaling::Off), Just(ON)],
        ) {
            let found = run(&mut n_step(n, rescaling), &script);
            assert_same(&found, &naive(&script, n as usize, rescaling));
        }

        #[test]
        fn saving_and_loading_anywhere_changes_nothing(
            script in prop::collection::vec(step(), 1..20),
            n in 1u32..=5,
            cut in 0usize..20,
        ) {
            let expected = run(&mut n_step(n, ON), &script);
            let mut steps = n_step(n, ON);
            let mut out = Vec::new();
            let mut taken = 0;
            for (index, episode) in episodes(&script).iter().enumerate() {
                for (t, step) in episode.iter().enumerate() {
                    if taken == cut {
                        let bytes = rmp_serde::to_vec_named(&steps.save()).unwrap();
                        steps = n_step(n, ON);
                        steps.load(rmp_serde::from_slice(&bytes).unwrap()).unwrap();
                    }
                    push(&mut steps, (index, t), step, &mut out);
                    taken += 1;
                }
            }

            prop_assert_eq!(out, expected);
        }
    }

    fn steady(end: End) -> Scripted {
        Scripted { reward: 1.0, end, q_taken: 2.0, max_q: 3.0, last_max_q: 5.0 }
    }

    #[test]
    fn numbers_worked_by_hand() {
        // Three steps, then a truncation; n = 2. 1 + 0.9 = 1.9, 0.9² = 0.81.
        let script = [steady(End::No), steady(End::No), steady(End::Truncated)];
        let found = run(&mut n_step(2, ValueRescaling::Off), &script);
        let short = |x: f32| (f64::from(x) * 1e4).round() / 1e4;
        let seen: Vec<_> = found
            .iter()
            .map(|f| (f.obs_t, [f.reward_t, f.discount_t, f.abs_td_error].map(short)))
            .collect();
        assert_eq!(
            seen,
            [
                (Some((0, 2)), [1.9, 0.81, 2.33]), // 1.9 + 0.81·3 − 2
                (Some((0, 3)), [1.9, 0.81, 3.95]), // 1.9 + 0.81·5 − 2
                (Some((0, 3)), [1.0, 0.9, 3.5]),   // 1 + 0.9·5 − 2
            ]
        );
    }

    #[test]
    fn an_episode_shorter_than_n_comes_out_whole() {
        for (end, discounts) in [(End::Terminated, [0.0, 0.0]), (End::Truncated, [0.81, 0.9])] {
            let found = run(&mut n_step(5, ValueRescaling::Off), &[steady(End::No), steady(end)]);
            assert_eq!(
                found.iter().map(|f| f.discount_t).collect::<Vec<_>>(),
                discounts.map(|d| d as f32)
            );
            assert_eq!(found.iter().map(|f| f.reward_t).collect::<Vec<_>>(), [1.9, 1.0]);
            assert_eq!(found[0].obs_t.is_none(), end == End::Terminated);
        }
    }

    #[test]
    fn states_of_other_settings_are_refused() {
        let mut steps = n_step(3, ValueRescaling::Off);
        run(&mut steps, &[steady(End::No); 3]);
        let state = steps.save();
        let error = n_step(2, ValueRescaling::Off).load(state.clone()).unwrap_err().to_string();
        assert!(error.contains("3 actions that wait for their n steps, but n is 2"), "{error}");
        let mut other: NStep<Obs> = NStep::new(3u32.try_into().unwrap(), 0.5, ValueRescaling::Off);
        let error = other.load(state).unwrap_err().to_string();
        assert!(error.contains("no power of 0.5"), "{error}");
        assert!(other.save().pending.is_empty());
    }
}
