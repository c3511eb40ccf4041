//! Under which rules, and how, a finished agent plays.

use clap::{Args, ValueEnum};
use coordrl_agents::ActMode;
use coordrl_envs::{EnvConfig, FrameLimit, Protocol, ResolvedEnvConfig};

use crate::config::Algo;
use crate::evaluation::{EPSILON, usual_mode};
use crate::exit_code::BadRequest;

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

/// How actions are chosen, and the rules of the games where they are not those of the training.
///
/// The last field of a command: its heading holds for every argument after it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Rules [default: as trained]")]
pub(super) struct Rules {
    /// How actions are chosen [default: sampled; of an Ape-X run: epsilon]
    #[arg(long, value_enum)]
    policy: Option<PolicyMode>,
    /// Probability of any action, with `--policy epsilon` (which this implies) [default: 0.001]
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    epsilon: Option<f64>,
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
    /// What was asked for, or what suits the algorithm.
    pub(super) fn mode(&self, algo: Algo) -> anyhow::Result<ActMode> {
        let Self { policy, epsilon, .. } = *self;
        if let Some(epsilon) = epsilon
            && !(0.0..=1.0).contains(&epsilon)
        {
            return Err(BadRequest::error(format!(
                "`--epsilon {epsilon}`: a probability lies between 0 and 1"
            )));
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

    /// Settings of the evaluation's environments, from those of the training.
    pub(super) fn apply(&self, trained: &EnvConfig) -> anyhow::Result<EnvConfig> {
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
