//! How a command ended, as the number the shell sees.

/// What the process tells the shell. The numbers are part of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// Everything asked for was done.
    Ok = 0,
    /// Something no one foresaw: a bug.
    Unexpected = 1,
    /// The request is wrong: flags, settings, game, or a file the user named.
    BadRequest = 2,
    /// The run folder or checkpoint cannot be used: in use, of another game, damaged.
    BadRun = 3,
    /// Training diverged: a loss, logit or gradient is no longer a finite number.
    Diverged = 4,
    /// The machine refused: disk full, no permission to write, out of memory.
    MachineRefused = 5,
    /// Stopped by Ctrl-C, a termination signal or a closed terminal, after a checkpoint.
    Interrupted = 130,
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}

impl ExitCode {
    /// What a number stands for that another process of this program ended with.
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

/// A request that cannot be met as it was put; for problems without an error type of their own.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadRequest(pub String);

impl BadRequest {
    /// An error that ends the process with [`ExitCode::BadRequest`].
    pub fn error(text: impl Into<String>) -> anyhow::Error {
        anyhow::Error::new(Self(text.into()))
    }
}
