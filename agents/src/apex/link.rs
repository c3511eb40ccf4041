//! Interface between actors and learner, and its in-process implementation.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam::channel::{Receiver, Sender, bounded};

use super::experience::{Experience, Weights};

/// An actor's interface to the rest of the system.
///
/// [`Experience`] and [`Weights`] have a versioned serialised form, in which they travel between
/// processes: see `fleet`.
pub trait Link: Send {
    /// Sends experience, in order. Blocks while the queue is full.
    ///
    /// # Errors
    /// [`Closed`] if the receiver is gone.
    fn send(&self, experience: Experience) -> Result<(), Closed>;

    /// Returns the latest weights if they are newer than `version`.
    fn latest_weights(&self, version: u64) -> Option<Arc<Weights>>;
}

/// The receiver has been dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the learner takes no more experience")]
pub struct Closed;

/// Slot holding the latest weights, shared by all threads.
#[derive(Clone, Debug, Default)]
pub(crate) struct LatestWeights(Arc<Mutex<Posted>>);

#[derive(Debug, Default)]
struct Posted {
    latest: Arc<Weights>,
    /// Previous weights, whose buffer is reused once no reader holds them.
    before: Option<Arc<Weights>>,
}

impl LatestWeights {
    pub fn publish(&self, weights: Weights) {
        let mut posted = self.lock();
        posted.before = Some(std::mem::replace(&mut posted.latest, Arc::new(weights)));
    }

    pub fn latest(&self) -> Arc<Weights> {
        // Under the lock only the handle is cloned: copying the weights must not hold up the
        // learner.
        Arc::clone(&self.lock().latest)
    }

    /// Returns the buffer of weights no longer read, or an empty vector. Allocating megabytes in
    /// one thread and freeing them in another, many times a second, would make the process grow,
    /// because the allocator caches memory per thread.
    pub fn take_buffer(&self) -> Vec<f32> {
        let before = self.lock().before.take();
        before.and_then(Arc::into_inner).map(|weights| weights.numbers).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Posted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The in-process link: a bounded channel for experience and a shared slot for weights.
///
/// When the channel is full the actor blocks: experience is never dropped, and the learner's pace
/// throttles the actors (which the rate limiter relies on).
#[derive(Clone, Debug)]
pub(crate) struct LocalLink {
    experience: Sender<Experience>,
    weights: LatestWeights,
}

impl LocalLink {
    /// Creates a link for any number of actors, and the receiver, whose queue holds up to
    /// `capacity` messages before actors block.
    pub fn new(capacity: usize, weights: LatestWeights) -> (Self, Receiver<Experience>) {
        // A capacity of 0 would make every message wait until ingestion asks for it.
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
