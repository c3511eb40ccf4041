//! Runs over several machines: the address of the broker, and what actors elsewhere must know.

mod actor_report;
mod address;
mod budget;
mod learner_report;
mod record;
mod speed;

pub use actor_report::{ActorReport, ActorReporter};
pub use address::{LinkAddress, without_secrets};
pub use learner_report::{Batches, LearnerReport};
pub use record::RunRecord;

use coordrl_agents::apex::FleetSetup;
use coordrl_agents::{Agent, AgentError};
use coordrl_fleet::{ProcessId, RedisBroker};

use self::budget::Budget;
use self::learner_report::describe_learner;
use crate::config::RunConfig;
use crate::exit_code::BadRequest;
use crate::metrics::console::status;
use crate::text::path_text::shell_line;

/// Makes this process the learner of a run at the broker, so that actors elsewhere can join it.
///
/// # Errors
/// If the broker cannot be reached or refuses, or has another learner for this run.
pub fn join_as_learner(
    agent: &mut dyn Agent,
    config: &RunConfig,
    link: &LinkAddress,
    run: &str,
) -> anyhow::Result<()> {
    let connect = || RedisBroker::new(link.url(), run).map_err(in_agent);
    let broker = Box::new(connect()?);
    let record = RunRecord::of(config).to_bytes()?;
    let about = Box::new(describe_learner());
    let me = ProcessId::random();
    agent.join_fleet(FleetSetup { broker, me, record, about })?;
    // Only now: the link waits some seconds for a broker that has just been started.
    let weights = 4 * agent.parameter_count(); // f32
    Budget { weights, log: config.apex.fleet.log_bytes() }.check(&mut connect()?)?;
    let command = ["coordrl", "actor", "--link", &link.to_string(), "--run", run];
    let command = shell_line(&command.map(str::to_owned));
    status!("learner of `{run}` at the broker; actors join with: {command}");
    Ok(())
}

/// Returns the run of this name, or the only one at a broker that has a learner; `None` if there is
/// none.
///
/// # Errors
/// If there are several, or the broker cannot be reached or refuses.
pub fn choose_run(link: &LinkAddress, name: Option<&str>) -> anyhow::Result<Option<String>> {
    if let Some(name) = name {
        return Ok(Some(name.to_owned()));
    }
    let mut runs = RedisBroker::runs(link.url()).map_err(in_agent)?;
    if runs.len() > 1 {
        let list = runs.join("\n  ");
        return Err(BadRequest::error(format!("which run? choose one with `--run`:\n  {list}")));
    }
    Ok(runs.pop())
}

/// Returns the name of a run at a broker.
pub fn run_name(config: &RunConfig, folder: &std::path::Path) -> String {
    // `.` and links have other names.
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    format!("{}/{}-{}/{name}", config.game, config.algo.name(), config.torso)
}

/// Wraps an error of a broker in the one whose exit code is known.
pub fn in_agent(error: coordrl_fleet::BrokerError) -> AgentError {
    AgentError::Fleet(error.into())
}
