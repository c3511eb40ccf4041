//! One run read from its folder: settings, provenance and learning curve.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use super::ArmId;
use crate::config::RunConfig;
use crate::metrics::LogAxis;
use crate::metrics::accumulate::WINDOW_GAMES;
use crate::metrics::read::{ReadPoint, read_points};
use crate::metrics::tags;
use crate::run::run_dir::{Meta, RunDir, RunDirError};

/// Run of a game, as read from its folder.
#[derive(Clone, Debug)]
pub struct Run {
    /// Folder of the run, as it was reached.
    pub path: PathBuf,
    /// Settings.
    pub config: RunConfig,
    /// Provenance: programs, machines and sessions.
    pub meta: Meta,
    /// Learning curve used for the scores: of evaluations or of training games.
    pub curve: Vec<CurvePoint>,
    /// Source of `curve`.
    pub scored_by: ScoredBy,
    /// Curve of training games, from the first log point with a mean return.
    pub training: Vec<CurvePoint>,
    /// Facts about its evaluations; absent if there are none.
    pub evaluated: Option<Evaluated>,
    /// Number of frames, counted back from the end, that the last 100 training games span.
    pub window_frames: f64,
    /// Share of the torso's features that were dead at the end; absent in runs of early versions.
    pub dead_share: Option<f64>,
    /// Frames trained.
    pub frames: u64,
    /// Frames at which the run is complete: its own last frame, or that of its sweep's cell.
    pub due: u64,
    /// Number of full games finished.
    pub episodes: u64,
    /// Seconds spent training.
    pub wall_secs: f64,
    /// `true` if training diverged.
    pub diverged: bool,
}

/// Source of a run's scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ScoredBy {
    /// Full games evaluated with the current weights during training, and with the final weights.
    Evaluation,
    /// Last 100 training games: a mean over a long past, and the longer the games, the longer.
    Training,
}

/// Facts about the evaluations of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evaluated {
    /// `true` if the last evaluation used the final weights.
    pub has_final: bool,
    /// Number of games in the last evaluation.
    pub last_games: u64,
    /// Number of games, over all evaluations, cut at the frame limit.
    pub games_cut: u64,
}

/// Point of a learning curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CurvePoint {
    /// Emulator frames trained.
    pub frames: f64,
    /// Hours spent training; NaN if the run does not report it.
    pub hours: f64,
    /// Mean return of an evaluation's games, or of the last 100 training games.
    pub score: f64,
}

impl Run {
    /// Returns `true` if a folder holds a run of a game; studies have a different configuration.
    pub fn is_one(path: &Path) -> Result<bool, RunDirError> {
        // Read as plain JSON: a study has settings that no run has, and would not parse.
        let config: Value = RunDir::open_to_read(path)?.read_config()?;
        Ok(config.get("game").is_some())
    }

    /// Explains why a search through a folder found no run.
    pub fn why_none_in(folder: &Path) -> &'static str {
        match holds_study(folder) {
            true => "it holds studies; a report compares runs of games",
            false => "nor is there one in it",
        }
    }

    /// Reads a run from its folder.
    ///
    /// # Errors
    /// If one of its files is missing or damaged.
    pub fn read(path: &Path) -> Result<Self, RunDirError> {
        let folder = RunDir::open_to_read(path)?;
        let metrics = folder.metrics_path();
        let points = read_points(&metrics).map_err(|error| {
            let text = error.to_string();
            // The error will name the file itself, so it is cut out of the cause.
            let place = format!("{}, ", metrics.display());
            RunDirError::damaged(&metrics, text.strip_prefix(&place).unwrap_or(&text))
        })?;

        let places = places(&points).map_err(|cause| RunDirError::damaged(&metrics, cause))?;
        let last = places.last();
        let config: RunConfig = folder.read_config()?;
        let training: Vec<CurvePoint> =
            places.iter().filter_map(LoggedPosition::training_point).collect();
        let evaluations = evaluation_curve(&places);
        let evaluated = evaluated(&places);
        let (curve, scored_by) = match evaluated {
            Some(_) => (evaluations, ScoredBy::Evaluation),
            None => (training.clone(), ScoredBy::Training),
        };

        Ok(Self {
            path: path.to_owned(),
            due: config.frames,
            config,
            meta: folder.read_meta()?,
            curve,
            scored_by,
            training,
            evaluated,
            window_frames: window_frames(&places),
            dead_share: places.iter().rev().find_map(|place| place.value(&tags::DEAD_SHARE)),
            frames: last.map_or(0, |place| place.frames),
            episodes: last.and_then(LoggedPosition::games).map_or(0, |games| games as u64),
            wall_secs: last.and_then(|place| place.value(&tags::WALL_SECS)).unwrap_or(f64::NAN),
            diverged: folder.diverged_path().is_file(),
        })
    }

    /// Switches to scores of training games, used if another run of the game has no evaluations.
    pub fn score_by_training(&mut self) {
        self.curve.clone_from(&self.training);
        self.scored_by = ScoredBy::Training;
    }

    /// Returns its arm.
    pub fn arm(&self) -> ArmId {
        ArmId::of(&self.config)
    }

    /// Returns `true` if the run reached its end.
    pub fn is_complete(&self) -> bool {
        self.frames >= self.due
    }

    /// Returns the frames trained, without the overshoot past the last frame to the next log point.
    pub fn length(&self) -> u64 {
        self.frames.min(self.config.frames)
    }

    /// Returns emulator frames per second over the whole run.
    pub fn frames_per_sec(&self) -> f64 {
        self.frames as f64 / self.wall_secs
    }
}

/// Returns `true` if a folder contains a study at any depth.
fn holds_study(folder: &Path) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    // `file_type` does not follow links, so the search cannot go in circles.
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders.map(|entry| entry.path()).any(|path| match Run::is_one(&path) {
        Ok(is_run) => !is_run,
        Err(_) => holds_study(&path),
    })
}

/// All log points at one frame count, usually a single one. The last interval of a run can be
/// written twice, the second time without values.
#[derive(Debug)]
struct LoggedPosition<'a> {
    frames: u64,
    points: &'a [ReadPoint],
}

impl LoggedPosition<'_> {
    /// Returns the first value of a tag.
    fn value(&self, tag: &tags::Tag) -> Option<f64> {
        self.points.iter().find_map(|point| point.value(tag))
    }

    fn training_point(&self) -> Option<CurvePoint> {
        let score = self.value(&tags::EPISODE_RETURN)?;
        Some(CurvePoint {
            frames: self.frames as f64,
            hours: self.hours().unwrap_or(f64::NAN),
            score,
        })
    }

    /// Returns the mean of an evaluation; at the end, that of the final one, which has the most
    /// games.
    fn evaluation(&self) -> Option<f64> {
        self.value(&tags::EVAL_FINAL_RETURN).or_else(|| self.value(&tags::EVAL_RETURN))
    }

    /// Returns the number of full games finished since the run began.
    fn games(&self) -> Option<f64> {
        self.value(&tags::EPISODES)
    }

    fn hours(&self) -> Option<f64> {
        self.value(&tags::WALL_SECS).map(|secs| secs / 3600.0)
    }
}

/// Builds the curve of evaluations. Their lines have no time, so each uses that of the last log
/// point.
fn evaluation_curve(places: &[LoggedPosition<'_>]) -> Vec<CurvePoint> {
    let tells_time = places.iter().any(|place| place.hours().is_some());
    // Without any times, NaN keeps the curve from being drawn over time.
    let mut hours = if tells_time { 0.0 } else { f64::NAN };
    let mut curve = Vec::new();
    for place in places {
        hours = place.hours().unwrap_or(hours);
        curve.extend(place.evaluation().map(|score| CurvePoint {
            frames: place.frames as f64,
            hours,
            score,
        }));
    }

    curve
}

fn evaluated(places: &[LoggedPosition<'_>]) -> Option<Evaluated> {
    let last = places.iter().rev().find(|place| place.evaluation().is_some())?;
    let has_final = last.value(&tags::EVAL_FINAL_RETURN).is_some();
    let points = places.iter().flat_map(|place| place.points);
    let cut: f64 = points.filter_map(|point| point.value(&tags::EVAL_GAMES_CUT)).sum();
    // At the last frame the final evaluation is logged after the periodic one.
    let of_last = last.points.iter().rev().find_map(|point| point.value(&tags::EVAL_EPISODES));
    Some(Evaluated { has_final, last_games: of_last.unwrap_or(0.0) as u64, games_cut: cut as u64 })
}

/// Returns the frames since the last log point with at least 100 fewer games than the end, or the
/// start.
fn window_frames(places: &[LoggedPosition<'_>]) -> f64 {
    let Some(last) = places.last() else { return 0.0 };
    let Some(all) = last.games() else { return last.frames as f64 };
    let before = all - WINDOW_GAMES as f64;
    let start = places.iter().rev().find(|place| place.games().is_some_and(|at| at <= before));
    (last.frames - start.map_or(0, |place| place.frames)) as f64
}

/// Groups log points by frame count, which must not decrease.
fn places(points: &[ReadPoint]) -> Result<Vec<LoggedPosition<'_>>, String> {
    let mut places: Vec<LoggedPosition<'_>> = Vec::with_capacity(points.len());
    let mut line = 1;
    for points in points.chunk_by(|a, b| a.position(LogAxis::Frames) == b.position(LogAxis::Frames))
    {
        let frames =
            points[0].position(LogAxis::Frames).ok_or(format!("line {line} has no `frames`"))?;
        if places.last().is_some_and(|before| before.frames > frames) {
            return Err(format!("line {line}: `frames` goes back"));
        }
        places.push(LoggedPosition { frames, points });
        line += points.len();
    }

    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::test_support::Fake;

    #[test]
    fn a_curve_begins_with_the_first_mean() {
        let folder = tempfile::tempdir().unwrap();
        let path =
            Fake::new("pong", "conv", 1).with_scores(&[f64::NAN, 2.0, 3.0]).write(folder.path());
        let run = Run::read(&path).unwrap();
        let places: Vec<_> = run.curve.iter().map(|point| (point.frames, point.score)).collect();
        assert_eq!(places, [(2000.0, 2.0), (3000.0, 3.0)]);
        assert!(run.is_complete() && !run.diverged);
        assert_eq!(run.frames_per_sec(), 1000.0);
    }

    #[test]
    fn evaluations_count_where_there_are_any_and_the_last_is_the_final_one() {
        let folder = tempfile::tempdir().unwrap();
        let fake = Fake::new("pong", "conv", 1)
            .with_scores(&[1.0, 2.0, 3.0])
            .with_evaluations(&[0.0, 5.0], 9.0);
        let mut run = Run::read(&fake.write(folder.path())).unwrap();
        let points = |run: &Run| -> Vec<_> {
            run.curve
                .iter()
                .map(|point| (point.frames, point.hours * 3600.0, point.score))
                .collect()
        };

        assert_eq!(points(&run), [(0.0, 0.0, 0.0), (1000.0, 1.0, 5.0), (3000.0, 3.0, 9.0)]);
        assert_eq!(run.scored_by, ScoredBy::Evaluation);
        assert_eq!(
            run.evaluated,
            Some(Evaluated { has_final: true, last_games: 100, games_cut: 0 })
        );

        run.score_by_training();
        assert_eq!(points(&run), [(1000.0, 1.0, 1.0), (2000.0, 2.0, 2.0), (3000.0, 3.0, 3.0)]);
    }

    #[test]
    fn the_window_of_training_games_is_measured_in_frames() {
        let folder = tempfile::tempdir().unwrap();
        let path = Fake::new("pong", "conv", 1).with_scores(&[1.0, 2.0]).write(folder.path());
        let with = |games: &[u64]| {
            let line = |(index, games): (usize, &u64)| {
                let frames = (index + 1) * 1000;
                format!(
                    "{{\"frames\":{frames},\"train/episode_return\":1.0,\"train/episodes\":{games}}}\n"
                )
            };
            let text: String = games.iter().enumerate().map(line).collect();
            fs::write(path.join("metrics.jsonl"), text).unwrap();
            Run::read(&path).unwrap().window_frames
        };

        assert_eq!(with(&[50, 100, 150, 200]), 2000.0);
        assert_eq!(
            with(&[90, 120, 150, 180]),
            4000.0,
            "it reaches back behind the first log point"
        );
        assert_eq!(with(&[10, 20]), 2000.0, "fewer games than the window holds");
    }

    #[test]
    fn an_interval_written_twice_counts_once_with_the_first_value_of_each_tag() {
        let folder = tempfile::tempdir().unwrap();
        let path = Fake::new("pong", "conv", 1).with_scores(&[1.0, 2.0]).write(folder.path());
        let lines = [
            r#"{"frames":1000,"train/episode_return":null,"perf/wall_secs":1.0}"#,
            r#"{"frames":1000,"train/episode_return":1.0,"perf/wall_secs":1.5}"#,
            r#"{"frames":2000,"train/episode_return":2.0,"train/episodes":150,"perf/wall_secs":2.0}"#,
            r#"{"frames":2000,"train/episode_return":7.0,"loss/value":null,"perf/wall_secs":null}"#,
        ];
        fs::write(path.join("metrics.jsonl"), lines.join("\n") + "\n").unwrap();
        let run = Run::read(&path).unwrap();
        let places: Vec<_> = run.curve.iter().map(|point| (point.frames, point.score)).collect();
        assert_eq!(places, [(1000.0, 1.0), (2000.0, 2.0)]);
        assert_eq!((run.frames, run.episodes, run.wall_secs), (2000, 150, 2.0));
    }

    #[test]
    fn what_is_damaged_is_named_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = Fake::new("pong", "conv", 1).with_scores(&[1.0, 2.0]).write(folder.path());
        let with = |text: &str| {
            fs::write(path.join("metrics.jsonl"), text).unwrap();
            Run::read(&path).unwrap_err().to_string()
        };

        assert!(with("{\"frames\":2}\n{\"frames\":1}\n").ends_with("line 2: `frames` goes back"));
        assert!(with("{\"frames\":2}\n{\"frames\":2}\n{\"frames\":1}\n").contains("line 3"));
        assert!(with("{\"updates\":2}\n").ends_with("line 1 has no `frames`"));
        let text = with("{}{\n");
        assert_eq!(text.matches("metrics.jsonl").count(), 1, "{text}");
        fs::write(path.join("config.json"), "{\"game\":\"pong\",\"torsos\":1}").unwrap();
        assert!(Run::is_one(&path).unwrap());
        assert!(Run::read(&path).is_err());
    }
}
