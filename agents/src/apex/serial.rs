//! Single-threaded Ape-X: algorithms 1 and 2 of Horgan et al. 2018, in turns. Read this first;
//! [`threaded`](super::threaded) runs the same steps concurrently.
//!
//! Bit-for-bit repeatable: only the rate limits decide the turns, never the clock.

use std::time::Instant;

use super::actor::QSource;
use super::agent::{Apex, Work};
use super::learning::{ingest, learn, update_priorities};
use super::report::{ApexReport, IngestStats, LearnReport};
use crate::error::{Worker, catch_panic};
use crate::report::nanos_since;
use crate::{AgentError, Timing};

impl Apex {
    /// Makes one update if a batch may be sampled, else one agent step of every environment.
    pub(super) fn update_serial(&mut self) -> Result<ApexReport, AgentError> {
        let start = Instant::now();
        let batch_size = u64::from(self.config.learner.batch_size);

        // One limit is enough for both turns: whenever the learner has to wait, the actors need
        // not.
        let mut report = if self.parts()?.rates.may_sample(batch_size) {
            let learned = self.learn(batch_size)?;
            let timing = Timing { learn_nanos: nanos_since(start), ..Timing::default() };
            let ingested = std::mem::take(&mut self.ingested);
            ApexReport { learned: Some(learned), timing, ..ingested.into_report() }
        } else {
            self.act()?;
            let mut report = std::mem::take(&mut self.ingested).into_report();
            report.timing.fill_wait(nanos_since(start));
            report
        };

        let parts = self.parts()?;
        report.replay_len = parts.replay.len() as u64;
        report.samples_per_insert = parts.rates.measured();
        Ok(report)
    }

    /// Algorithm 1: every actor takes a step and inserts its transitions with the priorities it
    /// computed.
    fn act(&mut self) -> Result<(), AgentError> {
        let Self { work: Work::Paused(parts), learner, acting, config, .. } = self else {
            return Err(AgentError::WorkersGone);
        };

        let mut ingested = IngestStats::default();
        for (index, actor) in parts.actors.iter_mut().enumerate() {
            catch_panic(Worker::Actor(index), || actor.step(acting))?;
            let experience = actor.take_experience(acting.version());
            parts.rates.inserted += experience.transitions();
            ingested.add(ingest(&mut parts.replay, experience, learner.updates())?);
        }

        let weights_every = u64::from(config.weights_every_agent_steps);
        // All actors step together, so the count of the first stands for all.
        if parts.actors[0].agent_steps().is_multiple_of(weights_every) {
            acting.load(&learner.weights()?)?;
        }

        self.count_ingested(ingested);
        Ok(())
    }

    /// Algorithm 2: samples a batch, learns from it and updates its priorities.
    fn learn(&mut self, batch_size: u64) -> Result<LearnReport, AgentError> {
        let Self { work: Work::Paused(parts), learner, draws, batch, config, counters, .. } = self
        else {
            return Err(AgentError::WorkersGone);
        };
        parts.rates.sampled += batch_size;
        parts.replay.draw(batch_size as usize, draws)?.assemble_into(batch)?;

        let mut report = catch_panic(Worker::Learner, || learn(learner, batch, None))?;
        update_priorities(&mut parts.replay, batch, &mut report, config.replay.trim_every_updates)?;
        counters.updates = report.learned.updates;
        Ok(report)
    }
}
