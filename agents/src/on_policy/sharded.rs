//! Per-actor gradients, for CPUs: each actor infers, steps and computes the gradient of its own
//! rows in one thread, since batches are too small to be worth splitting inside one operation.
//!
//! While an actor waits for its environments, rayon may run *another actor's* work on its thread.
//! So thread-local state (the no-grad guard) is never held across a step.

use std::time::Instant;

use rayon::prelude::*;

use super::actor::{RolloutActor, RolloutPlan, WaysBack};
use super::batch::{BatchGradient, BatchTargets, LossFn};
use super::rollout::Targets;
use crate::AgentError;
use crate::error::{Worker, catch_panic};
use crate::maths::{mean_and_std, normalize};
use crate::nn::Network;
use crate::report::nanos_since;

/// One actor with its own network on the shared parameters.
type ActorShard<'a> = (&'a mut RolloutActor, &'a mut Network);

/// Collects the rollouts of all actors in the ambient pool; targets are in the actors' order.
pub(super) fn collect(
    actors: &mut [RolloutActor],
    networks: &mut [Network],
    plan: &RolloutPlan,
) -> Result<Vec<Targets>, AgentError> {
    collect_with(actors, networks, plan, WaysBack::Dropped)
}

fn collect_with(
    actors: &mut [RolloutActor],
    networks: &mut [Network],
    plan: &RolloutPlan,
    ways_back: WaysBack,
) -> Result<Vec<Targets>, AgentError> {
    let mut targets =
        for_each(actors, networks, |(actor, network), _| actor.collect(network, plan, ways_back))?;
    if plan.normalize_advantage {
        normalize_advantages(&mut targets);
    }
    Ok(targets)
}

/// Computes rollouts and gradients of all actors in the ambient pool; results are in the actors'
/// order.
pub(super) fn collect_and_differentiate(
    actors: &mut [RolloutActor],
    networks: &mut [Network],
    plan: &RolloutPlan,
    loss: LossFn<'_>,
) -> Result<(Vec<Targets>, Vec<BatchGradient>), AgentError> {
    let envs: usize = actors.iter().map(RolloutActor::len).sum();
    let update_rows = (envs * plan.rollout_agent_steps) as f64;
    if !plan.normalize_advantage {
        let both = for_each(actors, networks, |(actor, network), _| {
            let targets = actor.collect(network, plan, WaysBack::Kept)?;
            let gradient = differentiate(actor, network, &targets, update_rows, plan, loss)?;
            Ok((targets, gradient))
        })?;
        return Ok(both.into_iter().unzip());
    }

    // Normalisation needs the mean and deviation over all actors, so this is a barrier.
    let targets = collect_with(actors, networks, plan, WaysBack::Kept)?;
    let gradients = for_each(actors, networks, |(actor, network), index| {
        differentiate(actor, network, &targets[index], update_rows, plan, loss)
    })?;

    Ok((targets, gradients))
}

/// Normalises the advantages of the whole batch to mean 0 and standard deviation 1.
pub(super) fn normalize_advantages(targets: &mut [Targets]) {
    let all = targets.iter().flat_map(|part| &part.advantages).map(|&x| f64::from(x));
    if let Some(stats) = mean_and_std(all) {
        let numbers = targets.iter_mut().flat_map(|part| &mut part.advantages);
        numbers.for_each(|x| *x = normalize(*x, stats));
    }
}

fn differentiate(
    actor: &mut RolloutActor,
    network: &Network,
    targets: &Targets,
    update_rows: f64,
    plan: &RolloutPlan,
    loss: LossFn<'_>,
) -> Result<BatchGradient, AgentError> {
    let start = Instant::now();
    let maps = actor.take_maps();
    let pass = match maps.is_empty() {
        true => network.pass(&actor.rollout.acted_obs_tensor().to_device(plan.device)),
        false => network.pass_of(maps),
    };
    let parts = [(&actor.rollout, targets)].into_iter();
    let targets = BatchTargets::of(parts, update_rows, plan.device);
    let gradient = BatchGradient::of_pass(network, pass, &targets, loss)?;
    actor.add_learn_nanos(nanos_since(start));
    Ok(gradient)
}

/// Runs an actor's job so that log lines and panics name the actor.
fn in_span<R>(index: usize, job: impl FnOnce() -> Result<R, AgentError>) -> Result<R, AgentError> {
    let _span = tracing::trace_span!("actor", index).entered();
    tracing::trace!("working");
    catch_panic(Worker::Actor(index), job)
}

/// Runs `job` for all actors in parallel. Every actor finishes; of several errors the first actor's
/// is returned, so that a failure is reported identically for any number of threads.
fn for_each<R: Send>(
    actors: &mut [RolloutActor],
    networks: &mut [Network],
    job: impl Fn(ActorShard<'_>, usize) -> Result<R, AgentError> + Sync,
) -> Result<Vec<R>, AgentError> {
    // One actor per job: rayon must not run two in sequence while another thread idles.
    let shards = actors.par_iter_mut().zip(networks).with_max_len(1).enumerate();
    let results: Vec<Result<R, AgentError>> =
        shards.map(|(index, shard)| in_span(index, || job(shard, index))).collect();
    results.into_iter().collect()
}
