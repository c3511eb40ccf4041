//! `coordrl bench study`: updates of a study, and the loading of its pictures.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use coordrl_agents::device::device_name;
use coordrl_studies::{Study, find_task};
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
    /// Of tasks that read pictures: rows per second of the updates and of loading alone, and the share
    /// of the updates' time that was spent waiting for rows.
    #[serde(flatten)]
    loading: Option<Loading>,
    session: Session,
}

#[derive(Clone, Copy, Serialize)]
struct Loading {
    rows_per_sec: TurnSpread,
    loaded_rows_per_sec: TurnSpread,
    data_wait_share: f64,
}

pub(super) fn run(flags: &StudyFlags) -> anyhow::Result<ExitCode> {
    let task = find_task(&flags.task).map_err(|error| BadRequest::error(error.to_string()))?;
    let config = flags.settings.of_new(task, &flags.runs_dir)?;
    let turns = flags.turns;
    let stop = StopFlag::on_signals()?;
    let (mut study, device, threads) = launch::build(&config)?;
    study.update()?; // the first update is slower
    study.take_intake();
    let mut updating = Duration::ZERO;
    let rate = turns.turns().rate(&stop, || {
        let since = Instant::now();
        study.update()?;
        updating += since.elapsed();
        Ok(())
    })?;
    let Some(updates_per_sec) = rate else { return Ok(stopped_early()) };
    let data_wait_share = study.take_intake().waited_secs / updating.as_secs_f64();
    let batch_size = config.study.batch_size;
    let batches = load_alone(&study, turns.turns(), &stop)?;
    let loading = batches.map(|batches| Loading {
        rows_per_sec: updates_per_sec.times(study.rows_per_update()),
        loaded_rows_per_sec: batches.times(study.rows_per_update()),
        data_wait_share,
    });

    let record = StudyRecord {
        bench: STUDY,
        task: task.name,
        layer: &config.layer,
        turns: turns.turns(),
        batch_size,
        updates_per_sec,
        loading,
        session: Session::this_process(0, device_name(device), threads),
    };
    turns.print(&record, || as_text(&record))?;
    Ok(if stop.is_raised() { ExitCode::Interrupted } else { ExitCode::Ok })
}

/// Measures batches loaded per second, if the task's rows need it.
fn load_alone(study: &Study, turns: Turns, stop: &StopFlag) -> anyhow::Result<Option<TurnSpread>> {
    if !study.load_batch(0)? {
        return Ok(None);
    }
    let mut index = 0;
    turns.rate(stop, || {
        index += 1;
        study.load_batch(index)?;
        Ok(())
    })
}

fn as_text(record: &StudyRecord<'_>) -> String {
    let StudyRecord { task, layer, batch_size, session, .. } = record;
    let threads = counted(session.threads, "thread");
    let title =
        format!("{task}, layer {layer}, batches of {batch_size}, {threads}, {}", session.device);
    let mut rows = vec![speed_row("updates/s", record.updates_per_sec)];
    if let Some(Loading { rows_per_sec, loaded_rows_per_sec, data_wait_share }) = record.loading {
        rows.push(speed_row("rows/s of the updates", rows_per_sec));
        rows.push(speed_row("rows/s, loading alone", loaded_rows_per_sec));
        let waits = format!("waiting for rows: {:.1} % of the time", 100.0 * data_wait_share);
        let table = table(&["speed", "median", "min", "max"], &rows);
        return format!("{title}\n\n{table}\n\n{waits}");
    }
    format!("{title}\n\n{}", table(&["speed", "median", "min", "max"], &rows))
}
