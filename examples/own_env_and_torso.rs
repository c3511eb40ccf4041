//! A game of your own, learnt with a torso of your own, without the `coordrl` program.
//!
//! ```console
//! cargo run --release --example own_env_and_torso
//! ```
//!
//! The game: a dot lights up somewhere on a dark screen; name the quarter it is in. A torso that
//! pools over the whole picture cannot tell, unless somebody hands it coordinates.
//!
//! The game knows `gymnasium_rs` and nothing of `coordrl`; `FromGym` adapts it, as it would any
//! environment written for that crate. Implement `coordrl_envs::Env` instead for observations
//! without a copy and for runs that can be resumed.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

use std::sync::Arc;

use coordrl_agents::nn::{
    Conv, Coordinates, Init, Linear, ParamScope, Radius, Window, scale_pixels,
};
use coordrl_agents::{
    A2c, A2cConfig, AgentSetup, NetworkError, OptimizerConfig, OptimizerKind, Torso, TorsoEntry,
    build_pool,
};
use coordrl_envs::gym::FromGym;
use coordrl_envs::{Env, EnvError, VecEnv, check_env};
use gymnasium_rs::core::{self, Info, Options, Reward, Space};
use ndarray::{Array1, Array3};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tch::{Device, Tensor};

const SIZE: usize = 24;

/// One screen, one answer: +1 for the right quarter.
struct WhichQuarter {
    rng: StdRng,
    dot: (usize, usize),
}

impl WhichQuarter {
    fn new() -> Self {
        Self { rng: StdRng::seed_from_u64(0), dot: (0, 0) }
    }

    /// Draws the screen, `[C, H, W]`.
    fn screen(&self, dot: u8) -> Array3<u8> {
        let mut screen = Array3::zeros([1, SIZE, SIZE]);
        screen[[0, self.dot.0, self.dot.1]] = dot;
        screen
    }

    fn quarter(&self) -> usize {
        2 * usize::from(self.dot.0 >= SIZE / 2) + usize::from(self.dot.1 >= SIZE / 2)
    }
}

impl core::Env<Array3<u8>, usize> for WhichQuarter {
    fn observation_space(&self) -> Space {
        let len = SIZE * SIZE;
        Space::Box { low: Array1::zeros(len), high: Array1::from_elem(len, 255.0) }
    }

    fn action_space(&self) -> Space {
        Space::Discrete(4)
    }

    fn reset(&mut self, seed: Option<i32>, _options: Options) -> (Array3<u8>, Info) {
        if let Some(seed) = seed {
            self.rng = StdRng::seed_from_u64(u64::from(seed.cast_unsigned()));
        }
        self.dot = (self.rng.random_range(0..SIZE), self.rng.random_range(0..SIZE));
        (self.screen(255), Info::new())
    }

    fn step(&mut self, action: usize) -> (Array3<u8>, Reward, bool, bool, Info) {
        let reward = if action == self.quarter() { 1.0 } else { 0.0 };
        let terminated = true;
        (self.screen(0), reward, terminated, false, Info::new())
    }

    fn render(&self) -> Option<Array3<u8>> {
        None
    }

    fn close(&mut self) {}
}

/// Wraps a game of its own random stream.
fn which_quarter(seed: i32) -> Result<Box<dyn Env>, EnvError> {
    let shape = [1, SIZE, SIZE];
    Ok(Box::new(FromGym::try_new("which-quarter", WhichQuarter::new(), shape, Some(seed))?))
}

/// Coordinates, two 1×1 convolutions, the brightest place, a dense layer.
struct Brightest {
    conv: [Conv; 2],
    fc: Linear,
}

impl Torso for Brightest {
    fn forward(&self, obs: &Tensor) -> Tensor {
        let pixels = scale_pixels(obs); // [N, C, H, W]
        let seen = self.conv.iter().fold(pixels, |seen, conv| conv.forward(&seen).relu()); // [N, 32, H, W]
        let pooled = seen.amax([2, 3], false); // [N, 32]: where it was is gone, unless a channel kept it
        self.fc.forward(&pooled).relu() // [N, 32]
    }

    fn features(&self) -> i64 {
        32
    }
}

fn build_brightest(
    scope: &mut ParamScope<'_>,
    [c, h, w]: [usize; 3],
) -> Result<Box<dyn Torso>, NetworkError> {
    let coordinates = Coordinates::new(h as i64, w as i64, Radius::Without);
    let pointwise = |channels_out| Window { channels_out, kernel: 1, stride: 1 };
    Ok(Box::new(Brightest {
        conv: [
            Conv::build(scope, "torso.conv1", c as i64, pointwise(16), Some(coordinates))?,
            Conv::build(scope, "torso.conv2", 16, pointwise(32), None)?,
        ],
        fc: Linear::build(scope, "torso.fc", 32, 32, Init::BEFORE_RELU)?,
    }))
}

const BRIGHTEST: TorsoEntry = TorsoEntry {
    name: "brightest",
    summary: "coordinates of the brightest place",
    build: build_brightest,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Worth doing once for every new environment: it finds the usual mistakes.
    for violation in check_env(which_quarter(0)?.as_mut()) {
        eprintln!("the environment breaks its contract: {violation:?}");
    }

    let optimizer =
        OptimizerConfig { kind: OptimizerKind::Adam, learning_rate: 3e-3, ..Default::default() };
    let config = A2cConfig { optimizer, ..A2cConfig::default() };
    let mut seeds = 1..;
    let mut actors = Vec::new();
    for size in config.envs_per_actor() {
        let envs = seeds.by_ref().take(size).map(which_quarter).collect::<Result<_, _>>()?;
        actors.push(VecEnv::try_new(envs)?);
    }

    let pool = Arc::new(build_pool(0, 1)?); // a worker a core, one libtorch thread each
    let total_frames = 1000 * config.rows_per_update();
    let setup =
        AgentSetup { torso: &BRIGHTEST, device: Device::Cpu, seed: 1, total_frames, actors, pool };
    let mut agent = A2c::build(&config, setup)?;
    println!("{} parameters; guessing scores 0.25", agent.parameter_count());
    for _ in 0..10 {
        let mut sum = 0.0;
        let mut games = 0;
        for _ in 0..100 {
            let report = agent.update()?;
            games += report.episodes.len();
            sum += report.episodes.iter().map(|game| game.episode_return).sum::<f64>();
        }
        println!("{:>6} frames: mean return {:.2}", agent.counters().frames, sum / games as f64);
    }

    Ok(())
}
