//! A game of your own, learnt with a torso of your own, without the `coordrl` program.
//!
//! ```console
//! cargo run --release --example own_env_and_torso
//! ```
//!
//! The game: a dot lights up somewhere on a dark screen; name the quarter it is in. A torso that
//! pools over the whole picture cannot tell, unless somebody hands it coordinates.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

use std::sync::Arc;

use coordrl_agents::nn::{
    Conv, Coordinates, Init, Linear, ParamScope, Radius, Window, scale_pixels,
};
use coordrl_agents::{
    A2c, A2cConfig, AgentSetup, NetworkError, OptimizerConfig, OptimizerKind, Torso, TorsoEntry,
    build_pool,
};
use coordrl_envs::{
    Env, EnvError, EnvSpec, EpisodeStats, Rng, Role, Step, VecEnv, check_env, derive_rng, saved,
};
use rand::RngExt as _;
use tch::{Device, Tensor};

const SIZE: usize = 24;

/// One screen, one answer: +1 for the right quarter.
struct WhichQuarter {
    spec: EnvSpec,
    rng: Rng,
    dot: (usize, usize),
    lit: bool,
}

impl WhichQuarter {
    fn new(seed: u64, index: u64) -> Self {
        let spec = EnvSpec {
            name: "which-quarter".to_owned(),
            obs_shape: [1, SIZE, SIZE],
            actions: ["TOP LEFT", "TOP RIGHT", "BOTTOM LEFT", "BOTTOM RIGHT"]
                .map(str::to_owned)
                .to_vec(),
            frame_skip: 1,
        };
        Self { spec, rng: derive_rng(seed, Role::TrainEnv, index), dot: (0, 0), lit: false }
    }

    fn draw(&self, obs: &mut [u8]) -> Result<(), EnvError> {
        let found = obs.len();
        let expected = self.spec.obs_len();
        if found != expected {
            return Err(EnvError::BufferLength { what: "one observation", found, expected });
        }
        obs.fill(0);
        obs[self.dot.0 * SIZE + self.dot.1] = if self.lit { 255 } else { 0 };
        Ok(())
    }

    fn quarter(&self) -> usize {
        2 * usize::from(self.dot.0 >= SIZE / 2) + usize::from(self.dot.1 >= SIZE / 2)
    }
}

impl Env for WhichQuarter {
    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn reset(&mut self, obs: &mut [u8]) -> Result<Option<EpisodeStats>, EnvError> {
        self.dot = (self.rng.random_range(0..SIZE), self.rng.random_range(0..SIZE));
        self.lit = true;
        self.draw(obs)?;
        Ok(None)
    }

    fn step(&mut self, action: usize, obs: &mut [u8]) -> Result<Step, EnvError> {
        let game = self.spec.name.clone();
        let num_actions = self.spec.num_actions();
        if action >= num_actions {
            return Err(EnvError::IllegalAction { action, num_actions, game });
        }

        if !self.lit {
            return Err(EnvError::NeedsReset { game });
        }

        let reward = if action == self.quarter() { 1.0 } else { 0.0 };
        self.lit = false;
        self.draw(obs)?;
        let episode =
            Some(EpisodeStats { episode_return: f64::from(reward), episode_length_frames: 1 });
        Ok(Step { reward, raw_reward: reward, terminated: true, truncated: false, episode })
    }

    // The generator, the dot and the light: all it takes to resume a run exactly.
    fn save_state(&self) -> Result<Vec<u8>, EnvError> {
        saved::pack(&self.spec.name, &(&self.rng, self.dot, self.lit))
    }

    fn load_state(&mut self, state: &[u8], obs: &mut [u8]) -> Result<(), EnvError> {
        (self.rng, self.dot, self.lit) = saved::unpack(&self.spec.name, state)?;
        self.draw(obs)
    }
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
    for violation in check_env(&mut WhichQuarter::new(1, 0)) {
        eprintln!("the environment breaks its contract: {violation:?}");
    }

    let optimizer =
        OptimizerConfig { kind: OptimizerKind::Adam, learning_rate: 3e-3, ..Default::default() };
    let config = A2cConfig { optimizer, ..A2cConfig::default() };
    let mut index = 0;
    let mut actors = Vec::new();
    for size in config.envs_per_actor() {
        let envs =
            (0..size).map(|env| Box::new(WhichQuarter::new(1, index + env as u64)) as Box<dyn Env>);
        actors.push(VecEnv::try_new(envs.collect())?);
        index += size as u64;
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
