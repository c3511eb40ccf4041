//! Speed of Ape-X's replay, and of the learner that it feeds.

use coordrl_agents::apex::{ApexLearner, LearnBatch};
use coordrl_agents::find_torso;
use coordrl_agents::replay::{Batch, ObsRef, PlaneWriter, Replay, StreamPart, Transition};
use coordrl_envs::trace::RandomActions;
use coordrl_envs::{Rng, Role, VecEnv, VecStep, derive_rng};
use rayon::ThreadPool;
use serde::Serialize;
use tch::Device;

use super::env::build_envs;
use super::{TurnSpread, Turns};
use crate::config::RunConfig;
use crate::run::threads::build_pool;
use crate::stop_flag::StopFlag;

/// Transitions in the replay, if its capacity allows: enough that a batch is not in the cache.
const TRANSITIONS: u64 = 20_000;
/// Different TD errors that its transitions start with, so that any of them may be drawn.
const ERRORS: usize = 1000;

/// A full replay and a learner.
pub struct ReplayBench {
    replay: Replay,
    learner: ApexLearner,
    pool: ThreadPool,
    device: Device,
    batch_size: usize,
    batch: Batch,
    rng: Rng,
}

/// Speeds of both.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ReplaySpeeds {
    /// Batches drawn and assembled per second, by one thread.
    pub drawn_batches_per_sec: TurnSpread,
    /// Updates of the learner per second, the batches at hand.
    pub learner_updates_per_sec: TurnSpread,
}

impl ReplayBench {
    /// Fills a replay by random actions and builds a learner, with the settings of a run. Leaves
    /// the replay partly filled if stopped.
    ///
    /// # Errors
    /// If the game cannot be loaded, or the settings do not fit it.
    pub fn filled(config: &RunConfig, stop: &StopFlag) -> anyhow::Result<Self> {
        let apex = &config.apex;
        let pool = build_pool(config.threads, config.torch_threads)?;
        let mut envs = build_envs(config, apex.envs as usize)?;
        let obs_shape = envs.spec().obs_shape;
        let num_actions = envs.spec().num_actions();

        let mut replay = Replay::try_new(apex.replay.for_obs(obs_shape))?;
        let mut filler = Filler::start(config, &mut envs, &pool)?;
        let target = apex.replay.capacity.min(TRANSITIONS);
        while (replay.len() as u64) < target && !stop.is_raised() {
            filler.step(&mut envs, &pool, &mut replay)?;
        }

        let torso = find_torso(&config.torso)?;
        let device = config.device.resolve()?;
        let learner =
            ApexLearner::build(torso, obs_shape, num_actions, device, config.seed, &apex.learner)?;
        Ok(Self {
            replay,
            learner,
            pool,
            device,
            batch_size: apex.learner.batch_size as usize,
            batch: Batch::default(),
            rng: derive_rng(config.seed, Role::TrainPolicy, 0),
        })
    }

    /// Measures both, one after the other. Returns `None` if stopped before both had a turn.
    ///
    /// # Errors
    /// If a batch cannot be drawn or learnt from.
    pub fn measure(
        &mut self,
        turns: Turns,
        stop: &StopFlag,
    ) -> anyhow::Result<Option<ReplaySpeeds>> {
        let Self { replay, learner, pool, batch_size, batch, rng, .. } = self;
        let drawn = turns.rate(stop, || {
            replay.draw(*batch_size, rng)?.assemble_into(batch)?;
            Ok(())
        })?;
        let Some(drawn_batches_per_sec) = drawn else { return Ok(None) };

        let learnt = turns.rate(stop, || {
            pool.install(|| learner.learn(&LearnBatch::from(&*batch)))?;
            Ok(())
        })?;
        Ok(learnt.map(|learner_updates_per_sec| ReplaySpeeds {
            drawn_batches_per_sec,
            learner_updates_per_sec,
        }))
    }

    /// Returns the number of transitions in the replay.
    pub fn transitions(&self) -> usize {
        self.replay.len()
    }

    /// Returns the replay's memory divided by its transitions.
    pub fn bytes_per_transition(&self) -> u64 {
        self.replay.bytes_used() / self.replay.len().max(1) as u64
    }

    /// Returns the learner's device.
    pub fn device(&self) -> Device {
        self.device
    }

    /// Returns the number of threads that learn.
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }
}

/// Plays at random and stores what happens, one step per transition.
struct Filler {
    streams: Vec<Stream>,
    choices: RandomActions,
    errors: RandomActions,
    discount: f32,
    obs: Vec<u8>,
    actions: Vec<usize>,
    steps: Vec<VecStep>,
}

/// The transitions of one environment on their way into the replay.
struct Stream {
    writer: PlaneWriter,
    obs: ObsRef,
}

impl Filler {
    fn start(config: &RunConfig, envs: &mut VecEnv, pool: &ThreadPool) -> anyhow::Result<Self> {
        let mut obs = vec![0; envs.obs_len()];
        pool.install(|| envs.reset(&mut obs))?;
        let form = config.apex.replay.plane_form();
        let streams = obs.chunks_exact(envs.spec().obs_len()).map(|seen| {
            let mut writer = PlaneWriter::try_new(envs.spec().obs_shape, form)?;
            let obs = writer.begin_episode(seen)?;
            anyhow::Ok(Stream { writer, obs })
        });
        Ok(Self {
            streams: streams.collect::<Result<_, _>>()?,
            choices: RandomActions::new(config.seed, envs.spec().num_actions()),
            errors: RandomActions::new(!config.seed, ERRORS),
            discount: config.apex.discount as f32,
            obs,
            actions: vec![0; envs.len()],
            steps: vec![VecStep::default(); envs.len()],
        })
    }

    fn step(
        &mut self,
        envs: &mut VecEnv,
        pool: &ThreadPool,
        replay: &mut Replay,
    ) -> anyhow::Result<()> {
        let Self { streams, choices, errors, discount, obs, actions, steps } = self;
        actions.iter_mut().zip(choices).for_each(|(action, choice)| *action = choice);
        pool.install(|| envs.step(actions, obs, steps))?;

        let seen = obs.chunks_exact(envs.spec().obs_len());
        let acted = actions.iter().zip(&*steps);
        for (index, ((stream, seen), (action, step))) in
            streams.iter_mut().zip(seen).zip(acted).enumerate()
        {
            let last = step.is_last();
            let error = errors.next().map_or(0.0, |n| n as f32 / ERRORS as f32);
            // After a last step `seen` begins the next episode, and nothing is bootstrapped.
            let next_obs = if last { stream.obs } else { stream.writer.follow(seen)? };
            let transition = Transition {
                obs: stream.obs,
                next_obs,
                action: u16::try_from(*action)?,
                reward: step.reward,
                discount: if last { 0.0 } else { *discount },
                td_error_abs: error,
            };
            let first_plane = stream.writer.first_pending();
            let planes = stream.writer.take_planes();
            let transitions = vec![transition];
            let stream_index = u32::try_from(index)?;
            replay.insert(StreamPart { stream: stream_index, first_plane, planes, transitions })?;
            stream.obs = if last { stream.writer.begin_episode(seen)? } else { next_obs };
        }
        Ok(())
    }
}
