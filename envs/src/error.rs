//! Errors of environments.

use std::path::PathBuf;

use crate::config::Problem;
use crate::suggest::hint;

/// Reasons why an environment could not be made, stepped, saved or restored.
#[derive(Debug, thiserror::Error)]
pub enum EnvError {
    /// No game of this name.
    #[error("unknown game `{name}`{}; `coordrl games` lists all", hint(.suggestions))]
    UnknownGame {
        /// As typed.
        name: String,
        /// Similar names, best first.
        suggestions: Vec<&'static str>,
    },
    /// Looks like a Gymnasium id, but Gymnasium has no such id.
    #[error("Gymnasium has no id `{name}`; did you mean {nearest}?")]
    UnknownGymId {
        /// As typed.
        name: String,
        /// Most similar id, and the game.
        nearest: String,
    },
    /// A Gymnasium id whose observations are the console's RAM.
    #[error(
        "`{name}` observes the console's RAM, agents here see its screen; `{game}` names the game"
    )]
    RamObservations {
        /// As typed.
        name: String,
        /// Name of the game.
        game: &'static str,
    },
    /// ALE ships this ROM but does not know where it keeps its score and game-over flag.
    #[error(
        "game `{name}` cannot be played: ALE ships its ROM but has no settings for it; `coordrl games` lists the 104 it supports"
    )]
    UnsupportedGame {
        /// As typed.
        name: String,
    },
    /// The settings contradict each other or are out of range.
    #[error("{} in the environment's settings: {}", count(.0), list(.0))]
    Config(Vec<Problem>),
    /// No ROM file.
    #[error("no ROM for `{game}`: looked for {}; `cargo xtask setup` brings the ROMs", .path.display())]
    RomMissing {
        /// Name of the game.
        game: String,
        /// Expected path.
        path: PathBuf,
    },
    /// The ROM file cannot be read.
    #[error("cannot read the ROM {}: {cause}", .path.display())]
    RomUnreadable {
        /// Path of the file.
        path: PathBuf,
        /// Underlying I/O error.
        cause: std::io::Error,
    },
    /// The ROM differs from the one that ALE's settings of the game are written for.
    #[error(
        "{} is not the ROM ALE supports for `{game}`: its MD5 is {found}, not {expected}; `cargo xtask setup` brings the right one",
        .path.display()
    )]
    RomWrong {
        /// Name of the game.
        game: String,
        /// Path of the file.
        path: PathBuf,
        /// MD5 of the file.
        found: String,
        /// MD5 of the ROM that ALE supports.
        expected: String,
    },
    /// The emulator itself reported a failure.
    #[error("the emulator failed on `{game}`: {cause}")]
    Emulator {
        /// Name of the game.
        game: String,
        /// The emulator's message.
        cause: String,
    },
    /// This build has no emulator.
    #[error("game `{game}` needs the Arcade Learning Environment; build with the feature `ale`")]
    BuiltWithoutAle {
        /// Name of the game.
        game: String,
    },
    /// An action index out of range.
    #[error("action {action} is out of range: `{game}` has {num_actions} actions, 0 to {}", .num_actions - 1)]
    IllegalAction {
        /// Index given.
        action: usize,
        /// Number of actions.
        num_actions: usize,
        /// Name of the game.
        game: String,
    },
    /// A mode that this game does not have.
    #[error("mode {mode} is not one of `{game}`: it has {available:?}; set `env.mode`")]
    IllegalMode {
        /// Name of the game.
        game: String,
        /// Mode requested.
        mode: u32,
        /// Modes of the game.
        available: Vec<u32>,
    },
    /// A difficulty that this game does not have.
    #[error(
        "difficulty {difficulty} is not one of `{game}`: it has {available:?}; set `env.difficulty`"
    )]
    IllegalDifficulty {
        /// Name of the game.
        game: String,
        /// Difficulty requested.
        difficulty: u32,
        /// Difficulties of the game.
        available: Vec<u32>,
    },
    /// Stepped past the end of an episode, or before the first reset.
    #[error("`{game}` was stepped before a reset: its episode is over or has not begun")]
    NeedsReset {
        /// Name of the game.
        game: String,
    },
    /// A buffer of the wrong length.
    #[error("the buffer of {what} holds {found} elements, not {expected}")]
    BufferLength {
        /// Name of the buffer.
        what: &'static str,
        /// Actual length.
        found: usize,
        /// Required length.
        expected: usize,
    },
    /// A saved state that cannot be restored here. Nothing was changed.
    #[error("saved state of `{game}` cannot be restored: {reason}")]
    BadState {
        /// Name of the game.
        game: String,
        /// Reason.
        reason: String,
    },
    /// An environment that cannot save its state.
    #[error("environment `{game}` cannot save or restore its state")]
    StateNotSupported {
        /// Name of the environment.
        game: String,
    },
    /// An empty vector of environments.
    #[error("a vector of environments needs at least one")]
    NoEnvs,
    /// Environments of different kinds in one vector.
    #[error(
        "environment {index} is a `{found}` that differs from environment 0, a `{expected}`, in name, shape or actions"
    )]
    SpecMismatch {
        /// Index of the first that differs.
        index: usize,
        /// Its name.
        found: String,
        /// Name of environment 0.
        expected: String,
    },
    /// One environment of a vector failed.
    #[error("environment {index} failed: {source}")]
    InEnv {
        /// Index in the vector.
        index: usize,
        /// Its error.
        source: Box<EnvError>,
    },
    /// The parity tool inspects the emulator, and this game has none.
    #[error("`{game}` cannot be traced: it is not an Atari game")]
    NotTraceable {
        /// Name of the game.
        game: String,
    },
    /// A wrapped environment's spaces do not fit.
    #[error("environment `{game}` cannot be wrapped: {reason}")]
    Unwrappable {
        /// Name of the environment.
        game: String,
        /// Mismatch found.
        reason: String,
    },
}

impl EnvError {
    /// Adds the index of the environment within its vector.
    pub(crate) fn in_env(self, index: usize) -> Self {
        Self::InEnv { index, source: Box::new(self) }
    }
}

fn count(problems: &[Problem]) -> String {
    match problems.len() {
        1 => "1 problem".to_owned(),
        n => format!("{n} problems"),
    }
}

fn list(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
    lines.join("; ")
}
