//! Speed of training, everything included but evaluations, logs and checkpoints.

use coordrl_agents::{Counters, NullMetrics, Timing};

use super::{Benched, WorkDone};
use crate::config::RunConfig;
use crate::game::assemble::{Assembled, assemble};
use crate::stop_flag::StopFlag;

/// An agent that trains without leaving anything behind.
pub struct AgentBench {
    assembled: Assembled,
    counted: Counters,
    timing: Timing,
}

impl AgentBench {
    /// Builds the agent and trains it until its first update is over: that one is slower, and an
    /// agent with a replay fills it first. Returns early if stopped.
    ///
    /// # Errors
    /// If the agent cannot be built, or fails.
    pub fn warmed_up(config: &RunConfig, stop: &StopFlag) -> anyhow::Result<Self> {
        let assembled = assemble(config)?;
        let mut bench = Self { assembled, counted: Counters::default(), timing: Timing::default() };
        while bench.assembled.agent.counters().updates == 0 && !stop.is_raised() {
            bench.step()?;
        }
        Ok(bench)
    }

    /// Returns the agent and what it runs on.
    pub fn assembled(&self) -> &Assembled {
        &self.assembled
    }
}

impl Benched for AgentBench {
    fn step(&mut self) -> anyhow::Result<()> {
        let report = self.assembled.agent.update(&mut NullMetrics)?;
        self.timing.add(&report.timing);
        Ok(())
    }

    fn take_work(&mut self) -> WorkDone {
        let counters = self.assembled.agent.counters();
        let before = std::mem::replace(&mut self.counted, counters);
        WorkDone {
            counters: Counters {
                updates: counters.updates - before.updates,
                agent_steps: counters.agent_steps - before.agent_steps,
                frames: counters.frames - before.frames,
            },
            timing: std::mem::take(&mut self.timing),
        }
    }
}
