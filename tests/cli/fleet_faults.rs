//! A run whose processes die, freeze and lose their network, one after the other, drawn by a seed:
//!
//! ```text
//! COORDRL_FLEET_PROCESS_FAULTS=200 COORDRL_FLEET_SEED=3 \
//!   cargo test --release --test cli fleet_faults -- --nocapture
//! ```
//!
//! With an odd seed the broker keeps everything on disk, and nothing may be lost.

use std::thread;
use std::time::{Duration, Instant};

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::cluster::{Cluster, Counts, Remains, Who};
use crate::proxy::Swallowed;

/// Settings of a run with many batches, log points and checkpoints.
const OFTEN: &[&str] = &[
    "--envs=2",
    "--frames=1e9",
    "--set=env.screen_size=36",
    "--set=evaluation.every_frames=off",
    "--set=apex.actors=1",
    "--set=apex.samples_per_insert=1",
    "--set=apex.send_every_agent_steps=5",
    "--set=apex.replay.capacity=2000",
    "--set=apex.replay.warmup_transitions=60",
    "--set=apex.learner.batch_size=8",
    "--set=log_every_frames=200",
    "--set=checkpoint_every_frames=1000",
    "--set=keep_checkpoints=2",
];

/// Kinds of faults: each comes once in ten.
const KINDS: [Kind; 10] = [
    Kind::KillActor,
    Kind::KillLearner,
    Kind::KillBroker,
    Kind::FreezeActor,
    Kind::FreezeLearner,
    Kind::FreezeBroker,
    Kind::Cut,
    Kind::Delay,
    Kind::HalfOpenActor,
    Kind::HalfOpenLearner,
];

#[derive(Clone, Copy)]
enum Kind {
    KillActor,
    KillLearner,
    KillBroker,
    FreezeActor,
    FreezeLearner,
    FreezeBroker,
    Cut,
    Delay,
    HalfOpenActor,
    HalfOpenLearner,
}

/// A fault. The network is that between a process and the broker, or with [`Who::Broker`] all of
/// it.
#[derive(Debug)]
enum Fault {
    Kill {
        who: Who,
        pause: Duration,
    },
    /// The learner is killed, and its last requests reach the broker later.
    KillLate {
        by: Duration,
    },
    Freeze {
        who: Who,
        pause: Duration,
    },
    Cut {
        network: Who,
    },
    Delay {
        network: Who,
        by: Duration,
        pause: Duration,
    },
    HalfOpen {
        network: Who,
        swallowed: Swallowed,
        pause: Duration,
    },
}

/// Draws faults.
struct Faults {
    rng: ChaCha8Rng,
    actors: usize,
    /// Longest time without a process, in milliseconds.
    longest: u64,
    next: Vec<Kind>,
}

impl Faults {
    fn draw(&mut self) -> Fault {
        if self.next.is_empty() {
            self.next.extend(KINDS);
            self.next.shuffle(&mut self.rng);
        }
        let kind = self.next.pop().unwrap();
        let actor = Who::Actor(self.rng.random_range(0..self.actors));
        let learner_or = |other, rng: &mut ChaCha8Rng| {
            if rng.random_bool(0.5) { Who::Learner } else { other }
        };
        let pause = self.pause();
        match kind {
            Kind::KillActor => Fault::Kill { who: actor, pause },
            Kind::KillLearner if self.rng.random_bool(0.5) => {
                Fault::KillLate { by: Duration::from_millis(self.rng.random_range(500..4000)) }
            }
            Kind::KillLearner => Fault::Kill { who: Who::Learner, pause },
            Kind::KillBroker => Fault::Kill { who: Who::Broker, pause },
            Kind::FreezeActor => Fault::Freeze { who: actor, pause },
            Kind::FreezeLearner => Fault::Freeze { who: Who::Learner, pause },
            Kind::FreezeBroker => Fault::Freeze { who: Who::Broker, pause },
            Kind::Cut => Fault::Cut { network: learner_or(Who::Broker, &mut self.rng) },
            Kind::Delay => {
                let by = Duration::from_millis(self.rng.random_range(50..800));
                Fault::Delay { network: learner_or(actor, &mut self.rng), by, pause }
            }
            Kind::HalfOpenActor => self.half_open(actor, pause),
            Kind::HalfOpenLearner => self.half_open(Who::Learner, pause),
        }
    }

    fn half_open(&mut self, network: Who, pause: Duration) -> Fault {
        let kinds = [Swallowed::Requests, Swallowed::Answers, Swallowed::Both];
        let swallowed = kinds[self.rng.random_range(0..kinds.len())];
        Fault::HalfOpen { network, swallowed, pause }
    }

    /// Draws a time: mostly short, some longer than the leases.
    fn pause(&mut self) -> Duration {
        let longest = if self.rng.random_bool(0.75) { 3_000 } else { self.longest };
        Duration::from_millis(self.rng.random_range(200..longest))
    }
}

impl Fault {
    /// Lets it happen, and pass.
    fn inflict(&self, cluster: &mut Cluster) {
        match *self {
            Self::Kill { who, pause } => cluster.kill(who, pause),
            Self::KillLate { by } => {
                cluster.networks(Who::Learner)[0].delay(by);
                // Its next request is on its way then; one that is under way remains late.
                thread::sleep(2 * by + Duration::from_millis(200));
                cluster.networks(Who::Learner)[0].heal();
                cluster.kill(Who::Learner, Duration::ZERO);
            }
            Self::Freeze { who, pause } => cluster.freeze(who, pause),
            Self::Cut { network } => cluster.networks(network).iter().for_each(|net| net.cut()),
            Self::Delay { network, by, pause } => {
                let networks = cluster.networks(network);
                networks.iter().for_each(|net| net.delay(by));
                thread::sleep(pause);
                networks.iter().for_each(|net| net.heal());
            }
            Self::HalfOpen { network, swallowed, pause } => {
                let networks = cluster.networks(network);
                networks.iter().for_each(|net| net.half_open(swallowed));
                thread::sleep(pause);
                networks.iter().for_each(|net| net.heal());
            }
        }
    }
}

#[test]
fn a_run_goes_on_whatever_happens_to_its_processes() {
    let long = number("COORDRL_FLEET_PROCESS_FAULTS");
    let seed = number("COORDRL_FLEET_SEED").unwrap_or(1);
    let (actors, longest) = if long.is_some() { (8, 15_000) } else { (3, 3_000) };
    let rng = ChaCha8Rng::seed_from_u64(seed);
    let mut faults = Faults { rng, actors, longest, next: Vec::new() };
    let keeps = seed % 2 == 1;
    let broker: &[&str] =
        if keeps { &["--appendonly", "yes", "--appendfsync", "always"] } else { &[] };

    let Some(mut cluster) = Cluster::start(broker, OFTEN, actors) else { return };
    let begun = Instant::now();
    let secs = || begun.elapsed().as_secs_f64();
    eprintln!(
        "seed {seed}, {actors} actors, a broker that keeps {}",
        if keeps { "all" } else { "nothing" }
    );
    cluster.wait_for_progress(Counts::default());
    for number in 1..=long.unwrap_or(10) {
        let before = cluster.counts();
        let fault = faults.draw();
        eprintln!("{:7.1} s  {number}: {fault:?}, {before:?}", secs());
        fault.inflict(&mut cluster);
        cluster.wait_for_progress(before);
        eprintln!("{:7.1} s     goes on", secs());
        thread::sleep(Duration::from_millis(faults.rng.random_range(0..1000)));
    }

    cluster.wait_for_every_actor();
    let remains = cluster.stop();
    eprintln!("{:7.1} s  stopped: {:?}", secs(), remains.ledger);
    check(&remains, keeps);
}

/// Settings that learn `catch`, as in `agents/tests/apex_learn_catch.rs`.
const LEARNS: &[&str] = &[
    "--envs=4",
    "--set=env.screen_size=52",
    "--set=env.frame_stack=2",
    "--set=evaluation.every_frames=5000",
    "--set=evaluation.episodes=100",
    "--set=apex.actors=1",
    "--set=apex.samples_per_insert=8",
    "--set=apex.send_every_agent_steps=5",
    "--set=apex.weights_every_agent_steps=20",
    "--set=apex.prefetch_batches=4",
    "--set=apex.replay.capacity=10000",
    "--set=apex.replay.warmup_transitions=1000",
    "--set=apex.learner.batch_size=32",
    "--set=apex.learner.target_copy_updates=250",
    "--set=apex.learner.optimizer.kind=adam",
    "--set=apex.learner.optimizer.learning_rate=1e-3",
    "--set=apex.learner.optimizer.epsilon=1e-4",
    "--set=log_every_frames=200",
    "--set=checkpoint_every_frames=1000",
];

#[test]
fn catch_is_learnt_over_a_broker_though_the_learner_is_killed_twice() {
    if number("COORDRL_FLEET_PROCESS_FAULTS").is_none() {
        eprintln!("skipped: it takes minutes; see COORDRL_FLEET_PROCESS_FAULTS");
        return;
    }
    let begun = Instant::now();
    let frames = 15_000;
    let length = format!("--frames={frames}");
    let settings = [LEARNS, &[&length]].concat();
    let Some(mut cluster) = Cluster::start(&[], &settings, 2) else { return };
    for third in [1, 2] {
        cluster.wait_for_frames(third * frames / 3);
        cluster.kill(Who::Learner, Duration::ZERO);
    }
    cluster.wait_for_frames(9 * frames / 10);
    let Remains { ledger, points, .. } = cluster.finish();

    let mut scores = points.iter().filter_map(|point| point["eval/final_return"].as_f64());
    let score = scores.next_back().unwrap();
    let secs = begun.elapsed().as_secs();
    eprintln!("score {score} after {secs} s, {} batches from elsewhere", ledger.inserted());
    assert!(ledger.inserted() > 50, "{ledger:?}");
    assert!(score >= 0.9, "{score}");
}

/// Checks that the counts agree at both ends, and that the limiter held.
fn check(remains: &Remains, broker_keeps_all: bool) {
    let Remains { ledger, sent, points } = remains;
    for (actor, account) in ledger.accounts() {
        assert_eq!(account.inserted + account.lost, account.up_to, "{actor}: {account:?}");
        let Some(&sent) = sent.get(&actor.to_string()) else { continue };
        // The answer to the last one may not have come.
        assert!(account.up_to <= sent + 1, "{actor}: {account:?}, but sent {sent}");
        // Two at the broker, and two of each of two readings that were not inserted yet.
        assert!(sent <= account.up_to + 6, "{actor}: {account:?}, but sent {sent}");
    }
    assert_eq!(ledger.duplicates(), 0);
    assert!(!broker_keeps_all || ledger.lost() == 0, "{ledger:?}");

    let ratios =
        points.iter().rev().filter_map(|point| point["replay/samples_per_insert"].as_f64());
    let last: Vec<f64> = ratios.take(3).collect();
    assert!(last.len() == 3 && last.iter().all(|ratio| (0.9..=1.1).contains(ratio)), "{last:?}");
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}
