//! `coordrl actor`: acts for a learner on another machine.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use coordrl_agents::apex::{ActorProcess, ActorProgress};
use coordrl_agents::find_torso;
use coordrl_envs::VecEnv;
use coordrl_fleet::{Broker, ProcessId, RedisBroker};

use crate::config::{Algo, RunConfig};
use crate::exit_code::{BadRequest, ExitCode};
use crate::fleet::{ActorReport, ActorReporter, LinkAddress, RunRecord, choose_run, in_agent};
use crate::game::assemble::build_envs;
use crate::metrics::console::{print_result, status};
use crate::run::threads::build_pool;
use crate::stop_flag::StopFlag;

const EXAMPLES: &str = "\
Examples:
  coordrl train pong --algo apex --link redis://broker:6379/0      on the learner's machine
  coordrl actor --link redis://broker:6379/0                       on any other, any number of times
  coordrl actor --link env --actors 16 --run pong/apex-conv/seed1-20260101-120000

`ps` shows the URL: if it has a password, put it into COORDRL_LINK and give `--link env`, or into a
file and give `--link @FILE`.";

/// Time between two progress lines.
const REPORT_EVERY: Duration = Duration::from_secs(10);
/// Time between two looks for a run that has not begun.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Act for a learner on another machine, over a Redis.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Actor {
    /// Address of the Redis (6.2 or later, or Valkey): a URL, `env` (COORDRL_LINK) or @FILE
    #[arg(long, value_name = "URL")]
    link: String,
    /// Run to act for, as its learner prints it [default: the only one there]
    #[arg(long, value_name = "NAME")]
    run: Option<String>,
    /// Number of actors, each a thread with as many environments as one of the learner's own has, or
    /// `apex.envs` if it has none [default: one per core]
    #[arg(long, value_name = "N")]
    actors: Option<usize>,
    /// Folder of ROMs [default: COORDRL_ROM_DIR, else those of the set-up]
    #[arg(long, value_name = "DIR")]
    rom_dir: Option<PathBuf>,
}

impl Actor {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        if self.actors == Some(0) {
            return Err(BadRequest::error("`--actors` is 0; the least is 1"));
        }
        let link = LinkAddress::of_flag(&self.link)?;
        let stop = StopFlag::on_signals()?;
        let Some((run, mut broker)) = self.find_run(&link, &stop)? else {
            return Ok(ExitCode::Interrupted);
        };
        let Some(record) =
            wait_for(&stop, "the run's record", || broker.record().map_err(in_agent))?
        else {
            return Ok(ExitCode::Interrupted);
        };

        let RunRecord { mut config, .. } = RunRecord::from_bytes(&record)?;
        if config.algo != Algo::Apex {
            return Err(BadRequest::error(format!("`{run}` is not a run of Ape-X")));
        }
        config.rom_dir.clone_from(&self.rom_dir);
        let count = self.count(&config)?;
        let me = ProcessId::random();
        let actors = build_actors(&config, count, me)?;
        let frame_skip = actors[0].spec().frame_skip;
        let envs: usize = actors.iter().map(VecEnv::len).sum();
        status!("process {me} of `{run}`: {} · {count} actors · {envs} environments", config.game);

        let mut reporter = ActorReporter::start(envs, frame_skip);
        let mut lines = ProgressLines { at: Instant::now() };
        let about = Box::new(|progress: &ActorProgress| {
            let report = reporter.report(progress);
            lines.update(&report);
            serde_json::to_string(&report).unwrap_or_default()
        });
        let process = ActorProcess {
            config: &config.apex,
            torso: find_torso(&config.torso)?,
            seed: seed_of(&config, me),
            actors,
            broker: Box::new(broker),
            me,
            accepts: Box::new(|later: &[u8]| same_work(&config, later)),
            about,
        };
        let progress = process.run(&|| !stop.is_raised())?;
        let frames = progress.agent_steps * u64::from(frame_skip);
        print_result(&format!(
            "`{run}`: {frames} frames sent in {} batches, {} bytes per transition",
            progress.batches,
            progress.bytes.checked_div(progress.transitions).unwrap_or_default()
        ))?;
        Ok(if stop.is_raised() { ExitCode::Interrupted } else { ExitCode::Ok })
    }

    /// Returns the number of actors: one per core, as far as there are places for them.
    fn count(&self, config: &RunConfig) -> anyhow::Result<usize> {
        let places = config.apex.fleet.places as usize;
        let each = config.apex.envs_of_remote_actor();
        let most = places / each;
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let count = self.actors.unwrap_or(cores.min(most.max(1)));
        if count > most {
            return Err(BadRequest::error(format!(
                "actors: {count}, with {each} environments each; the learner's `apex.fleet.places` \
                 has room for {places} environments"
            )));
        }
        if self.actors.is_none() && most < cores {
            status!(
                "{most} actors on {cores} cores: `apex.fleet.places` of the learner is {places}"
            );
        }
        Ok(count)
    }

    /// Returns the name of the run and its broker, once there is such a run; `None` if stopped.
    fn find_run(
        &self,
        link: &LinkAddress,
        stop: &StopFlag,
    ) -> anyhow::Result<Option<(String, RedisBroker)>> {
        let name = wait_for(stop, "a run", || choose_run(link, self.run.as_deref()))?;
        let Some(name) = name else { return Ok(None) };
        let broker = RedisBroker::new(link.url(), &name).map_err(in_agent)?;
        Ok(Some((name, broker)))
    }
}

/// Asks until there is an answer; `None` if stopped. Says once what it waits for.
fn wait_for<T, E>(
    stop: &StopFlag,
    what: &str,
    mut ask: impl FnMut() -> Result<Option<T>, E>,
) -> anyhow::Result<Option<T>>
where
    anyhow::Error: From<E>,
{
    let mut said = false;
    while !stop.is_raised() {
        if let Some(found) = ask()? {
            return Ok(Some(found));
        }
        if !said {
            status!("waits for {what} at the broker");
            said = true;
        }
        thread::sleep(LOOK_EVERY);
    }
    Ok(None)
}

/// Checks that another learner's record asks for the same experience.
fn same_work(config: &RunConfig, later: &[u8]) -> Result<(), String> {
    let later = RunRecord::from_bytes(later).map_err(|error| error.to_string())?.config;
    let work = |config: &RunConfig| {
        (config.game.clone(), config.torso.clone(), config.env.clone(), config.apex.clone())
    };
    if work(&later) == work(config) { Ok(()) } else { Err("its settings are others".to_owned()) }
}

/// Returns the seed of this process's draws: that of the run, and different in every process.
fn seed_of(config: &RunConfig, me: ProcessId) -> u64 {
    config.seed ^ me.0
}

/// Builds the environments of this process.
fn build_actors(config: &RunConfig, count: usize, me: ProcessId) -> anyhow::Result<Vec<VecEnv>> {
    let each = config.apex.envs_of_remote_actor();
    let pool = build_pool(None, 1)?;
    build_envs(config, seed_of(config, me), &vec![each; count], &pool).context("environments")
}

/// Prints a progress line now and then.
struct ProgressLines {
    at: Instant,
}

impl ProgressLines {
    fn update(&mut self, report: &ActorReport) {
        if self.at.elapsed() < REPORT_EVERY {
            return;
        }
        self.at = Instant::now();

        let ActorReport { frames, frames_per_sec, weights_of_update, waits_for, .. } = report;
        match (waits_for, weights_of_update) {
            (Some(what), _) => status!("waits for {what}"),
            (None, version) => {
                let version = version.unwrap_or_default();
                status!(
                    "{frames} frames sent, {frames_per_sec:.0} frames/s, weights of update {version}"
                );
            }
        }
    }
}
