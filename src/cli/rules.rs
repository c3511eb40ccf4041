//! Rules and action selection for evaluating a trained agent.

use clap::{Args, ValueEnum};
use coordrl_agents::ActMode;
use coordrl_envs::{
    EnvConfig, EnvError, EnvSeed, FrameLimit, GameKind, Protocol, ResolvedEnvConfig, Role,
    find_game, make_env,
};

use crate::config::assets;
use crate::config::{RunConfig, parse_count, parse_small_count};
use crate::exit_code::BadRequest;
use coordrl_agents::AlgorithmConfig;
use coordrl_agents::apex::EVALUATION_EPSILON;

/// Action selection.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum PolicyMode {
    /// Sample from the policy's distribution, as in training
    Sampled,
    /// Argmax of the policy or the Q-values
    Greedy,
    /// Greedy, but a random action with small probability
    Epsilon,
}

/// Action selection, and the rules of the games where they differ from training.
///
/// Must be the last field of a command: its heading applies to every argument after it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Rules [default: as trained]")]
pub(super) struct Rules {
    /// Action selection [default: sampled, or epsilon for Ape-X]
    #[arg(long, value_enum)]
    policy: Option<PolicyMode>,
    /// Probability of a random action; implies `--policy epsilon` [default: 0.001]
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    epsilon: Option<f64>,
    /// Evaluation protocol
    #[arg(long, value_enum, value_name = "NAME")]
    protocol: Option<RulesProtocol>,
    /// Start each game with 1 to N no-op frames; 0 for none
    #[arg(long, value_name = "N", value_parser = parse_small_count, allow_negative_numbers = true)]
    noop_max: Option<u32>,
    /// Sticky-action probability per frame
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    sticky_action_prob: Option<f64>,
    /// Maximum game length in emulator frames, or `off`
    #[arg(long, value_name = "N", value_parser = parse_frame_limit)]
    max_episode_frames: Option<FrameLimit>,
}

/// Protocols for evaluation.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum RulesProtocol {
    /// Up to 30 no-ops, no sticky actions, games of at most 108 000 frames (Mnih et al. 2015)
    Classic,
    /// No no-ops, sticky actions with probability 0.25 (Machado et al. 2018)
    Machado,
}

impl Rules {
    /// Returns the requested mode, or the algorithm's default.
    pub(super) fn mode(&self, algorithm: &dyn AlgorithmConfig) -> anyhow::Result<ActMode> {
        let Self { policy, epsilon, .. } = *self;
        if let Some(epsilon) = epsilon
            && !(0.0..=1.0).contains(&epsilon)
        {
            return Err(BadRequest::error(format!(
                "`--epsilon {epsilon}`: a probability lies between 0 and 1"
            )));
        }

        match (algorithm, policy, epsilon) {
            (_, Some(PolicyMode::Sampled), _) if !algorithm.algorithm().has_policy => {
                Err(BadRequest::error(
                    "`--policy sampled`: the network of an Ape-X run gives values, not a distribution to draw from; \
                 `epsilon` or `greedy` work",
                ))
            }
            (_, Some(PolicyMode::Sampled | PolicyMode::Greedy), Some(_)) => {
                Err(BadRequest::error("`--epsilon` goes with `--policy epsilon` alone"))
            }
            (_, None, None) => Ok(algorithm.evaluation_mode()),
            (_, Some(PolicyMode::Sampled), None) => Ok(ActMode::Sampled),
            (_, Some(PolicyMode::Greedy), None) => Ok(ActMode::Greedy),
            (_, Some(PolicyMode::Epsilon) | None, epsilon) => {
                Ok(ActMode::EpsilonGreedy { epsilon: epsilon.unwrap_or(EVALUATION_EPSILON) })
            }
        }
    }

    /// Derives the settings of the evaluation's environments from those of training.
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
            // What the network sees and may do stays as trained, or its outputs mean nothing.
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
    let frames = parse_count(typed).ok().and_then(std::num::NonZeroU64::new);
    frames.map(FrameLimit::Frames).ok_or_else(|| "a number of frames above 0, or `off`".to_owned())
}

/// Returns remarks that the scores need to be read correctly.
///
/// # Errors
/// If the game cannot be created.
pub(super) fn remarks(
    trained: &RunConfig,
    rules: &EnvConfig,
    mode: ActMode,
    games: u64,
) -> Result<Vec<String>, EnvError> {
    let mut remarks = Vec::new();
    let seen = trained.env.resolve();
    let rules = rules.resolve();
    if seen.fire_on_reset && !rules.fire_on_reset && has_fire(trained)? {
        remarks.push(
            "in training FIRE was pressed for the agent when a game began or a life was lost; under these rules \
             it has to press it itself, and one that never does may wait for the end of the game's frames"
                .to_owned(),
        );
    }

    // The built-in game draws from its own generator whatever the rules say.
    let is_emulated = find_game(&trained.game)?.kind == GameKind::Atari;
    if games > 1 && is_emulated && !draws_anything(mode, &rules) {
        remarks.push(format!(
            "with this policy, no no-ops and no sticky actions nothing is drawn: all {games} games are the same game"
        ));
    }

    Ok(remarks)
}

/// Returns `true` if FIRE has an effect in the game.
fn has_fire(trained: &RunConfig) -> Result<bool, EnvError> {
    // The full action set has FIRE in every game, whether it does something or not.
    let own_actions = EnvConfig { full_action_set: Some(false), ..trained.env.clone() };
    let probe = EnvSeed { seed: trained.seed, role: Role::EvalEnv, index: 0 };
    let env = make_env(&trained.game, &own_actions, &assets(trained.rom_dir.as_deref()), probe)?;
    Ok(env.spec().actions.iter().any(|action| action == "FIRE"))
}

/// Returns `true` if two games of an emulator can differ.
fn draws_anything(mode: ActMode, rules: &ResolvedEnvConfig) -> bool {
    let by_policy = match mode {
        ActMode::Sampled => true,
        ActMode::Greedy => false,
        ActMode::EpsilonGreedy { epsilon } => epsilon > 0.0,
    };
    by_policy || rules.noop_max > 0 || rules.sticky_action_prob > 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn games_differ_where_the_policy_the_start_or_the_actions_are_drawn() {
        let plain = ResolvedEnvConfig { noop_max: 0, ..Protocol::Classic.values() };
        assert!(!draws_anything(ActMode::Greedy, &plain));
        assert!(!draws_anything(ActMode::EpsilonGreedy { epsilon: 0.0 }, &plain));
        assert!(draws_anything(ActMode::EpsilonGreedy { epsilon: 0.001 }, &plain));
        assert!(draws_anything(ActMode::Sampled, &plain));
        assert!(draws_anything(ActMode::Greedy, &Protocol::Classic.values()));
        assert!(draws_anything(ActMode::Greedy, &Protocol::Machado.values()));
    }

    #[test]
    fn a_game_that_draws_its_own_start_is_not_always_the_same() {
        let catch = RunConfig { game: "catch".to_owned(), ..RunConfig::default() };
        let rules = EnvConfig { noop_max: Some(0), ..EnvConfig::of(Protocol::Machado) };
        let none: Vec<String> = Vec::new();
        assert_eq!(remarks(&catch, &rules, ActMode::Greedy, 100).unwrap(), none);
    }
}
