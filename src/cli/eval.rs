//! `coordrl eval`: full games with a trained agent.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use coordrl_agents::ActMode;
use coordrl_envs::{EnvConfig, EpisodeStats, FrameLimit, Protocol, ResolvedEnvConfig, reference_scores};

use super::settings::parse_count;
use super::table::table;
use crate::assemble::{assets, build_pool};
use crate::checkpoint::{self, Entry};
use crate::config::{Algo, RunConfig};
use crate::device::DeviceChoice;
use crate::evaluation::{EPSILON, Evaluation, Plan, Summary, play, policy_of, usual_mode};
use crate::exit_code::{BadRequest, ExitCode};
use crate::metrics::console::print_result;
use crate::run_dir::RunDir;
use crate::training::identity;

const EXAMPLES: &str = "\
Examples:
  coordrl eval runs/pong/a2c-conv/seed1-20260101-120000
  coordrl eval runs/pong/a2c-conv/seed1-20260101-120000 --episodes 30 --policy greedy --seed 7
  coordrl eval runs/pong/a2c-conv/seed1-20260101-120000 --checkpoint best --json
  coordrl eval runs/pong/apex-conv/seed1-20260101-120000 --epsilon 0.05 --games
  coordrl eval runs/pong/a2c-conv/seed1-20260101-120000 --protocol machado --max-episode-frames 18000

What the network sees and the actions it has stay as in training, whatever the protocol. The
human-normalised score is (score - random) / |human - random|, for the 57 usual games.
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
    /// Probability of any action, with `--policy epsilon` (which this implies) [default: 0.001]
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    epsilon: Option<f64>,
    #[command(flatten)]
    rules: Rules,
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
    /// List the score of every game
    #[arg(long)]
    games: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// How actions are chosen.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum PolicyMode {
    /// Drawn from the policy's distribution, as in training
    Sampled,
    /// The most likely action, or that of the greatest Q
    Greedy,
    /// As greedy, but any action with a small probability
    Epsilon,
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
        let mode = mode_of(config.algo, self.policy, self.epsilon)?;
        let env = self.rules.apply(&config.env)?;
        let entry = checkpoint::choose(&run.checkpoints_dir(), &self.checkpoint)?;
        let evaluation = self.evaluate(&RunConfig { env, ..config }, entry, mode)?;
        let text = if self.json { serde_json::to_string(&evaluation)? } else { self.as_tables(&evaluation) };
        print_result(&text)?;
        Ok(ExitCode::Ok)
    }

    fn evaluate(&self, config: &RunConfig, checkpoint: Entry, mode: ActMode) -> anyhow::Result<Evaluation> {
        let device = self.device.resolve()?;
        let threads = self.threads.map(|threads| u32::try_from(threads).unwrap_or(u32::MAX));
        let pool = build_pool(threads, config.torch_threads)?;
        let (manifest, weights) = checkpoint::read_weights(&checkpoint, Some(&identity(config)))?;
        let policy = policy_of(config, &weights, device)?;
        let assets = assets(config.rom_dir.as_deref());
        let (game, env) = (config.game.as_str(), &config.env);
        let (episodes, seed) = (self.episodes, self.seed);
        let games = play(&Plan { game, env, assets: &assets, episodes, mode, seed }, &policy, &pool)?;
        Ok(self.report(config, checkpoint, manifest.position, mode, &games))
    }

    fn report(
        &self,
        config: &RunConfig,
        checkpoint: Entry,
        frames: u64,
        mode: ActMode,
        games: &[EpisodeStats],
    ) -> Evaluation {
        let summary = Summary::of(games);
        let env = config.env.resolve();
        Evaluation {
            run: self.run.clone(),
            checkpoint: checkpoint.path,
            frames,
            game: config.game.clone(),
            torso: config.torso.clone(),
            policy: policy_name(mode),
            protocol: format!("{:?}", env.protocol).to_lowercase(),
            start: start_of(&env),
            env,
            counting: COUNTING,
            seed: self.seed,
            human_normalised: reference_scores(&config.game)
                .map(|known| known.normalise(summary.mean_return)),
            summary,
            returns: games.iter().map(|game| game.episode_return).collect(),
            lengths_frames: games.iter().map(|game| game.episode_length_frames).collect(),
        }
    }

    fn as_tables(&self, evaluation: &Evaluation) -> String {
        let mut text = as_table(evaluation);
        if self.games {
            let games = evaluation.returns.iter().zip(&evaluation.lengths_frames).enumerate();
            let row = |(game, (score, length)): (usize, (&f64, &u64))| {
                vec![(game + 1).to_string(), format!("{score:.2}"), length.to_string()]
            };
            text.push_str("\n\n");
            text.push_str(&table(&["game", "return", "frames"], &games.map(row).collect::<Vec<_>>()));
        }
        text
    }
}

/// What was asked for, or what suits the algorithm.
pub(super) fn mode_of(
    algo: Algo,
    policy: Option<PolicyMode>,
    epsilon: Option<f64>,
) -> anyhow::Result<ActMode> {
    if let Some(epsilon) = epsilon
        && !(0.0..=1.0).contains(&epsilon)
    {
        return Err(BadRequest::error(format!("`--epsilon {epsilon}`: a probability lies between 0 and 1")));
    }
    match (algo, policy, epsilon) {
        (Algo::Apex, Some(PolicyMode::Sampled), _) => Err(BadRequest::error(
            "`--policy sampled`: the network of an Ape-X run gives values, not a distribution to draw from; \
             `epsilon` or `greedy` work",
        )),
        (_, Some(PolicyMode::Sampled | PolicyMode::Greedy), Some(_)) => {
            Err(BadRequest::error("`--epsilon` goes with `--policy epsilon` alone"))
        }
        (_, None, None) => Ok(usual_mode(algo)),
        (_, Some(PolicyMode::Sampled), None) => Ok(ActMode::Sampled),
        (_, Some(PolicyMode::Greedy), None) => Ok(ActMode::Greedy),
        (_, Some(PolicyMode::Epsilon) | None, epsilon) => {
            Ok(ActMode::EpsilonGreedy { epsilon: epsilon.unwrap_or(EPSILON) })
        }
    }
}

/// Rules of the games, where they are not those of the training.
#[derive(Debug, Args)]
#[command(next_help_heading = "Rules [default: as trained]")]
struct Rules {
    /// How games begin, go on and end
    #[arg(long, value_enum, value_name = "NAME")]
    protocol: Option<RulesProtocol>,
    /// A game begins with 1 to N no-op frames; 0 for none
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    noop_max: Option<u32>,
    /// Probability, at each frame, that the action before is held on
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    sticky_action_prob: Option<f64>,
    /// Longest game in emulator frames, or `off`
    #[arg(long, value_name = "N", value_parser = parse_frame_limit)]
    max_episode_frames: Option<FrameLimit>,
}

/// Protocols that agents are evaluated under.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum RulesProtocol {
    /// Up to 30 no-ops, no sticky actions, games of at most 108 000 frames (Mnih et al. 2015)
    Classic,
    /// No no-ops, the previous action held on with probability 0.25 (Machado et al. 2018)
    Machado,
}

impl Rules {
    /// Settings of the evaluation's environments, from those of the training.
    fn apply(&self, trained: &EnvConfig) -> anyhow::Result<EnvConfig> {
        let seen = trained.resolve();
        let protocol = match self.protocol {
            None => seen.clone(),
            Some(RulesProtocol::Classic) => Protocol::Classic.values(),
            Some(RulesProtocol::Machado) => Protocol::Machado.values(),
        };
        let rules = ResolvedEnvConfig {
            noop_max: self.noop_max.unwrap_or(protocol.noop_max),
            sticky_action_prob: self.sticky_action_prob.unwrap_or(protocol.sticky_action_prob),
            max_episode_frames: self.max_episode_frames.unwrap_or(protocol.max_episode_frames),
            frame_skip: seen.frame_skip,
            screen_size: seen.screen_size,
            frame_stack: seen.frame_stack,
            full_action_set: seen.full_action_set,
            mode: seen.mode,
            difficulty: seen.difficulty,
            ..protocol
        };
        let rules: EnvConfig = rules.into();
        let problems = rules.check();
        match problems.is_empty() {
            true => Ok(rules),
            false => {
                let list: Vec<String> = problems.iter().map(ToString::to_string).collect();
                Err(BadRequest::error(format!("the rules do not work: {}", list.join("; "))))
            }
        }
    }
}

fn parse_frame_limit(typed: &str) -> Result<FrameLimit, String> {
    if typed == "off" {
        return Ok(FrameLimit::Off);
    }
    let frames = typed.parse().ok().and_then(std::num::NonZeroU64::new);
    frames.map(FrameLimit::Frames).ok_or_else(|| "a number of frames above 0, or `off`".to_owned())
}

fn policy_name(mode: ActMode) -> String {
    match mode {
        ActMode::Sampled => "sampled".to_owned(),
        ActMode::Greedy => "greedy".to_owned(),
        ActMode::EpsilonGreedy { epsilon } => format!("epsilon {epsilon}"),
    }
}

/// How games begin and what disturbs them, in words.
fn start_of(env: &ResolvedEnvConfig) -> String {
    let mut parts = Vec::new();
    parts.push(match env.noop_max {
        0 => "plain reset".to_owned(),
        noops => format!("1 to {noops} no-ops"),
    });
    if env.fire_on_reset {
        parts.push("FIRE where the game has it".to_owned());
    }
    if env.sticky_action_prob > 0.0 {
        parts.push(format!("sticky actions {}", env.sticky_action_prob));
    }
    if let FrameLimit::Frames(frames) = env.max_episode_frames {
        parts.push(format!("at most {frames} frames"));
    }
    parts.join(", ")
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
        evaluation.human_normalised.map_or_else(|| "-".to_owned(), number),
    ];
    let header = ["games", "mean return", "sd", "median", "min", "max", "mean frames", "human-normalised"];
    format!(
        "{} · torso {} · {} frames trained · {} · policy {} · seed {}\nstart: {} · {}\n{}",
        evaluation.game,
        evaluation.torso,
        evaluation.frames,
        evaluation.protocol,
        evaluation.policy,
        evaluation.seed,
        evaluation.start,
        evaluation.counting,
        table(&header, &[cells.to_vec()])
    )
}
