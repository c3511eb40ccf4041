//! The agent: actors, replay and learner combined, in many threads or in one.

use std::io::{Read, Write};
use std::sync::Arc;

use coordrl_envs::{EnvSpec, Rng, Role, derive_rng};
use rayon::ThreadPool;
use tch::{Device, Tensor};

use super::actor::{Actor, QSource};
use super::config::ApexConfig;
use super::experience::Weights;
use super::fleet::{Downlink, FleetError, FleetSetup, FleetState};
use super::inference::{InferenceNetwork, QSpec};
use super::learner::{ApexLearner, LearnerState};
use super::report::{ApexReport, IngestStats};
use super::state::ApexTrainerState;
use super::workers::{AgentParts, WorkerPool, Workers};
use crate::actors::{check_setup, start_each};
use crate::nn::NamedTensors;
use crate::replay::{Batch, Replay};
use crate::versioned::bad;
use crate::{AgentError, AgentSetup, AgentState, Counters, Wish};

/// Name of the serial mode's acting weights, saved beside the target network's.
const ACTING: &str = "acting";

/// Ape-X DQN: many actors, prioritised replay, one learner. Source: Horgan et al. 2018
/// (arXiv:1803.00933).
///
/// After an error in [`Apex::update`] the worker threads and their data are lost, and in serial
/// mode actors may have stepped unevenly: load a saved state into a newly built agent.
pub struct Apex {
    pub(super) config: ApexConfig,
    pub(super) q_spec: QSpec,
    pub(super) device: Device,
    pub(super) seed: u64,
    pub(super) total_frames: u64,
    pub(super) frame_skip: u64,
    pub(super) learner: ApexLearner,
    pub(super) counters: Counters,
    pub(super) draws: Rng,
    /// Network that the actors use in serial mode.
    pub(super) acting: InferenceNetwork,
    pub(super) work: Work,
    /// Link to actors in other processes.
    pub(super) downlink: Option<Downlink>,
    /// The link reads.
    pub(super) reading: bool,
    /// Batch of the last update; its buffers are reused.
    pub(super) batch: Batch,
    /// Ingested, but not reported yet.
    pub(super) ingested: IngestStats,
    /// Number of samples learnt from, while the workers run.
    pub(super) sampled: u64,
    pub(super) pool: Arc<ThreadPool>,
}

/// Location of actors and replay.
pub(super) enum Work {
    /// Owned by the agent; no threads run.
    Paused(AgentParts),
    /// Owned by the worker threads.
    Running(Workers),
    /// Lost in a failure.
    Lost,
}

impl Apex {
    /// Draws the initial weights and resets all environments. Starts no threads yet.
    pub fn build(config: &ApexConfig, setup: AgentSetup<'_>) -> Result<Self, AgentError> {
        let AgentSetup { torso, device, seed, total_frames, actors, pool } = setup;
        check_setup(config.check(), &config.envs_per_actor(), &actors)?;
        let EnvSpec { obs_shape, frame_skip, .. } = *actors[0].spec();
        let num_actions = actors[0].spec().num_actions();
        let q_spec = QSpec { torso: *torso, head: config.learner.head, obs_shape, num_actions };
        let learner =
            ApexLearner::build(torso, obs_shape, num_actions, device, seed, &config.learner)?;
        let acting = InferenceNetwork::build(q_spec, Device::Cpu, &learner.weights()?)?;
        let rescaling = config.learner.value_rescaling();
        let start = |place, envs| Actor::start(config, rescaling, place, envs, seed);
        let actors = match config.num_actors() {
            0 => Vec::new(),
            _ => pool.install(|| start_each(actors, start))?,
        };
        let parts = AgentParts {
            actors,
            replay: Replay::try_new(config.replay.for_obs(obs_shape))?,
            rates: config.rates(),
            fleet: FleetState::default(),
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
            downlink: None,
            reading: false,
            batch: Batch::default(),
            ingested: IngestStats::default(),
            sampled: 0,
            pool,
        })
    }

    /// Takes experience from actors in other processes too, from the next update on. To be called
    /// before [`Apex::load`]: a checkpoint is to be read after this process has become the run's
    /// learner.
    ///
    /// # Errors
    /// If the broker does not answer or refuses, or has another learner for this run; in serial
    /// mode.
    pub fn join_fleet(&mut self, setup: FleetSetup) -> Result<(), AgentError> {
        if self.config.serial {
            return Err(FleetError::NoLink("Ape-X in one thread").into());
        }
        let log_bytes = self.config.fleet.log_bytes();
        let weights = self.parts()?.pool.latest_weights().clone();
        self.downlink = Some(Downlink::start(setup, log_bytes, weights)?);
        Ok(())
    }

    /// Lets the broker forget experience that a checkpoint of the last [`Apex::save`] covers.
    pub fn checkpointed(&mut self) {
        if let (Some(downlink), Work::Paused(parts)) = (&self.downlink, &self.work) {
            downlink.checkpointed(&parts.fleet.ledger);
        }
    }

    /// Returns what the link asks of the run.
    pub fn wish(&self) -> Option<Wish> {
        let downlink = self.downlink.as_ref()?;
        if downlink.is_asked_to_stop() {
            return Some(Wish::Stop);
        }
        downlink.wants_checkpoint().then_some(Wish::Checkpoint)
    }

    /// Makes one learner step if a batch is ready, and reports what was ingested since the last
    /// call. Returns within a fraction of a second, or the time of an update.
    ///
    /// # Errors
    /// The first error of any thread, or of the learner; all threads have stopped then.
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

    /// Returns the progress of training: frames that have reached the replay, and updates.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Returns the number of trainable parameters.
    pub fn parameter_count(&self) -> u64 {
        self.learner.parameter_count()
    }

    /// Returns the batch of the last update, or of the one that failed: `obs`, `next_obs` `u8 [B ·
    /// C · H · W]`, `actions`, `rewards`, `discounts`, `importance_weights` `[B]`.
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

    /// Pauses all threads and reports the experience still in flight. The next update restarts
    /// them.
    ///
    /// # Errors
    /// The first error of a thread.
    pub fn pause(&mut self) -> Result<ApexReport, AgentError> {
        self.pause_workers()?;
        let mut report = std::mem::take(&mut self.ingested).into_report();
        let parts = self.parts()?;
        (report.replay_len, report.samples_per_insert) =
            (parts.replay.len() as u64, parts.rates.measured());
        report.remote = parts.fleet.counts();
        Ok(report)
    }

    /// Returns the online network's parameters by name, on the CPU, for playing while training
    /// continues.
    pub fn weights(&self) -> NamedTensors {
        self.learner.to_named()
    }

    /// Returns all state that later updates depend on except the replay, which
    /// [`Apex::write_replay`] writes.
    ///
    /// # Errors
    /// If the agent is not paused, or a weight or moment is not finite.
    pub fn save(&self) -> Result<AgentState, AgentError> {
        let parts = self.parts()?;
        let LearnerState { online, mut target, optimizer, .. } = self.learner.save()?;
        if self.config.serial {
            // They lag behind the learner's by some agent steps, and a resumed run must act with
            // the same ones.
            target.push((ACTING.to_owned(), Tensor::from_slice(&self.acting.weights()?.numbers)));
        }

        let actors = parts.actors.iter().map(Actor::save).collect::<Result<_, AgentError>>()?;
        let trainer = ApexTrainerState {
            counters: self.counters,
            rates: parts.rates,
            replay_inserted: parts.replay.inserted(),
            fleet: self.fleet_state(parts),
            draws: self.draws.clone(),
            acting_version: self.acting.version(),
            actors,
        };

        Ok(AgentState { weights: online, optimizer, target, trainer: trainer.to_bytes()? })
    }

    /// Returns `true` if the replay is saved in checkpoints.
    pub fn saves_replay(&self) -> bool {
        self.config.replay.save
    }

    /// Writes the replay that matches the last [`Apex::save`].
    ///
    /// # Errors
    /// If the writer fails, or the agent has resumed since.
    pub fn write_replay(&self, to: &mut dyn Write) -> Result<(), AgentError> {
        match &self.work {
            Work::Paused(parts) => Ok(parts.replay.write_to(to)?),
            _ => Err(AgentError::WorkersGone),
        }
    }

    /// Restores the state returned by [`Apex::save`]; in serial mode, training continues bit for
    /// bit. Without a replay the agent repeats the warm-up first.
    ///
    /// # Errors
    /// If the state or the replay is damaged or from another agent. After [`AgentError::Env`] or
    /// [`AgentError::Replay`] the agent must not be used.
    pub fn load(
        &mut self,
        state: AgentState,
        replay: Option<&mut dyn Read>,
    ) -> Result<(), AgentError> {
        let AgentState { weights, optimizer, mut target, trainer } = state;
        let trainer = ApexTrainerState::from_bytes(&trainer)?;
        let acting = take_named(&mut target, ACTING);
        let shape = self.q_spec.obs_shape;
        let parts = self.parts_mut()?;
        // Before anything is loaded, so that a checkpoint of other environments changes nothing.
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
            // From a threaded run, whose actors start from the latest weights.
            None => self.learner.weights()?,
        })?;

        // Cloned, because `parts_mut` borrows the whole agent.
        let config = self.config.clone();
        let parts = self.parts_mut()?;
        for (actor, state) in parts.actors.iter_mut().zip(trainer.actors) {
            actor.load(state)?;
        }

        let has_replay = replay.is_some();
        match replay {
            Some(bytes) => {
                parts.replay = Replay::read_from(config.replay.for_obs(shape), bytes)?;
                check_replay(&parts.replay, trainer.replay_inserted)?;
                parts.rates = trainer.rates.under(&config.rates());
            }
            None => {
                // Counts start over with the empty replay: under the checkpoint's, the warm-up
                // would be over and learning would begin from the first few transitions.
                parts.replay = Replay::try_new(config.replay.for_obs(shape))?;
                parts.rates = config.rates();
                let form = config.replay.plane_form();
                parts.actors.iter_mut().try_for_each(|actor| actor.restart_streams(form))?;
            }
        }

        parts.fleet = trainer.fleet.unwrap_or_default();
        if !has_replay {
            parts.fleet.forget_frames();
        }
        (self.counters, self.draws) = (trainer.counters, trainer.draws);
        Ok(())
    }

    /// Loads other initial weights, leaving everything else as built.
    ///
    /// # Errors
    /// If names or shapes differ from this network's; nothing is changed then.
    pub fn load_weights(&mut self, weights: &[(String, Tensor)]) -> Result<(), AgentError> {
        self.learner.load_weights(weights)?;
        self.acting.load(&self.learner.weights()?)
    }

    /// Counts ingested experience, and keeps it for the next report.
    pub(super) fn count_ingested(&mut self, ingested: IngestStats) {
        // Steps count once they are in the replay: a failed thread loses those in flight.
        self.counters.agent_steps += ingested.agent_steps;
        self.counters.frames += ingested.agent_steps * self.frame_skip;
        self.ingested.add(ingested);
    }

    /// Returns the state of the link for a checkpoint; absent in a run that never had one.
    fn fleet_state(&self, parts: &AgentParts) -> Option<FleetState> {
        let mut state = parts.fleet.clone();
        state.epoch = self.downlink.as_ref().map_or(state.epoch, Downlink::epoch);
        state.begin_in(state.epoch);
        (state != FleetState::default()).then_some(state)
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

/// Stops the workers, so that no thread outlives its agent.
impl Drop for Apex {
    fn drop(&mut self) {
        let _ = self.pause_workers(); // there is no caller to report to
        if let Some(downlink) = &mut self.downlink {
            downlink.end(self.counters.frames >= self.total_frames);
        }
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
    tensor
        .f_reshape([-1])
        .and_then(Vec::try_from)
        .map_err(|error| bad(format!("`{ACTING}`: {error}")))
}

fn check_replay(replay: &Replay, expected: u64) -> Result<(), AgentError> {
    let found = replay.inserted();
    if found == expected {
        return Ok(());
    }
    Err(bad(format!("its replay has seen {found} transitions, its actors have sent {expected}")))
}
