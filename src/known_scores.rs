//! Known scores of a random policy and of a human, where they hold.

use coordrl_envs::{GameSetting, ReferenceScores, ResolvedEnvConfig, reference_scores};

/// Mode and difficulty, as `` `env.mode` 3 ``, where they are not left at the default: that is another game
/// than the one whose scores are known. A number counts as another even if the game starts with it, since only
/// the emulator knows which that is.
pub fn other_settings(env: &ResolvedEnvConfig) -> Vec<String> {
    let named = |(key, setting): (&str, GameSetting)| match setting {
        GameSetting::Default => None,
        GameSetting::Number(number) => Some(format!("`{key}` {number}")),
    };
    let settings = [("env.mode", env.mode), ("env.difficulty", env.difficulty)];
    settings.into_iter().filter_map(named).collect()
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
}
