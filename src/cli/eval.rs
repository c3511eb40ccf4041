//! `coordrl eval`: full games with a trained agent.

use std::path::PathBuf;

use clap::Args;
use coordrl_agents::ActMode;
use coordrl_envs::{ResolvedEnvConfig, reference_scores};

use super::rules::{Rules, remarks};
use crate::config::assets;
use crate::config::{RunConfig, parse_count};
use crate::eval::evaluation::{EvalPlan, Evaluation, play, policy_of};
use crate::eval::known_scores::other_settings;
use crate::exit_code::{BadRequest, ExitCode};
use crate::game::training::identity;
use crate::metrics::console::{print_result, status};
use crate::run::checkpoint::{self, Entry};
use crate::run::run_dir::RunDir;
use crate::run::threads::build_pool;
use crate::stop_flag::StopFlag;
use crate::text::table::table;
use coordrl_agents::device::DeviceChoice;

const EXAMPLES: &str = "\
Examples:
  coordrl eval runs/pong/a2c-conv/seed1-20260101-120000
  coordrl eval runs/pong/a2c-conv/seed1-20260101-120000 --episodes 30 --policy greedy --seed 7
  coordrl eval runs/pong/a2c-conv/seed1-20260101-120000 --checkpoint best --json
  coordrl eval runs/pong/apex-conv/seed1-20260101-120000 --epsilon 0.05 --games
  coordrl eval runs/pong/a2c-conv/seed1-20260101-120000 --protocol machado --max-episode-frames 18000

Observations and the action set stay as in training, whatever the protocol.
Scores are of full games, not of single lives. The human-normalised score is
(score - random) / |human - random|, for the 57 standard games. The run is not modified.";

/// Play full games with a trained agent.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Eval {
    /// Run folder
    run: PathBuf,
    /// Number of full games
    #[arg(long, value_name = "N", default_value = "100", value_parser = parse_count, allow_negative_numbers = true)]
    episodes: u64,
    /// Random seed; its streams are separate from those of training
    #[arg(long, value_name = "N", default_value = "1", value_parser = parse_count, allow_negative_numbers = true)]
    seed: u64,
    /// `last`, `best` or a frame count
    #[arg(long, value_name = "WHICH", default_value = "last")]
    checkpoint: String,
    /// Worker threads; does not affect results [default: one per core]
    #[arg(long, value_name = "N", value_parser = parse_count, allow_negative_numbers = true)]
    threads: Option<u64>,
    /// auto, cpu or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: DeviceChoice,
    /// List the score of every game
    #[arg(long)]
    games: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    rules: Rules,
}

impl Eval {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        if self.episodes == 0 {
            return Err(BadRequest::error("`--episodes 0`: the least is 1"));
        }

        if self.threads == Some(0) {
            return Err(BadRequest::error("`--threads 0`: the least is 1"));
        }

        let run = RunDir::open_to_read(&self.run)?;
        let config: RunConfig = run.read_config()?;
        let mode = self.rules.mode(config.algorithm())?;
        let env = self.rules.apply(&config.env)?;
        let remarks = remarks(&config, &env, mode, self.episodes)?;
        remarks.iter().for_each(|remark| status!("remark: {remark}"));
        let entry = checkpoint::choose(&run.checkpoints_dir(), &self.checkpoint)?;
        let evaluation =
            Evaluation { remarks, ..self.evaluate(&RunConfig { env, ..config }, entry, mode)? };
        let text = if self.json {
            serde_json::to_string(&evaluation)?
        } else {
            self.as_tables(&evaluation)
        };

        print_result(&text)?;
        Ok(ExitCode::Ok)
    }

    fn evaluate(
        &self,
        config: &RunConfig,
        checkpoint: Entry,
        mode: ActMode,
    ) -> anyhow::Result<Evaluation> {
        let device = self.device.resolve()?;
        let threads = self.threads.map(|threads| u32::try_from(threads).unwrap_or(u32::MAX));
        let pool = build_pool(threads, config.torch_threads)?;
        let (manifest, weights) = checkpoint::read_weights(&checkpoint, Some(&identity(config)))?;
        let policy = policy_of(config, &weights, device)?;
        let assets = assets(config.rom_dir.as_deref());
        let plan = EvalPlan {
            game: &config.game,
            env: &config.env,
            assets: &assets,
            episodes: self.episodes,
            mode,
            seed: self.seed,
            first_game: 0,
            max_frames: None,
        };

        // Nothing raises this flag, so the games are always played to their end.
        let games = play(&plan, &policy, &pool, &StopFlag::default())?.unwrap_or_default();
        let folders = [self.run.as_path(), checkpoint.path.as_path()];

        Ok(Evaluation::new(&plan, &config.torso, folders, manifest.position, &games))
    }

    fn as_tables(&self, evaluation: &Evaluation) -> String {
        let mut text = as_table(evaluation);
        if self.games {
            let games = evaluation.returns.iter().zip(&evaluation.lengths_frames).enumerate();
            let rows: Vec<Vec<String>> = games
                .map(|(game, (score, length))| {
                    vec![(game + 1).to_string(), format!("{score:.2}"), length.to_string()]
                })
                .collect();
            text.push_str("\n\n");
            text.push_str(&table(&["game", "return", "frames"], &rows));
        }

        text
    }
}

fn as_table(evaluation: &Evaluation) -> String {
    let summary = &evaluation.summary;
    let cells = [
        summary.episodes.to_string(),
        cell(summary.mean_return),
        summary.sd_return.map_or_else(|| "-".to_owned(), cell),
        cell(summary.median_return),
        cell(summary.min_return),
        cell(summary.max_return),
        format!("{:.0}", summary.mean_length_frames),
        evaluation.human_normalised.map_or_else(|| "-".to_owned(), cell),
    ];
    let note = why_not_normalised(&evaluation.game, &evaluation.env);
    let header =
        ["games", "mean return", "sd", "median", "min", "max", "mean frames", "human-normalised"];
    format!(
        "{} · torso {} · {} frames trained · {} · policy {} · seed {}\nstart: {} · {}\n{}{}",
        evaluation.game,
        evaluation.torso,
        evaluation.frames,
        evaluation.protocol,
        evaluation.policy,
        evaluation.seed,
        evaluation.start,
        evaluation.counting,
        table(&header, &[cells.to_vec()]),
        note.map_or_else(String::new, |note| format!("\n{note}"))
    )
}

fn cell(value: f64) -> String {
    format!("{value:.2}")
}

/// Explains why a game with known scores has no human-normalised one.
fn why_not_normalised(game: &str, env: &ResolvedEnvConfig) -> Option<String> {
    let settings = other_settings(env);
    (!settings.is_empty() && reference_scores(game).is_some()).then(|| {
        format!(
            "not human-normalised: the games have {}, and the known scores are of games of up to 108 000 frames that begin \
             with no-ops, in the default mode and difficulty",
            settings.join(" and ")
        )
    })
}

#[cfg(test)]
mod tests {
    use coordrl_envs::{GameSetting, Protocol};

    use super::*;

    #[test]
    fn another_mode_is_why_there_is_no_human_normalised_score() {
        let usual = Protocol::Classic.values();
        assert_eq!(why_not_normalised("pong", &usual), None);
        let other = ResolvedEnvConfig { mode: GameSetting::Number(1), ..usual };
        let text = why_not_normalised("pong", &other);
        assert!(text.is_some_and(|text| text.contains("`env.mode` 1")));
        assert_eq!(why_not_normalised("catch", &other), None);
    }
}
