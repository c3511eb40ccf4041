//! Benchmarks learning and acting, apart from the environments.
//!
//! ```text
//! cargo bench -p coordrl-agents --bench learner
//! cargo bench -p coordrl-agents --bench learner -- --device cuda:0
//! ```
//!
//! Environments here cost next to nothing, so an update's time is that of inference and gradients.
//! Variants alternate within one run, so that background load slows all of them equally; the last
//! column is the ratio to the first line. Absolute rows per second depend on the machine.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program for people")]

mod device;

use std::sync::Arc;
use std::time::{Duration, Instant};

use coordrl_agents::{A2c, A2cConfig, AgentSetup, Gradients, build_pool, find_torso};
use coordrl_envs::{Env, EnvError, EnvSpec, EpisodeStats, Step, VecEnv};
use tch::Device;

const TURNS: usize = 5;
const TURN: Duration = Duration::from_secs(2);

/// An environment with noise observations, no rewards and no end.
struct Still(EnvSpec);

impl Still {
    fn new() -> Self {
        let actions = ["NOOP", "FIRE", "RIGHT", "LEFT"].map(str::to_owned).to_vec();
        Self(EnvSpec { name: "still".into(), obs_shape: [4, 84, 84], actions, frame_skip: 4 })
    }
}

impl Env for Still {
    fn spec(&self) -> &EnvSpec {
        &self.0
    }

    fn reset(&mut self, obs: &mut [u8]) -> Result<Option<EpisodeStats>, EnvError> {
        obs.iter_mut().enumerate().for_each(|(i, byte)| *byte = (i * i) as u8);
        Ok(None)
    }

    fn step(&mut self, action: usize, obs: &mut [u8]) -> Result<Step, EnvError> {
        obs[action] ^= 1;
        Ok(Step::default())
    }

    fn save_state(&self) -> Result<Vec<u8>, EnvError> {
        Ok(Vec::new())
    }

    fn load_state(&mut self, _: &[u8], obs: &mut [u8]) -> Result<(), EnvError> {
        self.reset(obs).map(|_| ())
    }
}

#[derive(Clone)]
struct Variant {
    name: &'static str,
    torso: &'static str,
    actors: u32,
    gradients: Gradients,
    torch_threads: i32,
}

const fn variant(
    name: &'static str,
    torso: &'static str,
    actors: u32,
    gradients: Gradients,
    torch_threads: i32,
) -> Variant {
    Variant { name, torso, actors, gradients, torch_threads }
}

fn main() {
    // `cargo test --benches` only checks that this runs.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }

    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let threads = i32::try_from(cores).unwrap();
    let device = device::device();
    let on_cpu = [
        variant("conv, one gradient an actor", "conv", cores as u32, Gradients::Actors, 1),
        variant("conv, one actor, libtorch's threads", "conv", 1, Gradients::Actors, threads),
        variant("conv, central gradient", "conv", 2, Gradients::Central, threads),
        variant("coordconv", "coordconv", cores as u32, Gradients::Actors, 1),
        variant("coordconv-all", "coordconv-all", cores as u32, Gradients::Actors, 1),
        variant("impala", "impala", cores as u32, Gradients::Actors, 1),
        variant("coordconv-impala", "coordconv-impala", cores as u32, Gradients::Actors, 1),
    ];
    let on_gpu = ["conv", "coordconv", "coordconv-all", "impala", "coordconv-impala"]
        .map(|torso| variant(torso, torso, 2, Gradients::Central, 1));
    let variants = if device == Device::Cpu { on_cpu.to_vec() } else { on_gpu.to_vec() };
    let mut agents: Vec<A2c> =
        variants.iter().map(|variant| build(variant, cores, device)).collect();
    let mut rates = vec![Vec::new(); variants.len()];
    for _ in 0..TURNS {
        for ((agent, variant), rates) in agents.iter_mut().zip(&variants).zip(&mut rates) {
            tch::set_num_threads(variant.torch_threads);
            rates.push(rows_per_second(agent));
        }
    }

    println!("updates of 16 × 5 rows on {cores} cores and {device:?}, median of {TURNS} turns");
    println!("{:<38} {:>10} {:>10} {:>7}", "", "rows/s", "acting", "ratio");
    let first = median(rates[0].iter().map(|(rate, _)| *rate).collect());
    for (variant, rates) in variants.iter().zip(rates) {
        let (rates, shares): (Vec<f64>, Vec<f64>) = rates.into_iter().unzip();
        let rate = median(rates);
        let share = 100.0 * median(shares);
        println!("{:<38} {rate:>10.0} {share:>8.0} % {:>7.2}", variant.name, rate / first);
    }
}

fn build(variant: &Variant, cores: usize, device: Device) -> A2c {
    let Variant { actors, gradients, .. } = *variant;
    let mut config = A2cConfig { actors: Some(actors), gradients, ..Default::default() };
    config.optimizer.learning_rate = 1e-6; // nothing can be learned here, so keep the weights bounded
    tch::set_num_threads(variant.torch_threads);
    A2c::build(
        &config,
        AgentSetup {
            torso: find_torso(variant.torso).unwrap(),
            device,
            seed: 1,
            total_frames: u64::MAX,
            actors: config.envs_per_actor().into_iter().map(group).collect(),
            pool: Arc::new(build_pool(cores, variant.torch_threads).unwrap()),
        },
    )
    .unwrap()
}

fn group(envs: usize) -> VecEnv {
    let envs = (0..envs).map(|_| Box::new(Still::new()) as Box<dyn Env>);
    VecEnv::try_new(envs.collect()).unwrap()
}

/// Returns rows learned per second, and inference's share of inference plus learning.
fn rows_per_second(agent: &mut A2c) -> (f64, f64) {
    let start = Instant::now();
    let before = agent.counters().agent_steps;
    let mut infer = 0;
    let mut learn = 0;
    while start.elapsed() < TURN {
        let timing = agent.update().unwrap().timing;
        infer += timing.infer_nanos;
        learn += timing.learn_nanos;
    }
    let rows = (agent.counters().agent_steps - before) as f64;
    (rows / start.elapsed().as_secs_f64(), infer as f64 / (infer + learn) as f64)
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
