//! A2C in one file and one thread, from observations to weights. Read this first.
//!
//! ```console
//! cargo run --release --example serial_a2c
//! ```
//!
//! Source: Mnih et al. 2016 (arXiv:1602.01783), algorithm S3, with all environments in lockstep. The
//! agent that `coordrl train` uses, `coordrl_agents::A2c`, computes the same in several threads or
//! on a GPU. `agents/tests/serial_a2c.rs` trains both, with one actor: their weights are equal up to
//! rounding. The agent's optimiser takes one pass over the weights, and the gradients of several
//! actors or steps are added up.
//!
//! Left out: generalised advantage estimation, schedules, other optimisers and torsos, checkpoints,
//! rounding tiny moments to 0 (which only saves time), and checks for numbers that are not finite.

#![allow(clippy::print_stdout, reason = "a program for people")]

use std::error::Error;

use coordrl_agents::nn::{Init, ParamScope, ParamStore};
use coordrl_agents::{A2cConfig, OptimizerConfig, build_pool};
use coordrl_envs::{
    Assets, EnvConfig, EnvSeed, EnvSpec, EpisodeStats, Rng, Role, VecEnv, VecStep, derive_rng,
    make_env,
};
use rand::RngExt as _;
use tch::{Device, Kind, Tensor};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// The agent: N environments, a network and the state of its optimiser, RMSProp.
pub struct SerialA2c {
    config: A2cConfig,
    envs: VecEnv,
    /// Observations to act on next, `u8 [N, C, H, W]`.
    obs: Vec<u8>,
    /// Generators that sample actions, one per environment.
    rngs: Vec<Rng>,
    network: Network,
    /// All parameters, flat `[P]`, in memory shared with the network.
    pub params: Tensor,
    /// Running mean of the squared gradient, `[P]`.
    mean_square: Tensor,
    updates: i32,
}

impl SerialA2c {
    /// Collects a rollout and makes one optimiser step. Returns the games that ended.
    pub fn update(&mut self) -> Result<Vec<EpisodeStats>> {
        let rollout = self.collect()?;
        let loss = self.loss(&rollout);

        let mut gradient = self.network.gradient(&loss)?; // [P]
        if let Some(max_norm) = self.config.max_grad_norm {
            let norm = gradient.norm().double_value(&[]);
            gradient *= (max_norm / (norm + 1e-6)).min(1.0);
        }

        self.step(&gradient);
        Ok(rollout.episodes)
    }

    /// Acts for T agent steps in every environment.
    fn collect(&mut self) -> Result<Rollout> {
        let mut rollout = Rollout::default();
        let mut steps = vec![VecStep::default(); self.envs.len()];
        for _ in 0..self.config.rollout_agent_steps {
            let (logits, values) = self.infer(&self.obs)?;
            let rows = logits.iter().zip(&mut self.rngs);
            let actions: Vec<usize> = rows.map(|(logits, rng)| sample(logits, rng)).collect();

            rollout.obs.extend(&self.obs);
            rollout.actions.extend(actions.iter().map(|&action| action as i64));
            rollout.values.extend(values);

            // An environment whose episode ends is reset in the same step: `obs` then holds the
            // first observation of the next episode, and `final_obs` the last one of this episode.
            self.envs.step(&actions, &mut self.obs, &mut steps)?;
            for (env, step) in steps.iter().enumerate() {
                rollout.record(step, self.envs.final_obs(env), self.config.discount as f32);
            }
        }

        self.bootstrap(&mut rollout)?;
        Ok(rollout)
    }

    /// Estimates what would have come after the last step, and after truncated episodes.
    fn bootstrap(&self, rollout: &mut Rollout) -> Result<()> {
        (_, rollout.bootstrap_values) = self.infer(&self.obs)?;
        if rollout.truncated_rows.is_empty() {
            return Ok(());
        }

        let (_, values) = self.infer(&rollout.truncated_obs)?;
        for (&row, value) in rollout.truncated_rows.iter().zip(values) {
            rollout.rewards[row] += self.config.discount as f32 * value;
        }
        Ok(())
    }

    /// Computes the loss: policy gradient, entropy bonus and value error, as means over the rows.
    fn loss(&self, rollout: &Rollout) -> Tensor {
        let returns = rollout.n_step_returns();
        let both = returns.iter().zip(&rollout.values);
        let advantages: Vec<f32> = both.map(|(target, value)| target - value).collect();
        // Tensors made from numbers are constants: no gradient flows into returns or advantages.
        let returns = Tensor::from_slice(&returns); // [T · N]
        let advantages = Tensor::from_slice(&advantages);
        let actions = Tensor::from_slice(&rollout.actions).unsqueeze(1); // [T · N, 1]

        let (logits, values) = self.network.forward(&self.tensor(&rollout.obs));
        let log_probs = logits.log_softmax(-1, Kind::Float); // [T · N, A]
        let chosen = log_probs.gather(1, &actions, false).squeeze_dim(1); // [T · N]
        let policy = -(chosen * advantages).sum(Kind::Float);
        let value = (returns - values).square().sum(Kind::Float);
        let entropy = -(log_probs.exp() * log_probs).sum(Kind::Float);

        // The value error has no factor ½: the default weight of 0.25 is 0.5 in recipes with one.
        let A2cConfig { entropy_coef, value_coef, .. } = self.config;
        (policy - entropy * entropy_coef + value * value_coef) / rollout.rewards.len() as f64
    }

    /// Makes a step of RMSProp with bias correction, the default (ADR 20). In update t = 1, 2, …,
    /// with s = 0 before the first:
    ///
    /// s ← decay · s + (1 − decay) · g²
    /// p ← p − rate · g / (√(s / (1 − decayᵗ)) + ε)
    fn step(&mut self, gradient: &Tensor) {
        let OptimizerConfig { learning_rate, decay, epsilon, .. } = self.config.optimizer;
        self.updates += 1;
        let _ = self.mean_square.lerp_(&gradient.square(), 1.0 - decay);

        // Numerator and denominator are both multiplied by √(1 − decayᵗ).
        let correction = (1.0 - decay.powi(self.updates)).sqrt();
        let denominator = self.mean_square.sqrt() + epsilon * correction;
        // In place: the network's leaves share this memory.
        self.params -= gradient / denominator * correction * learning_rate;
    }

    /// Computes logits, one row per observation, and values, without a graph for gradients.
    fn infer(&self, obs: &[u8]) -> Result<(Vec<Vec<f32>>, Vec<f32>)> {
        let _no_graph = tch::no_grad_guard();
        let (logits, values) = self.network.forward(&self.tensor(obs));
        Ok((logits.try_into()?, values.try_into()?))
    }

    /// Copies observations into a tensor, `u8 [rows, C, H, W]`.
    fn tensor(&self, obs: &[u8]) -> Tensor {
        let [c, h, w] = self.envs.spec().obs_shape.map(|size| size as i64);
        Tensor::from_slice(obs).view([-1, c, h, w])
    }
}

/// Draws action i with probability exp(logit_i) / Σ exp(logit).
fn sample(logits: &[f32], rng: &mut Rng) -> usize {
    // Relative to the maximum, so that exp cannot overflow.
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weights: Vec<f64> = logits.iter().map(|logit| f64::from(logit - top).exp()).collect();

    let mut left = rng.random::<f64>() * weights.iter().sum::<f64>();
    for (action, weight) in weights.iter().enumerate() {
        left -= weight;
        if left < 0.0 {
            return action;
        }
    }

    // Only rounding leads here: take the most probable action.
    logits.iter().position(|logit| *logit == top).unwrap_or(0)
}

/// T agent steps of N environments, time first: row t · N + i is step t of environment i.
#[derive(Default)]
struct Rollout {
    /// Observations acted on, `u8 [T · N, C, H, W]`.
    obs: Vec<u8>,
    actions: Vec<i64>,
    /// Values of the observations acted on.
    values: Vec<f32>,
    rewards: Vec<f32>,
    /// Discount of the next return: γ, or 0 where an episode ended.
    discounts: Vec<f32>,
    /// Values of the observations after the last step, `[N]`.
    bootstrap_values: Vec<f32>,
    /// Rows at which an episode was cut short, and the last observations of these episodes.
    truncated_rows: Vec<usize>,
    truncated_obs: Vec<u8>,
    episodes: Vec<EpisodeStats>,
}

impl Rollout {
    /// Adds the result of one environment's step.
    fn record(&mut self, step: &VecStep, final_obs: Option<&[u8]>, discount: f32) {
        // The next row already belongs to another episode. So truncation also cuts the return, and
        // `bootstrap` adds γ · V(final_obs) to its last reward.
        self.discounts.push(if step.is_last() { 0.0 } else { discount });
        if step.truncated
            && !step.terminated
            && let Some(obs) = final_obs
        {
            self.truncated_rows.push(self.rewards.len());
            self.truncated_obs.extend(obs);
        }
        self.rewards.push(step.reward);
        self.episodes.extend(step.episodes());
    }

    /// Computes R_t = r_t + discount_t · R_{t+1} backwards from R_T = V(s_T).
    fn n_step_returns(&self) -> Vec<f32> {
        let mut next = self.bootstrap_values.clone(); // [N]
        let mut returns = vec![0.0; self.rewards.len()]; // [T · N]
        for row in (0..returns.len()).rev() {
            let env = row % next.len();
            next[env] = self.rewards[row] + self.discounts[row] * next[env];
            returns[row] = next[env];
        }
        returns
    }
}

/// The network of Mnih et al. 2015 with a policy head and a value head. Nothing is padded.
struct Network {
    conv1: Layer,
    conv2: Layer,
    conv3: Layer,
    fc: Layer,
    policy: Layer,
    value: Layer,
    /// With torso `coordconv`: the two channels that its first convolution also sees,
    /// `[1, 2, H, W]`.
    coordinates: Option<Tensor>,
    /// All weights and biases: views into `params`, in its order, that require gradients.
    leaves: Vec<Tensor>,
}

/// Weights, `[out, in, kernel, kernel]` or `[out, in]`, and biases, `[out]`.
struct Layer {
    weight: Tensor,
    bias: Tensor,
}

impl Network {
    /// Maps observations, `u8 [B, C, H, W]`, to logits `[B, A]` and values `[B]`.
    fn forward(&self, obs: &Tensor) -> (Tensor, Tensor) {
        // Channels last in memory, where convolutions are faster.
        let pixels = obs.permute([0, 2, 3, 1]).contiguous().to_kind(Kind::Float) / 255.0;
        let pixels = pixels.permute([0, 3, 1, 2]); // f32 [B, C, H, W]

        let maps = self.first_convolution(&pixels).relu(); // 32 maps, windows of 8 × 8
        let maps = self.conv2.convolve(&maps, 2).relu(); // 64 maps, windows of 4 × 4
        let maps = self.conv3.convolve(&maps, 1).relu(); // 64 maps, windows of 3 × 3
        let features = self.fc.apply(&maps.flatten(1, -1)).relu(); // [B, 512]
        (self.policy.apply(&features), self.value.apply(&features).squeeze_dim(1))
    }

    /// Convolves the pixels, and with `coordconv` the coordinates as if they were two more channels
    /// of each observation: a sum of two convolutions, the second of which is the same for all.
    fn first_convolution(&self, pixels: &Tensor) -> Tensor {
        let Some(coordinates) = &self.coordinates else { return self.conv1.convolve(pixels, 4) };
        let Layer { weight, bias } = &self.conv1;
        let channels = pixels.size()[1];
        let of_pixels = weight.narrow(1, 0, channels);
        let of_coordinates = weight.narrow(1, channels, 2);
        pixels.conv2d(&of_pixels, None::<&Tensor>, 4, 0, 1, 1)
            + coordinates.conv2d(&of_coordinates, Some(bias), 4, 0, 1, 1)
    }

    /// Computes the gradient of `loss` for all parameters, `[P]`.
    fn gradient(&self, loss: &Tensor) -> Result<Tensor> {
        let gradients = Tensor::f_run_backward(&[loss], &self.leaves, false, false)?;
        let pieces: Vec<Tensor> = gradients.iter().map(|piece| piece.reshape([-1])).collect();
        Ok(Tensor::cat(&pieces, 0))
    }
}

impl Layer {
    fn convolve(&self, maps: &Tensor, stride: i64) -> Tensor {
        maps.conv2d(&self.weight, Some(&self.bias), stride, 0, 1, 1)
    }

    fn apply(&self, features: &Tensor) -> Tensor {
        features.linear(&self.weight, Some(&self.bias))
    }
}

/// Computes CoordConv's channels, `[1, 2, H, W]`: each pixel's column and row, from −1 to 1.
fn coordinate_channels(height: i64, width: i64) -> Tensor {
    let columns = axis(width).view([1, width]).expand([height, width], false);
    let rows = axis(height).view([height, 1]).expand([height, width], false);
    Tensor::stack(&[columns, rows], -1).unsqueeze(0).permute([0, 3, 1, 2])
}

fn axis(size: i64) -> Tensor {
    let last = (size - 1) as f64;
    let axis: Vec<f32> = (0..size).map(|i| (i as f64 / last * 2.0 - 1.0) as f32).collect();
    Tensor::from_slice(&axis)
}

// Running it: initial weights, and the game of Catch.

/// Torsos that this file has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Torso {
    /// Three convolutions and a dense layer.
    Conv,
    /// The same with coordinates before the first convolution.
    CoordConv,
}

impl SerialA2c {
    /// Draws the initial weights and resets all environments. Of the optimiser's settings, `kind`,
    /// `momentum` and `centered` must have their defaults.
    pub fn build(config: &A2cConfig, mut envs: VecEnv, torso: Torso, seed: u64) -> Result<Self> {
        let mut store = ParamStore::new(seed, Device::Cpu);
        // The first network draws the weights, `pack` moves them into one flat tensor, and the
        // second network reads them there: one step of the optimiser then changes all layers.
        Network::build(&mut store, envs.spec(), torso)?;
        let params = store.pack()?;
        let network = Network::build(&mut store, envs.spec(), torso)?;

        let mut obs = vec![0; envs.obs_len()];
        envs.reset(&mut obs)?;
        let indices = 0..envs.len() as u64;
        let rngs = indices.map(|env| derive_rng(seed, Role::TrainPolicy, env)).collect();
        let mean_square = params.zeros_like();
        let config = config.clone();
        Ok(Self { config, envs, obs, rngs, network, params, mean_square, updates: 0 })
    }
}

impl Network {
    fn build(store: &mut ParamStore, spec: &EnvSpec, torso: Torso) -> Result<Self> {
        let [c, h, w] = spec.obs_shape.map(|size| size as i64);
        let coordinates = (torso == Torso::CoordConv).then(|| coordinate_channels(h, w));
        let channels = c + if coordinates.is_some() { 2 } else { 0 };
        // Each convolution leaves (size − kernel) / stride + 1 of a side.
        let [rows, columns] = [h, w].map(|size| ((size - 8) / 4 + 1 - 4) / 2 + 1 - 2);
        let inputs = 64 * rows * columns;
        let actions = spec.num_actions() as i64;

        let mut scope = ParamScope::new(store);
        let mut layer = |name: &str, shape: &[i64], init: Init| -> Result<Layer> {
            let weight = scope.get(&format!("{name}.weight"), shape, init)?;
            let bias = scope.get(&format!("{name}.bias"), &shape[..1], Init::Zeros)?;
            Ok(Layer { weight, bias })
        };
        Ok(Self {
            conv1: layer("torso.conv1", &[32, channels, 8, 8], Init::BEFORE_RELU)?,
            conv2: layer("torso.conv2", &[64, 32, 4, 4], Init::BEFORE_RELU)?,
            conv3: layer("torso.conv3", &[64, 64, 3, 3], Init::BEFORE_RELU)?,
            fc: layer("torso.fc", &[512, inputs], Init::BEFORE_RELU)?,
            // A small gain, so that the first policy is nearly uniform.
            policy: layer("policy", &[actions, 512], Init::Orthogonal { gain: 0.01 })?,
            value: layer("value", &[1, 512], Init::Orthogonal { gain: 1.0 })?,
            coordinates,
            leaves: scope.into_leaves()?,
        })
    }
}

fn main() -> Result<()> {
    // A pool of one thread, with one libtorch thread: nothing runs in parallel.
    build_pool(1, 1)?.install(learn_catch)
}

fn learn_catch() -> Result<()> {
    let optimizer = OptimizerConfig { learning_rate: 1e-3, ..Default::default() };
    let config = A2cConfig { rollout_agent_steps: 10, optimizer, ..Default::default() };
    let mut agent = SerialA2c::build(&config, catch(config.envs)?, Torso::Conv, 1)?;

    println!("a random player scores about -0.6");
    for thousands in (5..=40).step_by(5) {
        let mut games = Vec::new();
        for _ in 0..5000 / config.rows_per_update() {
            games.extend(agent.update()?);
        }
        let sum: f64 = games.iter().map(|game| game.episode_return).sum();
        println!("{thousands:>3} 000 frames: mean return {:+.2}", sum / games.len() as f64);
    }
    Ok(())
}

/// Builds `envs` games of Catch on small screens.
fn catch(envs: u32) -> Result<VecEnv> {
    let config = EnvConfig { screen_size: Some(36), frame_stack: Some(1), ..Default::default() };
    let assets = Assets { rom_dir: "none".into() };
    let mut games = Vec::new();
    for index in 0..envs.into() {
        let seed = EnvSeed { seed: 1, role: Role::TrainEnv, index };
        games.push(make_env("catch", &config, &assets, seed)?);
    }
    Ok(VecEnv::try_new(games)?)
}
