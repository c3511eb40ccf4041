//! From single steps of one environment to n-step transitions.

use std::collections::VecDeque;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::AgentError;
use crate::maths::ValueRescaling;

/// What was decided on one observation, and what the network that decided thought of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decision<O> {
    /// The observation, or whatever stands for it: an index into a store, a shared buffer.
    pub obs: O,
    /// The action taken.
    pub action: u32,
    /// Q of the action taken.
    pub q_taken: f32,
    /// The greatest Q of any action.
    pub max_q: f32,
}

/// What an agent step led to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StepOutcome<O> {
    /// The episode goes on: the next decision is on what follows.
    Continues,
    /// A true end: nothing follows.
    Terminated,
    /// Cut short. The next decision already is on another episode.
    Truncated {
        /// The true last observation of the episode, `final_obs`.
        last_obs: O,
        /// The greatest Q of any action there.
        max_q: f32,
    },
}

/// A transition over up to n agent steps: (s, a, Σ γᵏ·r, discount, s').
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NStepTransition<O> {
    /// s, where the action was taken.
    pub obs_tm1: O,
    /// The action taken there.
    pub action_tm1: u32,
    /// Σ γᵏ·r over the steps gathered.
    pub reward_t: f32,
    /// γ to the number of steps gathered; 0 at a true end.
    pub discount_t: f32,
    /// s', the observation after the last step gathered; `None` at a true end, where it counts for
    /// nothing.
    pub obs_t: Option<O>,
    /// |h(reward + discount · h⁻¹(max_a Q(s', a))) − Q(s, a)|, by the actor's own weights: the first
    /// priority.
    pub abs_td_error: f32,
}

/// Gathers the steps of *one* environment into n-step transitions.
///
/// A transition that ends in an observation to decide on comes out with that decision, n steps
/// after its own: only then is Q of its last observation known. Where an episode ends, all that is
/// pending comes out at once, over as many steps as there were; nothing crosses into the next
/// episode. A truncation bootstraps from the episode's true last observation, a true end from
/// nothing. Transitions come out in the order in which their actions were taken.
///
/// The first priority is the actor's own n-step error, with the plain maximum instead of double
/// Q-learning, so that it costs no further forward pass and new experience needs no pretended
/// greatest priority. Source: Horgan et al. 2018 (arXiv:1803.00933), section 3 and algorithm 1.
///
/// ```
/// use coordrl_agents::maths::ValueRescaling;
/// use coordrl_agents::{Decision, NStep, Outcome};
///
/// let mut steps = NStep::new(2u32.try_into()?, 0.5, ValueRescaling::Off);
/// let mut out = Vec::new();
/// let decision = |obs| Decision { obs, action: 0, q_taken: 1.0, max_q: 4.0 };
/// steps.push(decision("s0"), 1.0, Outcome::Continues, &mut out);
/// steps.push(decision("s1"), 1.0, Outcome::Continues, &mut out);
/// assert!(out.is_empty()); // Q of s2 is not known yet
/// steps.push(decision("s2"), 1.0, Outcome::Terminated, &mut out);
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

/// An action whose n steps are not complete; the oldest comes first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Pending<O> {
    obs: O,
    action: u32,
    q_taken: f32,
    /// Σ γᵏ·r so far.
    reward: f64,
    /// γ to the number of steps so far.
    discount: f64,
}

/// What [`NStep::save`] gives: the actions that are not complete.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NStepState<O> {
    pending: Vec<Pending<O>>,
}

impl<O: Clone> NStep<O> {
    /// Over `n` steps, with `discount` γ a step; `rescaling` as the network's values have it.
    pub fn new(n: NonZeroU32, discount: f64, rescaling: ValueRescaling) -> Self {
        Self { n: n.get() as usize, discount, rescaling, pending: VecDeque::new() }
    }

    /// Takes one agent step and appends to `out` the transitions that it completes: at most one
    /// while the episode goes on, up to n + 1 where it ends.
    pub fn push(
        &mut self,
        decision: Decision<O>,
        reward: f32,
        outcome: StepOutcome<O>,
        out: &mut Vec<NStepTransition<O>>,
    ) {
        self.complete_oldest(&decision, out);
        let Decision { obs, action, q_taken, .. } = decision;
        self.pending.push_back(Pending { obs, action, q_taken, reward: 0.0, discount: 1.0 });
        for pending in &mut self.pending {
            pending.reward += pending.discount * f64::from(reward);
            pending.discount *= self.discount;
        }
        let next = match outcome {
            StepOutcome::Continues => return,
            StepOutcome::Terminated => None,
            StepOutcome::Truncated { last_obs, max_q } => Some((last_obs, max_q)),
        };
        out.extend(self.pending.drain(..).map(|pending| pending.complete(next.clone(), self.rescaling)));
    }

    /// The actions that are not complete, for a checkpoint.
    pub fn save(&self) -> NStepState<O> {
        NStepState { pending: self.pending.iter().cloned().collect() }
    }

    /// Goes on from what [`NStep::save`] gave.
    ///
    /// # Errors
    /// If it was saved with another n or another discount; nothing is changed then.
    pub fn load(&mut self, state: NStepState<O>) -> Result<(), AgentError> {
        if state.pending.len() > self.n {
            let (found, n) = (state.pending.len(), self.n);
            let reason = format!("it has {found} actions that wait for their n steps, but n is {n}");
            return Err(AgentError::State { reason });
        }
        let mut expected = 1.0;
        for pending in state.pending.iter().rev() {
            expected *= self.discount;
            if pending.discount != expected {
                let (found, discount) = (pending.discount, self.discount);
                let reason = format!("its actions have discount {found}, which is no power of {discount}");
                return Err(AgentError::State { reason });
            }
        }
        self.pending = state.pending.into();
        Ok(())
    }

    /// Gives up the actions that are not complete.
    pub fn clear(&mut self) {
        self.pending.clear();
    }

    /// The oldest action, if it has its n steps: they end where the new decision is made.
    fn complete_oldest(&mut self, decision: &Decision<O>, out: &mut Vec<NStepTransition<O>>) {
        if self.pending.len() == self.n
            && let Some(oldest) = self.pending.pop_front()
        {
            out.push(oldest.complete(Some((decision.obs.clone(), decision.max_q)), self.rescaling));
        }
    }
}

impl<O> Pending<O> {
    /// `next` is s' with the greatest Q there, or nothing at a true end.
    fn complete(self, next: Option<(O, f32)>, rescaling: ValueRescaling) -> NStepTransition<O> {
        let discount = if next.is_some() { self.discount } else { 0.0 };
        let next_value = next.as_ref().map_or(0.0, |(_, max_q)| rescaling.unsquash_one(f64::from(*max_q)));
        let target = rescaling.squash_one(self.reward + discount * next_value);
        NStepTransition {
            obs_tm1: self.obs,
            action_tm1: self.action,
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

    /// One agent step as a script has it. Observations are named by (episode, step in it).
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

    /// Episodes are cut apart at their ends; the last one may be unfinished.
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

    fn push(steps: &mut NStep<Obs>, (episode, t): Obs, step: &Scripted, out: &mut Vec<NStepTransition<Obs>>) {
        let decision = Decision {
            obs: (episode, t),
            action: action(episode, t),
            q_taken: step.q_taken,
            max_q: step.max_q,
        };
        let outcome = match step.end {
            End::No => StepOutcome::Continues,
            End::Terminated => StepOutcome::Terminated,
            End::Truncated => StepOutcome::Truncated { last_obs: (episode, t + 1), max_q: step.last_max_q },
        };
        steps.push(decision, step.reward, outcome, out);
    }

    fn action(episode: usize, t: usize) -> u32 {
        (episode * 31 + t) as u32
    }

    /// Sees whole episodes, and looks ahead from every step of each.
    fn naive(script: &[Scripted], n: usize, rescaling: ValueRescaling) -> Vec<NStepTransition<Obs>> {
        let mut found = Vec::new();
        for (index, episode) in episodes(script).iter().enumerate() {
            for t in 0..episode.len() {
                let until = (t + n).min(episode.len());
                let (steps, last) = (until - t, episode[until - 1]);
                let mut reward = 0.0;
                for (k, step) in episode[t..until].iter().enumerate() {
                    reward += GAMMA.powi(k as i32) * f64::from(step.reward);
                }
                let power = GAMMA.powi(steps as i32);
                let (discount, next_q) = match last.end {
                    End::Terminated => (0.0, 0.0),
                    End::Truncated => (power, last.last_max_q),
                    End::No if until == episode.len() => continue, // the next decision is not made yet
                    End::No => (power, episode[until].max_q),
                };
                let target = rescaling.squash_one(reward + discount * rescaling.unsquash_one(next_q.into()));
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
        let end = prop_oneof![6 => Just(End::No), 1 => Just(End::Terminated), 1 => Just(End::Truncated)];
        (end, prop::array::uniform4(-3.0f32..3.0)).prop_map(|(end, [reward, q_taken, max_q, last_max_q])| {
            Scripted { reward, end, q_taken, max_q, last_max_q }
        })
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
            let (mut steps, mut out, mut taken) = (n_step(n, ON), Vec::new(), 0);
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
        // Three steps, then a cut; n = 2. 1 + 0.9 = 1.9, 0.9² = 0.81.
        let script = [steady(End::No), steady(End::No), steady(End::Truncated)];
        let found = run(&mut n_step(2, ValueRescaling::Off), &script);
        let short = |x: f32| (f64::from(x) * 1e4).round() / 1e4;
        let seen: Vec<_> =
            found.iter().map(|f| (f.obs_t, [f.reward_t, f.discount_t, f.abs_td_error].map(short))).collect();
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
            assert_eq!(found.iter().map(|f| f.discount_t).collect::<Vec<_>>(), discounts.map(|d| d as f32));
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
