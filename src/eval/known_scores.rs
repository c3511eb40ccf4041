//! Known scores of a random policy and of a human, and the settings for which they hold.

use coordrl_envs::{
    FrameLimit, GameSetting, Protocol, ReferenceScores, ResolvedEnvConfig, reference_scores,
};

/// Maximum game length in the known scores, in emulator frames.
const FRAMES_OF_KNOWN_SCORES: u64 = 108_000;

/// Returns the settings under which a game's known scores do not hold, as `` `env.mode` 3 ``. Known
/// scores are of games that begin with no-ops, last up to 108 000 frames, and use the default mode
/// and difficulty.
///
/// - Another mode or difficulty is another game. An explicit number counts as another even if it is
///   the default, which only the emulator knows.
/// - A shorter limit leaves less time to score; a longer one, or none, is accepted, since few games
///   last as long.
/// - The protocol `raw` starts without no-ops and needs an action at every frame.
/// - Sticky actions and the full action set are accepted: published scores under them use the same
///   normalisation (Machado et al. 2018, arXiv:1709.06009).
pub fn other_settings(env: &ResolvedEnvConfig) -> Vec<String> {
    let mut found = Vec::new();
    for (key, setting) in [("env.mode", env.mode), ("env.difficulty", env.difficulty)] {
        if let GameSetting::Number(number) = setting {
            found.push(format!("`{key}` {number}"));
        }
    }

    if let FrameLimit::Frames(limit) = env.max_episode_frames
        && limit.get() < FRAMES_OF_KNOWN_SCORES
    {
        found.push(format!("`env.max_episode_frames` {limit}"));
    }

    if env.protocol == Protocol::Raw {
        found.push("`env.protocol` \"raw\"".to_owned());
    }

    found
}

/// Returns the known scores of a game if they hold for these settings.
pub fn known_scores(game: &str, env: &ResolvedEnvConfig) -> Option<ReferenceScores> {
    if other_settings(env).is_empty() { reference_scores(game) } else { None }
}

#[cfg(test)]
mod tests {
    use coordrl_envs::Protocol;

    use super::*;

    #[test]
    fn scores_are_known_of_the_default_mode_and_difficulty_alone() {
        let usual = Protocol::Classic.values();
        assert_eq!(other_settings(&usual), Vec::<String>::new());
        assert_eq!(known_scores("pong", &usual), reference_scores("pong"));
        assert_eq!(known_scores("catch", &usual), None);
        let number = GameSetting::Number;
        let hard = ResolvedEnvConfig { mode: number(3), difficulty: number(1), ..usual };
        assert_eq!(other_settings(&hard), ["`env.mode` 3", "`env.difficulty` 1"]);
        assert_eq!(known_scores("pong", &hard), None);
    }

    #[test]
    fn shorter_games_and_the_raw_protocol_have_none_and_longer_or_sticky_games_have() {
        let usual = Protocol::Classic.values();
        let limited = |limit| ResolvedEnvConfig { max_episode_frames: limit, ..usual.clone() };
        for frames in [600, 50_000, 107_999] {
            let short = limited(FrameLimit::frames(frames));
            assert_eq!(other_settings(&short), [format!("`env.max_episode_frames` {frames}")]);
            assert_eq!(known_scores("pong", &short), None);
        }

        for limit in [FrameLimit::frames(108_000), FrameLimit::frames(200_000), FrameLimit::Off] {
            assert_eq!(known_scores("pong", &limited(limit)), reference_scores("pong"));
        }

        assert_eq!(known_scores("pong", &Protocol::Machado.values()), reference_scores("pong"));
        assert_eq!(other_settings(&Protocol::Raw.values()), ["`env.protocol` \"raw\""]);
    }
}
