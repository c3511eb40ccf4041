//! Exit code of an error.

use coordrl_agents::apex::FleetError;
use coordrl_agents::device::DeviceError;
use coordrl_agents::replay::ReplayError;
use coordrl_agents::{AgentError, NetworkError};
use coordrl_envs::EnvError;
use coordrl_fleet::BrokerError;
use coordrl_studies::StudyError;

use crate::config::ConfigError;
use crate::exit_code::{BadRequest, ExitCode};
use crate::machine::TooLarge;
use crate::report::ReportError;
use crate::run::checkpoint::CheckpointError;
use crate::run::run_dir::RunDirError;
use crate::study::dump::DumpError;
use crate::sweep::SweepError;

/// Returns the exit code of the first cause in the error's chain that has one.
pub fn exit_code_of(error: &anyhow::Error) -> ExitCode {
    error.chain().find_map(code_of_cause).unwrap_or(ExitCode::Unexpected)
}

fn code_of_cause(cause: &(dyn std::error::Error + 'static)) -> Option<ExitCode> {
    if cause.is::<BadRequest>() || cause.is::<ConfigError>() || cause.is::<DeviceError>() {
        return Some(ExitCode::BadRequest);
    }

    if cause.is::<TooLarge>() {
        return Some(ExitCode::MachineRefused);
    }

    if let Some(error) = cause.downcast_ref::<RunDirError>() {
        return Some(error.exit_code());
    }

    if let Some(error) = cause.downcast_ref::<ReportError>() {
        return Some(error.exit_code());
    }

    if let Some(error) = cause.downcast_ref::<CheckpointError>() {
        return Some(error.exit_code());
    }

    if let Some(error) = cause.downcast_ref::<SweepError>() {
        return Some(error.exit_code());
    }

    if let Some(error) = cause.downcast_ref::<EnvError>() {
        return Some(code_of_env_error(error));
    }

    if let Some(error) = cause.downcast_ref::<AgentError>() {
        return Some(code_of_agent_error(error));
    }

    if let Some(error) = cause.downcast_ref::<NetworkError>() {
        return Some(code_of_network_error(error));
    }

    if let Some(error) = cause.downcast_ref::<StudyError>() {
        return Some(code_of_study_error(error));
    }

    let is_refusal = cause.is::<std::io::Error>()
        || cause.is::<DumpError>()
        || cause.is::<rayon::ThreadPoolBuildError>();
    is_refusal.then_some(ExitCode::MachineRefused)
}

/// A broken environment is a bug; other game and ROM errors are for the user to fix.
fn code_of_env_error(error: &EnvError) -> ExitCode {
    match error {
        EnvError::BadState { .. } => ExitCode::BadRun,
        EnvError::InEnv { source, .. } => code_of_env_error(source),
        EnvError::Emulator { .. }
        | EnvError::IllegalAction { .. }
        | EnvError::NeedsReset { .. }
        | EnvError::BufferLength { .. }
        | EnvError::NoEnvs
        | EnvError::SpecMismatch { .. } => ExitCode::Unexpected,
        _ => ExitCode::BadRequest,
    }
}

fn code_of_agent_error(error: &AgentError) -> ExitCode {
    match error {
        AgentError::Config(_) => ExitCode::BadRequest,
        AgentError::Env { source, .. } => code_of_env_error(source),
        AgentError::Network(source) => code_of_network_error(source),
        AgentError::NonFinite { .. } => ExitCode::Diverged,
        AgentError::State { .. } => ExitCode::BadRun,
        AgentError::Replay(source) => code_of_replay_error(source),
        AgentError::NoThread { .. } => ExitCode::MachineRefused,
        AgentError::Fleet(source) => code_of_fleet_error(source),
        // libtorch's calls inside the maths panic when memory runs out.
        AgentError::Panicked { message, .. } if is_about_memory(message) => {
            ExitCode::MachineRefused
        }
        _ => ExitCode::Unexpected,
    }
}

fn code_of_fleet_error(error: &FleetError) -> ExitCode {
    match error {
        FleetError::NoLink(_)
        | FleetError::Changed(_)
        | FleetError::Broker(BrokerError::Refused(_)) => ExitCode::BadRequest,
        FleetError::Taken(_) | FleetError::Lost(_) => ExitCode::BadRun,
        FleetError::Broker(BrokerError::NoAnswer(_) | BrokerError::Full(_))
        | FleetError::NoThread => ExitCode::MachineRefused,
        FleetError::ThreadEnded => ExitCode::Unexpected,
    }
}

/// Replay contents come from checkpoints or training; any other error is a bug.
fn code_of_replay_error(error: &ReplayError) -> ExitCode {
    match error {
        ReplayError::Config { .. } => ExitCode::BadRequest,
        ReplayError::Memory { .. } | ReplayError::Io(_) => ExitCode::MachineRefused,
        ReplayError::SnapshotMismatch { .. }
        | ReplayError::SnapshotDamaged { .. }
        | ReplayError::DamagedPlane { .. }
        | ReplayError::WriterState { .. } => ExitCode::BadRun,
        ReplayError::NonFinite { .. } | ReplayError::Priority { .. } => ExitCode::Diverged,
        _ => ExitCode::Unexpected,
    }
}

/// Weights come from checkpoints; everything else about a network comes from the settings.
fn code_of_network_error(error: &NetworkError) -> ExitCode {
    match error {
        NetworkError::UnknownTorso { .. } | NetworkError::ObsTooSmall { .. } => {
            ExitCode::BadRequest
        }
        NetworkError::WrongShape { .. }
        | NetworkError::WrongCount { .. }
        | NetworkError::MissingParameter { .. }
        | NetworkError::UnknownParameter { .. } => ExitCode::BadRun,
        // libtorch reports only text: "out of memory" or "alloc", on both CPU and CUDA.
        NetworkError::Torch(cause) if is_about_memory(&cause.to_string()) => {
            ExitCode::MachineRefused
        }
        NetworkError::WrongWayBack { .. } | NetworkError::Torch(_) => ExitCode::Unexpected,
    }
}

fn code_of_study_error(error: &StudyError) -> ExitCode {
    match error {
        StudyError::Config(_)
        | StudyError::Unknown { .. }
        | StudyError::LayerShape { .. }
        | StudyError::Digits(_)
        | StudyError::Folder(_)
        | StudyError::Unreadable { .. } => ExitCode::BadRequest,
        StudyError::Network(source) => code_of_network_error(source),
        StudyError::NonFinite { .. } => ExitCode::Diverged,
        StudyError::State { .. } => ExitCode::BadRun,
        StudyError::NoThread { .. } => ExitCode::MachineRefused,
        StudyError::Panicked { message, .. } if is_about_memory(message) => {
            ExitCode::MachineRefused
        }
        _ => ExitCode::Unexpected,
    }
}

fn is_about_memory(text: &str) -> bool {
    text.contains("out of memory") || text.contains("can't allocate memory")
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::PathBuf;

    use anyhow::Context;

    use super::*;

    #[test]
    fn the_first_cause_with_a_code_decides_whatever_context_is_around_it() {
        let full = CheckpointError::CannotWrite {
            path: PathBuf::new(),
            cause: io::ErrorKind::StorageFull.into(),
        };
        let error = Err::<(), _>(full).context("while training").unwrap_err();
        assert_eq!(exit_code_of(&error), ExitCode::MachineRefused);
        assert_eq!(exit_code_of(&BadRequest::error("no").context("outer")), ExitCode::BadRequest);
        assert_eq!(exit_code_of(&anyhow::anyhow!("who knows")), ExitCode::Unexpected);
        let io = anyhow::Error::from(io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!(exit_code_of(&io), ExitCode::MachineRefused);
    }

    #[test]
    fn errors_of_the_libraries_have_the_documented_codes() {
        let code = |error: AgentError| exit_code_of(&error.into());
        let diverged = AgentError::NonFinite { what: "the loss is", update: 3, table: "a2c" };
        assert_eq!(code(diverged), ExitCode::Diverged);
        assert_eq!(code(AgentError::State { reason: String::new() }), ExitCode::BadRun);
        let missing = EnvError::RomMissing { game: "pong".to_owned(), path: PathBuf::new() };
        assert_eq!(code(AgentError::Env { actor: 0, source: missing }), ExitCode::BadRequest);
        let wrong = NetworkError::MissingParameter { name: "policy.bias".to_owned() };
        assert_eq!(code(wrong.into()), ExitCode::BadRun);
        let broken = EnvError::Emulator { game: "pong".to_owned(), cause: String::new() };
        let inner = EnvError::InEnv { index: 1, source: Box::new(broken) };
        assert_eq!(exit_code_of(&inner.into()), ExitCode::Unexpected);
    }
}
