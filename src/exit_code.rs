//! Process exit codes.

/// Exit code of the process. The numbers are part of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// Success.
    Ok = 0,
    /// Unexpected error: a bug.
    Unexpected = 1,
    /// Invalid request: flags, settings, game, or a file the user named.
    BadRequest = 2,
    /// Unusable run folder or checkpoint: in use, of another game, or damaged.
    BadRun = 3,
    /// Training diverged: a loss, logit or gradient is no longer finite.
    Diverged = 4,
    /// Insufficient resources: disk full, no write permission, out of memory.
    MachineRefused = 5,
    /// Interrupted by Ctrl-C, a termination signal or a closed terminal, after a checkpoint.
    Interrupted = 130,
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}

impl ExitCode {
    /// Returns the meaning of the exit code of another process of this program.
    pub fn from_number(number: i32) -> Self {
        let all = [
            Self::Ok,
            Self::BadRequest,
            Self::BadRun,
            Self::Diverged,
            Self::MachineRefused,
            Self::Interrupted,
        ];
        all.into_iter().find(|code| *code as i32 == number).unwrap_or(Self::Unexpected)
    }
}

/// Invalid request; for problems without an error type of their own.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadRequest(pub String);

impl BadRequest {
    /// Builds an error that ends the process with [`ExitCode::BadRequest`].
    pub fn error(text: impl Into<String>) -> anyhow::Error {
        anyhow::Error::new(Self(text.into()))
    }
}
