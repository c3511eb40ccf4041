//! What a run folder holds: a run of a game or a study.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::config::RunConfig;
use crate::study::StudyRunConfig;

/// The kinds of run, which share the layout of their folders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An agent on a game.
    Game,
    /// A coordinate task.
    Study {
        /// Its name.
        task: String,
    },
}

/// What a `config.json` can be read as.
pub trait RunConfiguration: DeserializeOwned {
    /// Whether it describes runs of this kind; all kinds unless it says otherwise.
    fn describes(_kind: &Kind) -> bool {
        true
    }
}

impl RunConfiguration for Value {}

impl RunConfiguration for RunConfig {
    fn describes(kind: &Kind) -> bool {
        *kind == Kind::Game
    }
}

impl RunConfiguration for StudyRunConfig {
    fn describes(kind: &Kind) -> bool {
        *kind != Kind::Game
    }
}

impl Kind {
    /// The kind that a `config.json` is of; `None` if it has neither's main key.
    pub fn of(config: &Value) -> Option<Self> {
        let [task, game] = ["task", "game"].map(|key| config.get(key).and_then(Value::as_str));
        match (task, game) {
            (Some(task), None) => Some(Self::Study { task: task.to_owned() }),
            (None, Some(_)) => Some(Self::Game),
            _ => None,
        }
    }

    /// The command that continues such a run, up to its folder.
    pub fn resume(&self) -> String {
        match self {
            Self::Game => "coordrl train --resume".to_owned(),
            Self::Study { task } => format!("coordrl study {task} --resume"),
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Game => "a run of a game, not a study",
            Self::Study { .. } => "a study, not a run of a game",
        })
    }
}
