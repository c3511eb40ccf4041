//! Inference for actors: a network of their own, or one shared by all.

use crossbeam::channel::{Receiver, Sender, TryRecvError, bounded, select_biased, unbounded};
use tch::Device;

use super::actor::QSource;
use super::experience::Weights;
use super::link::Link;
use crate::AgentError;
use crate::nn::{NetworkError, ParamStore, QHead, QNetwork, TorsoEntry};
use crate::policy::{infer_q, obs_tensor};

/// Specification of a Q-network.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QSpec {
    pub torso: TorsoEntry,
    pub head: QHead,
    pub obs_shape: [usize; 3],
    pub num_actions: usize,
}

impl QSpec {
    fn build_network(&self, store: &mut ParamStore) -> Result<QNetwork, NetworkError> {
        QNetwork::build(&self.torso, self.obs_shape, self.num_actions, self.head, store)
    }
}

/// A network whose weights are published by the learner.
pub(crate) struct InferenceNetwork {
    spec: QSpec,
    store: ParamStore,
    network: QNetwork,
    version: u64,
}

impl InferenceNetwork {
    /// Builds the network with these weights.
    pub fn build(spec: QSpec, device: Device, weights: &Weights) -> Result<Self, AgentError> {
        let mut store = ParamStore::of_shapes(device);
        spec.build_network(&mut store)?;
        let _ = store.pack()?; // one contiguous tensor
        // Built again: the first network still holds the tensors from before packing.
        let network = spec.build_network(&mut store)?;
        let mut network = Self { spec, store, network, version: 0 };
        network.load(weights)?;
        Ok(network)
    }

    /// Loads weights.
    pub fn load(&mut self, weights: &Weights) -> Result<(), AgentError> {
        self.store.load_flat(&weights.numbers)?;
        self.version = weights.version;
        Ok(())
    }

    /// Returns the current weights.
    pub fn weights(&self) -> Result<Weights, AgentError> {
        Ok(Weights { version: self.version, numbers: self.store.to_flat()? })
    }

    /// Loads newer weights, if there are any.
    pub fn refresh(&mut self, link: &dyn Link) -> Result<(), AgentError> {
        link.latest_weights(self.version).map_or(Ok(()), |weights| self.load(&weights))
    }
}

impl QSource for InferenceNetwork {
    fn q_values(&mut self, obs: &[u8], rows: usize) -> Result<Vec<f32>, AgentError> {
        infer_q(&self.network, &obs_tensor(obs, rows, self.spec.obs_shape), self.store.device())
    }

    fn version(&self) -> u64 {
        self.version
    }
}

/// One network shared by all actors: the first actor to acquire it answers all pending requests in
/// one batch, then returns it.
///
/// It has no thread of its own, which would be woken for every batch and take a core from the
/// actors.
#[derive(Clone)]
pub(crate) struct SharedInference {
    ask: Sender<Question>,
    asked: Receiver<Question>,
    give_back: Sender<Box<InferenceBatcher>>,
    free: Receiver<Box<InferenceBatcher>>,
}

/// The network and buffers passed between actors.
pub(crate) struct InferenceBatcher {
    network: InferenceNetwork,
    /// Buffer for the observations of several actors, reused.
    together: Vec<u8>,
}

struct Question {
    obs: Vec<u8>,
    rows: usize,
    answer: Sender<Answer>,
}

struct Answer {
    values: Vec<f32>,
    version: u64,
    /// Buffer of the request, returned for reuse.
    obs: Vec<u8>,
}

impl SharedInference {
    pub fn new(batcher: Box<InferenceBatcher>) -> Self {
        let (ask, asked) = unbounded(); // each actor has one request at a time
        // Holds the network itself: having received it is having locked it.
        let (give_back, free) = bounded(1);
        let _ = give_back.send(batcher); // cannot fail: capacity 1, receiver alive
        Self { ask, asked, give_back, free }
    }

    /// Returns the network for reuse: it is free while all actors are paused.
    pub fn into_batcher(self) -> Option<Box<InferenceBatcher>> {
        self.free.try_recv().ok()
    }
}

impl InferenceBatcher {
    pub fn new(network: InferenceNetwork) -> Self {
        Self { network, together: Vec::new() }
    }

    /// Loads weights.
    pub fn load(&mut self, weights: &Weights) -> Result<(), AgentError> {
        self.network.load(weights)
    }

    /// Returns the current weights.
    #[cfg(test)]
    pub fn weights(&self) -> Result<Weights, AgentError> {
        self.network.weights()
    }

    /// Answers all requests in one batch with the latest weights. On an error no answer is sent.
    fn answer(&mut self, waiting: Vec<Question>, link: &dyn Link) -> Result<(), AgentError> {
        let Self { network, together } = self;
        network.refresh(link)?;
        let obs: &[u8] = match waiting.as_slice() {
            [only] => &only.obs,
            many => {
                together.clear();
                many.iter().for_each(|question| together.extend_from_slice(&question.obs));
                together
            }
        };

        let rows = waiting.iter().map(|question| question.rows).sum();
        let values = network.q_values(obs, rows)?; // [rows · A]
        let mut rest = values.as_slice();
        for Question { obs, rows, answer } in waiting {
            let (own, others) = rest.split_at(rows * network.spec.num_actions);
            rest = others;
            // An actor that no longer waits has failed for its own reason.
            let _ = answer.send(Answer { values: own.to_vec(), version: network.version, obs });
        }

        Ok(())
    }
}

/// Guard that returns the network even on a panic, because other actors wait for it.
struct InHand<'a> {
    batcher: Option<Box<InferenceBatcher>>,
    give_back: &'a Sender<Box<InferenceBatcher>>,
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        if let Some(batcher) = self.batcher.take() {
            let _ = self.give_back.send(batcher);
        }
    }
}

/// An actor's handle to central inference.
pub(crate) struct InferenceClient {
    shared: SharedInference,
    link: Box<dyn Link>,
    version: u64,
    /// Buffer for observations, reused.
    room: Vec<u8>,
}

impl InferenceClient {
    pub fn new(shared: SharedInference, link: Box<dyn Link>) -> Self {
        Self { shared, link, version: 0, room: Vec::new() }
    }

    /// Waits for the answer or the network, whichever comes first.
    fn wait(&self, answers: &Receiver<Answer>) -> Result<Answer, AgentError> {
        let SharedInference { asked, give_back, free, .. } = &self.shared;
        loop {
            // Biased towards the answer: an actor that has one needs no network.
            select_biased! {
                recv(answers) -> answer => return answer.map_err(|_| AgentError::WorkersGone),
                recv(free) -> batcher => {
                    let mut hand = InHand { batcher: batcher.ok(), give_back };
                    // The answer may have arrived, or its sender been dropped, in the meantime;
                    // then the network belongs to those still waiting.
                    match answers.try_recv() {
                        Ok(answer) => return Ok(answer),
                        Err(TryRecvError::Disconnected) => return Err(AgentError::WorkersGone),
                        Err(TryRecvError::Empty) => {}
                    }
                    let batcher = hand.batcher.as_mut().ok_or(AgentError::WorkersGone)?;
                    // A holder answers whatever it takes before it returns the network, so a
                    // request without an answer is still in the queue: this batch includes our own.
                    batcher.answer(asked.try_iter().collect(), self.link.as_ref())?;
                }
            }
        }
    }
}

impl QSource for InferenceClient {
    fn q_values(&mut self, obs: &[u8], rows: usize) -> Result<Vec<f32>, AgentError> {
        let mut room = std::mem::take(&mut self.room);
        room.clear();
        room.extend_from_slice(obs);
        // A channel per request: if its batch fails, the sender is dropped with it and the wait
        // ends.
        let (answer, answers) = bounded(1);
        let asked = self.shared.ask.send(Question { obs: room, rows, answer });
        asked.map_err(|_| AgentError::WorkersGone)?;
        let answer = self.wait(&answers)?;
        (self.version, self.room) = (answer.version, answer.obs);
        Ok(answer.values)
    }

    fn version(&self) -> u64 {
        self.version
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use crossbeam::channel::RecvTimeoutError;

    use super::*;
    use crate::apex::link::{LatestWeights, LocalLink};
    use crate::nn::find_torso;

    const SHAPE: [usize; 3] = [1, 36, 36];
    const ROW: usize = 36 * 36;
    const SOON: Duration = Duration::from_secs(30);

    fn spec() -> QSpec {
        QSpec {
            torso: *find_torso("conv").unwrap(),
            head: QHead::Dueling,
            obs_shape: SHAPE,
            num_actions: 3,
        }
    }

    fn weights(version: u64) -> Weights {
        let QSpec { torso, head, obs_shape, num_actions } = spec();
        let mut store = ParamStore::new(version, Device::Cpu);
        QNetwork::build(&torso, obs_shape, num_actions, head, &mut store).unwrap();
        Weights { version, numbers: store.to_flat().unwrap() }
    }

    fn network(weights: &Weights) -> InferenceNetwork {
        InferenceNetwork::build(spec(), Device::Cpu, weights).unwrap()
    }

    fn obs(actor: usize, rows: usize) -> Vec<u8> {
        (0..rows * ROW).map(|i| ((i * i + 97 * actor) % 251) as u8).collect()
    }

    fn assert_close(found: &[f32], expected: &[f32]) {
        assert_eq!(found.len(), expected.len());
        // Batched rows are summed in another order than single ones.
        let near = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-5 * (1.0 + b.abs());
        assert!(found.iter().zip(expected).all(near), "{found:?}, not {expected:?}");
    }

    /// Posts a request like an actor that has not started waiting yet.
    fn post(shared: &SharedInference, actor: usize, rows: usize) -> Receiver<Answer> {
        let (answer, answers) = bounded(1);
        shared.ask.send(Question { obs: obs(actor, rows), rows, answer }).unwrap();
        answers
    }

    #[test]
    fn each_actor_gets_the_values_of_its_own_rows_from_the_latest_weights() {
        let board = LatestWeights::default();
        let first = weights(1);
        let shared = SharedInference::new(Box::new(InferenceBatcher::new(network(&first))));
        let mut client =
            InferenceClient::new(shared.clone(), Box::new(LocalLink::new(1, board.clone()).0));
        let waiting: Vec<_> = (0..3).map(|actor| post(&shared, actor, actor + 1)).collect();
        let mut own = network(&first);
        let values = client.q_values(&obs(3, 4), 4).unwrap();
        assert_close(&values, &own.q_values(&obs(3, 4), 4).unwrap());
        for (actor, answers) in waiting.into_iter().enumerate() {
            let answer = answers.try_recv().expect("it went through with the others");
            assert_eq!((answer.version, &answer.obs), (1, &obs(actor, actor + 1)));
            assert_close(&answer.values, &own.q_values(&answer.obs, actor + 1).unwrap());
        }

        let second = weights(2);
        own.load(&second).unwrap();
        board.publish(second);
        for actor in [4, 5] {
            let values = client.q_values(&obs(actor, 2), 2).unwrap();
            assert_close(&values, &own.q_values(&obs(actor, 2), 2).unwrap());
            assert_eq!(client.version(), 2);
        }

        assert_eq!(shared.into_batcher().unwrap().network.version(), 2);
    }

    #[test]
    fn many_actors_at_once_all_get_their_own_answers() {
        let first = weights(1);
        let shared = SharedInference::new(Box::new(InferenceBatcher::new(network(&first))));
        thread::scope(|scope| {
            for actor in 0..6 {
                let shared = shared.clone();
                let first = &first;
                scope.spawn(move || {
                    crate::threads::use_torch_threads(1);
                    let link = LocalLink::new(1, LatestWeights::default()).0;
                    let (mut client, mut own) =
                        (InferenceClient::new(shared, Box::new(link)), network(first));
                    for turn in 0..20 {
                        let obs = obs(actor + turn, 2);
                        assert_close(
                            &client.q_values(&obs, 2).unwrap(),
                            &own.q_values(&obs, 2).unwrap(),
                        );
                    }
                });
            }
        });

        assert!(shared.into_batcher().is_some(), "the network is free again");
    }

    #[test]
    fn when_one_actor_fails_with_the_network_the_others_do_not_hang() {
        struct Panics;
        impl Link for Panics {
            fn send(&self, _: crate::apex::Experience) -> Result<(), crate::apex::link::Closed> {
                Ok(())
            }
            fn latest_weights(&self, _: u64) -> Option<std::sync::Arc<Weights>> {
                panic!("the script says so")
            }
        }

        let first = weights(1);
        let shared = SharedInference::new(Box::new(InferenceBatcher::new(network(&first))));
        let answered_with_it = post(&shared, 0, 1);
        let mut failing = InferenceClient::new(shared.clone(), Box::new(Panics));
        let panicked = thread::spawn(move || failing.q_values(&obs(1, 1), 1).map(drop)).join();
        assert!(panicked.is_err());
        let told = answered_with_it.recv_timeout(SOON);
        assert_eq!(
            told.err(),
            Some(RecvTimeoutError::Disconnected),
            "its actor is told that no answer comes"
        );
        let link = LocalLink::new(1, LatestWeights::default()).0;
        let mut another = InferenceClient::new(shared, Box::new(link));
        let (tell, told) = bounded(1);
        thread::spawn(move || tell.send(another.q_values(&obs(2, 1), 1).unwrap()));
        let values = told.recv_timeout(SOON).expect("the network came back");
        assert_close(&values, &network(&first).q_values(&obs(2, 1), 1).unwrap());
    }
}
