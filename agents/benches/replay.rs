//! Benchmarks sampling and batch assembly against a learner's demand.
//!
//! ```text
//! cargo bench -p coordrl-agents --bench replay
//! cargo bench -p coordrl-agents --bench replay -- --device cuda:0 # device of the learner
//! ```
//!
//! Variants alternate within one run, so that background load slows all of them equally; the last
//! column is the ratio to the first line of its table. Absolute rates depend on the machine.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program for people")]

mod device;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use coordrl_agents::apex::{ApexLearner, LearnBatch, LearnerConfig};
use coordrl_agents::replay::{
    Batch, PlaneForm, PlaneWriter, Replay, ReplayConfig, StreamPart, SumTree, Transition,
};
use coordrl_agents::{build_pool, find_torso};
use coordrl_envs::{Role, derive_rng};
use rand::Rng as _;
use tch::Device;

const TURNS: usize = 5;
const TURN: Duration = Duration::from_millis(400);
const BATCH: usize = 512;
const LEAVES: usize = 1 << 21;
const TRANSITIONS: usize = 20_000;
/// Transitions per inserted part.
const PART: usize = 50;
/// Minimum pause between parts: at most 50 000 transitions/s, four times the rate of the paper's
/// 360 actors (Horgan et al. 2018). The bench prints the actual rate.
const PAUSE: Duration = Duration::from_millis(1);
const SHAPE: [usize; 3] = [4, 84, 84];
const FRAME: usize = 84 * 84;

fn main() {
    // `cargo test --benches` only checks that this runs.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    sum_tree();
    let replays = [PlaneForm::Raw, PlaneForm::Lz4].map(filled);
    draws(&replays);
    appetite(&replays[0]);
}

fn sum_tree() {
    let tree = Mutex::new(full_tree());
    let inserted = AtomicU64::new(0);
    let mut rates = vec![Vec::new(); 3];
    let nobody = AtomicBool::new(false);
    for _ in 0..TURNS {
        rates[0].push(samples_per_second(&tree, &nobody, batched));
        rates[1].push(samples_per_second(&tree, &nobody, one_by_one));
        rates[2].push(with_inserts(&tree, &inserted));
    }

    println!("samples from a sum tree of {LEAVES} leaves, median of {TURNS} turns");
    let names = ["batches of 512", "one by one", "batches, inserts from another thread"];
    print_rates(&names, rates, "samples/s");
    let seconds = TURN.as_secs_f64() * TURNS as f64;
    println!("({:.0} inserts/s meanwhile)\n", inserted.into_inner() as f64 / seconds);
}

/// Lookup of a batch of leaves.
type Find = fn(&SumTree, &[f64], &mut [usize]);

fn batched(tree: &SumTree, masses: &[f64], found: &mut [usize]) {
    tree.find_batch(masses, found).unwrap();
}

fn one_by_one(tree: &SumTree, masses: &[f64], found: &mut [usize]) {
    found.iter_mut().zip(masses).for_each(|(found, mass)| *found = tree.find(*mass).unwrap());
}

fn full_tree() -> SumTree {
    let mut rng = derive_rng(1, Role::TrainPolicy, 0);
    let mut tree = SumTree::try_new(LEAVES).unwrap();
    let indices: Vec<usize> = (0..LEAVES).collect();
    let priorities: Vec<f64> = indices.iter().map(|_| share(&mut rng)).collect();
    tree.set_batch(&indices, &priorities).unwrap();
    tree
}

/// Measures sampling, yielding the lock to a waiting inserter: a pure sampling loop would reacquire
/// the lock before the other thread wakes, and measure no inserts at all. A real learner spends
/// that time on assembly.
fn samples_per_second(tree: &Mutex<SumTree>, other_waits: &AtomicBool, find: Find) -> f64 {
    let mut rng = derive_rng(2, Role::TrainPolicy, 0);
    let mut masses = vec![0.0; BATCH];
    let mut found = vec![0; BATCH];
    per_second(BATCH, || {
        masses.fill_with(|| share(&mut rng));
        while other_waits.load(Ordering::Relaxed) {
            std::hint::spin_loop();
        }
        let tree = tree.lock().unwrap();
        let total = tree.total();
        masses.iter_mut().for_each(|mass| *mass *= total);
        find(&tree, &masses, &mut found);
    })
}

fn with_inserts(tree: &Mutex<SumTree>, inserted: &AtomicU64) -> f64 {
    let stop = AtomicBool::new(false);
    let waits = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut first = 0;
            while !stop.load(Ordering::Relaxed) {
                let places: Vec<usize> =
                    (first..first + PART).map(|place| place % LEAVES).collect();
                waits.store(true, Ordering::Relaxed);
                tree.lock().unwrap().set_batch(&places, &[0.5; PART]).unwrap();
                waits.store(false, Ordering::Relaxed);
                inserted.fetch_add(PART as u64, Ordering::Relaxed);
                first += PART;
                std::thread::sleep(PAUSE);
            }
        });
        let rate = samples_per_second(tree, &waits, batched);
        stop.store(true, Ordering::Relaxed);
        rate
    })
}

fn draws(replays: &[Replay; 2]) {
    let mut rng = derive_rng(3, Role::TrainPolicy, 0);
    let mut batches = [Batch::default(), Batch::default()];
    let mut rates = vec![Vec::new(); 4];
    for _ in 0..TURNS {
        for (form, (replay, batch)) in replays.iter().zip(&mut batches).enumerate() {
            rates[form].push(per_second(1, || {
                replay.draw(BATCH, &mut rng).unwrap().assemble_into(batch).unwrap();
            }));
            rates[2 + form].push(per_second(1, || drop(replay.draw(BATCH, &mut rng).unwrap())));
        }
    }

    println!("batches of {BATCH} of {SHAPE:?} out of {TRANSITIONS}, median of {TURNS} turns");
    let names = [
        "drawn and assembled, raw",
        "drawn and assembled, LZ4",
        "drawn only, raw",
        "drawn only, LZ4",
    ];
    print_rates(&names, rates, "batches/s");
    let [raw, packed] = replays.each_ref().map(|replay| replay.bytes_used() / replay.len() as u64);
    println!("({raw} bytes a transition raw, {packed} with LZ4)");
}

/// Compares assembly in one thread with learning from the batches, on all cores or on a GPU.
fn appetite(replay: &Replay) {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let pool = build_pool(cores, 1).unwrap();
    let device = device::device();
    let shards = if device == Device::Cpu { cores as u32 } else { 1 };
    let config = LearnerConfig { batch_size: BATCH as u32, shards, ..Default::default() };
    let torso = find_torso("conv").unwrap();
    let mut learner = ApexLearner::build(torso, SHAPE, 6, device, 1, &config).unwrap();
    let mut rng = derive_rng(5, Role::TrainPolicy, 0);
    let mut batch = Batch::default();
    let mut rates = vec![Vec::new(); 2];
    for _ in 0..TURNS {
        rates[0].push(per_second(1, || {
            if batch.obs.is_empty() {
                return; // the first turn has no batch yet
            }
            pool.install(|| learner.learn(&LearnBatch::from(&batch))).unwrap();
        }));
        rates[1].push(per_second(1, || {
            replay.draw(BATCH, &mut rng).unwrap().assemble_into(&mut batch).unwrap();
        }));
    }

    // The first turn had no batch to learn from and counted empty calls.
    rates[0].remove(0);
    println!(
        "\na learner of conv, {shards} shards on {cores} cores and {device:?}, and the thread that feeds it"
    );
    print_rates(&["learnt from", "drawn and assembled, raw"], rates, "batches/s");
}

/// Builds a full replay of one long episode.
fn filled(plane_form: PlaneForm) -> Replay {
    let mut replay = Replay::try_new(ReplayConfig {
        capacity: TRANSITIONS,
        slack_share: 0.0,
        priority_exponent: 0.6,
        importance_exponent: 0.4,
        priority_epsilon: 1e-6,
        obs_shape: SHAPE,
        plane_form,
    })
    .unwrap();
    let mut rng = derive_rng(4, Role::TrainEnv, 0);
    let mut writer = PlaneWriter::try_new(SHAPE, plane_form).unwrap();
    let mut obs = vec![0; 4 * FRAME];
    let mut obs_ref = writer.begin_episode(&obs).unwrap();
    for t in 0..TRANSITIONS {
        obs.copy_within(FRAME.., 0);
        paint(&mut obs[3 * FRAME..], t);
        let next_obs = writer.follow(&obs).unwrap();
        let td_error_abs = share(&mut rng) as f32;
        let transition = Transition {
            obs: obs_ref,
            next_obs,
            action: 0,
            reward: 0.0,
            discount: 0.97,
            td_error_abs,
        };
        let first_plane = writer.first_pending();
        let planes = writer.take_planes();
        replay
            .insert(StreamPart { stream: 0, first_plane, planes, transitions: vec![transition] })
            .unwrap();
        obs_ref = next_obs;
    }

    replay
}

/// Paints walls, a field of bricks and forty moving objects: about as hard to compress as a game.
fn paint(frame: &mut [u8], t: usize) {
    for (place, pixel) in frame.iter_mut().enumerate() {
        let y = place / 84;
        let x = place % 84;
        *pixel = match (y, x) {
            (0..8, _) | (_, 0..4 | 80..84) => 142,
            (18..36, _) => 60 + 20 * (y / 3 % 6) as u8 + (x % 7 == 0) as u8,
            _ => 0,
        };
    }

    for thing in 0..40 {
        let y = (thing * 37 + t * (1 + thing % 3)) % 80;
        let x = (thing * 53 + t * (1 + thing % 5)) % 80;
        (0..4).for_each(|row| frame[(y + row) * 84 + x..][..4].fill(200 + thing as u8));
    }
}

/// Returns the rate of `run` per second, times `count`.
fn per_second(count: usize, mut run: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut runs = 0;
    while start.elapsed() < TURN {
        run();
        runs += 1;
    }
    (runs * count) as f64 / start.elapsed().as_secs_f64()
}

fn print_rates(names: &[&str], rates: Vec<Vec<f64>>, unit: &str) {
    let medians: Vec<f64> = rates.into_iter().map(median).collect();
    println!("{:<40} {unit:>12} {:>7}", "", "ratio");
    for (name, rate) in names.iter().zip(&medians) {
        println!("{name:<40} {rate:>12.1} {:>7.2}", rate / medians[0]);
    }
}

/// Draws uniformly from [0, 1).
fn share(rng: &mut coordrl_envs::Rng) -> f64 {
    // 53 bits, as many as an `f64` represents exactly.
    (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
