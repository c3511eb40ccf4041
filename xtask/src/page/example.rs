//! Synthetic runs: curves by formula that exercise everything a report shows or warns about.

use anyhow::{Context, Result};
use serde_json::json;
use std::fs;
use std::path::Path;

/// Game, score at the start, score at the end.
const GAMES: [(&str, f64, f64); 3] =
    [("breakout", 1.7, 80.0), ("catch", -1.0, 0.9), ("pong", -20.7, 16.0)];
/// Algorithm, torso, factor on the learning speed.
const ARMS: [(&str, &str, f64); 4] = [
    ("a2c", "conv", 1.0),
    ("a2c", "coordconv", 1.4),
    ("a2c", "a-torso-with-a-name-that-is-far-too-long-for-any-table-or-legend", 0.8),
    ("apex", "conv", 0.9),
];
const SEEDS: u64 = 3;
const POINTS: u64 = 60;
const FRAMES: u64 = 3_000_000;

/// Writes run folders below `runs`: all games, arms and seeds, including an unfinished run, one of
/// another commit, and an arm missing in one game.
pub fn write_runs(runs: &Path) -> Result<()> {
    for (place, (game, start, end)) in GAMES.into_iter().enumerate() {
        for (arm, (algo, torso, speed)) in ARMS.into_iter().enumerate() {
            for seed in 1..=SEEDS {
                if (algo, game) == ("apex", "catch") {
                    continue;
                }
                let run =
                    Run { game, algo, torso, seed, start, end, speed, oddity: place * 10 + arm };
                let folder =
                    runs.join(game).join(format!("{algo}-{torso}")).join(format!("seed{seed}"));
                run.write(&folder).with_context(|| format!("cannot write {}", folder.display()))?;
            }
        }
    }

    Ok(())
}

struct Run {
    game: &'static str,
    algo: &'static str,
    torso: &'static str,
    seed: u64,
    start: f64,
    end: f64,
    speed: f64,
    /// Selects the irregularity of this run.
    oddity: usize,
}

impl Run {
    fn write(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder)?;
        let Self { game, algo, torso, seed, .. } = self;
        let config =
            json!({"game": game, "algo": algo, "torso": torso, "seed": seed, "frames": FRAMES});
        fs::write(folder.join("config.json"), config.to_string())?;
        fs::write(folder.join("meta.json"), self.meta().to_string())?;
        // The last run of one arm stops half way.
        let points = if self.oddity == 1 && *seed == SEEDS { POINTS / 2 } else { POINTS };
        let lines: String = (1..=points).map(|point| self.line(point)).collect();
        fs::write(folder.join("metrics.jsonl"), lines)?;
        Ok(())
    }

    fn meta(&self) -> serde_json::Value {
        let commit = if self.oddity == 0 && self.seed == 1 { "unknown" } else { "0123456789ab" };
        let words = ["coordrl", "train", self.game, "--algo", self.algo, "--torso", self.torso];
        json!({
            "version": "0.1.0", "commit": commit, "seed": self.seed, "preset": self.game, "forked_from": null,
            "init_from": null, "parameters": 1_687_719 + 2_560 * self.oddity,
            "sessions": [{
                "started_unix_secs": 1_800_000_000, "start_position": 0, "command": words, "device": "cpu",
                "threads": 2, "host": "example", "platform": "linux-x86_64", "cores": 2
            }]
        })
    }

    /// Logistic curve with waves that differ between seeds.
    fn line(&self, point: u64) -> String {
        let [share, seed] = [point as f64 / POINTS as f64, self.seed as f64];
        let rise = 1.0 / (1.0 + (-9.0 * (share * self.speed - 0.45 - 0.03 * seed)).exp());
        let wave = 0.04 * (13.0 * share + 2.0 * seed).sin() * share;
        let score = self.start + (self.end - self.start) * (rise + wave);
        let frames = FRAMES / POINTS * point;
        let value = json!({
            "frames": frames, "train/episode_return": (point > 1).then_some(score), "train/episodes": point * 5,
            "perf/wall_secs": frames as f64 / (2_500.0 + 40.0 * seed)
        });
        format!("{value}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_lie_where_a_report_looks_and_end_where_they_should() {
        let folder = tempfile::tempdir().unwrap();
        write_runs(folder.path()).unwrap();
        let last = |path: &str| {
            let text = fs::read_to_string(folder.path().join(path).join("metrics.jsonl")).unwrap();
            let line: serde_json::Value =
                serde_json::from_str(text.lines().last().unwrap()).unwrap();
            line["frames"].as_u64().unwrap()
        };
        assert_eq!(last("pong/apex-conv/seed3"), FRAMES);
        assert_eq!(last("breakout/a2c-coordconv/seed3"), FRAMES / 2);
        assert!(!folder.path().join("catch/apex-conv").exists());
    }
}
