//! Central gradients, for GPUs: the learner infers for one actor while rayon steps the environments
//! of the others, then computes the gradient of all rows at once.

use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender, TryRecvError, bounded};
use rayon::{Scope, ThreadPool, Yield};
use tch::{Device, Tensor};

use super::actor::{RolloutActor, RolloutPlan, WaysBack};
use super::batch::{ActorCriticBatch, BatchGradient, BatchTargets, LossFn};
use super::rollout::Targets;
use super::sharded::normalize_advantages;
use crate::AgentError;
use crate::error::{Worker, catch_panic};
use crate::nn::Network;
use crate::report::nanos_since;

/// Collects the rollouts of all actors, then computes the gradient of all rows.
pub(super) fn collect_and_differentiate(
    actors: &mut Vec<RolloutActor>,
    network: &Network,
    pool: &ThreadPool,
    plan: &RolloutPlan,
    loss: LossFn<'_>,
) -> Result<(Vec<Targets>, BatchGradient), AgentError> {
    let targets = collect(actors, network, pool, plan)?;

    let start = Instant::now();
    let gradient = BatchGradient::of(network, &batch_of(actors, &targets, plan.device), loss)?;
    // The pass belongs to all actors; one of them stands in, since times are summed anyway.
    if let Some(first) = actors.first_mut() {
        first.add_learn_nanos(nanos_since(start));
    }
    Ok((targets, gradient))
}

/// Returns the last rollouts of all actors as one batch.
pub(super) fn batch_of(
    actors: &[RolloutActor],
    targets: &[Targets],
    device: Device,
) -> ActorCriticBatch {
    let obs: Vec<Tensor> = actors.iter().map(|actor| actor.rollout.acted_obs_tensor()).collect();
    let rows: usize = targets.iter().map(|part| part.returns.len()).sum();
    let parts = actors.iter().map(|actor| &actor.rollout).zip(targets);
    let targets = BatchTargets::of(parts, rows as f64, device);
    ActorCriticBatch { obs: Tensor::cat(&obs, 0).to_device(device), targets }
}

/// An actor in transit between the learner and the threads that step it. Each actor has at most one
/// message in flight, so a channel with one slot per actor never blocks.
type Stepped = (RolloutActor, Result<(), AgentError>);

/// Collects the rollouts of all actors.
///
/// All actors act with the same weights, which do not change before the last actor is done.
pub(super) fn collect(
    actors: &mut Vec<RolloutActor>,
    network: &Network,
    pool: &ThreadPool,
    plan: &RolloutPlan,
) -> Result<Vec<Targets>, AgentError> {
    let (done, arrivals) = bounded(actors.len());
    // Moved rather than borrowed: in turns an actor belongs to the learner, which infers for it,
    // and to the thread that steps it.
    let mut queue = ActorQueue { here: actors.drain(..).map(Some).collect(), arrivals };
    let targets = pool.in_place_scope(|scope| queue.run(scope, &done, network, plan));
    // The scope has joined every step, so all actors have been sent back.
    drop(done);
    actors.extend(queue.collect_remaining());

    let mut targets = targets?;
    if plan.normalize_advantage {
        normalize_advantages(&mut targets);
    }

    Ok(targets)
}

/// Actors currently held by the learner; the others are being stepped.
struct ActorQueue {
    here: Vec<Option<RolloutActor>>,
    arrivals: Receiver<Stepped>,
}

impl ActorQueue {
    fn run<'s>(
        &mut self,
        scope: &Scope<'s>,
        done: &Sender<Stepped>,
        network: &Network,
        plan: &'s RolloutPlan,
    ) -> Result<Vec<Targets>, AgentError> {
        for actor in self.here.iter_mut().flatten() {
            actor.begin();
        }

        for t in 0..plan.rollout_agent_steps {
            for index in 0..self.here.len() {
                let mut actor = self.wait_for(index)?;
                // On an error the actor is put back, so that its rollout can still be inspected.
                if let Err(error) = actor.decide(t, network, plan, WaysBack::Dropped) {
                    self.here[index] = Some(actor);
                    return Err(error);
                }
                let done = done.clone();
                scope.spawn(move |_| {
                    let worker = Worker::Actor(actor.index());
                    let result = catch_panic(worker, || actor.step(t, plan));
                    // The learner may have stopped receiving after another actor's error.
                    let _ = done.send((actor, result));
                });
            }
        }

        (0..self.here.len()).map(|index| self.finish(index, network, plan)).collect()
    }

    fn finish(
        &mut self,
        index: usize,
        network: &Network,
        plan: &RolloutPlan,
    ) -> Result<Targets, AgentError> {
        let mut actor = self.wait_for(index)?;
        let targets = actor.bootstrap_and_compute_targets(network, plan);
        self.here[index] = Some(actor);
        targets
    }

    /// Takes actor `index` once its environments have been stepped.
    fn wait_for(&mut self, index: usize) -> Result<RolloutActor, AgentError> {
        loop {
            if let Some(actor) = self.here[index].take() {
                return Ok(actor);
            }
            let Some((actor, result)) = receive(&self.arrivals) else {
                let worker = Worker::Actor(index);
                let message = "its step did not return".to_owned();
                return Err(AgentError::Panicked { worker, message });
            };
            let index = actor.index();
            self.here[index] = Some(actor);
            result?;
        }
    }

    fn collect_remaining(mut self) -> Vec<RolloutActor> {
        while let Ok((actor, _)) = self.arrivals.try_recv() {
            let index = actor.index();
            self.here[index] = Some(actor);
        }
        self.here.into_iter().flatten().collect()
    }
}

/// Receives the next actor; `None` if no more can arrive. On a pool thread it runs other pool work
/// while waiting, because the awaited step may have no other thread to run on.
fn receive(arrivals: &Receiver<Stepped>) -> Option<Stepped> {
    const NAP: Duration = Duration::from_micros(50);
    loop {
        match arrivals.try_recv() {
            Ok(arrival) => return Some(arrival),
            Err(TryRecvError::Disconnected) => return None,
            Err(TryRecvError::Empty) => {}
        }
        match rayon::yield_now() {
            None => return arrivals.recv().ok(),
            Some(Yield::Executed) => {}
            Some(Yield::Idle) => {
                // Brief, so that work entering the pool meanwhile is picked up.
                if let Ok(arrival) = arrivals.recv_timeout(NAP) {
                    return Some(arrival);
                }
            }
        }
    }
}
