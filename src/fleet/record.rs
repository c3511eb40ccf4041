//! Description of a run for actor processes.

use serde::{Deserialize, Serialize};

use crate::config::RunConfig;
use crate::exit_code::BadRequest;

/// Version and commit of this program: learner and actors must have the same.
const PROGRAM: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("COORDRL_BUILD_COMMIT"), ")");

/// A run as its learner describes it at the broker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunRecord {
    /// Version and commit of the learner's program.
    pub program: String,
    /// Resolved settings of the run.
    pub config: RunConfig,
}

/// The version alone, readable whatever comes with it.
#[derive(Deserialize)]
struct Program {
    program: String,
}

impl RunRecord {
    /// Describes a run of this program.
    pub fn of(config: &RunConfig) -> Self {
        // Where the ROMs lie is a machine's own business.
        let config = RunConfig { rom_dir: None, ..config.clone() };
        Self { program: PROGRAM.to_owned(), config }
    }

    /// Serialises to JSON.
    pub fn to_bytes(&self) -> anyhow::Result<Vec<u8>> {
        Ok(serde_json::to_vec(self)?)
    }

    /// Parses the output of [`RunRecord::to_bytes`], from this process or another.
    ///
    /// # Errors
    /// If the learner's program is of another version or commit.
    pub fn from_bytes(bytes: &[u8]) -> anyhow::Result<Self> {
        let bad = |error| BadRequest::error(format!("the run's record does not parse: {error}"));
        let Program { program } = serde_json::from_slice(bytes).map_err(bad)?;
        if program != PROGRAM {
            return Err(BadRequest::error(format!(
                "the learner is coordrl {program}, this is {PROGRAM}: both must be the same"
            )));
        }
        serde_json::from_slice(bytes).map_err(bad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_without_the_folder_of_roms() {
        let config = RunConfig { rom_dir: Some("/secret".into()), ..RunConfig::default() };
        let bytes = RunRecord::of(&config).to_bytes().unwrap();
        let read = RunRecord::from_bytes(&bytes).unwrap();
        assert_eq!(read.config, RunConfig { rom_dir: None, ..config });
    }

    #[test]
    fn another_version_is_named_whatever_else_it_has() {
        let error = RunRecord::from_bytes(br#"{"program": "9.9", "settings": 3}"#).unwrap_err();
        assert!(error.to_string().contains("coordrl 9.9"), "{error}");
        assert!(RunRecord::from_bytes(b"nothing").is_err());
    }
}
