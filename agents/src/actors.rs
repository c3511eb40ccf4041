//! Environments handed to actors: whether they are as the settings say, and who gets which.

use coordrl_envs::{Problem, VecEnv};

use crate::AgentError;

/// Where an actor stands among all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Which actor it is.
    pub actor: usize,
    /// Index of its first environment among those of all actors.
    pub first_env: usize,
}

/// Whether the settings are valid and the environments are those they speak of, all of one kind.
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

/// One actor for each vector of environments.
pub(crate) fn start_each<A>(
    actors: Vec<VecEnv>,
    start: impl Fn(Place, VecEnv) -> Result<A, AgentError>,
) -> Result<Vec<A>, AgentError> {
    let mut first_env = 0;
    let start_next = |(actor, envs): (usize, VecEnv)| {
        let place = Place { actor, first_env };
        first_env += envs.len();
        start(place, envs)
    };
    actors.into_iter().enumerate().map(start_next).collect()
}
