//! `coordrl eval`: full games with a trained agent.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use coordrl_agents::{ActMode, Policy, find_torso};
use coordrl_envs::{EnvSeed, EpisodeStats, Role, make_env};

use super::settings::parse_count;
use super::table::table;
use crate::assemble::{assets, build_pool};
use crate::checkpoint::{self, Entry};
use crate::config::{Algo, RunConfig};
use crate::device::DeviceChoice;
use crate::evaluation::{Evaluation, Plan, Summary, play};
use crate::exit_code::{BadRequest, ExitCode};
use crate::metrics::console::print_result;
use crate::run_dir::RunDir;
use crate::training::identity;

const EXAMPLES: &str = "\
Examples:
  coordrl eval runs/pong/a2c-conv/seed1-20260101-120000
  coordrl eval runs/pong/a2c-conv/seed1-20260101-120000 --episodes 30 --policy greedy --seed 7
  coordrl eval runs/pong/a2c-conv/seed1-20260101-120000 --checkpoint best --json

Games are counted whole, not by lives. After a lost life the game goes on as in training,
with FIRE pressed again where the run's protocol does that. Nothing is written to the run.";

const COUNTING: &str = "full games, not lives; after a lost life as in training, FIRE included";

/// Play full games with a trained agent.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Eval {
    /// Run folder
    run: PathBuf,
    /// Number of full games
    #[arg(long, value_name = "N", default_value = "100", value_parser = parse_count, allow_negative_numbers = true)]
    episodes: u64,
    /// How actions are chosen [default: sampled; of an Ape-X run: epsilon]
    #[arg(long, value_enum)]
    policy: Option<PolicyMode>,
    /// Everything random follows from this number; streams differ from those of training
    #[arg(long, value_name = "N", default_value = "1", value_parser = parse_count, allow_negative_numbers = true)]
    seed: u64,
    /// `last`, `best`, or a number of frames
    #[arg(long, value_name = "WHICH", default_value = "last")]
    checkpoint: String,
    /// Worker threads; never changes a result [default: one per core]
    #[arg(long, value_name = "N", value_parser = parse_count, allow_negative_numbers = true)]
    threads: Option<u64>,
    /// auto, cpu or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: DeviceChoice,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// How actions are chosen.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum PolicyMode {
    /// Drawn from the policy's distribution, as in training
    Sampled,
    /// The most likely action, or that of the greatest Q
    Greedy,
    /// As greedy, but any action with probability 0.001
    Epsilon,
}

/// ε of an evaluation: as good as greedy, but no game goes round in a circle for ever.
const EPSILON: f64 = 0.001;

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
        let mode = self.mode(config.algo)?;
        let entry = checkpoint::choose(&run.checkpoints_dir(), &self.checkpoint)?;
        let evaluation = self.evaluate(&config, entry, mode)?;
        let text = if self.json { serde_json::to_string(&evaluation)? } else { as_table(&evaluation) };
        print_result(&text)?;
        Ok(ExitCode::Ok)
    }

    /// What was asked for, or what suits the algorithm.
    fn mode(&self, algo: Algo) -> anyhow::Result<PolicyMode> {
        match (algo, self.policy) {
            (Algo::A2c, policy) => Ok(policy.unwrap_or(PolicyMode::Sampled)),
            (Algo::Apex, None) => Ok(PolicyMode::Epsilon),
            (Algo::Apex, Some(PolicyMode::Sampled)) => Err(BadRequest::error(
                "`--policy sampled`: the network of an Ape-X run gives values, not a distribution to draw from; \
                 `epsilon` or `greedy` work",
            )),
            (Algo::Apex, Some(policy)) => Ok(policy),
        }
    }

    fn evaluate(
        &self,
        config: &RunConfig,
        checkpoint: Entry,
        policy_mode: PolicyMode,
    ) -> anyhow::Result<Evaluation> {
        let device = self.device.resolve()?;
        let threads = self.threads.map(|threads| u32::try_from(threads).unwrap_or(u32::MAX));
        let pool = build_pool(threads, config.torch_threads)?;
        let assets = assets(config.rom_dir.as_deref());
        let (manifest, weights) = checkpoint::read_weights(&checkpoint, Some(&identity(config)))?;
        let probe = EnvSeed { seed: self.seed, role: Role::EvalEnv, index: 0 };
        let spec = make_env(&config.game, &config.env, &assets, probe)?.spec().clone();
        let torso = find_torso(&config.torso)?;
        let policy = match config.algo {
            Algo::A2c => Policy::build(torso, &spec, &weights, device)?,
            Algo::Apex => Policy::build_q(torso, config.apex.learner.head, &spec, &weights, device)?,
        };
        let (game, env) = (config.game.as_str(), &config.env);
        let (episodes, mode, seed) = (self.episodes, policy_mode.into(), self.seed);
        let games = play(&Plan { game, env, assets: &assets, episodes, mode, seed }, &policy, &pool)?;
        Ok(self.report(config, checkpoint, manifest.position, policy_mode, &games))
    }

    fn report(
        &self,
        config: &RunConfig,
        checkpoint: Entry,
        frames: u64,
        policy_mode: PolicyMode,
        games: &[EpisodeStats],
    ) -> Evaluation {
        Evaluation {
            run: self.run.clone(),
            checkpoint: checkpoint.path,
            frames,
            game: config.game.clone(),
            torso: config.torso.clone(),
            policy: policy_mode.name(),
            protocol: protocol_name(config),
            counting: COUNTING,
            seed: self.seed,
            summary: Summary::of(games),
            returns: games.iter().map(|game| game.episode_return).collect(),
        }
    }
}

impl PolicyMode {
    fn name(self) -> &'static str {
        match self {
            Self::Sampled => "sampled",
            Self::Greedy => "greedy",
            Self::Epsilon => "epsilon 0.001",
        }
    }
}

impl From<PolicyMode> for ActMode {
    fn from(mode: PolicyMode) -> Self {
        match mode {
            PolicyMode::Sampled => Self::Sampled,
            PolicyMode::Greedy => Self::Greedy,
            PolicyMode::Epsilon => Self::EpsilonGreedy { epsilon: EPSILON },
        }
    }
}

fn protocol_name(config: &RunConfig) -> String {
    format!("{:?}", config.env.protocol).to_lowercase()
}

fn as_table(evaluation: &Evaluation) -> String {
    let summary = &evaluation.summary;
    let number = |value: f64| format!("{value:.2}");
    let cells = [
        summary.episodes.to_string(),
        number(summary.mean_return),
        summary.sd_return.map_or_else(|| "-".to_owned(), number),
        number(summary.median_return),
        number(summary.min_return),
        number(summary.max_return),
        format!("{:.0}", summary.mean_length_frames),
    ];
    let header = ["games", "mean return", "sd", "median", "min", "max", "mean frames"];
    format!(
        "{} · torso {} · {} frames trained · {} · policy {} · seed {} · {}\n{}",
        evaluation.game,
        evaluation.torso,
        evaluation.frames,
        evaluation.protocol,
        evaluation.policy,
        evaluation.seed,
        evaluation.counting,
        table(&header, &[cells.to_vec()])
    )
}
