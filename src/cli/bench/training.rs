//! `coordrl bench env` and the algorithms: environments, alone and with an agent.

use coordrl_agents::device::device_name;
use serde::Serialize;

use super::{BenchFlags, ENV, number, speed_row, stopped_early};
use crate::bench::{AgentBench, Benched, EnvBench, Speeds, Turns};
use crate::config::RunConfig;
use crate::exit_code::ExitCode;
use crate::run::run_dir::Session;
use crate::stop_flag::StopFlag;
use crate::text::numbers::counted;
use crate::text::table::table;

/// A finished measurement.
#[derive(Serialize)]
struct BenchResult {
    envs: usize,
    #[serde(flatten)]
    speeds: Speeds,
    session: Session,
}

/// A measurement and its settings, as printed with `--json`.
#[derive(Serialize)]
struct BenchRecord<'a> {
    bench: &'a str,
    game: &'a str,
    torso: Option<&'a str>,
    turns: Turns,
    #[serde(flatten)]
    measured: &'a BenchResult,
}

/// Measures what `what` names: environments or an algorithm.
pub(super) fn run(what: &str, flags: &BenchFlags) -> anyhow::Result<ExitCode> {
    let config = flags.config((what != ENV).then_some(what))?;
    let turns = flags.turns.turns();
    let stop = StopFlag::on_signals()?;
    let measured = match what {
        ENV => measure_envs(&config, turns, &stop)?,
        _ => measure_agent(&config, turns, &stop)?,
    };
    let Some(measured) = measured else { return Ok(stopped_early()) };

    let torso = (what != ENV).then_some(config.torso.as_str());
    let game = &config.game;
    let record = BenchRecord { bench: what, game, torso, turns, measured: &measured };
    flags.turns.print(&record, || as_text(what, &config, &measured))?;
    Ok(if stop.is_raised() { ExitCode::Interrupted } else { ExitCode::Ok })
}

fn as_text(what: &str, config: &RunConfig, measured: &BenchResult) -> String {
    let BenchResult { speeds, envs, session } = measured;
    let subject = match what {
        ENV => format!("environments, {}", config.game),
        algorithm => format!("{algorithm}, {}, torso {}", config.game, config.torso),
    };
    let Session { device, threads, .. } = session;
    let [envs, threads] = [counted(*envs, "environment"), counted(*threads, "thread")];
    let title = format!("{subject}, {envs}, {threads}, {device}");

    let mut rows = vec![
        speed_row("agent steps/s", speeds.agent_steps_per_sec),
        speed_row("frames/s", speeds.frames_per_sec),
    ];
    if what != ENV {
        rows.push(speed_row("updates/s", speeds.updates_per_sec));
    }

    let parts = &speeds.micros_per_agent_step;
    let mut activities = vec![("emulate", parts.emulate), ("preprocess", parts.preprocess)];
    if what != ENV {
        activities.extend([("infer", parts.infer), ("learn", parts.learn)]);
    }
    activities.push(("wait", parts.wait));
    let whole: f64 = activities.iter().map(|(_, micros)| micros).sum();
    let activities: Vec<Vec<String>> = activities
        .into_iter()
        .map(|(name, micros)| {
            let share = format!("{:.0} %", 100.0 * micros / whole);
            vec![name.to_owned(), number(micros), share]
        })
        .collect();

    let rates = table(&["speed", "median", "min", "max"], &rows);
    let times = table(&["threads' time", "µs per agent step", "share"], &activities);
    format!("{title}\n\n{rates}\n\n{times}")
}

fn measure_envs(
    config: &RunConfig,
    turns: Turns,
    stop: &StopFlag,
) -> anyhow::Result<Option<BenchResult>> {
    let envs = config.algorithm().envs_per_actor().iter().sum();
    let mut bench = EnvBench::start(config, envs)?;
    // The first steps of a game may differ from later ones, and caches are cold.
    bench.step()?;
    let session = Session::this_process(0, "cpu".to_owned(), bench.threads());
    let speeds = turns.measure(&mut bench, stop)?;
    Ok(speeds.map(|speeds| BenchResult { speeds, envs, session }))
}

fn measure_agent(
    config: &RunConfig,
    turns: Turns,
    stop: &StopFlag,
) -> anyhow::Result<Option<BenchResult>> {
    let mut bench = AgentBench::warmed_up(config, stop)?;
    let assembled = bench.assembled();
    let session = Session::this_process(0, device_name(assembled.device), assembled.threads);
    let speeds = turns.measure(&mut bench, stop)?;
    let envs = config.algorithm().envs_per_actor().iter().sum();
    Ok(speeds.map(|speeds| BenchResult { speeds, envs, session }))
}
