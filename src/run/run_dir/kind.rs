//! Kind of run in a folder: a game or a study.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// Kinds of run; they share one folder layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An agent trained on a game.
    Game,
    /// A coordinate task.
    Study {
        /// Name of the task.
        task: String,
    },
}

/// A type that `config.json` can be parsed into.
pub trait RunConfiguration: DeserializeOwned {
    /// Returns `true` if it describes runs of this kind; by default all kinds.
    fn describes(_kind: &Kind) -> bool {
        true
    }
}

impl RunConfiguration for Value {}

impl Kind {
    /// Detects the kind from a `config.json`; `None` if it has neither kind's main key.
    pub fn of(config: &Value) -> Option<Self> {
        let [task, game] = ["task", "game"].map(|key| config.get(key).and_then(Value::as_str));
        match (task, game) {
            (Some(task), None) => Some(Self::Study { task: task.to_owned() }),
            (None, Some(_)) => Some(Self::Game),
            _ => None,
        }
    }

    /// Returns the command that resumes such a run, up to its folder argument.
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
