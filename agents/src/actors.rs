//! Checks and distribution of environments across actors.

use coordrl_envs::{Problem, VecEnv};

use crate::AgentError;

/// Position of an actor among all actors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Actor index.
    pub actor: usize,
    /// Index of its first environment across all actors.
    pub first_env: usize,
}

/// Checks that the settings are valid and that the environments match them and are all of one kind.
pub(crate) fn check_setup(
    problems: Vec<Problem>,
    expected: &[usize],
    actors: &[VecEnv],
) -> Result<(), AgentError> {
    if !problems.is_empty() {
        return Err(AgentError::Config(problems));
    }
    let found: Vec<usize> = actors.iter().map(VecEnv::len).collect();
    if found != expected {
        return Err(AgentError::ActorSizes { found, expected: expected.to_vec() });
    }
    match actors.iter().position(|envs| envs.spec() != actors[0].spec()) {
        Some(actor) => Err(AgentError::ActorSpec { actor }),
        None => Ok(()),
    }
}

/// Starts one actor per vector of environments.
pub(crate) fn start_each<A>(
    actors: Vec<VecEnv>,
    start: impl Fn(Place, VecEnv) -> Result<A, AgentError>,
) -> Result<Vec<A>, AgentError> {
    let mut started = Vec::with_capacity(actors.len());
    let mut first_env = 0;
    for (actor, envs) in actors.into_iter().enumerate() {
        let place = Place { actor, first_env };
        first_env += envs.len();
        started.push(start(place, envs)?);
    }
    Ok(started)
}
