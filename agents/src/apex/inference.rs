//! Where actors get their Q-values from: a network of their own, or one for all.

use crossbeam::channel::{Receiver, Sender, bounded};
use tch::Device;

use super::actor::QSource;
use super::experience::Weights;
use super::link::Link;
use crate::AgentError;
use crate::nn::{ParamStore, QHead, QNetwork, TorsoEntry};
use crate::policy::{infer_q, obs_tensor};

/// What a Q-network is built from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QSpec {
    pub torso: TorsoEntry,
    pub head: QHead,
    pub obs_shape: [usize; 3],
    pub num_actions: usize,
}

/// A network on weights that arrive from elsewhere.
pub(crate) struct Follower {
    spec: QSpec,
    store: ParamStore,
    network: QNetwork,
    version: u64,
}

impl Follower {
    /// With these weights.
    pub fn build(spec: QSpec, device: Device, weights: &Weights) -> Result<Self, AgentError> {
        let QSpec { torso, head, obs_shape, num_actions } = spec;
        let mut store = ParamStore::of_shapes(device);
        let build = |store: &mut _| QNetwork::build(&torso, obs_shape, num_actions, head, store);
        build(&mut store)?;
        let _ = store.pack()?; // one stretch of memory
        let network = build(&mut store)?;
        let mut follower = Self { spec, store, network, version: 0 };
        follower.take(weights)?;
        Ok(follower)
    }

    /// Computes with these weights from now on.
    pub fn take(&mut self, weights: &Weights) -> Result<(), AgentError> {
        self.store.load_flat(&weights.numbers)?;
        self.version = weights.version;
        Ok(())
    }

    /// The weights it computes with.
    pub fn weights(&self) -> Result<Weights, AgentError> {
        Ok(Weights { version: self.version, numbers: self.store.to_flat()? })
    }

    /// Takes over newer weights, if there are any.
    pub fn refresh(&mut self, link: &dyn Link) -> Result<(), AgentError> {
        link.latest_weights(self.version).map_or(Ok(()), |weights| self.take(&weights))
    }
}

impl QSource for Follower {
    fn q_values(&mut self, obs: &[u8], rows: usize) -> Result<Vec<f32>, AgentError> {
        infer_q(&self.network, &obs_tensor(obs, rows, self.spec.obs_shape), self.store.device())
    }

    fn version(&self) -> u64 {
        self.version
    }
}

/// A question to the thread that infers for all.
pub(crate) struct Question {
    obs: Vec<u8>,
    rows: usize,
    answer: Sender<Answer>,
}

struct Answer {
    values: Vec<f32>,
    version: u64,
    /// The question's, for the next one.
    obs: Vec<u8>,
}

/// An actor's end of central inference.
pub(crate) struct Asker {
    questions: Sender<Question>,
    version: u64,
    /// Room for observations, used again and again.
    room: Vec<u8>,
}

impl Asker {
    pub fn new(questions: Sender<Question>) -> Self {
        Self { questions, version: 0, room: Vec::new() }
    }
}

impl QSource for Asker {
    fn q_values(&mut self, obs: &[u8], rows: usize) -> Result<Vec<f32>, AgentError> {
        let mut room = std::mem::take(&mut self.room);
        room.clear();
        room.extend_from_slice(obs);
        let (answer, answers) = bounded(1);
        let asked = self.questions.send(Question { obs: room, rows, answer });
        let answer = asked.ok().and_then(|()| answers.recv().ok()).ok_or(AgentError::Deserted)?;
        (self.version, self.room) = (answer.version, answer.obs);
        Ok(answer.values)
    }

    fn version(&self) -> u64 {
        self.version
    }
}

/// Answers until nobody asks any more: all questions that wait go through the network as one batch.
pub(crate) fn answer_all(
    mut follower: Follower,
    questions: &Receiver<Question>,
    link: &dyn Link,
) -> Result<(), AgentError> {
    let mut together = Vec::new();
    while let Ok(first) = questions.recv() {
        let mut waiting = vec![first];
        waiting.extend(questions.try_iter());
        follower.refresh(link)?;
        let obs: &[u8] = match waiting.as_slice() {
            [only] => &only.obs,
            many => {
                together.clear();
                many.iter().for_each(|question| together.extend_from_slice(&question.obs));
                &together
            }
        };
        let rows = waiting.iter().map(|question| question.rows).sum();
        let values = follower.q_values(obs, rows)?;
        let mut rest = values.as_slice();
        for Question { obs, rows, answer } in waiting {
            let (own, others) = rest.split_at(rows * follower.spec.num_actions);
            rest = others;
            // An actor that does not wait any more has its own reason.
            let _ = answer.send(Answer { values: own.to_vec(), version: follower.version, obs });
        }
    }
    Ok(())
}
