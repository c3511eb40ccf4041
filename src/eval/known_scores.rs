//! Known scores of a random policy and of a human, where they hold.

use coordrl_envs::{FrameLimit, GameSetting, Protocol, ReferenceScores, ResolvedEnvConfig, reference_scores};

/// Longest game of those that the known scores are means of, in emulator frames.
const FRAMES_OF_KNOWN_SCORES: u64 = 108_000;

/// Rules under which the known scores of a game do not hold, as `` `env.mode` 3 ``. Those are of games that begin
/// with no-ops, last up to 108 000 frames, and are played in the default mode and difficulty.
///
/// - Another mode or difficulty is another game. A number counts as another even if the game starts with it,
///   since only the emulator knows which that is.
/// - A shorter limit leaves less time to score; a longer one, or none, is taken, since few games last as long.
/// - The protocol `raw` begins without no-ops, and asks for an action at every frame.
/// - Sticky actions and the full action set are taken: published scores under them are put on the same scale
///   (Machado et al. 2018, arXiv:1709.06009).
pub fn other_settings(env: &ResolvedEnvConfig) -> Vec<String> {
    let named = |(key, setting): (&str, GameSetting)| match setting {
        GameSetting::Default => None,
        GameSetting::Number(number) => Some(format!("`{key}` {number}")),
    };
    let settings = [("env.mode", env.mode), ("env.difficulty", env.difficulty)];
    let mut found: Vec<String> = settings.into_iter().filter_map(named).collect();
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

/// The known scores of a game, if it is played as they were reached.
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
