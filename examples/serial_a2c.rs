//! A2C in one file and one thread, from observations to weights. Read this first.
//!
//! ```console
//! cargo run --release --example serial_a2c
//! ```
//!
//! Source: Mnih et al. 2016 (arXiv:1602.01783), algorithm S3, with all environments in step. The
//! agent that `coordrl train` uses, `coordrl_agents::A2c`, computes the same in several threads or
//! on a GPU. `agents/tests/serial_a2c.rs` trains both, with one actor: their weights are equal to
//! the last bit. The gradients of several actors are added up, which rounds differently.
//!
//! Left out are generalised advantage estimation, normalised advantages, learning-rate schedules,
//! other torsos, checkpoints, and the checks that stop a run whose numbers are not finite.

#![allow(clippy::print_stdout, reason = "a program for people")]

use std::error::Error;

use coordrl_agents::nn::{
    Conv, Coordinates, Init, Linear, Optimizer, ParamScope, ParamStore, Window, flatten_gradients,
    scale_pixels,
};
use coordrl_agents::{A2cConfig, ActMode, OptimizerConfig, OptimizerKind, build_pool};
use coordrl_envs::{
    Assets, EnvConfig, EnvSeed, EnvSpec, EpisodeStats, Rng, Role, VecEnv, VecStep, derive_rng,
    make_env,
};
use tch::{Device, Kind, Tensor};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// The agent: N environments, a network and an optimiser.
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
    optimizer: Optimizer,
}

impl SerialA2c {
    /// Draws the initial weights and resets all environments. With `coordinates` the first
    /// convolution is a CoordConv.
    pub fn build(
        config: &A2cConfig,
        mut envs: VecEnv,
        coordinates: Option<Coordinates>,
        seed: u64,
    ) -> Result<Self> {
        let mut store = ParamStore::new(seed, Device::Cpu);
        // The first network draws the weights, `pack` moves them into one flat tensor, and the
        // second network reads them there: one step of the optimiser then changes all layers.
        Network::build(&mut store, envs.spec(), coordinates)?;
        let params = store.pack()?;
        let network = Network::build(&mut store, envs.spec(), coordinates)?;

        let mut obs = vec![0; envs.obs_len()];
        envs.reset(&mut obs)?;
        let indices = 0..envs.len() as u64;
        let rngs = indices.map(|env| derive_rng(seed, Role::TrainPolicy, env)).collect();
        let optimizer = Optimizer::new(&config.optimizer, &params);
        Ok(Self { config: config.clone(), envs, obs, rngs, network, params, optimizer })
    }

    /// Collects a rollout and makes one optimiser step. Returns the games that ended.
    pub fn update(&mut self) -> Result<Vec<EpisodeStats>> {
        let rollout = self.collect()?;
        let loss = self.loss(&rollout);

        let mut gradient = self.network.gradient(&loss)?; // [P]
        if let Some(max_norm) = self.config.max_grad_norm {
            let norm = gradient.norm().double_value(&[]);
            gradient *= (max_norm / (norm + 1e-6)).min(1.0);
        }

        self.optimizer.step(&self.params, &gradient, self.config.optimizer.learning_rate);
        Ok(rollout.episodes)
    }

    /// Acts for T agent steps in every environment.
    fn collect(&mut self) -> Result<Rollout> {
        let mut rollout = Rollout::default();
        let mut steps = vec![VecStep::default(); self.envs.len()];
        for _ in 0..self.config.rollout_agent_steps {
            let (logits, values) = self.infer(&self.obs)?;
            let rows = logits.iter().zip(&mut self.rngs);
            let actions: Vec<usize> =
                rows.map(|(logits, rng)| ActMode::Sampled.choose(logits, rng)).collect();

            rollout.obs.extend(&self.obs);
            rollout.actions.extend(actions.iter().map(|&action| action as i64));
            rollout.values.extend(values);

            // An environment whose episode ends is reset in the same step, so `obs` always holds
            // the observations to act on next.
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

        let A2cConfig { entropy_coef, value_coef, .. } = self.config;
        (policy - entropy * entropy_coef + value * value_coef) / rollout.rewards.len() as f64
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

/// T agent steps of N environments, time first: row t · N + i is step t of environment i.
#[derive(Default)]
struct Rollout {
    /// Observations acted on, `u8 [T · N, C, H, W]`.
    obs: Vec<u8>,
    actions: Vec<i64>,
    /// Values of the observations acted on.
    values: Vec<f32>,
    rewards: Vec<f32>,
    /// Factors on what follows: γ, or 0 where an episode ended.
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
        // The next row already belongs to another episode. So a truncated one is an end too, and
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

/// The network of Mnih et al. 2015 with a policy head and a value head: torso `conv`, or
/// `coordconv` with coordinates.
struct Network {
    convolutions: [Conv; 3],
    fc: Linear,
    policy: Linear,
    value: Linear,
    /// All weights and biases.
    leaves: Vec<Tensor>,
}

impl Network {
    fn build(
        store: &mut ParamStore,
        spec: &EnvSpec,
        coordinates: Option<Coordinates>,
    ) -> Result<Self> {
        let [c, h, w] = spec.obs_shape.map(|size| size as i64);
        let window = |channels_out, kernel, stride| Window { channels_out, kernel, stride };
        let mut scope = ParamScope::new(store);
        let convolutions = [
            Conv::build(&mut scope, "torso.conv1", c, window(32, 8, 4), coordinates)?,
            Conv::build(&mut scope, "torso.conv2", 32, window(64, 4, 2), None)?,
            Conv::build(&mut scope, "torso.conv3", 64, window(64, 3, 1), None)?,
        ];

        // Without padding, each convolution leaves this much of a side.
        let shrink = |size: i64, (kernel, stride)| (size - kernel) / stride + 1;
        let side = |size: i64| [(8, 4), (4, 2), (3, 1)].into_iter().fold(size, shrink);
        let maps = 64 * side(h) * side(w);
        let actions = spec.num_actions() as i64;
        // A small gain, so that the first policy is nearly uniform.
        let small = Init::Orthogonal { gain: 0.01 };
        Ok(Self {
            convolutions,
            fc: Linear::build(&mut scope, "torso.fc", maps, 512, Init::BEFORE_RELU)?,
            policy: Linear::build(&mut scope, "policy", 512, actions, small)?,
            value: Linear::build(&mut scope, "value", 512, 1, Init::Orthogonal { gain: 1.0 })?,
            leaves: scope.into_leaves()?,
        })
    }

    /// Maps observations, `u8 [B, C, H, W]`, to logits `[B, A]` and values `[B]`.
    fn forward(&self, obs: &Tensor) -> (Tensor, Tensor) {
        let mut maps = scale_pixels(obs); // f32 in [0, 1]
        for convolution in &self.convolutions {
            maps = convolution.forward(&maps).relu();
        }

        let features = self.fc.forward(&maps.flatten(1, -1)).relu(); // [B, 512]
        (self.policy.forward(&features), self.value.forward(&features).squeeze_dim(1))
    }

    /// Computes the gradient of `loss` for all parameters, `[P]`.
    fn gradient(&self, loss: &Tensor) -> Result<Tensor> {
        let gradients = Tensor::f_run_backward(&[loss], &self.leaves, false, false)?;
        Ok(flatten_gradients(&gradients, &self.leaves))
    }
}

fn main() -> Result<()> {
    // A pool of one thread, with one libtorch thread: nothing runs in parallel.
    build_pool(1, 1)?.install(learn_catch)
}

fn learn_catch() -> Result<()> {
    let optimizer =
        OptimizerConfig { kind: OptimizerKind::Adam, learning_rate: 2e-3, ..Default::default() };
    let config = A2cConfig { rollout_agent_steps: 10, optimizer, ..Default::default() };
    let mut agent = SerialA2c::build(&config, catch(config.envs)?, None, 1)?;

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
