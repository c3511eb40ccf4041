//! Simulation of a run over many machines: the real ends of the link, the real rate limiter and a
//! broker in memory, driven by a seeded scheduler that loses, delays and repeats whatever it likes.
//!
//! Everything happens in one thread and in simulated time, so that any failure repeats from its
//! seed:
//!
//! ```text
//! COORDRL_FLEET_SEED=17 cargo test --release -p coordrl-agents --test fleet
//! COORDRL_FLEET_FAULTS=10000 cargo test --release -p coordrl-agents --test fleet   # longer
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something fails")]

mod actor;
mod learner;
mod simulation;
mod world;

use std::time::Duration;

use self::simulation::{Outcome, Scenario, Simulation};

/// Faults per seed.
const FAULTS: u64 = 100;

#[test]
fn nothing_counts_twice_and_nothing_is_missing_uncounted() {
    let total = number("COORDRL_FLEET_FAULTS").unwrap_or(400);
    let seeds = match number("COORDRL_FLEET_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..total.div_ceil(FAULTS),
    };

    let mut sum = Outcome::default();
    for seed in seeds {
        let outcome = Simulation::new(Scenario::of(seed), seed).run(FAULTS);
        eprintln!("seed {seed}: {outcome:?}");
        sum.add(&outcome);
    }

    eprintln!("all: {sum:?}");
    // A simulation in which none of this happens would show nothing.
    if number("COORDRL_FLEET_SEED").is_none() {
        assert!(sum.faults >= total && sum.inserted > 1000, "{sum:?}");
        assert!(sum.learners > 10 && sum.zombies_refused > 0, "{sum:?}");
        assert!(sum.lost > 0 && sum.waits_for_learner > 0, "{sum:?}");
    }
}

/// Both would wait for ever: the actors for a checkpoint, because their logs are full; the learner
/// for experience, before it is due to write one.
#[test]
fn a_log_smaller_than_the_time_between_checkpoints_does_not_stop_the_run() {
    let never = Duration::from_secs(1_000_000);
    let scenario = Scenario { checkpoint_every: never, log_bytes: 4000, ..Scenario::of(0) };
    let outcome = Simulation::new(scenario, 3).run(0);
    assert!(outcome.checkpoints > 3 && outcome.inserted > 1000, "{outcome:?}");
}

#[test]
fn a_seed_repeats_the_same_run() {
    let run = || Simulation::new(Scenario::of(5), 5).run(30);
    assert_eq!(run(), run());
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}
