use std::sync::{Arc, Mutex};

use coordrl_envs::{Env, EnvSpec, Step};

use super::*;
use crate::replay::Replay;

const N: usize = 3;
const DISCOUNT: f64 = 0.5;

/// One step of an environment.
#[derive(Clone, Copy, Debug)]
struct Happened {
    /// Newest frame of the observation acted on, and its predecessor.
    shown: [u8; 2],
    action: usize,
    reward: f32,
    end: Option<End>,
    /// Observation after the step, before any reset.
    next: [u8; 2],
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    True,
    Cut,
}

/// Shows a stack of two frames, each filled with the frame count so far; episodes last one to ten
/// steps, shorter and longer than n, and end either way, some back to back.
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
        let terminated = end == Some(End::True);
        let truncated = end.is_some();
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

/// Computes Q of both actions from the newest frame.
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
    let mut config =
        ApexConfig { envs: 2, n_step: N as u32, discount: DISCOUNT, ..Default::default() };
    (config.replay.capacity, config.replay.warmup_transitions) = (1000, 1);
    (config.replay.priority_exponent, config.replay.priority_epsilon) = (1.0, 0.125);
    config
}

type Log = Arc<Mutex<Vec<Happened>>>;

fn actor(logs: &[Log; 2]) -> Actor {
    actor_at(Place { actor: 4, first_env: 0 }, &config(), logs)
}

fn actor_at(place: Place, config: &ApexConfig, logs: &[Log; 2]) -> Actor {
    let spec = EnvSpec {
        name: "counting".into(),
        obs_shape: [2, 1, 2],
        actions: vec!["A".into(), "B".into()],
        frame_skip: 4,
    };

    let env = |log: &Arc<_>| {
        let spec = spec.clone();
        let log = Arc::clone(log);
        Box::new(Counting { spec, shown: [0, 0], steps_left: 0, log }) as Box<dyn Env>
    };

    let envs = VecEnv::try_new(logs.iter().map(env).collect()).unwrap();
    Actor::start(config, ValueRescaling::Off, place, envs, 1).unwrap()
}

fn fresh_logs() -> [Log; 2] {
    [(); 2].map(|()| Log::default())
}

/// One ladder per thread would give two environments the same ε (Horgan et al. 2018 spread it over
/// all).
#[test]
fn the_ladder_of_epsilons_goes_over_the_environments_of_all_actors() {
    let config = ApexConfig { envs: 4, actors: Some(2), ..config() };
    let actors =
        [0, 1].map(|actor| actor_at(Place { actor, first_env: 2 * actor }, &config, &fresh_logs()));
    let tracks = || actors.iter().flat_map(|actor| &actor.tracks);
    assert_eq!(tracks().map(|track| track.epsilon).collect::<Vec<_>>(), config.epsilons());
    assert_eq!(tracks().map(|track| track.stream).collect::<Vec<_>>(), [0, 1, 2, 3]);
}

/// Returns (reward, discount, next frames, initial priority) of the action at `t`, or `None` while
/// its steps are incomplete.
fn expected(log: &[Happened], t: usize) -> Option<(f32, f32, Option<[u8; 2]>, f32)> {
    let mut reward = 0.0;
    let mut discount = 1.0f32;
    for (gathered, step) in log[t..].iter().enumerate().take(N) {
        reward += discount * step.reward;
        discount *= DISCOUNT as f32;
        let next = match step.end {
            Some(End::True) => Some(None),
            Some(End::Cut) => Some(Some(step.next)),
            // Complete with the next decision.
            None if gathered + 1 == N && log.len() > t + N => Some(Some(step.next)),
            None => None,
        };
        if let Some(next) = next {
            let discount = if next.is_some() { discount } else { 0.0 };
            let value =
                next.map_or(0.0, |frames| q_of(frames[1]).into_iter().fold(f32::MIN, f32::max));
            let error = reward + discount * value - q_of(log[t].shown[1])[log[t].action];
            return Some((reward, discount, next, error.abs()));
        }
    }

    None
}

#[test]
fn what_is_drawn_is_what_the_actor_saw_did_and_got() {
    let logs = fresh_logs();
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
        // Both environments show the same counts: the action and the log distinguish them.
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
    let mut whole = actor(&fresh_logs());
    let mut resumed = actor(&fresh_logs());
    (0..20).for_each(|_| whole.step(&mut Fixed).unwrap());
    let _ = whole.take_experience(7);
    let state = rmp_serde::to_vec_named(&whole.save().unwrap()).unwrap();
    (0..3).for_each(|_| resumed.step(&mut Fixed).unwrap());
    resumed.load(rmp_serde::from_slice(&state).unwrap()).unwrap();
    for _ in 0..30 {
        whole.step(&mut Fixed).unwrap();
        resumed.step(&mut Fixed).unwrap();
        let a = whole.take_experience(7);
        let b = resumed.take_experience(7);
        assert_eq!((a.parts, a.reward_sum, a.agent_steps), (b.parts, b.reward_sum, b.agent_steps));
    }

    assert_eq!(whole.agent_steps(), resumed.agent_steps());
}
