//! The agent: actors, replay and learner, put together, in many threads or in one.

use std::io::{Read, Write};
use std::sync::Arc;

use coordrl_envs::{EnvSpec, Rng, Role, derive_rng};
use rayon::ThreadPool;
use tch::{Device, Tensor};

use super::actor::Actor;
use super::config::ApexConfig;
use super::experience::Weights;
use super::inference::{InferenceNetwork, QSpec};
use super::learner::{Learner, LearnerState};
use super::report::{ApexReport, IngestStats};
use super::state::TrainerState;
use super::workers::{AgentParts, WorkerPool, Workers};
use crate::actors::{check_setup, start_each};
use crate::nn::NamedTensors;
use crate::replay::{Batch, Replay};
use crate::versioned::bad;
use crate::{AgentError, AgentSetup, AgentState, Counters};

/// Name under which the weights that act in one thread are saved, beside the target network's.
const ACTING: &str = "acting";

/// Ape-X DQN: many actors, prioritised replay, one learner. Source: Horgan et al. 2018
/// (arXiv:1803.00933).
///
/// After an error in [`Apex::update`] the threads are gone and what they held with them, as is what
/// one thread was in the middle of: load a
/// saved state into an agent built anew.
pub struct Apex {
    pub(super) config: ApexConfig,
    pub(super) q_spec: QSpec,
    pub(super) device: Device,
    pub(super) seed: u64,
    pub(super) total_frames: u64,
    pub(super) frame_skip: u64,
    pub(super) learner: Learner,
    pub(super) counters: Counters,
    pub(super) draws: Rng,
    /// The weights that act, in one thread.
    pub(super) acting: InferenceNetwork,
    pub(super) work: Work,
    /// Batch of the last update, whose buffers are used again.
    pub(super) batch: Batch,
    /// Arrived, but not reported yet.
    pub(super) ingested: IngestStats,
    /// Samples learnt from, while threads run.
    pub(super) sampled: u64,
    pub(super) pool: Arc<ThreadPool>,
}

/// Where actors and replay are.
pub(super) enum Work {
    /// Here.
    Paused(AgentParts),
    /// With their threads.
    Running(Workers),
    /// Gone with a failure.
    Lost,
}

impl Apex {
    /// Draws the first weights and resets all environments. No thread is started yet.
    pub fn build(config: &ApexConfig, setup: AgentSetup<'_>) -> Result<Self, AgentError> {
        let AgentSetup { torso, device, seed, total_frames, actors, pool } = setup;
        check_setup(config.check(), &config.envs_per_actor(), &actors)?;
        let EnvSpec { obs_shape, frame_skip, .. } = *actors[0].spec();
        let num_actions = actors[0].spec().num_actions();
        let q_spec = QSpec { torso: *torso, head: config.learner.head, obs_shape, num_actions };
        let learner = Learner::build(torso, obs_shape, num_actions, device, seed, &config.learner)?;
        let acting = InferenceNetwork::build(q_spec, Device::Cpu, &learner.weights()?)?;
        let rescaling = config.learner.value_rescaling();
        let start = |place, envs| Actor::start(config, rescaling, place, envs, seed);
        let parts = AgentParts {
            actors: pool.install(|| start_each(actors, start))?,
            replay: Replay::try_new(config.replay.for_obs(obs_shape))?,
            rates: config.rates(),
            pool: WorkerPool::new(config),
        };

        Ok(Self {
            config: config.clone(),
            q_spec,
            device,
            seed,
            total_frames,
            frame_skip: frame_skip.into(),
            learner,
            counters: Counters::default(),
            draws: derive_rng(seed, Role::ReplayDraws, 0),
            acting,
            work: Work::Paused(parts),
            batch: Batch::default(),
            ingested: IngestStats::default(),
            sampled: 0,
            pool,
        })
    }

    /// One step of the learner if there is a batch for it, or a report of what has arrived since
    /// the last call. Returns within a fraction of a second, or the time of an update.
    ///
    /// # Errors
    /// The first failure of any thread, or of the learner; all threads have ended then.
    pub fn update(&mut self) -> Result<ApexReport, AgentError> {
        if !self.config.serial {
            return self.update_threaded();
        }
        let pool = Arc::clone(&self.pool);
        let result = pool.install(|| self.update_serial());
        if result.is_err() {
            self.work = Work::Lost; // some actors may have stepped and others not
        }
        result
    }

    /// How far training is: frames that have reached the replay, and updates.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Number of numbers that are trained.
    pub fn parameter_count(&self) -> u64 {
        self.learner.parameter_count()
    }

    /// The batch of the last update, or of the one that failed: `obs`, `next_obs`
    /// `u8 [B · C · H · W]`, `actions`, `rewards`, `discounts`, `importance_weights` `[B]`.
    pub fn last_batch(&self) -> NamedTensors {
        let Batch { rows, obs, next_obs } = &self.batch;
        vec![
            ("obs".to_owned(), Tensor::from_slice(obs)),
            ("next_obs".to_owned(), Tensor::from_slice(next_obs)),
            ("actions".to_owned(), Tensor::from_slice(&rows.actions)),
            ("rewards".to_owned(), Tensor::from_slice(&rows.rewards)),
            ("discounts".to_owned(), Tensor::from_slice(&rows.discounts)),
            ("importance_weights".to_owned(), Tensor::from_slice(&rows.importance_weights)),
        ]
    }

    /// Brings all threads to rest and reports what they still had. The next update starts them
    /// again.
    ///
    /// # Errors
    /// The first failure of a thread.
    pub fn pause(&mut self) -> Result<ApexReport, AgentError> {
        self.pause_workers()?;
        let mut report = std::mem::take(&mut self.ingested).into_report();
        let parts = self.parts()?;
        (report.replay_len, report.samples_per_insert) =
            (parts.replay.len() as u64, parts.rates.measured());
        Ok(report)
    }

    /// Parameters of the online network by name, on the CPU: for playing with them while training
    /// goes on.
    pub fn weights(&self) -> NamedTensors {
        self.learner.to_named()
    }

    /// Everything that later updates depend on but for the replay, which [`Apex::write_replay`]
    /// writes.
    ///
    /// # Errors
    /// If the agent does not rest, or a weight or moment is not finite.
    pub fn save(&self) -> Result<AgentState, AgentError> {
        let parts = self.parts()?;
        let LearnerState { online, mut target, optimizer, .. } = self.learner.save()?;
        if self.config.serial {
            target.push((ACTING.to_owned(), Tensor::from_slice(&self.acting.weights()?.numbers)));
        }

        let actors = parts.actors.iter().map(Actor::save).collect::<Result<_, AgentError>>()?;
        let trainer = TrainerState {
            counters: self.counters,
            rates: parts.rates,
            replay_inserted: parts.replay.inserted(),
            draws: self.draws.clone(),
            acting_version: self.acting.weights()?.version,
            actors,
        };

        Ok(AgentState { weights: online, optimizer, target, trainer: trainer.to_bytes()? })
    }

    /// Whether the replay belongs into checkpoints.
    pub fn saves_replay(&self) -> bool {
        self.config.replay.save
    }

    /// Writes the replay that goes with the last [`Apex::save`].
    ///
    /// # Errors
    /// If the writer fails, or the agent has gone on since.
    pub fn write_replay(&self, to: &mut dyn Write) -> Result<(), AgentError> {
        match &self.work {
            Work::Paused(parts) => Ok(parts.replay.write_to(to)?),
            _ => Err(AgentError::WorkersGone),
        }
    }

    /// Goes on from what [`Apex::save`] gave, in one thread to the last bit. Without a replay the
    /// agent gathers a new warm-up first.
    ///
    /// # Errors
    /// If the state or the replay is damaged or of another agent. After [`AgentError::Env`] or
    /// [`AgentError::Replay`] the agent must not be used.
    pub fn load(
        &mut self,
        state: AgentState,
        replay: Option<&mut dyn Read>,
    ) -> Result<(), AgentError> {
        let AgentState { weights, optimizer, mut target, trainer } = state;
        let trainer = TrainerState::from_bytes(&trainer)?;
        let acting = take_named(&mut target, ACTING);
        let shape = self.q_spec.obs_shape;
        let parts = self.parts_mut()?;
        let fits = trainer.actors.len() == parts.actors.len()
            && trainer.actors.iter().zip(&parts.actors).all(|(state, actor)| actor.fits(state));
        if !fits {
            return Err(bad(
                "its actors have other environments; see `apex.envs` and `apex.actors`".to_owned(),
            ));
        }

        let updates = trainer.counters.updates;
        self.learner.load(&LearnerState { online: weights, target, optimizer, updates })?;
        self.acting.load(&match acting {
            Some(numbers) => {
                Weights { version: trainer.acting_version, numbers: numbers_of(&numbers)? }
            }
            None => self.learner.weights()?,
        })?;

        let config = self.config.clone();
        let parts = self.parts_mut()?;
        for (actor, state) in parts.actors.iter_mut().zip(trainer.actors) {
            actor.load(state)?;
        }

        match replay {
            Some(bytes) => {
                parts.replay = Replay::read_from(config.replay.for_obs(shape), bytes)?;
                check_replay(&parts.replay, trainer.replay_inserted)?;
                parts.rates = trainer.rates.under(&config.rates());
            }
            None => {
                parts.replay = Replay::try_new(config.replay.for_obs(shape))?;
                parts.rates = config.rates();
                let form = config.replay.plane_form();
                parts.actors.iter_mut().try_for_each(|actor| actor.restart_streams(form))?;
            }
        }

        (self.counters, self.draws) = (trainer.counters, trainer.draws);
        Ok(())
    }

    /// Starts from other weights, with everything else as at the beginning.
    ///
    /// # Errors
    /// If names or shapes are not those of this network; nothing is changed then.
    pub fn load_weights(&mut self, weights: &[(String, Tensor)]) -> Result<(), AgentError> {
        self.learner.load_weights(weights)?;
        self.acting.load(&self.learner.weights()?)
    }

    /// Counts what has arrived, and keeps it for the next report.
    pub(super) fn count_ingested(&mut self, ingested: IngestStats) {
        self.counters.agent_steps += ingested.agent_steps;
        self.counters.frames += ingested.agent_steps * self.frame_skip;
        self.ingested.add(ingested);
    }

    pub(super) fn parts(&self) -> Result<&AgentParts, AgentError> {
        match &self.work {
            Work::Paused(parts) => Ok(parts),
            _ => Err(AgentError::WorkersGone),
        }
    }

    fn parts_mut(&mut self) -> Result<&mut AgentParts, AgentError> {
        match &mut self.work {
            Work::Paused(parts) => Ok(parts),
            _ => Err(AgentError::WorkersGone),
        }
    }
}

/// No thread outlives its agent, whatever it is dropped for.
impl Drop for Apex {
    fn drop(&mut self) {
        let _ = self.pause_workers(); // nobody is left to be told
    }
}

impl std::fmt::Debug for Apex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Apex")
            .field("config", &self.config)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

fn take_named(tensors: &mut NamedTensors, name: &str) -> Option<Tensor> {
    let place = tensors.iter().position(|(known, _)| known == name)?;
    Some(tensors.remove(place).1)
}

fn numbers_of(tensor: &Tensor) -> Result<Vec<f32>, AgentError> {
    let cannot = |error: tch::TchError| bad(format!("`{ACTING}`: {error}"));
    Vec::try_from(tensor.f_reshape([-1]).map_err(cannot)?).map_err(cannot)
}

fn check_replay(replay: &Replay, expected: u64) -> Result<(), AgentError> {
    let found = replay.inserted();
    if found == expected {
        return Ok(());
    }
    Err(bad(format!("its replay has seen {found} transitions, its actors have sent {expected}")))
}
