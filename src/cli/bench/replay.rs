//! `coordrl bench replay`: how fast batches are drawn, and how fast a learner learns from them.

use coordrl_agents::device::device_name;
use serde::Serialize;

use super::{BenchFlags, REPLAY, speed_row, stopped_early};
use crate::bench::{ReplayBench, ReplaySpeeds, Turns};
use crate::config::Algo;
use crate::exit_code::ExitCode;
use crate::run::run_dir::Session;
use crate::stop_flag::StopFlag;
use crate::text::numbers::counted;
use crate::text::table::table;

/// A measurement and its settings, as printed with `--json`.
#[derive(Serialize)]
struct ReplayRecord<'a> {
    bench: &'a str,
    game: &'a str,
    torso: &'a str,
    turns: Turns,
    batch_size: u32,
    transitions: usize,
    bytes_per_transition: u64,
    #[serde(flatten)]
    speeds: &'a ReplaySpeeds,
    session: Session,
}

pub(super) fn run(flags: &BenchFlags) -> anyhow::Result<ExitCode> {
    let config = flags.config(Some(Algo::Apex.name()))?;
    let turns = flags.turns.turns();
    let stop = StopFlag::on_signals()?;
    let mut bench = ReplayBench::filled(&config, &stop)?;
    if stop.is_raised() {
        return Ok(stopped_early());
    }
    let Some(speeds) = bench.measure(turns, &stop)? else { return Ok(stopped_early()) };

    let record = ReplayRecord {
        bench: REPLAY,
        game: &config.game,
        torso: &config.torso,
        turns,
        batch_size: config.apex.learner.batch_size,
        transitions: bench.transitions(),
        bytes_per_transition: bench.bytes_per_transition(),
        speeds: &speeds,
        session: Session::this_process(0, device_name(bench.device()), bench.threads()),
    };
    flags.turns.print(&record, || as_text(&record))?;
    Ok(if stop.is_raised() { ExitCode::Interrupted } else { ExitCode::Ok })
}

fn as_text(record: &ReplayRecord<'_>) -> String {
    let ReplayRecord { game, torso, batch_size, transitions, bytes_per_transition, .. } = record;
    let Session { device, threads, .. } = &record.session;
    let title = format!(
        "replay, {game}, {transitions} transitions of {bytes_per_transition} bytes, batches of {batch_size}\n\
         learner, torso {torso}, {}, {device}",
        counted(*threads, "thread")
    );
    let rows = [
        speed_row("batches drawn/s, one thread", record.speeds.drawn_batches_per_sec),
        speed_row("learner's updates/s", record.speeds.learner_updates_per_sec),
    ];
    format!("{title}\n\n{}", table(&["speed", "median", "min", "max"], &rows))
}
