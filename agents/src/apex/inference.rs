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
/// Gives the network back for the next time.
pub(crate) fn answer_all(
    mut follower: Box<Follower>,
    questions: &Receiver<Question>,
    link: &dyn Link,
) -> Result<Box<Follower>, AgentError> {
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
    Ok(follower)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::apex::link::{LocalLink, WeightsBoard};
    use crate::nn::find_torso;

    const SHAPE: [usize; 3] = [1, 36, 36];
    const ROW: usize = 36 * 36;

    fn spec() -> QSpec {
        QSpec { torso: *find_torso("conv").unwrap(), head: QHead::Dueling, obs_shape: SHAPE, num_actions: 3 }
    }

    fn weights(version: u64) -> Weights {
        let QSpec { torso, head, obs_shape, num_actions } = spec();
        let mut store = ParamStore::new(version, Device::Cpu);
        QNetwork::build(&torso, obs_shape, num_actions, head, &mut store).unwrap();
        Weights { version, numbers: store.to_flat().unwrap() }
    }

    fn follower(weights: &Weights) -> Box<Follower> {
        Box::new(Follower::build(spec(), Device::Cpu, weights).unwrap())
    }

    fn obs(actor: usize, rows: usize) -> Vec<u8> {
        (0..rows * ROW).map(|i| ((i * i + 97 * actor) % 251) as u8).collect()
    }

    fn assert_close(found: &[f32], expected: &[f32]) {
        assert_eq!(found.len(), expected.len());
        // Rows together are summed up in another order than alone.
        let near = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-5 * (1.0 + b.abs());
        assert!(found.iter().zip(expected).all(near), "{found:?}, not {expected:?}");
    }

    #[test]
    fn each_actor_gets_the_values_of_its_own_rows_from_the_latest_weights() {
        let (board, first) = (WeightsBoard::default(), weights(1));
        let link = LocalLink::new(1, board.clone()).0;
        let (questions, asked) = crossbeam::channel::unbounded();
        // All questions are there before the first is answered, so that they go through as one batch.
        let waiting: Vec<_> = (0..3)
            .map(|actor| {
                let (answer, answers) = bounded(1);
                let rows = actor + 1;
                questions.send(Question { obs: obs(actor, rows), rows, answer }).unwrap();
                answers
            })
            .collect();
        let mut asker = Asker::new(questions);
        let central = follower(&first);
        let answering = thread::spawn(move || answer_all(central, &asked, &link));
        let mut own = follower(&first);
        for (actor, answers) in waiting.into_iter().enumerate() {
            let answer = answers.recv().unwrap();
            assert_eq!((answer.version, &answer.obs), (1, &obs(actor, actor + 1)));
            assert_close(&answer.values, &own.q_values(&answer.obs, actor + 1).unwrap());
        }
        let second = weights(2);
        own.take(&second).unwrap();
        board.publish(second);
        for actor in [4, 5] {
            let values = asker.q_values(&obs(actor, 2), 2).unwrap();
            assert_close(&values, &own.q_values(&obs(actor, 2), 2).unwrap());
            assert_eq!(asker.version(), 2);
        }
        drop(asker); // nobody asks any more
        assert_eq!(answering.join().unwrap().unwrap().version(), 2);
    }

    #[test]
    fn an_actor_whose_question_nobody_answers_is_told() {
        let (questions, asked) = crossbeam::channel::unbounded();
        let mut asker = Asker::new(questions);
        let unanswered = thread::spawn(move || drop(asked.recv().unwrap()));
        assert!(matches!(asker.q_values(&obs(0, 1), 1), Err(AgentError::Deserted)));
        unanswered.join().unwrap();
        assert!(matches!(asker.q_values(&obs(0, 1), 1), Err(AgentError::Deserted)));
    }
}
