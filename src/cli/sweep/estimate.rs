//! Time and disk that a sweep will take.

use super::Sweep;
use super::request::SweepRequest;
use crate::machine::size;
use crate::metrics::console::{describe_secs, status};
use crate::stop_flag::StopFlag;
use crate::sweep::cell::CellState;
use crate::sweep::forecast::{self, Measured, RemainingRun, SweepEstimate};
use crate::sweep::game_run::GameCell;
use crate::sweep::{SweepError, disk};
use crate::text::numbers::counted;

impl Sweep {
    /// Prints a time and disk estimate; returns an error if the disk is too small.
    pub(super) fn forecast(&self, request: &SweepRequest, stop: &StopFlag) -> anyhow::Result<()> {
        let mut measured: Vec<(String, Measured)> = Vec::new();
        for (cell, _) in request.cells.iter().filter(|(_, state)| *state != CellState::Done) {
            if stop.is_raised() {
                return Ok(());
            }
            if measured.iter().any(|(arm, _)| *arm == cell.arm()) {
                continue;
            }
            let Some((found, how)) = self.measure(request, cell, stop)? else {
                if stop.is_raised() {
                    return Ok(());
                }
                status!("no forecast: the runs are too short for a trial");
                return Ok(());
            };
            status!("measured: {} {:.0} frames/s, {how}", cell.arm(), found.frames_per_sec);
            measured.push((cell.arm(), found));
        }

        self.print_estimate(request, &measured)
    }

    /// Measures an arm from earlier work in this sweep, or else by trial runs, and describes which.
    /// Earlier work does not record how many runs were concurrent.
    fn measure(
        &self,
        request: &SweepRequest,
        cell: &GameCell,
        stop: &StopFlag,
    ) -> anyhow::Result<Option<(Measured, String)>> {
        let same = request.cells.iter().filter(|(other, _)| other.arm() == cell.arm());
        let earlier =
            same.filter_map(|(other, _)| forecast::measured_earlier(other, &self.runs_dir));
        if let Some(found) = forecast::slowest(earlier) {
            let how = format!("by earlier runs with {} each", counted(request.threads, "thread"));
            return Ok(Some((found, how)));
        }
        let found = forecast::measure(cell, &self.runs_dir, request.jobs, stop)?;
        Ok(found.map(|found| (found, format!("{} at a time", request.jobs))))
    }

    fn print_estimate(
        &self,
        request: &SweepRequest,
        measured: &[(String, Measured)],
    ) -> anyhow::Result<()> {
        let cells = request.cells.iter();
        let left: Vec<RemainingRun<'_>> = cells
            .filter_map(|(cell, state)| {
                let (_, of_arm) = measured.iter().find(|(arm, _)| *arm == cell.arm())?;
                RemainingRun::of(cell, *state, *of_arm, &self.runs_dir)
            })
            .collect();
        let forecast = SweepEstimate::of(&left, request.jobs);
        let free = disk::free_bytes(&self.runs_dir);
        let free_text = free.map_or_else(String::new, |free| format!(" of {} free", size(free)));
        status!(
            "forecast: {} from now, {} of disk{free_text}{}",
            describe_secs(forecast.seconds),
            size(forecast.bytes),
            forecast::conditions(&left)
        );
        match free {
            Some(free) if forecast.bytes > free => {
                Err(self.too_little_disk(request, &left, forecast, free))
            }
            _ => Ok(()),
        }
    }

    fn too_little_disk(
        &self,
        request: &SweepRequest,
        left: &[RemainingRun<'_>],
        forecast: SweepEstimate,
        free: u64,
    ) -> anyhow::Error {
        // Runs that have begun must keep their settings, so smaller replays are an option only
        // before that.
        let is_new = request.cells.iter().all(|(_, state)| *state == CellState::Waiting);
        let replays = is_new && left.iter().any(RemainingRun::saves_replay);
        SweepError::Disk { needed: forecast.bytes, free, folder: self.runs_dir.clone(), replays }
            .into()
    }
}
