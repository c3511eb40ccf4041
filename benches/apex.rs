//! What acting costs in Ape-X, with a learner that never gets to learn.
//!
//! ```text
//! cargo bench --bench apex
//! ```
//!
//! Environments, inference, and both as actors do it, in turns of some seconds, so that a busy machine
//! slows all alike; every turn keeps all cores busy, for a core beside an idle one may be a faster one. What both together may reach follows from the first two: an agent
//! step costs the time of its emulator and that of its row in the network, on all cores; where one
//! thread infers for all, it is also no faster than that thread. The last column is the share of
//! what may be reached; bare agent steps per second depend on the machine.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program for people")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

use coordrl::agent::Agent;
use coordrl::assemble::{assemble, assets};
use coordrl::config::{Algo, RunConfig};
use coordrl::device::DeviceChoice;
use coordrl_agents::nn::{QHead, QNetwork};
use coordrl_agents::{ActMode, Apex, Inference, Policy, find_torso};
use coordrl_envs::{EnvConfig, EnvSeed, EnvSpec, Role, VecEnv, VecStep, derive_rng, make_env};
use rand::RngExt as _;
use tch::Device;

const GAME: &str = "pong";
const ENVS: usize = 16;
const TURNS: usize = 5;
const TURN: Duration = Duration::from_secs(4);

fn main() {
    // `cargo test --benches` only wants to know that it runs.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    tch::set_num_threads(1);
    let cores = thread::available_parallelism().map_or(1, |cores| cores.get()).min(ENVS);
    let mut groups: Vec<VecEnv> = (0..cores).map(|actor| group(actor, ENVS / cores)).collect();
    let policy = policy(groups[0].spec());
    let mut agents = [Inference::Central, Inference::Local].map(|inference| agent(inference, cores));
    let mut rates = vec![Vec::new(); 4];
    for _ in 0..TURNS {
        rates[0].push(step_all(&mut groups));
        rates[1].push(infer_beside(&policy, &mut groups));
        for (agent, rates) in agents.iter_mut().zip(&mut rates[2..]) {
            rates.push(act(agent));
        }
    }
    let [stepped, inferred, central, local] = rates.into_iter().map(median).collect::<Vec<_>>()[..] else {
        unreachable!("four rows")
    };
    let cores = cores as f64;
    let both = cores / (cores / stepped + 1.0 / inferred);
    let central_most = both.min(inferred);
    println!("{GAME}, {ENVS} environments of {cores} actors on {cores} cores, agent steps a second");
    println!("(median of {TURNS} turns; ratios to what may be reached)");
    println!("{:<50} {stepped:>7.0}", "environments alone, a thread an actor");
    println!("{:<50} {inferred:>7.0}", "inference, one thread, environments in the others");
    println!("{:<50} {both:>7.0}", "both on all cores, by calculation");
    println!("{:<50} {local:>7.0} {:>6.2}", "actors, inference of their own", local / both);
    println!("{:<50} {central_most:>7.0}", "both with one thread that infers, by calculation");
    println!("{:<50} {central:>7.0} {:>6.2}", "actors, central inference", central / central_most);
}

fn group(actor: usize, size: usize) -> VecEnv {
    let seed = |env| EnvSeed { seed: 1, role: Role::TrainEnv, index: (actor * size + env) as u64 };
    let make = |env| make_env(GAME, &EnvConfig::default(), &assets(None), seed(env)).unwrap();
    VecEnv::try_new((0..size).map(make).collect()).unwrap()
}

fn policy(spec: &EnvSpec) -> Policy {
    let torso = find_torso("conv").unwrap();
    let mut store = coordrl_agents::nn::ParamStore::new(1, Device::Cpu);
    QNetwork::build(torso, spec.obs_shape, spec.num_actions(), QHead::Dueling, &mut store).unwrap();
    Policy::build_q(torso, QHead::Dueling, spec, &store.to_named(), Device::Cpu).unwrap()
}

/// Never warm: the learner waits.
fn agent(inference: Inference, actors: usize) -> Apex {
    let mut config = RunConfig {
        game: GAME.to_owned(),
        algo: Algo::Apex,
        device: DeviceChoice::Cpu,
        frames: u64::MAX,
        ..RunConfig::default()
    };
    config.apex.envs = (ENVS / actors * actors) as u32;
    config.apex.actors = Some(actors as u32);
    config.apex.inference = inference;
    config.apex.replay.capacity = 200_000;
    config.apex.replay.warmup_transitions = 200_000;
    let Agent::Apex(agent) = assemble(&config).unwrap().agent else { unreachable!("the algorithm is Ape-X") };
    *agent
}

/// Agent steps per second with random actions, every group in a thread of its own.
fn step_all(groups: &mut [VecEnv]) -> f64 {
    let (start, steps) = (Instant::now(), AtomicU64::new(0));
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
    let (mut obs, mut stepped) = (vec![0; envs.obs_len()], vec![VecStep::default(); envs.len()]);
    let count = envs.spec().num_actions();
    envs.reset(&mut obs).unwrap();
    while start.elapsed() < TURN {
        let actions: Vec<usize> = (0..envs.len()).map(|_| rng.random_range(0..count)).collect();
        envs.step(&actions, &mut obs, &mut stepped).unwrap();
        steps.fetch_add(envs.len() as u64, Ordering::Relaxed);
    }
}

/// Rows per second of one thread, while every other core steps a group.
fn infer_beside(policy: &Policy, groups: &mut [VecEnv]) -> f64 {
    let (start, steps) = (Instant::now(), AtomicU64::new(0));
    let (first, others) = groups.split_first_mut().unwrap();
    thread::scope(|scope| {
        start_stepping(scope, others, start, &steps);
        infer(policy, first.spec(), first.len())
    })
}

/// Rows per second, as many at a time as an actor has environments.
fn infer(policy: &Policy, spec: &EnvSpec, rows: usize) -> f64 {
    let obs: Vec<u8> = (0..rows * spec.obs_len()).map(|i| (i % 251) as u8).collect();
    let mut rngs: Vec<_> = (0..rows as u64).map(|row| derive_rng(1, Role::TrainPolicy, row)).collect();
    let (start, mut done) = (Instant::now(), 0);
    while start.elapsed() < TURN {
        policy.act(&obs, ActMode::Greedy, &mut rngs.iter_mut().collect::<Vec<_>>()).unwrap();
        done += rows;
    }
    done as f64 / start.elapsed().as_secs_f64()
}

/// Agent steps per second of one turn, all of them in the replay at its end.
fn act(agent: &mut Apex) -> f64 {
    let (start, before) = (Instant::now(), agent.counters().agent_steps);
    while start.elapsed() < TURN {
        assert!(agent.update().unwrap().learned.is_none(), "the learner is stopped");
    }
    agent.rest().unwrap();
    (agent.counters().agent_steps - before) as f64 / start.elapsed().as_secs_f64()
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
