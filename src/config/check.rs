//! Resolves settings as typed into settings that can run: names found, gaps filled, everything
//! checked.

use coordrl_envs::GameInfo;

use super::{ConfigError, Layered, Period, Problem, RunConfig};
use crate::text::suggest::did_you_mean;

/// Fills in every setting derived from another and normalises the spelling of names.
///
/// # Errors
/// Reports all problems at once: those of single layers and those of the settings as a whole.
pub fn resolve(layered: &Layered<RunConfig>) -> Result<RunConfig, ConfigError> {
    let typed = &layered.config;
    let mut problems = layered.problems.clone();
    problems.extend(check(typed));
    if !problems.is_empty() {
        return Err(ConfigError::Problems(problems));
    }

    let mut config = typed.clone();
    // The check above has found the game, whatever spelling was typed.
    if let Ok(game) = coordrl_envs::find_game(&typed.game) {
        config.game = game.name.to_owned();
    }

    // Derived settings are written out, so that a run keeps them if the rule for them changes.
    config.env = typed.env.resolve().into();
    for algorithm in config.algorithms_mut() {
        algorithm.resolve();
    }
    Ok(config)
}

/// Returns all problems with the settings; empty if a run can be built from them.
pub fn check(config: &RunConfig) -> Vec<Problem> {
    let mut problems = Vec::new();
    problems.extend(check_game(&config.game).err());
    problems.extend(check_torso(&config.torso));
    check_counts(config, &mut problems);
    problems.extend(config.env.check());
    problems.extend(config.algorithm().check());
    problems
}

fn check_game(name: &str) -> Result<&'static GameInfo, Problem> {
    coordrl_envs::find_game(name).map_err(|error| Problem::new("game", error.to_string()))
}

fn check_torso(name: &str) -> Option<Problem> {
    let torsos = coordrl_agents::torsos();
    if torsos.iter().any(|torso| torso.name == name) {
        return None;
    }
    let names: Vec<&str> = torsos.iter().map(|torso| torso.name).collect();
    let hint = did_you_mean(name, names.iter().copied());
    Some(Problem::new(
        "torso",
        format!("unknown torso `{name}`{hint} (there are: {})", names.join(", ")),
    ))
}

fn check_counts(config: &RunConfig, problems: &mut Vec<Problem>) {
    if config.frames == 0 {
        problems.push(Problem::new("frames", "a run of 0 frames; the least is 1"));
    }

    check_threads("threads", config.threads.unwrap_or(1), problems);
    check_threads("torch_threads", config.torch_threads, problems);
    if config.threads == Some(0) {
        problems.push(Problem::new(
            "threads",
            "0 threads; the least is 1, and leaving it out means one per core",
        ));
    }

    if config.torch_threads == 0 {
        problems.push(Problem::new("torch_threads", "0 threads; the least is 1"));
    }

    check_evaluation(config, problems);
    if config.video.max_frames == 0 {
        problems.push(Problem::new(
            "video.max_frames",
            "0 frames; the least is 1, and `video.every_frames=off` makes no video",
        ));
    }

    if config.keep_checkpoints == 0 {
        let text = "0 checkpoints kept would leave nothing to resume from; the least is 1";
        problems.push(Problem::new("keep_checkpoints", text));
    }

    if config.log_every_frames == Period::Off && config.checkpoint_every_frames == Period::Off {
        let text =
            "off, and `log_every_frames` is off too: the run would leave no trace until its end";
        problems.push(Problem::new("checkpoint_every_frames", text));
    }
}

/// Maximum number of evaluation games: each has an emulator of its own, all at the same time.
const MOST_EVALUATION_GAMES: u64 = 1000;

fn check_evaluation(config: &RunConfig, problems: &mut Vec<Problem>) {
    let evaluation = &config.evaluation;
    for (key, games) in [
        ("evaluation.episodes", evaluation.episodes),
        ("evaluation.final_episodes", evaluation.final_episodes),
    ] {
        if games == 0 {
            let text = "0 games; the least is 1, and `evaluation.every_frames=off` plays none";
            problems.push(Problem::new(key, text));
        }
        if games > MOST_EVALUATION_GAMES {
            let text = format!(
                "{games} games, all of them side by side; the most is {MOST_EVALUATION_GAMES}, \
                 and `coordrl eval` plays any number"
            );
            problems.push(Problem::new(key, text));
        }
    }

    for (key, frames) in [
        ("evaluation.max_frames", evaluation.max_frames),
        ("evaluation.final_max_frames", evaluation.final_max_frames),
    ] {
        if frames == 0 {
            let text = "0 frames; the least is 1, and `evaluation.every_frames=off` plays none";
            problems.push(Problem::new(key, text));
        }
    }
}

/// Maximum number of threads: more than any machine has is a typing error, and the system may abort
/// on it.
const MOST_THREADS: u32 = 1024;

fn check_threads(key: &str, threads: u32, problems: &mut Vec<Problem>) {
    if threads > MOST_THREADS {
        problems.push(Problem::new(key, format!("{threads} threads; the most is {MOST_THREADS}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layered(config: RunConfig) -> Layered<RunConfig> {
        Layered { config, problems: Vec::new(), origins: Default::default() }
    }

    #[test]
    fn the_defaults_can_be_run_and_resolving_twice_changes_nothing() {
        let config = resolve(&layered(RunConfig::default())).unwrap();
        assert_eq!(resolve(&layered(config.clone())).unwrap(), config);
    }

    #[test]
    fn all_problems_are_listed_at_once() {
        let mut config = RunConfig {
            game: "pogn".to_owned(),
            torso: "cordconv".to_owned(),
            frames: 0,
            threads: Some(0),
            torch_threads: 0,
            keep_checkpoints: 0,
            ..RunConfig::default()
        };

        config.env.frame_skip = Some(0);
        config.a2c.envs = 2;
        config.a2c.actors = Some(3);
        let keys: Vec<String> = check(&config).into_iter().map(|problem| problem.key).collect();
        let expected = [
            "game",
            "torso",
            "frames",
            "threads",
            "torch_threads",
            "keep_checkpoints",
            "env.frame_skip",
            "a2c.actors",
        ];
        assert_eq!(keys, expected);
        let mut layered = layered(config);
        layered.problems.push(Problem::new("a2c.env", "no such setting"));
        let text = resolve(&layered).unwrap_err().to_string();
        assert!(
            text.contains("9 problems") && text.contains("`pong`") && text.contains("`coordconv`"),
            "{text}"
        );
    }
}
