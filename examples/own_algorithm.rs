//! A learning algorithm of your own, without the `coordrl` program: PPO (Schulman et al. 2017,
//! arXiv:1707.06347) on the parts that A2C is made of.
//!
//! ```console
//! cargo run --release --example own_algorithm
//! ```
//!
//! [`Collector`] steps the environments, infers and computes the targets; what is left for the
//! algorithm is its loss, its minibatches and its state. Being an [`Agent`], it could be trained by
//! any loop that knows one.

#![allow(clippy::print_stdout, reason = "a program for people")]

use std::io::Read;
use std::sync::Arc;

use coordrl_agents::nn::{NamedTensors, Optimizer, Output};
use coordrl_agents::on_policy::{
    ActorCriticBatch, ActorState, BatchTargets, Collector, Gradients, RolloutPlan,
};
use coordrl_agents::shared_tags::{GRAD_NORM, LEARNING_RATE};
use coordrl_agents::{
    Agent, AgentError, AgentSetup, AgentState, Counters, Metrics, NullMetrics, OptimizerConfig,
    OptimizerKind, UpdateReport, build_pool, find_torso, tags,
};
use coordrl_envs::{
    Assets, Env, EnvConfig, EnvError, EnvSeed, Rng, Role, VecEnv, derive_rng, make_env,
};
use rand::seq::SliceRandom as _;
use tch::{Device, Kind, Tensor};

tags! {
    CLIPPED_SHARE: "policy/clipped_share", "share of the rows",
        "Rows whose probability ratio was clipped, mean over minibatches and updates since the last log point.";
}

// Settings that suit Catch on a CPU, not Atari (the paper's table 5).
const ENVS: usize = 16;
const ACTORS: usize = 2;
const ROLLOUT_AGENT_STEPS: usize = 16;
const EPOCHS: usize = 3;
const MINIBATCHES: usize = 4;
const CLIP: f64 = 0.1;
const DISCOUNT: f64 = 0.99;
const GAE_LAMBDA: f64 = 0.95;
const ENTROPY_COEF: f64 = 0.01;
const VALUE_COEF: f64 = 0.5;
const MAX_GRAD_NORM: f64 = 0.5;
const RATE: f64 = 1e-3;

/// The agent: a collector, an optimiser, and the generator that shuffles minibatches.
struct Ppo {
    collector: Collector,
    /// All parameters, flat `[P]`, shared with the collector's networks.
    params: Tensor,
    optimizer: Optimizer,
    shuffles: Rng,
    counters: Counters,
}

/// Means over the minibatches of an update.
#[derive(Default)]
struct Means {
    grad_norm: f64,
    clipped_share: f64,
}

impl Ppo {
    fn build(setup: AgentSetup<'_>) -> Result<Self, AgentError> {
        // PPO has no replay, so the streams of this role are free for minibatches.
        let shuffles = derive_rng(setup.seed, Role::ReplayDraws, 0);
        let (collector, params) = Collector::build(setup, ROLLOUT_AGENT_STEPS, Gradients::Auto)?;
        let kind = OptimizerKind::Adam;
        let adam = OptimizerConfig { kind, epsilon: 1e-5, ..Default::default() };
        let optimizer = Optimizer::new(&adam, &params);
        let counters = Counters::default();
        Ok(Self { collector, params, optimizer, shuffles, counters })
    }

    fn plan(&self) -> RolloutPlan {
        RolloutPlan {
            update: self.counters.updates,
            table: "ppo",
            rollout_agent_steps: ROLLOUT_AGENT_STEPS,
            discount: DISCOUNT,
            gae_lambda: GAE_LAMBDA,
            normalize_advantage: true,
            device: self.collector.store().device(),
        }
    }

    /// Learns from a rollout a few times, in minibatches drawn without replacement.
    fn learn(&mut self, batch: &ActorCriticBatch) -> Result<Means, AgentError> {
        let acted = {
            let _no_graph = tch::no_grad_guard();
            log_probs(&self.collector.network().forward(&batch.obs).logits, &batch.targets.actions) // [B]
        };

        let mut rows: Vec<i64> = (0..batch.targets.actions.size()[0]).collect();
        let minibatch_rows = rows.len().div_ceil(MINIBATCHES);
        let count = (EPOCHS * MINIBATCHES) as f64;

        let mut means = Means::default();
        for _ in 0..EPOCHS {
            rows.shuffle(&mut self.shuffles);
            for index in rows.chunks(minibatch_rows) {
                let index = Tensor::from_slice(index).to_device(acted.device());
                let step = self.step(&batch.select(&index), &acted.index_select(0, &index))?;
                means.grad_norm += step.grad_norm / count;
                means.clipped_share += step.clipped_share / count;
            }
        }

        Ok(means)
    }

    /// One optimiser step on a minibatch; `acted` holds the log-probabilities with which it was
    /// acted, `[b]`.
    fn step(&mut self, batch: &ActorCriticBatch, acted: &Tensor) -> Result<Means, AgentError> {
        let network = self.collector.network();
        let output = network.forward(&batch.obs); // [b, A], [b]
        let ratio = (log_probs(&output.logits, &batch.targets.actions) - acted).exp(); // [b]
        let loss = ppo_loss(&output, &ratio, &batch.targets);
        let gradient = network.gradient(&loss)?;

        let clipped = (ratio.detach() - 1.0).abs().gt(CLIP).to_kind(Kind::Float).mean(Kind::Float);
        let rate = RATE;
        let max_norm = Some(MAX_GRAD_NORM);
        let norm = self.optimizer.clipped_step(&self.params, gradient, max_norm, rate);
        let update = self.counters.updates;
        let grad_norm =
            norm.ok_or(AgentError::NonFinite { what: "gradient", update, table: "ppo" })?;
        Ok(Means { grad_norm, clipped_share: clipped.double_value(&[]) })
    }
}

/// Log-probabilities of the actions taken, `[B]`.
fn log_probs(logits: &Tensor, actions: &Tensor) -> Tensor {
    logits.log_softmax(-1, Kind::Float).gather(1, &actions.unsqueeze(1), false).squeeze_dim(1)
}

/// Clipped surrogate objective with value error and entropy bonus (equations 7 and 9), as a mean
/// over the rows.
fn ppo_loss(output: &Output, ratio: &Tensor, targets: &BatchTargets) -> Tensor {
    let clipped = ratio.clamp(1.0 - CLIP, 1.0 + CLIP); // [b]
    let surrogate =
        (ratio * &targets.advantages).minimum(&(clipped * &targets.advantages)).mean(Kind::Float);
    let value = (&output.value - &targets.returns).square().mean(Kind::Float);
    let log = output.logits.log_softmax(-1, Kind::Float); // [b, A]
    let entropy = -(log.exp() * log).sum_dim_intlist(-1, false, Kind::Float).mean(Kind::Float);

    value * VALUE_COEF - surrogate - entropy * ENTROPY_COEF
}

impl Agent for Ppo {
    fn update(&mut self, metrics: &mut dyn Metrics) -> Result<UpdateReport, AgentError> {
        let targets = self.collector.collect(&self.plan())?;
        let batch = self.collector.batch(&targets);
        let means = self.learn(&batch)?;

        let rows = batch.targets.actions.size()[0] as u64;
        self.counters.updates += 1;
        self.counters.agent_steps += rows;
        self.counters.frames += rows * u64::from(self.collector.frame_skip());

        metrics.add(&GRAD_NORM, means.grad_norm);
        metrics.add(&CLIPPED_SHARE, means.clipped_share);
        metrics.set(&LEARNING_RATE, RATE);
        Ok(UpdateReport {
            episodes: self.collector.episodes(),
            timing: self.collector.take_timing(),
        })
    }

    fn counters(&self) -> Counters {
        self.counters
    }

    fn parameter_count(&self) -> u64 {
        self.collector.store().parameter_count()
    }

    fn weights(&self) -> NamedTensors {
        self.collector.store().to_named()
    }

    fn load_weights(&mut self, weights: &[(String, Tensor)]) -> Result<(), AgentError> {
        Ok(self.collector.store_mut().load(weights)?)
    }

    fn save(&self) -> Result<AgentState, AgentError> {
        if !self.collector.store().is_finite() || !self.optimizer.is_finite() {
            let update = self.counters.updates;
            return Err(AgentError::NonFinite { what: "weights or moments", update, table: "ppo" });
        }
        let trainer = (self.counters, self.shuffles.clone(), self.collector.save_actors()?);
        Ok(AgentState {
            weights: self.weights(),
            optimizer: self.optimizer.to_named(),
            target: Vec::new(),
            trainer: serde_json::to_vec(&trainer).map_err(bad_state)?,
        })
    }

    fn load(&mut self, state: AgentState, _: Option<&mut dyn Read>) -> Result<(), AgentError> {
        let trainer: (Counters, Rng, Vec<ActorState>) =
            serde_json::from_slice(&state.trainer).map_err(bad_state)?;
        let (counters, shuffles, actors) = trainer;
        self.collector.store_mut().load(&state.weights)?;
        self.optimizer.load(&state.optimizer)?;
        self.collector.load_actors(actors, "ppo")?;
        (self.counters, self.shuffles) = (counters, shuffles);
        Ok(())
    }

    fn last_batch(&self) -> NamedTensors {
        self.collector.last_rollout()
    }
}

fn bad_state(error: serde_json::Error) -> AgentError {
    AgentError::State { reason: error.to_string() }
}

/// PPO on Catch with small screens.
fn catch(seed: u64) -> anyhow::Result<Ppo> {
    let per_actor = ENVS / ACTORS;
    let actors = (0..ACTORS).map(|actor| {
        let first = (actor * per_actor) as u64;
        let envs = (first..first + per_actor as u64).map(|index| catch_env(seed, index));
        VecEnv::try_new(envs.collect::<Result<_, _>>()?)
    });

    let setup = AgentSetup {
        torso: find_torso("conv")?,
        device: Device::Cpu,
        seed,
        total_frames: u64::MAX,
        actors: actors.collect::<Result<_, _>>()?,
        pool: Arc::new(build_pool(ACTORS, 1)?),
    };

    Ok(Ppo::build(setup)?)
}

fn catch_env(seed: u64, index: u64) -> Result<Box<dyn Env>, EnvError> {
    let config = EnvConfig { screen_size: Some(36), frame_stack: Some(1), ..Default::default() };
    let assets = Assets { rom_dir: "none".into() };
    make_env("catch", &config, &assets, EnvSeed { seed, role: Role::TrainEnv, index })
}

/// Trains until `frames`; returns the mean return of the last 100 games.
fn train(agent: &mut dyn Agent, frames: u64) -> Result<f64, AgentError> {
    let mut returns = Vec::new();
    while agent.counters().frames < frames {
        let report = agent.update(&mut NullMetrics)?;
        returns.extend(report.episodes.iter().map(|game| game.episode_return));
    }
    let last = &returns[returns.len().saturating_sub(100)..];
    Ok(last.iter().sum::<f64>() / last.len() as f64)
}

fn main() -> anyhow::Result<()> {
    let mut agent = catch(1)?;
    println!("{} parameters; a random player scores about -0.6", agent.parameter_count());
    for thousands in (5..=40).step_by(5) {
        let mean = train(&mut agent, thousands * 1000)?;
        println!("{thousands:>3} 000 frames: mean return {mean:+.2} over the last 100 games");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_learns_catch() {
        let mean = train(&mut catch(1).unwrap(), 40_000).unwrap();
        assert!(mean > 0.8, "mean return {mean}");
    }

    #[test]
    fn it_resumes_to_the_last_bit() {
        let mut whole = catch(2).unwrap();
        train(&mut whole, 500).unwrap();
        let state = whole.save().unwrap();
        let mut resumed = catch(3).unwrap();
        resumed.load(state, None).unwrap();
        for agent in [&mut whole, &mut resumed] {
            train(agent, 1_500).unwrap();
        }

        assert_eq!(whole.counters(), resumed.counters());
        for ((name, a), (_, b)) in whole.weights().iter().zip(&resumed.weights()) {
            assert_eq!(a, b, "{name}");
        }
    }
}
