//! `coordrl bench study`: updates of a coordinate task.

use std::path::PathBuf;

use clap::Args;
use coordrl_agents::device::device_name;
use coordrl_studies::find_task;
use serde::Serialize;

use super::{STUDY, TurnFlags, speed_row, stopped_early};
use crate::bench::{TurnSpread, Turns};
use crate::cli::study::settings::StudySettingFlags;
use crate::exit_code::{BadRequest, ExitCode};
use crate::run::run_dir::Session;
use crate::stop_flag::StopFlag;
use crate::study::launch;
use crate::text::numbers::counted;
use crate::text::table::table;

/// Flags of the measurement.
#[derive(Debug, Args)]
pub struct StudyFlags {
    /// Task: one of the subcommands of `coordrl study`
    #[arg(default_value = "classify")]
    task: String,
    #[command(flatten)]
    turns: TurnFlags,
    /// Folder of all runs; its `presets` folder overrides the built-in presets
    #[arg(long, value_name = "DIR", default_value = "runs")]
    runs_dir: PathBuf,
    #[command(flatten)]
    settings: StudySettingFlags,
}

/// A measurement and its settings, as printed with `--json`.
#[derive(Serialize)]
struct StudyRecord<'a> {
    bench: &'a str,
    task: &'a str,
    layer: &'a str,
    turns: Turns,
    batch_size: u32,
    updates_per_sec: TurnSpread,
    session: Session,
}

pub(super) fn run(flags: &StudyFlags) -> anyhow::Result<ExitCode> {
    let task = find_task(&flags.task).map_err(|error| BadRequest::error(error.to_string()))?;
    let config = flags.settings.of_new(task, &flags.runs_dir)?;
    let turns = flags.turns;
    let stop = StopFlag::on_signals()?;
    let (mut study, device, threads) = launch::build(&config)?;
    study.update()?; // the first update is slower
    let rate = turns.turns().rate(&stop, || {
        study.update()?;
        Ok(())
    })?;
    let Some(updates_per_sec) = rate else { return Ok(stopped_early()) };

    let record = StudyRecord {
        bench: STUDY,
        task: task.name,
        layer: &config.layer,
        turns: turns.turns(),
        batch_size: config.study.batch_size,
        updates_per_sec,
        session: Session::this_process(0, device_name(device), threads),
    };
    turns.print(&record, || as_text(&record))?;
    Ok(if stop.is_raised() { ExitCode::Interrupted } else { ExitCode::Ok })
}

fn as_text(record: &StudyRecord<'_>) -> String {
    let StudyRecord { task, layer, batch_size, session, .. } = record;
    let threads = counted(session.threads, "thread");
    let title =
        format!("{task}, layer {layer}, batches of {batch_size}, {threads}, {}", session.device);
    let rows = [speed_row("updates/s", record.updates_per_sec)];
    format!("{title}\n\n{}", table(&["speed", "median", "min", "max"], &rows))
}
