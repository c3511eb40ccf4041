//! The thread of an actor.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::AgentError;
use crate::apex::actor::{Actor, QSource};
use crate::apex::inference::{InferenceClient, InferenceNetwork};
use crate::apex::link::Link;

/// An actor returned by its thread, with its own network if it has one.
pub(in crate::apex) type ActorExit = (Actor, Option<Box<InferenceNetwork>>);

/// The loop of an actor's thread.
pub(in crate::apex) struct ActorLoop {
    pub link: Box<dyn Link>,
    pub q: ActorInference,
    /// Number of agent steps that all actors together may still take.
    pub left: Arc<AtomicU64>,
    pub pausing: Arc<AtomicBool>,
    pub send_every: u64,
    pub weights_every: u64,
}

/// Source of an actor's Q-values.
pub(in crate::apex) enum ActorInference {
    Own(Box<InferenceNetwork>),
    Central(InferenceClient),
}

impl ActorLoop {
    /// Acts until paused, the agent steps are used up, or the link is closed.
    pub fn run(mut self, mut actor: Actor) -> Result<ActorExit, AgentError> {
        let envs = actor.len() as u64;
        while !self.pausing.load(Ordering::SeqCst) && self.take_steps(envs) {
            actor.step(self.q.source())?;

            // Sent before newer weights are loaded: it is stamped with those that acted.
            // Counted over the whole run and saved with the actor, so a pause does not shift the
            // rhythm of messages and of new weights.
            let send = actor.agent_steps().is_multiple_of(self.send_every);
            // A closed link means that the learner has stopped; its error ends the run.
            if send && self.link.send(actor.take_experience(self.q.source().version())).is_err() {
                return Ok((actor, self.q.into_network()));
            }

            if actor.agent_steps().is_multiple_of(self.weights_every) {
                self.q.refresh(self.link.as_ref())?;
            }
        }

        // Sent whatever its length, so that a pause loses no experience.
        let _ = self.link.send(actor.take_experience(self.q.source().version()));
        Ok((actor, self.q.into_network()))
    }

    /// Claims agent steps from the shared budget; the last claim may exceed it by a few.
    fn take_steps(&self, count: u64) -> bool {
        // A plain subtraction could wrap around below 0 and grant an endless budget.
        let claimed = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
            (left > 0).then(|| left.saturating_sub(count))
        });
        claimed.is_ok()
    }
}

impl ActorInference {
    /// Returns the actor's own network, to be stored in its slot.
    fn into_network(self) -> Option<Box<InferenceNetwork>> {
        match self {
            Self::Own(network) => Some(network),
            Self::Central(_) => None,
        }
    }

    fn source(&mut self) -> &mut dyn QSource {
        match self {
            Self::Own(network) => network.as_mut(),
            Self::Central(client) => client,
        }
    }

    fn refresh(&mut self, link: &dyn Link) -> Result<(), AgentError> {
        match self {
            Self::Own(network) => network.refresh(link),
            Self::Central(_) => Ok(()), // the batcher refreshes it
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use coordrl_envs::{Assets, Env, EnvConfig, EnvSeed, Role, VecEnv, make_env};
    use tch::Device;

    use super::super::tests::{q_spec, weights};
    use super::*;
    use crate::actors::Place;
    use crate::apex::config::ApexConfig;
    use crate::apex::experience::{Experience, Weights};
    use crate::apex::link::Closed;
    use crate::maths::ValueRescaling;

    fn small_catch(index: u64) -> Box<dyn Env> {
        let config =
            EnvConfig { screen_size: Some(36), frame_stack: Some(1), ..Default::default() };
        let seed = EnvSeed { seed: 1, role: Role::TrainEnv, index };
        make_env("catch", &config, &Assets { rom_dir: "none".into() }, seed).unwrap()
    }

    /// Calls to an actor's link, in order.
    #[derive(Clone, Debug, PartialEq)]
    enum Asked {
        /// With the version of the weights used last.
        Send(u64),
        /// With the version that newer weights must exceed.
        Weights(u64),
    }

    /// A link that always has newer weights.
    struct ScriptedLink(Arc<Mutex<Vec<Asked>>>);

    impl Link for ScriptedLink {
        fn send(&self, experience: Experience) -> Result<(), Closed> {
            self.0.lock().unwrap().push(Asked::Send(experience.weights_version));
            Ok(())
        }

        fn latest_weights(&self, version: u64) -> Option<Arc<Weights>> {
            self.0.lock().unwrap().push(Asked::Weights(version));
            Some(Arc::new(weights(version + 10)))
        }
    }

    #[test]
    fn an_actor_sends_and_looks_for_weights_by_its_own_agent_steps() {
        let mut config = ApexConfig { envs: 2, actors: Some(1), ..Default::default() };
        (config.replay.capacity, config.replay.warmup_transitions) = (100, 1);
        let envs = VecEnv::try_new((0..2).map(small_catch).collect()).unwrap();
        let place = Place { actor: 0, first_env: 0 };
        let actor = Actor::start(&config, ValueRescaling::Off, place, envs, 1).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let actor_loop = ActorLoop {
            link: Box::new(ScriptedLink(Arc::clone(&asked))),
            q: ActorInference::Own(Box::new(
                InferenceNetwork::build(q_spec(), Device::Cpu, &weights(1)).unwrap(),
            )),
            left: Arc::new(AtomicU64::new(2 * 14)),
            pausing: Arc::default(),
            send_every: 4,
            weights_every: 6,
        };

        let (actor, _) = actor_loop.run(actor).unwrap();
        assert_eq!(actor.agent_steps(), 14);
        use Asked::{Send, Weights};
        // At agent steps 4, 6, 8, 12 (weights first), and at the end.
        let expected = [Send(1), Weights(1), Send(11), Send(11), Weights(11), Send(21)];
        assert_eq!(*asked.lock().unwrap(), expected);
    }
}
