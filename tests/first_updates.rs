//! The first updates of the default recipes keep the network healthy: a policy that can still
//! explore, and a torso whose features are still live.
#![allow(clippy::unwrap_used, reason = "a test ends where something fails")]

use std::path::Path;

use coordrl::config::{self, Algo, Layers, RunConfig, Shelf, preset_for};
use coordrl::game::assemble::assemble;
use coordrl::metrics::accumulate::MetricAccumulator;
use coordrl::metrics::tags::{self, Tag};
use coordrl_agents::find_algorithm;

const SEEDS: u64 = 3;
const UPDATES: usize = 5;
/// Share of the maximum entropy, ln A, below which a policy has started to commit.
const LEAST_ENTROPY: f64 = 0.95;

/// Metrics of a default run's first updates.
struct FirstUpdates {
    /// Entropy of the policy divided by ln A, per update.
    entropy: Vec<f64>,
    /// Increase of the dead share from the first update to the last.
    dying: f64,
}

/// Returns the settings of `coordrl train <game> --torso <torso> --seed <seed>`.
fn default_recipe(game: &str, torso: &str, seed: u64) -> RunConfig {
    let nowhere = Path::new("/nonexistent");
    let mut layers = Layers::<RunConfig>::default();
    let preset = preset_for(game, Algo::A2c, game != "catch", nowhere).unwrap().unwrap();
    Shelf::of_agents(nowhere).apply(&preset, &mut layers).unwrap();
    for assignment in [format!("game={game}"), format!("torso={torso}"), format!("seed={seed}")] {
        layers.add_assignment(&assignment);
    }
    config::resolve(&layers.finish().unwrap()).unwrap()
}

fn first_updates(game: &str, torso: &str, seed: u64) -> FirstUpdates {
    let mut agent = assemble(&default_recipe(game, torso, seed)).unwrap().agent;
    let num_actions = if game == "catch" { 3.0_f64 } else { 4.0 };

    let mut entropy = Vec::new();
    let mut dead = Vec::new();
    for _ in 0..UPDATES {
        let mut sums = MetricAccumulator::default();
        agent.update(&mut sums).unwrap();
        let tag = |name: &str| {
            let mut tags = find_algorithm("a2c").unwrap().tags.iter();
            *tags.find(|tag| tag.name == name).unwrap()
        };
        let value = |tag: &'static Tag| sums.values(&[tag])[0].1.unwrap();
        entropy.push(value(tag("policy/entropy")) / num_actions.ln());
        dead.push(value(&tags::DEAD_SHARE));
    }

    FirstUpdates { entropy, dying: dead[UPDATES - 1] - dead[0] }
}

fn assert_whole(game: &str, torso: &str, most_dying: f64) {
    let runs: Vec<FirstUpdates> =
        (1..=SEEDS).map(|seed| first_updates(game, torso, seed)).collect();
    for (run, seed) in runs.iter().zip(1..) {
        let least = run.entropy.iter().copied().fold(f64::INFINITY, f64::min);
        assert!(least >= LEAST_ENTROPY, "{game}, {torso}, seed {seed}: entropy {:?}", run.entropy);
    }

    let dying: Vec<f64> = runs.iter().map(|run| run.dying).collect();
    let mean = dying.iter().sum::<f64>() / dying.len() as f64;
    assert!(mean <= most_dying, "{game}, {torso}: features that died by seed: {dying:?}");
}

#[test]
fn breakout_with_conv() {
    assert_whole("breakout", "conv", 0.15);
}

#[test]
fn breakout_with_coordconv() {
    assert_whole("breakout", "coordconv", 0.25);
}

#[test]
fn catch_with_conv() {
    assert_whole("catch", "conv", 0.15);
}

#[test]
fn catch_with_coordconv() {
    assert_whole("catch", "coordconv", 0.25);
}
