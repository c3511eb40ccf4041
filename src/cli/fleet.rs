//! `coordrl fleet`: the processes of a run over several machines.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use coordrl_fleet::{Broker, BrokerError, Member, RedisBroker};
use serde::Serialize;

use crate::exit_code::{BadRequest, ExitCode};
use crate::fleet::{ActorReport, Batches, LearnerReport, LinkAddress, choose_run, in_agent};
use crate::machine::size;
use crate::metrics::console::{print_result, status};
use crate::stop_flag::StopFlag;
use crate::text::table::table;

const EXAMPLES: &str = "\
Examples:
  coordrl fleet show --link redis://broker:6379/0
  coordrl fleet show --link redis://broker:6379/0 --watch
  coordrl fleet show --link env --json
  coordrl fleet stop --link redis://broker:6379/0 --run catch/apex-conv/seed1-20260101-120000";

/// Columns of the table.
const HEADER: [&str; 10] =
    ["process", "host", "envs", "frames", "frames/s", "lag", "waiting", "lost", "silent", "state"];
/// Time between two tables of `--watch`.
const LOOK_EVERY: Duration = Duration::from_secs(2);
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
    /// List the processes of a run. `lag` counts the updates by which the learner is ahead of the
    /// weights that act, `waiting` is a share of the last seconds, `lost` counts batches.
    Show {
        #[command(flatten)]
        which: Which,
        /// Show it anew every two seconds, until Ctrl-C
        #[arg(long, conflicts_with = "json")]
        watch: bool,
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
    /// Absent until it has described itself, or if it is of another version.
    learner: Option<LearnerReport>,
    /// Bytes in use at the broker, by all runs there; absent if the user may not ask.
    broker_bytes: Option<u64>,
    actors: Vec<ShownActor>,
}

#[derive(Debug, Serialize)]
struct ShownActor {
    process: String,
    /// Seconds since it was heard of.
    silent_secs: f64,
    /// Batches at the broker that no checkpoint of the learner covers.
    batches_at_broker: u64,
    /// Batches that the learner has seen; absent before the first.
    batches: Option<Batches>,
    /// Updates by which the learner is ahead of the weights that act.
    lag_updates: Option<u64>,
    /// Absent if it is of another version.
    #[serde(flatten)]
    report: Option<ActorReport>,
}

impl Fleet {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.action {
            Action::Show { which, json: true, .. } => show_json(&which),
            Action::Show { which, watch, .. } => show(&which, watch),
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

fn show_json(which: &Which) -> anyhow::Result<ExitCode> {
    let (run, mut broker) = which.find()?;
    let shown = look(run, &mut broker).map_err(in_agent)?;
    print_result(&serde_json::to_string(&shown)?)?;
    Ok(ExitCode::Ok)
}

/// Prints the table, or with `watch` one after the other.
fn show(which: &Which, watch: bool) -> anyhow::Result<ExitCode> {
    let stop = StopFlag::on_signals()?;
    let (run, mut broker) = which.find()?;
    loop {
        // A broker that is away for a moment ends nothing.
        match look(run.clone(), &mut broker) {
            Err(BrokerError::NoAnswer(reason)) if watch => status!("no answer: {reason}"),
            shown => print(&shown.map_err(in_agent)?, watch)?,
        }
        let since = Instant::now();
        while watch && !stop.is_raised() && since.elapsed() < LOOK_EVERY {
            std::thread::sleep(Duration::from_millis(50));
        }
        if !watch || stop.is_raised() {
            return Ok(ExitCode::Ok);
        }
    }
}

/// Asks the broker for the state of a run.
fn look(run: String, broker: &mut RedisBroker) -> Result<Shown, BrokerError> {
    let about = broker.description()?;
    let learner: Option<LearnerReport> = about.and_then(|about| serde_json::from_str(&about).ok());
    let broker_bytes = broker.memory()?.map(|memory| memory.used);
    let members = broker.members()?;
    let actors = members.into_iter().map(|member| shown(member, learner.as_ref())).collect();
    Ok(Shown { run, learner, broker_bytes, actors })
}

fn shown(member: Member, learner: Option<&LearnerReport>) -> ShownActor {
    let Member { actor, silent_for, log_len, about } = member;
    let report: Option<ActorReport> = serde_json::from_str(&about).ok();
    let acts_with = report.as_ref().and_then(|report| report.weights_of_update);
    let ahead = |learner: &LearnerReport| Some(learner.updates.saturating_sub(acts_with?));
    ShownActor {
        process: actor.to_string(),
        silent_secs: silent_for.as_secs_f64(),
        batches_at_broker: log_len,
        batches: learner.and_then(|learner| learner.batches.get(&actor.to_string()).copied()),
        lag_updates: learner.and_then(ahead),
        report,
    }
}

fn print(shown: &Shown, watch: bool) -> anyhow::Result<()> {
    let Shown { run, learner, broker_bytes, actors } = shown;
    if watch && io::stdout().is_terminal() {
        print_result("\x1b[H\x1b[J")?; // home, and clear from there
    }
    status!("`{run}`: {} actor processes", actors.len());
    if let Some(LearnerReport { host, frames, frames_per_sec, updates, .. }) = learner {
        status!(
            "learner: {host} · {frames} frames · {frames_per_sec:.0} frames/s · update {updates}"
        );
    }
    if let Some(bytes) = broker_bytes {
        status!("broker: {}", size(*bytes));
    }
    let rows: Vec<Vec<String>> = actors.iter().map(row).collect();
    print_result(&table(&HEADER, &rows))?;
    Ok(())
}

fn row(actor: &ShownActor) -> Vec<String> {
    let or_dash =
        |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    let mut row = vec![actor.process.clone()];
    match &actor.report {
        Some(report) => row.extend([
            report.host.clone(),
            report.environments.to_string(),
            report.frames.to_string(),
            format!("{:.0}", report.frames_per_sec),
            or_dash(actor.lag_updates),
            format!("{:.0} %", 100.0 * report.waiting_share),
        ]),
        None => row.extend(["-"; 6].map(str::to_owned)),
    }
    row.push(or_dash(actor.batches.map(|batches| batches.lost)));
    let state = match &actor.report {
        _ if actor.silent_secs > 10.0 => "gone".to_owned(),
        None => "joins".to_owned(),
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
