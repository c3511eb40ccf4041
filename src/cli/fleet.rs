//! `coordrl fleet`: the processes of a run over several machines.

use std::io;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use coordrl_fleet::{Broker, Member, RedisBroker};
use serde::Serialize;

use crate::exit_code::{BadRequest, ExitCode};
use crate::fleet::{ActorReport, LinkAddress, choose_run, in_agent};
use crate::metrics::console::{print_result, status};
use crate::text::table::table;

const EXAMPLES: &str = "\
Examples:
  coordrl fleet show --link redis://broker:6379/0
  coordrl fleet show --link env --json
  coordrl fleet stop --link redis://broker:6379/0 --run catch/apex-conv/seed1-20260101-120000";

/// Columns of the table.
const HEADER: [&str; 8] =
    ["process", "host", "envs", "frames", "frames/s", "weights of update", "silent", "state"];
/// Longest wait of `fleet stop` for the learner's checkpoint.
const PATIENCE: Duration = Duration::from_secs(600);

/// Look at, or stop, a run over several machines.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Fleet {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the actor processes of a run.
    Show {
        #[command(flatten)]
        which: Which,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// End the learner, with a checkpoint, and all actors; the same commands continue the run.
    Stop {
        #[command(flatten)]
        which: Which,
    },
}

#[derive(Args, Debug)]
struct Which {
    /// Address of the Redis: a URL, `env` (COORDRL_LINK) or @FILE
    #[arg(long, value_name = "URL")]
    link: String,
    /// Run, as its learner prints it [default: the only one there]
    #[arg(long, value_name = "NAME")]
    run: Option<String>,
}

/// The answer of `fleet show --json`.
#[derive(Debug, Serialize)]
struct Shown {
    run: String,
    actors: Vec<ShownActor>,
}

#[derive(Debug, Serialize)]
struct ShownActor {
    process: String,
    /// Seconds since it was heard of.
    silent_secs: f64,
    /// Batches at the broker that no checkpoint of the learner covers.
    batches_at_broker: u64,
    /// Absent if it is of another version.
    #[serde(flatten)]
    report: Option<ActorReport>,
}

impl Fleet {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.action {
            Action::Show { which, json } => show(&which, json),
            Action::Stop { which } => stop(&which),
        }
    }
}

impl Which {
    /// Returns the run's name and its broker.
    fn find(&self) -> anyhow::Result<(String, RedisBroker)> {
        let link = LinkAddress::of_flag(&self.link)?;
        let run = choose_run(&link, self.run.as_deref())?
            .ok_or_else(|| BadRequest::error("no run at this broker has a learner"))?;
        let broker = RedisBroker::new(link.url(), &run).map_err(in_agent)?;
        Ok((run, broker))
    }
}

fn show(which: &Which, json: bool) -> anyhow::Result<ExitCode> {
    let (run, mut broker) = which.find()?;
    let members = broker.members().map_err(in_agent)?;
    let actors: Vec<ShownActor> = members.into_iter().map(shown).collect();
    if json {
        print_result(&serde_json::to_string(&Shown { run, actors })?)?;
        return Ok(ExitCode::Ok);
    }

    status!("`{run}`: {} actor processes", actors.len());
    let rows: Vec<Vec<String>> = actors.iter().map(row).collect();
    print_result(&table(&HEADER, &rows))?;
    Ok(ExitCode::Ok)
}

fn shown(member: Member) -> ShownActor {
    let Member { actor, silent_for, log_len, about } = member;
    ShownActor {
        process: actor.to_string(),
        silent_secs: silent_for.as_secs_f64(),
        batches_at_broker: log_len,
        report: serde_json::from_str(&about).ok(),
    }
}

fn row(actor: &ShownActor) -> Vec<String> {
    let mut row = vec![actor.process.clone()];
    match &actor.report {
        Some(report) => row.extend([
            report.host.clone(),
            report.environments.to_string(),
            report.frames.to_string(),
            format!("{:.0}", report.frames_per_sec),
            report.weights_of_update.map_or_else(|| "-".to_owned(), |update| update.to_string()),
        ]),
        None => row.extend(["-"; 5].map(str::to_owned)),
    }
    let state = match &actor.report {
        _ if actor.silent_secs > 10.0 => "gone".to_owned(),
        Some(ActorReport { waits_for: Some(what), .. }) => format!("waits for {what}"),
        _ => "acts".to_owned(),
    };
    row.extend([format!("{:.0} s", actor.silent_secs), state]);
    row
}

fn stop(which: &Which) -> anyhow::Result<ExitCode> {
    let (run, mut broker) = which.find()?;
    let epoch = broker.epoch().map_err(in_agent)?;
    let epoch = epoch.ok_or_else(|| BadRequest::error(format!("there is no run `{run}`")))?;
    broker.request_stop(epoch).map_err(in_agent)?;
    let since = Instant::now();
    while broker.has_learner().map_err(in_agent)? {
        if since.elapsed() > PATIENCE {
            let text = format!("`{run}`: its learner has not ended within {PATIENCE:?}");
            return Err(io::Error::new(io::ErrorKind::TimedOut, text).into());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    print_result(&format!("`{run}` has stopped after {:.1} s", since.elapsed().as_secs_f64()))?;
    Ok(ExitCode::Ok)
}
