//! Between actors and learner: two verbs, and the form they take inside one process.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam::channel::{Receiver, Sender, bounded};

use super::experience::{Experience, Weights};

/// All that an actor knows of the rest of the world.
///
/// Another implementation, over a broker between machines say, needs nothing changed in actor or
/// learner: [`Experience`] and [`Weights`] have a serialised form with a version.
pub trait Link: Send {
    /// Hands over what was experienced, in order. Waits while there is no room.
    ///
    /// # Errors
    /// [`Closed`] if nobody will take it any more.
    fn send(&self, experience: Experience) -> Result<(), Closed>;

    /// The latest weights, if they are newer than those of `version`.
    fn latest_weights(&self, version: u64) -> Option<Arc<Weights>>;
}

/// The other end is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the learner takes no more experience")]
pub struct Closed;

/// The latest weights, for whoever asks.
#[derive(Clone, Debug, Default)]
pub(crate) struct LatestWeights(Arc<Mutex<Posted>>);

#[derive(Debug, Default)]
struct Posted {
    latest: Arc<Weights>,
    /// What was posted before: its room serves again as soon as nobody reads it.
    before: Option<Arc<Weights>>,
}

impl LatestWeights {
    pub fn publish(&self, weights: Weights) {
        let mut posted = self.lock();
        posted.before = Some(std::mem::replace(&mut posted.latest, Arc::new(weights)));
    }

    pub fn latest(&self) -> Arc<Weights> {
        Arc::clone(&self.lock().latest)
    }

    /// The room of weights that nobody needs any more, or an empty vector. Megabytes that one
    /// thread asks for and another gives back, many times a second, would make the process grow:
    /// the allocator keeps a stock for each thread.
    pub fn take_buffer(&self) -> Vec<f32> {
        let before = self.lock().before.take();
        before.and_then(Arc::into_inner).map(|weights| weights.numbers).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Posted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The link within one process: a bounded channel and a board.
///
/// When the channel is full the actor waits: experience is never dropped, and the learner's pace
/// holds the actors back (which is what the rate limiter relies on).
#[derive(Clone, Debug)]
pub(crate) struct LocalLink {
    experience: Sender<Experience>,
    weights: LatestWeights,
}

impl LocalLink {
    /// A link for any number of actors, and the end that takes up to `capacity` batches of
    /// experience before an actor has to wait.
    pub fn new(capacity: usize, weights: LatestWeights) -> (Self, Receiver<Experience>) {
        let (experience, receiver) = bounded(capacity.max(1));
        (Self { experience, weights }, receiver)
    }
}

impl Link for LocalLink {
    fn send(&self, experience: Experience) -> Result<(), Closed> {
        self.experience.send(experience).map_err(|_| Closed)
    }

    fn latest_weights(&self, version: u64) -> Option<Arc<Weights>> {
        let latest = self.weights.latest();
        (latest.version > version).then_some(latest)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;

    fn experience(actor: u32) -> Experience {
        Experience { actor, ..Default::default() }
    }

    #[test]
    fn a_full_channel_makes_the_actor_wait_and_one_without_a_reader_lets_it_go() {
        let (link, receiver) = LocalLink::new(2, LatestWeights::default());
        link.send(experience(0)).unwrap();
        link.send(experience(1)).unwrap();
        let sends = |actor| {
            let link = link.clone();
            let sender = thread::spawn(move || link.send(experience(actor)));
            thread::sleep(Duration::from_millis(50));
            assert!(!sender.is_finished(), "there was room for {actor}");
            sender
        };

        let sender = sends(2);
        assert_eq!(receiver.recv().unwrap().actor, 0);
        assert_eq!(sender.join().unwrap(), Ok(()));
        let sender = sends(3);
        drop(receiver); // with two batches still in the channel
        assert_eq!(sender.join().unwrap(), Err(Closed));
        assert_eq!(link.send(experience(4)), Err(Closed));
    }

    #[test]
    fn weights_are_given_only_if_they_are_newer() {
        let latest_weights = LatestWeights::default();
        let (link, _receiver) = LocalLink::new(1, latest_weights.clone());
        assert_eq!(link.latest_weights(0), None);
        latest_weights.publish(Weights { version: 5, numbers: vec![1.0] });
        assert_eq!(link.latest_weights(4).unwrap().numbers, [1.0]);
        assert_eq!(link.latest_weights(5), None);
    }

    #[test]
    fn the_room_of_weights_serves_again_but_not_while_they_are_read() {
        let latest_weights = LatestWeights::default();
        let post = |version, numbers| latest_weights.publish(Weights { version, numbers });
        post(1, vec![1.0; 100]);
        post(2, vec![2.0; 100]);
        assert_eq!(latest_weights.take_buffer(), [1.0; 100]);
        assert!(latest_weights.take_buffer().is_empty(), "there was room only once");
        let read = latest_weights.latest();
        post(3, vec![3.0; 100]);
        assert!(latest_weights.take_buffer().is_empty(), "somebody reads it");
        assert_eq!((read.version, latest_weights.latest().version), (2, 3));
    }
}
