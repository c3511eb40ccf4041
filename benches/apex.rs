//! Benchmarks acting in Ape-X, with a learner that never starts to learn.
//!
//! ```text
//! cargo bench --bench apex
//! cargo bench --bench apex -- --actors 3       # default: one per core
//! cargo bench --bench apex -- --device cuda:0
//! ```
//!
//! Measures environments, inference and the two combined in actors, in alternating turns of some
//! seconds, so that background load slows all of them equally. Every turn keeps all cores busy,
//! because a core may run faster while another is idle. The expected combined rate follows from the
//! first two: an agent step costs its emulator time plus its row in the network. The last column is
//! the fraction achieved; absolute agent steps per second depend on the machine.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program for people")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

use coordrl::config::assets;
use coordrl::config::{Algo, RunConfig};
use coordrl::game::assemble::agent_setup;
use coordrl_agents::device::{DeviceChoice, device_name};
use coordrl_agents::nn::{QHead, QNetwork};
use coordrl_agents::{ActMode, Apex, Inference, Policy, find_torso};
use coordrl_envs::{EnvConfig, EnvSeed, EnvSpec, Role, VecEnv, VecStep, derive_rng, make_env};
use rand::RngExt as _;
use tch::Device;

const GAME: &str = "pong";
const ENVS_PER_ACTOR: usize = 8;
const TURNS: usize = 7;
const TURN: Duration = Duration::from_secs(4);

fn main() {
    // `cargo test --benches` only checks that this runs.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }

    tch::set_num_threads(1);
    let device = option("device").unwrap_or(DeviceChoice::Cpu).resolve().unwrap();
    let turns = option("turns").unwrap_or(TURNS);
    let cores = thread::available_parallelism().map_or(1, |cores| cores.get());
    let actors = option("actors").unwrap_or(cores);
    let busy = cores.min(actors);
    let mut groups: Vec<VecEnv> = (0..actors).map(group).collect();
    let [own, shared] = [Device::Cpu, device].map(|device| policy(groups[0].spec(), device));
    let [mut locals, mut centrals] =
        [Inference::Local, Inference::Central].map(|inference| agent(inference, actors, device));
    let measured = (0..turns).map(|_| {
        let stepped = step_all(&mut groups);
        let own = infer_beside(&own, &mut groups[..busy]);
        let local = act(&mut locals);
        // Measured before and after the runs it is compared with.
        let before = infer_beside(&shared, &mut groups[..busy]);
        let central = act(&mut centrals);
        let shared = f64::midpoint(before, infer_beside(&shared, &mut groups[..busy]));
        Turn { cores: busy as f64, device, stepped, own, shared, local, central }
    });

    let turns: Vec<Turn> = measured.collect();
    print_table(actors, cores, device, &turns);
}

/// Returns the value of `--name` on the command line.
fn option<T: std::str::FromStr>(name: &str) -> Option<T> {
    let flag = format!("--{name}");
    let value = std::env::args().skip_while(|argument| *argument != flag).nth(1)?;
    Some(value.parse().unwrap_or_else(|_| panic!("{flag} {value} is not understood")))
}

/// Agent steps, or rows, per second.
struct Turn {
    /// Number of cores the actors can use at once.
    cores: f64,
    device: Device,
    stepped: f64,
    own: f64,
    shared: f64,
    local: f64,
    central: f64,
}

impl Turn {
    /// Computes the rate if each core alternates between stepping and inferring.
    fn local_most(&self) -> f64 {
        // Divided by the time that one core spends on an agent step: emulation and a row of
        // inference.
        self.cores / (self.cores / self.stepped + 1.0 / self.own)
    }

    /// Computes the rate if all cores step, then one thread infers, without overlap.
    fn central_in_turn(&self) -> f64 {
        // `stepped` already is the rate of all cores together.
        1.0 / (1.0 / self.stepped + 1.0 / self.shared)
    }

    /// Computes the rate if no core ever waits: bounded by the network, which one thread uses at a
    /// time, and, if inference takes core time, by all cores together.
    fn central_at_once(&self) -> f64 {
        let cores = self.cores / (self.cores / self.stepped + 1.0 / self.shared);
        if self.device == Device::Cpu {
            cores.min(self.shared)
        } else {
            self.stepped.min(self.shared)
        }
    }
}

fn print_table(actors: usize, cores: usize, device: Device, turns: &[Turn]) {
    println!(
        "{GAME}, {actors} actors of {ENVS_PER_ACTOR} environments on {cores} cores, agent steps a second"
    );
    println!("(medians of {} turns; shares of what was calculated, each of one turn)", turns.len());
    print_rate("environments alone, a thread an actor", turns, |turn| turn.stepped);
    print_rate("inference, one thread, environments in the others", turns, |turn| turn.own);
    print_rate("calculated: each core steps and infers in turn", turns, Turn::local_most);
    print_share(
        "actors, inference of their own",
        turns,
        |turn| turn.local,
        |turn| turn.local / turn.local_most(),
    );
    print_rate(
        &format!("inference on {device:?}, environments in the other threads"),
        turns,
        |turn| turn.shared,
    );

    print_rate("calculated: all cores step, then one thread infers", turns, Turn::central_in_turn);
    print_share(
        "actors, central inference",
        turns,
        |turn| turn.central,
        |turn| turn.central / turn.central_in_turn(),
    );
    print_rate("calculated: both at once, nothing ever waits", turns, Turn::central_at_once);
    print_share(
        "actors, central inference",
        turns,
        |turn| turn.central,
        |turn| turn.central / turn.central_at_once(),
    );
}

fn print_rate(name: &str, turns: &[Turn], rate: fn(&Turn) -> f64) {
    println!("{name:<60} {:>7.0}", median_of(turns, rate));
}

fn print_share(name: &str, turns: &[Turn], rate: fn(&Turn) -> f64, share: fn(&Turn) -> f64) {
    println!("{name:<60} {:>7.0} {:>6.2}", median_of(turns, rate), median_of(turns, share));
}

fn median_of(turns: &[Turn], number: fn(&Turn) -> f64) -> f64 {
    median(turns.iter().map(number).collect())
}

fn group(actor: usize) -> VecEnv {
    let envs = (0..ENVS_PER_ACTOR).map(|env| {
        let index = (actor * ENVS_PER_ACTOR + env) as u64;
        let seed = EnvSeed { seed: 1, role: Role::TrainEnv, index };
        make_env(GAME, &EnvConfig::default(), &assets(None), seed).unwrap()
    });
    VecEnv::try_new(envs.collect()).unwrap()
}

fn policy(spec: &EnvSpec, device: Device) -> Policy {
    let torso = find_torso("conv").unwrap();
    let mut store = coordrl_agents::nn::ParamStore::new(1, Device::Cpu);
    QNetwork::build(torso, spec.obs_shape, spec.num_actions(), QHead::Dueling, &mut store).unwrap();
    Policy::build_q(torso, QHead::Dueling, spec, &store.to_named(), device).unwrap()
}

/// Builds an agent that never finishes its warm-up, so the learner waits.
fn agent(inference: Inference, actors: usize, device: Device) -> Apex {
    let mut config = RunConfig {
        game: GAME.to_owned(),
        algo: Algo::Apex,
        device: device_name(device).parse().unwrap(),
        frames: u64::MAX,
        ..RunConfig::default()
    };

    config.apex.envs = (actors * ENVS_PER_ACTOR) as u32;
    config.apex.actors = Some(actors as u32);
    config.apex.inference = inference;
    let never = actors as u64 * 100_000;
    config.apex.replay.capacity = never;
    config.apex.replay.warmup_transitions = never;
    Apex::build(&config.apex, agent_setup(&config, device).unwrap()).unwrap()
}

/// Returns agent steps per second with random actions, one thread per group.
fn step_all(groups: &mut [VecEnv]) -> f64 {
    let start = Instant::now();
    let steps = AtomicU64::new(0);
    thread::scope(|scope| start_stepping(scope, groups, start, &steps));
    steps.into_inner() as f64 / start.elapsed().as_secs_f64()
}

fn start_stepping<'scope>(
    scope: &'scope Scope<'scope, '_>,
    groups: &'scope mut [VecEnv],
    start: Instant,
    steps: &'scope AtomicU64,
) {
    for (index, envs) in groups.iter_mut().enumerate() {
        scope.spawn(move || {
            let pool = coordrl_agents::build_pool(1, 1).unwrap();
            pool.install(|| step_one(envs, index as u64, start, steps));
        });
    }
}

fn step_one(envs: &mut VecEnv, stream: u64, start: Instant, steps: &AtomicU64) {
    let mut rng = derive_rng(1, Role::TrainPolicy, stream);
    let mut obs = vec![0; envs.obs_len()];
    let mut stepped = vec![VecStep::default(); envs.len()];
    let count = envs.spec().num_actions();
    envs.reset(&mut obs).unwrap();
    while start.elapsed() < TURN {
        let actions: Vec<usize> = (0..envs.len()).map(|_| rng.random_range(0..count)).collect();
        envs.step(&actions, &mut obs, &mut stepped).unwrap();
        steps.fetch_add(envs.len() as u64, Ordering::Relaxed);
    }
}

/// Returns rows per second of one thread while every other core steps a group.
fn infer_beside(policy: &Policy, groups: &mut [VecEnv]) -> f64 {
    let start = Instant::now();
    let steps = AtomicU64::new(0);
    let (first, others) = groups.split_first_mut().unwrap();
    thread::scope(|scope| {
        start_stepping(scope, others, start, &steps);
        infer(policy, first.spec(), first.len())
    })
}

/// Returns rows per second in batches of `rows`, the number of environments per actor.
fn infer(policy: &Policy, spec: &EnvSpec, rows: usize) -> f64 {
    let obs: Vec<u8> = (0..rows * spec.obs_len()).map(|i| (i % 251) as u8).collect();
    let mut rngs: Vec<_> =
        (0..rows as u64).map(|row| derive_rng(1, Role::TrainPolicy, row)).collect();
    let start = Instant::now();
    let mut done = 0;
    while start.elapsed() < TURN {
        policy.act(&obs, ActMode::Greedy, &mut rngs.iter_mut().collect::<Vec<_>>()).unwrap();
        done += rows;
    }
    done as f64 / start.elapsed().as_secs_f64()
}

/// Returns the agent steps per second of one turn, all inserted into the replay at its end: actors
/// send hundreds of steps at once and flush the rest when they pause.
fn act(agent: &mut Apex) -> f64 {
    let start = Instant::now();
    let before = agent.counters().agent_steps;
    while start.elapsed() < TURN {
        assert!(agent.update().unwrap().learned.is_none(), "the learner is stopped");
    }
    agent.pause().unwrap();
    (agent.counters().agent_steps - before) as f64 / start.elapsed().as_secs_f64()
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
