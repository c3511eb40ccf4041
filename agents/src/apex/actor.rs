//! A group of environments that acts, and turns what happens into transitions.

use std::num::NonZeroU32;
use std::time::Instant;

use coordrl_envs::{EnvError, EpisodeStats, Rng, Role, VecEnv, VecStep, derive_rng};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::config::ApexConfig;
use super::experience::Experience;
use super::learner_config::LEARNER_TABLE;
use crate::AgentError;
use crate::maths::ValueRescaling;
use crate::n_step::{Decision, NStep, NStepState, NStepTransition, Outcome};
use crate::policy::{epsilon_greedy, greatest};
use crate::replay::{ObsRef, PlaneForm, PlaneWriter, PlaneWriterState, StreamPart, Transition};
use crate::report::nanos_since;

/// Where Q-values come from.
pub(crate) trait QSource {
    /// Q of every action for `rows` observations, `[rows, A]` row by row.
    fn q_values(&mut self, obs: &[u8], rows: usize) -> Result<Vec<f32>, AgentError>;

    /// The learner's updates behind the weights that answer.
    fn version(&self) -> u64;
}

/// Environments with all that turns their steps into experience. Knows no threads and no learner.
pub(crate) struct Actor {
    index: usize,
    envs: VecEnv,
    /// What to act on next, `u8 [n, C, H, W]`.
    obs: Vec<u8>,
    tracks: Vec<Track>,
    steps: Vec<VecStep>,
    gathered: Gathered,
    agent_steps: u64,
}

/// What goes with one environment.
struct Track {
    stream: u32,
    epsilon: f64,
    rng: Rng,
    writer: PlaneWriter,
    n_step: NStep<ObsRef>,
    /// The observation to act on next.
    obs: ObsRef,
    decision: Option<Decision<ObsRef>>,
    completed: Vec<NStepTransition<ObsRef>>,
}

/// What happened since the last experience was taken, beside transitions.
#[derive(Default)]
struct Gathered {
    agent_steps: u64,
    reward_sum: f64,
    episodes: Vec<EpisodeStats>,
    infer_nanos: u64,
}

/// What later steps depend on; everything else has been sent.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ActorState {
    agent_steps: u64,
    envs: Vec<ByteBuf>,
    tracks: Vec<TrackState>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TrackState {
    rng: Rng,
    writer: PlaneWriterState,
    n_step: NStepState<ObsRef>,
    obs: ObsRef,
}

impl Actor {
    /// Resets the environments. `first_env` is the index of the first one among all actors'.
    pub fn start(
        config: &ApexConfig,
        rescaling: ValueRescaling,
        index: usize,
        first_env: usize,
        mut envs: VecEnv,
        seed: u64,
    ) -> Result<Self, AgentError> {
        let mut obs = vec![0; envs.obs_len()];
        envs.reset(&mut obs).map_err(|source| AgentError::Env { actor: index, source })?;
        let (shape, epsilons) = (envs.spec().obs_shape, config.epsilons());
        let track = |(env, first): (usize, &[u8])| {
            let stream = first_env + env;
            let mut writer = PlaneWriter::try_new(shape, config.replay.plane_form())?;
            let n = NonZeroU32::new(config.n_step).unwrap_or(NonZeroU32::MIN);
            Ok(Track {
                stream: stream as u32,
                epsilon: epsilons[stream],
                rng: derive_rng(seed, Role::TrainPolicy, stream as u64),
                obs: writer.begin_episode(first)?,
                writer,
                n_step: NStep::new(n, config.discount, rescaling),
                decision: None,
                completed: Vec::new(),
            })
        };
        let rows = obs.chunks(envs.spec().obs_len()).enumerate();
        let tracks = rows.map(track).collect::<Result<Vec<_>, AgentError>>()?;
        let steps = vec![VecStep::default(); envs.len()];
        Ok(Self { index, envs, obs, tracks, steps, gathered: Gathered::default(), agent_steps: 0 })
    }

    /// Number of environments.
    pub fn len(&self) -> usize {
        self.tracks.len()
    }

    /// Agent steps taken by each environment since the run began.
    pub fn agent_steps(&self) -> u64 {
        self.agent_steps
    }

    /// One agent step of every environment.
    ///
    /// # Errors
    /// If an environment fails or a Q-value is not finite. The environments may then stand
    /// anywhere: load a saved state or drop the actor.
    pub fn step(&mut self, q: &mut dyn QSource) -> Result<(), AgentError> {
        let rows = self.len();
        let values = self.infer(q, None, rows)?;
        let actions = self.decide(&values);
        let stepped = self.envs.step(&actions, &mut self.obs, &mut self.steps);
        stepped.map_err(|source| self.failed(source))?;
        let cut_values = self.values_of_cut(q)?;
        self.record(&cut_values)?;
        self.gathered.agent_steps += rows as u64;
        self.agent_steps += 1;
        Ok(())
    }

    /// Everything since the last call, with the version of the weights that acted last.
    pub fn take_experience(&mut self, weights_version: u64) -> Experience {
        let timing = self.envs.take_timing();
        let Gathered { agent_steps, reward_sum, episodes, infer_nanos } = std::mem::take(&mut self.gathered);
        Experience {
            actor: self.index as u32,
            parts: self.tracks.iter_mut().filter_map(Track::take_part).collect(),
            agent_steps,
            reward_sum,
            episodes,
            weights_version,
            nanos: [timing.emulate_nanos, timing.preprocess_nanos, infer_nanos],
        }
    }

    /// For [`Actor::load`]. Experience that was not taken is not part of it.
    pub fn save(&self) -> Result<ActorState, AgentError> {
        let envs = self.envs.save_state().map_err(|source| self.failed(source))?;
        let track = |track: &Track| TrackState {
            rng: track.rng.clone(),
            writer: track.writer.save_state(),
            n_step: track.n_step.save(),
            obs: track.obs,
        };
        Ok(ActorState {
            agent_steps: self.agent_steps,
            envs: envs.into_iter().map(ByteBuf::from).collect(),
            tracks: self.tracks.iter().map(track).collect(),
        })
    }

    /// Whether a state is of as many environments.
    pub fn fits(&self, state: &ActorState) -> bool {
        state.envs.len() == self.len() && state.tracks.len() == self.len()
    }

    /// Goes on from what [`Actor::save`] gave.
    ///
    /// # Errors
    /// If a part of it does not fit; the actor must not be used then.
    pub fn load(&mut self, state: ActorState) -> Result<(), AgentError> {
        let envs: Vec<Vec<u8>> = state.envs.into_iter().map(ByteBuf::into_vec).collect();
        let loaded = self.envs.load_state(&envs, &mut self.obs);
        loaded.map_err(|source| self.failed(source))?;
        for (track, saved) in self.tracks.iter_mut().zip(state.tracks) {
            track.n_step.load(saved.n_step)?;
            track.writer.load_state(saved.writer)?;
            (track.rng, track.obs, track.decision) = (saved.rng, saved.obs, None);
            track.completed.clear();
        }
        self.agent_steps = state.agent_steps;
        self.gathered = Gathered::default();
        Ok(())
    }

    /// Begins the streams anew where the environments stand, for a replay that knows nothing of
    /// what was sent before. Actions that wait for their n steps are given up.
    pub fn restart_streams(&mut self, form: PlaneForm) -> Result<(), AgentError> {
        let (shape, rows) = (self.envs.spec().obs_shape, self.obs.chunks(self.envs.spec().obs_len()));
        for (track, obs) in self.tracks.iter_mut().zip(rows) {
            track.writer = PlaneWriter::try_new(shape, form)?;
            track.obs = track.writer.begin_episode(obs)?;
            track.n_step.clear();
        }
        Ok(())
    }

    /// Q of the current observations, or of others.
    fn infer(
        &mut self,
        q: &mut dyn QSource,
        other: Option<&[u8]>,
        rows: usize,
    ) -> Result<Vec<f32>, AgentError> {
        let start = Instant::now();
        let values = q.q_values(other.unwrap_or(&self.obs), rows)?;
        self.gathered.infer_nanos += nanos_since(start);
        if values.iter().any(|value| !value.is_finite()) {
            return Err(AgentError::NonFinite {
                what: "Q-values",
                update: q.version(),
                table: LEARNER_TABLE,
            });
        }
        Ok(values)
    }

    /// ε-greedy, each environment with its own ε and generator.
    fn decide(&mut self, values: &[f32]) -> Vec<usize> {
        let count = self.envs.spec().num_actions();
        let decide = |(track, row): (&mut Track, &[f32])| {
            let action = epsilon_greedy(row, track.epsilon, &mut track.rng);
            let (obs, q_taken, max_q) = (track.obs, row[action], row[greatest(row)]);
            track.decision = Some(Decision { obs, action: action as u32, q_taken, max_q });
            action
        };
        self.tracks.iter_mut().zip(values.chunks(count)).map(decide).collect()
    }

    /// The greatest Q of the true last observation of each episode that was cut short in this step,
    /// by environment.
    fn values_of_cut(&mut self, q: &mut dyn QSource) -> Result<Vec<Option<f32>>, AgentError> {
        let (mut obs, mut cut) = (Vec::new(), Vec::new());
        for (env, step) in self.steps.iter().enumerate() {
            if step.truncated
                && !step.terminated
                && let Some(last) = self.envs.final_obs(env)
            {
                obs.extend_from_slice(last);
                cut.push(env);
            }
        }
        let mut greatest_of = vec![None; self.len()];
        if !cut.is_empty() {
            let values = self.infer(q, Some(&obs), cut.len())?;
            let rows = values.chunks(self.envs.spec().num_actions());
            rows.zip(cut).for_each(|(row, env)| greatest_of[env] = Some(row[greatest(row)]));
        }
        Ok(greatest_of)
    }

    fn record(&mut self, cut_values: &[Option<f32>]) -> Result<(), AgentError> {
        let rows = self.obs.chunks(self.envs.spec().obs_len());
        let tracks = self.tracks.iter_mut().zip(&self.steps).zip(rows).enumerate();
        for (env, ((track, step), obs)) in tracks {
            let cut = cut_values[env].zip(self.envs.final_obs(env));
            track.record(step, obs, cut)?;
            self.gathered.reward_sum += f64::from(step.reward);
            self.gathered.episodes.extend(step.episodes());
        }
        Ok(())
    }

    fn failed(&self, source: EnvError) -> AgentError {
        AgentError::Env { actor: self.index, source }
    }
}

impl Track {
    /// Notes what the decision led to. `obs` is what to act on next; `cut` is, where the episode
    /// was cut short, the greatest Q of its true last observation, and that observation.
    fn record(&mut self, step: &VecStep, obs: &[u8], cut: Option<(f32, &[u8])>) -> Result<(), AgentError> {
        let outcome = match cut {
            Some((max_q, last)) => Outcome::Truncated { last_obs: self.writer.follow(last)?, max_q },
            None if step.is_last() => Outcome::Terminated,
            None => Outcome::Continues,
        };
        self.obs = if step.is_last() { self.writer.begin_episode(obs)? } else { self.writer.follow(obs)? };
        if let Some(decision) = self.decision.take() {
            self.n_step.push(decision, step.reward, outcome, &mut self.completed);
        }
        Ok(())
    }

    fn take_part(&mut self) -> Option<StreamPart> {
        let (first_plane, planes) = (self.writer.first_pending(), self.writer.take_planes());
        if planes.is_empty() && self.completed.is_empty() {
            return None;
        }
        let transition = |done: NStepTransition<ObsRef>| Transition {
            obs: done.obs_tm1,
            next_obs: done.obs_t.unwrap_or(done.obs_tm1), // weighs nothing at a true end
            action: done.action_tm1 as u16,
            reward: done.reward_t,
            discount: done.discount_t,
            td_error_abs: done.abs_td_error,
        };
        let transitions = self.completed.drain(..).map(transition).collect();
        Some(StreamPart { stream: self.stream, first_plane, planes, transitions })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use coordrl_envs::{Env, EnvSpec, Step};

    use super::*;
    use crate::replay::Replay;

    const N: usize = 3;
    const DISCOUNT: f64 = 0.5;

    /// What an environment went through in one step.
    #[derive(Clone, Copy, Debug)]
    struct Happened {
        /// Newest frame of the observation acted on, and the one before it.
        shown: [u8; 2],
        action: usize,
        reward: f32,
        end: Option<End>,
        /// The observation after the step, before any reset.
        next: [u8; 2],
    }

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum End {
        True,
        Cut,
    }

    /// Shows a stack of two frames, each filled with the number of frames so far; episodes of one to
    /// ten steps, shorter and longer than n, end either way, some at once after the other.
    struct Counting {
        spec: EnvSpec,
        shown: [u8; 2],
        steps_left: u8,
        log: Arc<Mutex<Vec<Happened>>>,
    }

    impl Counting {
        fn show(&self, obs: &mut [u8]) {
            obs.copy_from_slice(&[self.shown[0], self.shown[0], self.shown[1], self.shown[1]]);
        }
    }

    impl Env for Counting {
        fn spec(&self) -> &EnvSpec {
            &self.spec
        }

        fn reset(&mut self, obs: &mut [u8]) -> Result<Option<EpisodeStats>, EnvError> {
            let next = self.shown[1] + 1;
            self.shown = [0, next];
            self.steps_left = [1, 5, 2, 3, 10, 4][usize::from(next / 3) % 6];
            self.show(obs);
            Ok(None)
        }

        fn step(&mut self, action: usize, obs: &mut [u8]) -> Result<Step, EnvError> {
            let shown = self.shown;
            self.shown = [shown[1], shown[1] + 1];
            self.steps_left -= 1;
            self.show(obs);
            let ends = if (shown[1] / 3).is_multiple_of(2) { End::Cut } else { End::True };
            let end = (self.steps_left == 0).then_some(ends);
            let reward = f32::from(shown[1] % 5) + action as f32;
            let happened = Happened { shown, action, reward, end, next: self.shown };
            self.log.lock().unwrap().push(happened);
            let (terminated, truncated) = (end == Some(End::True), end.is_some());
            Ok(Step { reward, raw_reward: reward, terminated, truncated, episode: None })
        }

        fn save_state(&self) -> Result<Vec<u8>, EnvError> {
            Ok(vec![self.shown[0], self.shown[1], self.steps_left])
        }

        fn load_state(&mut self, state: &[u8], obs: &mut [u8]) -> Result<(), EnvError> {
            (self.shown, self.steps_left) = ([state[0], state[1]], state[2]);
            self.show(obs);
            Ok(())
        }
    }

    /// Q of both actions from the newest frame.
    struct Fixed;

    fn q_of(newest: u8) -> [f32; 2] {
        [f32::from(newest % 7), f32::from(newest % 4)]
    }

    impl QSource for Fixed {
        fn q_values(&mut self, obs: &[u8], rows: usize) -> Result<Vec<f32>, AgentError> {
            assert_eq!(obs.len(), rows * 4);
            Ok(obs.chunks(4).flat_map(|row| q_of(row[3])).collect())
        }

        fn version(&self) -> u64 {
            7
        }
    }

    fn config() -> ApexConfig {
        let mut config = ApexConfig { envs: 2, n_step: N as u32, discount: DISCOUNT, ..Default::default() };
        (config.replay.capacity, config.replay.warmup_transitions) = (1000, 1);
        (config.replay.priority_exponent, config.replay.priority_epsilon) = (1.0, 0.125);
        config
    }

    fn actor(logs: &[Arc<Mutex<Vec<Happened>>>; 2]) -> Actor {
        let spec = EnvSpec {
            name: "counting".into(),
            obs_shape: [2, 1, 2],
            actions: vec!["A".into(), "B".into()],
            frame_skip: 4,
        };
        let env = |log: &Arc<_>| {
            let (spec, log) = (spec.clone(), Arc::clone(log));
            Box::new(Counting { spec, shown: [0, 0], steps_left: 0, log }) as Box<dyn Env>
        };
        let envs = VecEnv::try_new(logs.iter().map(env).collect()).unwrap();
        Actor::start(&config(), ValueRescaling::Off, 4, 0, envs, 1).unwrap()
    }

    /// (reward, discount, next frames, first priority) of the action at `t`, or nothing while its
    /// steps are not complete.
    fn expected(log: &[Happened], t: usize) -> Option<(f32, f32, Option<[u8; 2]>, f32)> {
        let (mut reward, mut discount) = (0.0, 1.0f32);
        for (gathered, step) in log[t..].iter().enumerate().take(N) {
            reward += discount * step.reward;
            discount *= DISCOUNT as f32;
            let next = match step.end {
                Some(End::True) => Some(None),
                Some(End::Cut) => Some(Some(step.next)),
                // Complete with the decision after it.
                None if gathered + 1 == N && log.len() > t + N => Some(Some(step.next)),
                None => None,
            };
            if let Some(next) = next {
                let discount = if next.is_some() { discount } else { 0.0 };
                let value = next.map_or(0.0, |frames| q_of(frames[1]).into_iter().fold(f32::MIN, f32::max));
                let error = reward + discount * value - q_of(log[t].shown[1])[log[t].action];
                return Some((reward, discount, next, error.abs()));
            }
        }
        None
    }

    #[test]
    fn what_is_drawn_is_what_the_actor_saw_did_and_got() {
        let logs = [(); 2].map(|()| Arc::new(Mutex::new(Vec::new())));
        let mut actor = actor(&logs);
        let mut replay = Replay::try_new(config().replay.for_obs([2, 1, 2])).unwrap();
        let mut transitions = 0;
        for step in 0..90 {
            actor.step(&mut Fixed).unwrap();
            if step % 7 == 6 || step == 89 {
                let experience = actor.take_experience(7);
                transitions += experience.transitions();
                for part in experience.parts {
                    let _ = replay.insert(part).unwrap();
                }
            }
        }
        let logs = logs.map(|log| log.lock().unwrap().clone());
        let complete: usize =
            logs.iter().map(|log| (0..log.len()).filter(|&t| expected(log, t).is_some()).count()).sum();
        assert_eq!(transitions as usize, complete);
        assert!(logs.iter().flatten().any(|step| step.end == Some(End::Cut)));

        let mut rng = derive_rng(1, Role::ReplayDraws, 0);
        let batch = replay.draw(4000, &mut rng).unwrap().assemble().unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for row in 0..4000 {
            let obs = &batch.obs[4 * row..4 * row + 4];
            // Both environments count alike: the action and the log tell them apart.
            let matches = logs.iter().filter_map(|log| {
                let t = log.iter().position(|step| step.shown[1] == obs[3])?;
                let (reward, discount, next, error) = expected(log, t)?;
                let frames = |[old, new]: [u8; 2]| vec![old, old, new, new];
                let next_fits =
                    next.is_none_or(|next| batch.next_obs[4 * row..4 * row + 4] == frames(next)[..]);
                let priority = replay.priority(batch.rows.ids[row]).unwrap();
                let fits = obs == &frames(log[t].shown)[..]
                    && batch.rows.actions[row] == log[t].action as i64
                    && batch.rows.rewards[row] == reward
                    && batch.rows.discounts[row] == discount
                    && next_fits
                    && (priority - f64::from(error) - 0.125).abs() < 1e-6;
                fits.then_some(())
            });
            assert!(matches.count() > 0, "row {row}: {obs:?} {:?}", batch.rows.ids[row]);
            seen.insert(batch.rows.ids[row]);
        }
        assert!(seen.len() * 10 > complete * 9, "{} of {complete}", seen.len());
    }

    #[test]
    fn a_restored_actor_goes_on_alike() {
        let logs = || [(); 2].map(|()| Arc::new(Mutex::new(Vec::new())));
        let (mut whole, mut resumed) = (actor(&logs()), actor(&logs()));
        (0..20).for_each(|_| whole.step(&mut Fixed).unwrap());
        let _ = whole.take_experience(7);
        let state = rmp_serde::to_vec_named(&whole.save().unwrap()).unwrap();
        (0..3).for_each(|_| resumed.step(&mut Fixed).unwrap());
        resumed.load(rmp_serde::from_slice(&state).unwrap()).unwrap();
        for _ in 0..30 {
            whole.step(&mut Fixed).unwrap();
            resumed.step(&mut Fixed).unwrap();
            let (a, b) = (whole.take_experience(7), resumed.take_experience(7));
            assert_eq!((a.parts, a.reward_sum, a.agent_steps), (b.parts, b.reward_sum, b.agent_steps));
        }
        assert_eq!(whole.agent_steps(), resumed.agent_steps());
    }
}
