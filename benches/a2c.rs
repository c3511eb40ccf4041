//! Benchmarks A2C training on Breakout against the same recipe in PyTorch on EnvPool, in one run.
//!
//! ```text
//! cargo bench --bench a2c
//! COORDRL_BENCH_PYTHON=python3 cargo bench --bench a2c     # a Python that has torch and envpool
//! COORDRL_BENCH_PYTHON=python3 cargo bench --bench a2c -- --device cuda:0
//! ```
//!
//! Both train with 16 environments × 5 steps on one thread per core, in alternating turns of some
//! seconds, so that background load slows both equally. The ratio is that of the medians; absolute
//! agent steps per second depend on the machine.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program for people")]

mod options;

use std::process::Command;
use std::time::{Duration, Instant};

use coordrl::config::RunConfig;
use coordrl::game::assemble::agent_setup;
use coordrl_agents::device::device_name;
use coordrl_agents::{A2c, Gradients};
use tch::Device;

const TURNS: usize = 5;
const TURN: Duration = Duration::from_secs(8);

fn main() {
    // `cargo test --benches` only checks that this runs.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }

    let python = std::env::var("COORDRL_BENCH_PYTHON").ok();
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let device = options::device();
    let turns = options::turns(TURNS);
    let here = if device == Device::Cpu { Gradients::Actors } else { Gradients::Central };
    let mut kinds = vec![("conv", here), ("coordconv", here)];
    if device == Device::Cpu {
        kinds.push(("conv", Gradients::Central));
    }

    let mut agents: Vec<A2c> =
        kinds.iter().map(|(torso, how)| agent(torso, *how, device)).collect();
    let mut ours: Vec<Vec<f64>> = vec![Vec::new(); kinds.len()];
    let mut theirs = Vec::new();
    for _ in 0..turns {
        for (agent, speeds) in agents.iter_mut().zip(&mut ours) {
            speeds.push(train(agent));
        }
        theirs.extend(python.as_deref().map(|python| train_peer(python, cores, device)));
    }

    let peer = (!theirs.is_empty()).then(|| median(theirs));
    println!(
        "breakout, 16 environments × 5 agent steps, {cores} threads, {device:?}, agent steps a second (median of {turns} turns)"
    );
    if let Some(peer) = peer {
        println!("{:<28} {peer:>8.0}", "PyTorch + EnvPool");
    }

    for ((torso, gradients), speeds) in kinds.iter().zip(ours) {
        let name = format!("coordrl {torso} {gradients:?}");
        let speed = median(speeds);
        let ratio = peer.map_or_else(String::new, |peer| format!("ratio {:.2}", speed / peer));
        println!("{name:<28} {speed:>8.0}   {ratio}");
    }
}

fn agent(torso: &str, gradients: Gradients, device: Device) -> A2c {
    let mut config = RunConfig {
        game: "breakout".to_owned(),
        torso: torso.to_owned(),
        device: device_name(device).parse().unwrap(),
        ..RunConfig::default()
    };
    config.a2c.gradients = gradients;
    let mut agent = A2c::build(&config.a2c, agent_setup(&config, device).unwrap()).unwrap();
    agent.update().unwrap(); // warm-up: the first update is slower
    agent
}

/// Returns the agent steps per second of one turn.
fn train(agent: &mut A2c) -> f64 {
    let start = Instant::now();
    let before = agent.counters().agent_steps;
    while start.elapsed() < TURN {
        agent.update().unwrap();
    }
    (agent.counters().agent_steps - before) as f64 / start.elapsed().as_secs_f64()
}

fn train_peer(python: &str, threads: usize, device: Device) -> f64 {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/a2c_envpool.py");
    let threads = threads.to_string();
    let seconds = TURN.as_secs().to_string();
    let arguments = [script, "Breakout-v5", &threads, &seconds, &device_name(device)];
    let output = Command::new(python).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().parse().unwrap()
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
