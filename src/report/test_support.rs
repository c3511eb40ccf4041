//! Fake run folders and sweeps for tests.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::runs::Run;
use crate::config::{Algo, RunConfig};
use crate::run::run_dir::{Meta, RunDir, Session};
use crate::sweep::record::{
    CellFailure, CellRecord, RECORD_VERSION, SweepRecord, folder_of, record_path,
};

/// Frames between two log points.
const STEP: u64 = 1000;

/// Evaluations of a fake run.
#[derive(Clone, Debug)]
enum Evaluations {
    None,
    /// An evaluation at every log point that has a score, with that score.
    LikeTraining,
    Of(Vec<f64>, f64),
}

/// Fake run, complete by default.
#[derive(Clone, Debug)]
pub struct Fake {
    pub config: RunConfig,
    pub meta: Meta,
    scores: Vec<f64>,
    evaluations: Evaluations,
    pub episodes: u64,
    name: String,
    folder: Option<PathBuf>,
}

impl Fake {
    /// Builds an A2C run with three log points.
    pub fn new(game: &str, torso: &str, seed: u64) -> Self {
        let session = Session {
            started_unix_secs: 1_800_000_000,
            start_position: 0,
            commit: None,
            command: ["/some/bin/coordrl", "train", game].map(str::to_owned).to_vec(),
            device: "cpu".to_owned(),
            threads: 2,
            host: "somewhere".to_owned(),
            platform: "linux-x86_64".to_owned(),
            cpu: None,
            cores: 2,
        };

        let meta = Meta {
            commit: "0123456789ab".to_owned(),
            sessions: vec![session],
            ..Meta::new(seed, 1000)
        };

        let config = RunConfig {
            game: game.to_owned(),
            torso: torso.to_owned(),
            seed,
            ..RunConfig::default()
        };

        let fake = Self {
            config,
            meta,
            scores: Vec::new(),
            evaluations: Evaluations::LikeTraining,
            episodes: 150,
            name: format!("seed{seed}"),
            folder: None,
        };

        fake.with_scores(&[0.0, 1.0, 2.0])
    }

    /// Sets the mean returns at the log points, NaN for none yet, and the run's length accordingly.
    pub fn with_scores(mut self, scores: &[f64]) -> Self {
        self.scores = scores.to_vec();
        self.config.frames = STEP * scores.len() as u64;
        self
    }

    /// Adds evaluations at frame 0 and at the log points, and a final one.
    pub fn with_evaluations(mut self, on_the_way: &[f64], final_return: f64) -> Self {
        self.evaluations = Evaluations::Of(on_the_way.to_vec(), final_return);
        self
    }

    pub fn without_evaluations(mut self) -> Self {
        self.evaluations = Evaluations::None;
        self
    }

    /// Sets the number of frames requested.
    pub fn with_frames(mut self, frames: u64) -> Self {
        self.config.frames = frames;
        self
    }

    pub fn with_algo(mut self, algo: &str) -> Self {
        self.config.algo = if algo == "apex" { Algo::Apex } else { Algo::A2c };
        self
    }

    pub fn named(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }

    /// Sets a folder other than the default one.
    pub fn in_folder(mut self, folder: &str) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Returns its folder relative to the folder of all runs.
    pub fn place(&self) -> PathBuf {
        let Self { config, name, .. } = self;
        if let Some(folder) = &self.folder {
            return folder.clone();
        }
        Path::new(&config.game).join(format!("{}-{}", config.algo.name(), config.torso)).join(name)
    }

    /// Writes its folder below `runs`.
    pub fn write(&self, runs: &Path) -> PathBuf {
        let run = RunDir::create(&runs.join(self.place()), true).unwrap();
        run.write_config(&self.config).unwrap();
        run.write_meta(&self.meta).unwrap();
        let mut lines: Vec<(u64, String)> = self.evaluation_lines();
        lines.extend(self.scores.iter().enumerate().map(|(index, score)| {
            let frames = STEP * (index as u64 + 1);
            (frames, self.training_line(frames, *score))
        }));
        lines.sort_by_key(|(frames, _)| *frames);
        let text: String = lines.into_iter().map(|(_, line)| line).collect();
        fs::write(run.metrics_path(), text).unwrap();
        run.path().to_owned()
    }

    fn training_line(&self, frames: u64, score: f64) -> String {
        let score = score.is_finite().then_some(score);
        let point = json!({
            "frames": frames, "train/episode_return": score, "train/episodes": self.episodes as f64,
            "perf/wall_secs": frames as f64 / 1000.0,
        });
        format!("{point}\n")
    }

    /// Returns the evaluation lines with their frames.
    fn evaluation_lines(&self) -> Vec<(u64, String)> {
        let end = STEP * self.scores.len() as u64;
        match &self.evaluations {
            Evaluations::None => Vec::new(),
            Evaluations::LikeTraining => {
                let scores = self.scores.iter().enumerate().filter(|(_, score)| score.is_finite());
                scores
                    .map(|(index, score)| {
                        let frames = STEP * (index as u64 + 1);
                        evaluation_line(frames, "eval/final_return", *score, 100)
                    })
                    .collect()
            }
            Evaluations::Of(on_the_way, last) => {
                let steps = on_the_way.iter().enumerate();
                let mut lines: Vec<(u64, String)> = steps
                    .map(|(index, score)| {
                        evaluation_line(STEP * index as u64, "eval/episode_return", *score, 10)
                    })
                    .collect();
                lines.push(evaluation_line(end, "eval/final_return", *last, 100));
                lines
            }
        }
    }

    fn cell(&self, failure: Option<&str>) -> CellRecord {
        CellRecord {
            game: self.config.game.clone(),
            algo: self.config.algo,
            torso: self.config.torso.clone(),
            seed: self.config.seed,
            frames: self.config.frames,
            run: self.place(),
            failure: failure.map(|message| CellFailure {
                attempts: 2,
                ended_with: "exit code 4".to_owned(),
                message: message.to_owned(),
            }),
        }
    }
}

fn evaluation_line(frames: u64, tag: &str, score: f64, games: u64) -> (u64, String) {
    let point = json!({ "frames": frames, tag: score, "eval/episodes": games as f64, "eval/games_cut": 0.0 });
    (frames, format!("{point}\n"))
}

/// Writes a sweep below `runs` with these runs as cells, each with an optional failure. Does not
/// write the runs themselves.
pub fn write_sweep(runs: &Path, cells: &[(Fake, Option<&str>)]) -> PathBuf {
    let record = SweepRecord {
        version: RECORD_VERSION,
        name: "mine".to_owned(),
        summary: None,
        design: None,
        commands: vec![["/some/bin/coordrl", "sweep", "mine"].map(str::to_owned).to_vec()],
        cells: cells.iter().map(|(fake, failure)| fake.cell(*failure)).collect(),
    };

    let folder = folder_of(runs, "mine");
    fs::create_dir_all(&folder).unwrap();
    fs::write(record_path(&folder), serde_json::to_string(&record).unwrap()).unwrap();
    folder
}

/// Writes runs below a folder and reads them back in the same order.
pub fn read_all(folder: &Path, fakes: impl Iterator<Item = Fake>) -> Vec<Run> {
    fakes.map(|fake| Run::read(&fake.write(folder)).unwrap()).collect()
}
