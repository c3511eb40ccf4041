//! A process that only acts, for a learner elsewhere.

use std::thread;
use std::time::{Duration, Instant};

use coordrl_envs::VecEnv;
use coordrl_fleet::{
    ActorEnd, ActorLimits, ActorTurn, Attendance, Batch, Broker, BrokerError, ProcessId, Waiting,
};
use serde_bytes::ByteBuf;

use super::actor_threads::{ActorThreads, StoppedActor};
use super::{FleetError, LEASE};
use crate::AgentError;
use crate::actors::{Place, start_each};
use crate::apex::actor::Actor;
use crate::apex::config::ApexConfig;
use crate::apex::experience::{Experience, Weights};
use crate::apex::inference::QSpec;
use crate::apex::link::LatestWeights;
use crate::apex::workers::ActorSlot;
use crate::nn::TorsoEntry;
use crate::versioned::bad;

/// Time between two looks at the run: new weights are noticed that late.
const ATTEND_EVERY: Duration = Duration::from_millis(500);
/// Bytes of a batch, about: a broker is slower with many small ones.
const BATCH_BYTES: usize = 64 << 10;
/// Longest time for which experience is gathered for a batch.
const GATHER: Duration = Duration::from_millis(500);
/// Batches in the log that the learner has not read, from which this process waits.
const UNREAD: u64 = 2;
/// Batches of one process that are under way: those unread, one to be sent and one being gathered.
const UNDER_WAY: u32 = UNREAD as u32 + 2;
/// Longest wait before the caller is asked again if the process should go on.
const WAIT: Duration = Duration::from_millis(50);

/// Check of the record of a later learner; an error says what differs.
pub type Acceptance<'a> = Box<dyn Fn(&[u8]) -> Result<(), String> + 'a>;

/// Everything that an actor process is built from.
pub struct ActorProcess<'a> {
    /// The run's settings.
    pub config: &'a ApexConfig,
    /// The run's torso.
    pub torso: &'a TorsoEntry,
    /// Seed of this process's random draws: no two processes may have the same.
    pub seed: u64,
    /// Environments, one vector per actor.
    pub actors: Vec<VecEnv>,
    /// The run at the broker.
    pub broker: Box<dyn Broker + Send>,
    /// This process.
    pub me: ProcessId,
    /// Checks the record of whatever learner the run has later.
    pub accepts: Acceptance<'a>,
    /// Describes the process for a table of actors.
    pub about: Box<dyn FnMut(&ActorProgress) -> String + 'a>,
}

/// State of an actor process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActorProgress {
    /// Number of agent steps whose experience is in the log.
    pub agent_steps: u64,
    /// Number of batches in the log.
    pub batches: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Number of transitions in them.
    pub transitions: u64,
    /// Version of the weights received last: the learner's update count.
    pub weights_version: Option<u64>,
    /// Reason for waiting; absent while it acts.
    pub waits_for: Option<String>,
    /// Time spent waiting.
    pub waited: Duration,
}

impl ActorProcess<'_> {
    /// Acts until the run ends, or until `goes_on`, which is asked many times a second, returns
    /// `false`.
    ///
    /// # Errors
    /// If the broker refuses, or an environment or a thread fails.
    pub fn run(self, goes_on: &dyn Fn() -> bool) -> Result<ActorProgress, AgentError> {
        let mut driver = ActorDriver::build(self)?;
        let mut described = None::<Instant>;
        while goes_on() && driver.turn()? {
            if described.is_none_or(|at| at.elapsed() >= ATTEND_EVERY) {
                driver.end.set_about((driver.about)(&driver.progress));
                described = Some(Instant::now());
            }
        }
        if let Some(threads) = driver.threads.take() {
            threads.stop()?;
        }
        Ok(driver.progress)
    }
}

struct ActorDriver<'a> {
    about: Box<dyn FnMut(&ActorProgress) -> String + 'a>,
    accepts: Acceptance<'a>,
    config: ApexConfig,
    q_spec: QSpec,
    broker: Box<dyn Broker + Send>,
    end: ActorEnd,
    clock: Instant,
    /// Time of the last turn.
    last_turn: Duration,
    weights: LatestWeights,
    has_weights: bool,
    /// The record of the epoch is accepted.
    is_accepted: bool,
    epoch: u64,
    /// Places on the ladder, one per environment; too few while not enough are free.
    places: Vec<u32>,
    envs: usize,
    stopped: Vec<StoppedActor>,
    threads: Option<ActorThreads>,
    /// Counts how often the streams of frames began anew.
    generation: u32,
    opens: bool,
    next: NextBatch,
    /// Agent steps, transitions and bytes of the batch handed to the end.
    given: [u64; 3],
    /// Bytes of the last batch before compression, for each one after.
    compression: f64,
    progress: ActorProgress,
}

/// Experience gathered for the next batch.
#[derive(Default)]
struct NextBatch {
    messages: Vec<ByteBuf>,
    bytes: usize,
    agent_steps: u64,
    transitions: u64,
    since: Option<Instant>,
}

impl NextBatch {
    fn add(&mut self, experience: &Experience) -> Result<(), AgentError> {
        let message = experience.to_bytes()?;
        self.bytes += message.len();
        self.agent_steps += experience.agent_steps;
        self.transitions += experience.transitions();
        self.messages.push(message.into());
        self.since.get_or_insert_with(Instant::now);
        Ok(())
    }

    /// Returns `true` if there is enough for a batch, or something has waited long enough.
    fn is_due(&self, bytes: f64) -> bool {
        self.bytes as f64 >= bytes || self.since.is_some_and(|since| since.elapsed() >= GATHER)
    }
}

impl<'a> ActorDriver<'a> {
    fn build(process: ActorProcess<'a>) -> Result<Self, AgentError> {
        let ActorProcess { config, torso, seed, actors, broker, me, accepts, about } = process;
        let envs = actors.iter().map(VecEnv::len).sum();
        // The streams' own ladder is replaced by the places that the run has for this process.
        let config = ApexConfig { envs: envs as u32, ..config.clone() };
        let spec = actors.first().ok_or(AgentError::NoActors)?.spec();
        let q_spec = QSpec {
            torso: *torso,
            head: config.learner.head,
            obs_shape: spec.obs_shape,
            num_actions: spec.num_actions(),
        };
        let rescaling = config.learner.value_rescaling();
        let start = |place: Place, envs| Actor::start(&config, rescaling, place, envs, seed);
        let actors = start_each(actors, start)?;
        let stopped = actors
            .into_iter()
            .enumerate()
            .map(|(index, actor)| Ok(StoppedActor { actor, slot: ActorSlot::new(index)? }));
        let stopped = stopped.collect::<Result<Vec<_>, AgentError>>()?;
        let attendance = Attendance {
            actor: me,
            places: envs as u32,
            places_in_run: config.fleet.places,
            lease: LEASE,
            about: String::new(),
        };
        let limits = ActorLimits {
            attend_every: ATTEND_EVERY,
            log_bytes: config.fleet.log_bytes(),
            unread: UNREAD,
        };
        Ok(Self {
            about,
            accepts,
            q_spec,
            broker,
            end: ActorEnd::new(attendance, limits),
            clock: Instant::now(),
            last_turn: Duration::ZERO,
            weights: LatestWeights::default(),
            has_weights: false,
            is_accepted: false,
            epoch: 0,
            places: Vec::new(),
            envs,
            stopped,
            threads: None,
            generation: 0,
            opens: false,
            next: NextBatch::default(),
            given: [0; 3],
            compression: 1.0,
            progress: ActorProgress::default(),
            config,
        })
    }

    /// Makes a turn; returns `false` when the run has ended.
    fn turn(&mut self) -> Result<bool, AgentError> {
        let now = self.clock.elapsed();
        if self.progress.waits_for.is_some() {
            self.progress.waited += now - self.last_turn;
        }
        self.last_turn = now;
        match self.end.turn(self.broker.as_mut(), self.clock.elapsed()) {
            ActorTurn::Joined { epoch, places } => {
                self.epoch = epoch;
                self.has_weights = false;
                self.is_accepted = false;
                self.begin_anew(places)?;
            }
            ActorTurn::Moved { places } => self.begin_anew(places)?,
            ActorTurn::Weights { bytes, .. } => {
                let weights = Weights::from_bytes(&bytes)?;
                self.progress.weights_version = Some(weights.version);
                self.weights.publish(weights);
                self.has_weights = true;
            }
            ActorTurn::Sent => {
                self.progress.batches += 1;
                let [agent_steps, transitions, bytes] = self.given;
                self.progress.agent_steps += agent_steps;
                self.progress.transitions += transitions;
                self.progress.bytes += bytes;
            }
            ActorTurn::Idle { until, why } => self.wait(until, why)?,
            ActorTurn::Stop => return Ok(false),
            ActorTurn::Refused(reason) => {
                return Err(FleetError::from(BrokerError::Refused(reason)).into());
            }
        }

        let ready = self.has_weights && self.places.len() == self.envs;
        if ready && self.threads.is_none() && self.check_record()? {
            let stopped = std::mem::take(&mut self.stopped);
            self.threads =
                Some(ActorThreads::start(stopped, &self.config, self.q_spec, &self.weights)?);
        }
        Ok(true)
    }

    /// Checks that the run is still the one that this process was started for; `false` if the broker
    /// did not answer.
    fn check_record(&mut self) -> Result<bool, AgentError> {
        if !self.is_accepted {
            match self.broker.record() {
                Ok(Some(record)) => (self.accepts)(&record).map_err(FleetError::Changed)?,
                Ok(None) | Err(BrokerError::NoAnswer(_) | BrokerError::Full(_)) => {
                    return Ok(false);
                }
                Err(refused) => return Err(FleetError::from(refused).into()),
            }
            self.is_accepted = true;
        }
        Ok(true)
    }

    /// Begins the streams of frames anew, with the exploration rates of these places.
    fn begin_anew(&mut self, places: Vec<u32>) -> Result<(), AgentError> {
        if let Some(threads) = self.threads.take() {
            self.stopped = threads.stop()?;
        }

        let by_place = self.config.epsilons_by_place();
        let epsilon = |place: &u32| by_place.get(*place as usize).copied();
        let epsilons: Vec<f64> = places.iter().filter_map(epsilon).collect();
        self.places = places;
        self.generation += 1;
        self.opens = true;
        self.next = NextBatch::default();
        if self.places.len() < self.envs {
            return Ok(());
        }
        let mut epsilons = epsilons.into_iter();
        for StoppedActor { actor, .. } in &mut self.stopped {
            actor.restart_streams(self.config.replay.plane_form())?;
            actor.set_epsilons(&mut epsilons);
        }
        Ok(())
    }

    /// Hands the end its next batch, or waits.
    fn wait(&mut self, until: Duration, why: Option<Waiting>) -> Result<(), AgentError> {
        let reason = self.explain(why.as_ref());
        // Between two looks at the broker it still waits for what it waited for.
        if reason.is_some() || self.end.takes_batch() {
            self.progress.waits_for = reason;
        }
        let pause = until.saturating_sub(self.clock.elapsed()).min(WAIT);
        let Some(threads) = self.threads.as_ref().filter(|_| self.end.takes_batch()) else {
            thread::sleep(pause);
            return Ok(());
        };

        if let Ok(experience) = threads.experience.recv_timeout(pause) {
            self.next.add(&experience)?;
        } else if threads.has_failed() {
            self.stopped = self.threads.take().map_or(Ok(Vec::new()), ActorThreads::stop)?;
            return Ok(());
        }
        // So that no more is under way than within one process: what is learnt from late was made
        // with old weights.
        let most = (self.config.experience_queue / UNDER_WAY).max(1) as usize;
        let bytes = BATCH_BYTES as f64 * self.compression;
        if self.next.messages.len() >= most || self.next.is_due(bytes) {
            self.give()?;
        }
        Ok(())
    }

    /// Hands the end what was gathered.
    fn give(&mut self) -> Result<(), AgentError> {
        let gathered = std::mem::take(&mut self.next);
        let batch = Batch {
            epoch: self.epoch,
            generation: self.generation,
            opens: self.opens,
            transitions: gathered.transitions as u32,
            content: Experience::join(&gathered.messages)?,
        };
        let bytes = batch.encode().map_err(|error| bad(error.to_string()))?;
        self.compression = batch.content.len() as f64 / bytes.len() as f64;
        self.given = [gathered.agent_steps, gathered.transitions, bytes.len() as u64];
        self.opens = false;
        self.end.give(bytes);
        Ok(())
    }

    fn explain(&self, why: Option<&Waiting>) -> Option<String> {
        let text = match why {
            Some(Waiting::Run) => "the run's learner".to_owned(),
            Some(Waiting::Room) => "a checkpoint of the learner: the log is full".to_owned(),
            Some(Waiting::Learner) => "the learner, which reads as fast as it learns".to_owned(),
            Some(Waiting::Memory(reason)) => format!("memory at the broker ({reason})"),
            Some(Waiting::Broker(reason)) => format!("the broker ({reason})"),
            None if self.threads.is_some() => return None,
            None if self.places.len() < self.envs => format!(
                "places on the ladder of exploration rates: {} of {} are free; see `apex.fleet.places`",
                self.places.len(),
                self.envs
            ),
            None => "weights".to_owned(),
        };
        Some(text)
    }
}
