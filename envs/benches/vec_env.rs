//! Speed of `VecEnv`, beside EnvPool in the same run.
//!
//! ```text
//! cargo bench -p coordrl-envs
//! COORDRL_BENCH_PYTHON=python3 cargo bench -p coordrl-envs     # a Python that has EnvPool
//! ```
//!
//! Both play the same game under the classic rules, 16 environments, random actions, the same
//! number of threads, in turns of a few seconds, so that a busy machine slows both alike. The last
//! column is the ratio of the medians; bare frames per second depend on the machine.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program for people")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use coordrl_envs::{Assets, EnvConfig, EnvSeed, Role, VecEnv, VecStep, make_env};
use rand::RngExt as _;

const ENVS: usize = 16;
const TURNS: usize = 3;
const TURN: Duration = Duration::from_secs(3);
const GAMES: [(&str, &str); 2] = [("pong", "Pong-v5"), ("breakout", "Breakout-v5")];

fn main() {
    // `cargo test --benches` only wants to know that it runs.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }

    let python = std::env::var("COORDRL_BENCH_PYTHON").ok();
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    println!(
        "{ENVS} environments, classic rules, emulator frames per second (median of {TURNS} turns)"
    );
    println!(
        "{:<10} {:>7} {:>10} {:>9} {:>10} {:>7}",
        "game", "threads", "coordrl", "emulator", "envpool", "ratio"
    );
    for (game, envpool_name) in GAMES {
        for threads in [1, cores] {
            report(game, envpool_name, threads, python.as_deref());
        }
    }
}

fn report(game: &str, envpool_name: &str, threads: usize, python: Option<&str>) {
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    let mut shares = Vec::new();
    for _ in 0..TURNS {
        let (frames, share) = play(game, threads);
        ours.push(frames);
        shares.push(share);
        theirs.extend(python.map(|python| play_envpool(python, envpool_name, threads)));
    }

    let ours = median(ours);
    let share = 100.0 * median(shares);
    let (envpool, ratio) = match theirs.is_empty() {
        true => ("-".to_owned(), "-".to_owned()),
        false => {
            let theirs = median(theirs);
            (format!("{theirs:.0}"), format!("{:.2}", ours / theirs))
        }
    };

    println!("{game:<10} {threads:>7} {ours:>10.0} {share:>7.0} % {envpool:>10} {ratio:>7}");
}

/// Frames per second of one turn, and the emulator's share of the time.
fn play(game: &str, threads: usize) -> (f64, f64) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| {
        let mut envs = vector(game);
        let mut rng = coordrl_envs::derive_rng(1, Role::TrainPolicy, 0);
        let mut obs = vec![0; envs.obs_len()];
        let mut steps = vec![VecStep::default(); ENVS];
        envs.reset(&mut obs).unwrap();
        envs.take_timing();
        let start = Instant::now();
        let mut taken = 0u32;
        while start.elapsed() < TURN {
            let actions: [usize; ENVS] =
                std::array::from_fn(|_| rng.random_range(0..envs.spec().num_actions()));
            envs.step(&actions, &mut obs, &mut steps).unwrap();
            taken += 1;
        }
        let timing = envs.take_timing();
        let worked = (timing.emulate_nanos + timing.preprocess_nanos) as f64;
        let frames = f64::from(taken) * ENVS as f64 * f64::from(envs.spec().frame_skip);
        (frames / start.elapsed().as_secs_f64(), timing.emulate_nanos as f64 / worked)
    })
}

fn vector(game: &str) -> VecEnv {
    let deps = std::env::var_os("COORDRL_DEPS_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../.deps"), PathBuf::from);
    let assets = Assets::in_deps(&deps);
    let envs = (0..ENVS as u64).map(|index| {
        let seed = EnvSeed { seed: 1, role: Role::TrainEnv, index };
        make_env(game, &EnvConfig::default(), &assets, seed).unwrap()
    });
    VecEnv::try_new(envs.collect()).unwrap()
}

fn play_envpool(python: &str, game: &str, threads: usize) -> f64 {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/envpool_speed.py");
    let output = Command::new(python)
        .args([script, game, &ENVS.to_string(), &threads.to_string(), &TURN.as_secs().to_string()])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim()
        .parse()
        .unwrap_or_else(|_| panic!("EnvPool failed: {}", String::from_utf8_lossy(&output.stderr)))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
