//! Whatever learns: the training loop needs to know no more of it than this.

use std::fs::File;
use std::io::{BufReader, Read};

use coordrl_agents::nn::NamedTensors;
use coordrl_agents::{A2c, A2cReport, AgentError, AgentState, Apex, ApexReport, Counters, Timing};
use coordrl_envs::EpisodeStats;
use tch::Tensor;

use crate::metrics::accumulate::MetricAccumulator;
use crate::metrics::tags::{self, Tag};
use crate::run::checkpoint::WriteReplay;

/// An agent of one of the algorithms.
pub enum Agent {
    /// Advantage actor-critic.
    A2c(Box<A2c>),
    /// Ape-X DQN.
    Apex(Box<Apex>),
}

/// What an update told beside numbers that are averaged.
#[derive(Clone, Debug)]
pub struct UpdateReport {
    /// Whole games that ended.
    pub episodes: Vec<EpisodeStats>,
    /// Where the time went.
    pub timing: Timing,
}

impl Agent {
    /// Goes on a little: one update, or what could be done towards it. Numbers go into `sums`.
    ///
    /// # Errors
    /// As [`A2c::update`] and [`Apex::update`].
    pub fn update(&mut self, sums: &mut MetricAccumulator) -> Result<UpdateReport, AgentError> {
        match self {
            Self::A2c(agent) => {
                let report = agent.update()?;
                add_a2c(sums, &report);
                Ok(UpdateReport { episodes: report.episodes, timing: report.timing })
            }
            Self::Apex(agent) => {
                let report = agent.update()?;
                add_apex(sums, &report);
                Ok(UpdateReport { episodes: report.episodes, timing: report.timing })
            }
        }
    }

    /// How far training is.
    pub fn counters(&self) -> Counters {
        match self {
            Self::A2c(agent) => agent.counters(),
            Self::Apex(agent) => agent.counters(),
        }
    }

    /// Number of numbers that are trained.
    pub fn parameter_count(&self) -> u64 {
        match self {
            Self::A2c(agent) => agent.parameter_count(),
            Self::Apex(agent) => agent.parameter_count(),
        }
    }

    /// Brings the agent's threads to rest, if it has any: what they still had is told.
    ///
    /// # Errors
    /// If a thread has failed.
    pub fn pause(&mut self, sums: &mut MetricAccumulator) -> Result<UpdateReport, AgentError> {
        let Self::Apex(agent) = self else {
            return Ok(UpdateReport { episodes: Vec::new(), timing: Timing::default() });
        };
        let report = agent.pause()?;
        add_apex(sums, &report);
        Ok(UpdateReport { episodes: report.episodes, timing: report.timing })
    }

    /// Everything that later updates depend on but for a replay.
    ///
    /// # Errors
    /// If the agent does not rest, or holds numbers that are not finite.
    pub fn save(&self) -> Result<AgentState, AgentError> {
        match self {
            Self::A2c(agent) => agent.save(),
            Self::Apex(agent) => agent.save(),
        }
    }

    /// The weights of the moment, by name, on the CPU.
    pub fn weights(&self) -> NamedTensors {
        match self {
            Self::A2c(agent) => agent.weights(),
            Self::Apex(agent) => agent.weights(),
        }
    }

    /// Hands `job` what writes the replay, if there is one that belongs into checkpoints.
    pub fn with_replay<R>(&self, job: impl FnOnce(Option<WriteReplay<'_>>) -> R) -> R {
        match self {
            Self::Apex(agent) if agent.saves_replay() => {
                job(Some(&|to| agent.write_replay(to).map_err(std::io::Error::other)))
            }
            _ => job(None),
        }
    }

    /// Goes on from what was saved.
    ///
    /// # Errors
    /// If it does not fit this agent or is damaged.
    pub fn load(&mut self, state: AgentState, replay: Option<BufReader<File>>) -> Result<(), AgentError> {
        match self {
            Self::A2c(agent) => agent.load(state),
            Self::Apex(agent) => {
                let mut replay = replay;
                agent.load(state, replay.as_mut().map(|bytes| bytes as &mut dyn Read))
            }
        }
    }

    /// Starts from other weights, with everything else as at the beginning.
    ///
    /// # Errors
    /// If names or shapes are not those of this network.
    pub fn load_weights(&mut self, weights: &[(String, Tensor)]) -> Result<(), AgentError> {
        match self {
            Self::A2c(agent) => agent.load_weights(weights),
            Self::Apex(agent) => agent.load_weights(weights),
        }
    }

    /// What the last update learnt from, for looking into a run that diverged.
    pub fn last_batch(&self) -> Vec<(String, Tensor)> {
        match self {
            Self::A2c(agent) => agent.last_rollout(),
            Self::Apex(agent) => agent.last_batch(),
        }
    }

    /// The tags that its updates fill, whether or not there is a value yet.
    pub fn tags(&self) -> &'static [&'static Tag] {
        match self {
            Self::A2c(_) => tags::OF_A2C,
            Self::Apex(_) => tags::OF_APEX,
        }
    }
}

fn add_a2c(sums: &mut MetricAccumulator, report: &A2cReport) {
    sums.add(&tags::REWARD_CLIPPED, report.mean_clipped_reward);
    sums.add(&tags::LOSS_POLICY, report.policy_loss);
    sums.add(&tags::LOSS_VALUE, report.value_loss);
    sums.add(&tags::LOSS_TOTAL, report.total_loss);
    sums.add(&tags::ENTROPY, report.entropy);
    report.explained_variance.into_iter().for_each(|share| sums.add(&tags::EXPLAINED_VARIANCE, share));
    sums.add(&tags::GRAD_NORM, report.grad_norm);
    sums.add(&tags::DEAD_SHARE, report.dead_share);
    sums.set(&tags::LEARNING_RATE, report.learning_rate);
}

fn add_apex(sums: &mut MetricAccumulator, report: &ApexReport) {
    if let Some(reward) = report.mean_clipped_reward {
        sums.add_weighted(&tags::REWARD_CLIPPED, reward, report.agent_steps);
    }
    report.policy_lag_updates.into_iter().for_each(|lag| sums.add(&tags::POLICY_LAG, lag));
    sums.set(&tags::REPLAY_LEN, as_value(report.replay_len));
    report.samples_per_insert.into_iter().for_each(|ratio| sums.set(&tags::SAMPLES_PER_INSERT, ratio));
    let Some(update) = &report.learned else { return };
    let learned = &update.learned;
    sums.add(&tags::LOSS_TD, learned.loss);
    sums.add(&tags::MEAN_Q, learned.mean_q);
    sums.add(&tags::TD_ERROR, learned.mean_abs_td);
    sums.add(&tags::GRAD_NORM, learned.grad_norm);
    sums.add(&tags::DEAD_SHARE, learned.dead_share);
    sums.set(&tags::LEARNING_RATE, update.learning_rate);
    sums.add(&tags::REPLAY_AGE, update.replay_age);
    sums.add(&tags::STALE_SHARE, update.stale_share);
}

#[expect(clippy::cast_precision_loss, reason = "numbers of transitions stay far below 2^53")]
fn as_value(count: u64) -> f64 {
    count as f64
}
