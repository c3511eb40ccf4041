//! Compares the replay with a reference that stores every observation whole.
//!
//! Applies random inserts, trims, updates and snapshots over environments of every kind; every draw
//! must match the inserted data byte for byte.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something fails")]

mod world;

use coordrl_agents::replay::{PlaneForm, PlaneWriter, Replay, ReplayConfig, StreamPart};
use coordrl_envs::{Rng, Role, derive_rng};
use world::{Actor, Expected, Look, SHAPE, below};

const CAPACITY: usize = 60;
const MAX_LEN: usize = 75; // CAPACITY · (1 + slack_share)
const PRIORITY_EXPONENT: f64 = 0.6;
const IMPORTANCE_EXPONENT: f64 = 0.4;

fn config(plane_form: PlaneForm) -> ReplayConfig {
    ReplayConfig {
        capacity: CAPACITY,
        slack_share: 0.25,
        priority_exponent: PRIORITY_EXPONENT,
        importance_exponent: IMPORTANCE_EXPONENT,
        priority_epsilon: 0.0,
        obs_shape: SHAPE,
        plane_form,
    }
}

/// Reference: everything ever inserted, with its priority; ids are positions.
#[derive(Default)]
struct Naive {
    all: Vec<(Expected, f64)>,
    oldest: usize,
}

impl Naive {
    fn insert(&mut self, sent: Vec<Expected>) {
        for expected in sent {
            let priority = priority(expected.numbers.td_error_abs);
            self.all.push((expected, priority));
        }
        self.oldest = self.oldest.max(self.all.len().saturating_sub(MAX_LEN));
    }

    fn total(&self) -> f64 {
        self.all[self.oldest..].iter().map(|(_, priority)| priority).sum()
    }
}

fn priority(td_error: f32) -> f64 {
    f64::from(td_error).abs().powf(PRIORITY_EXPONENT)
}

struct World {
    rng: Rng,
    actors: Vec<Actor>,
    replay: Replay,
    naive: Naive,
    rows_checked: usize,
}

impl World {
    fn new(seed: u64, form: PlaneForm) -> Self {
        let looks = [Look::ZeroPadded, Look::RepeatPadded, Look::Colours, Look::ZeroPadded];
        let actor = |(stream, look)| Actor::new(look, stream, seed, form);
        Self {
            rng: derive_rng(seed, Role::TrainPolicy, 0),
            actors: (0..).zip(looks).map(actor).collect(),
            replay: Replay::try_new(config(form)).unwrap(),
            naive: Naive::default(),
            rows_checked: 0,
        }
    }

    fn act(&mut self) {
        match below(&mut self.rng, 20) {
            0..10 => self.insert(),
            10 => self.trim(),
            11..14 => self.update_priorities(),
            14 => self.snapshot(),
            _ => self.draw(),
        }
    }

    fn insert(&mut self) {
        let index = below(&mut self.rng, self.actors.len());
        let actor = &mut self.actors[index];
        (0..below(&mut self.rng, 9)).for_each(|_| actor.step());
        let (part, sent) = actor.part();
        let first = self.naive.all.len() as u64;
        let ids = self.replay.insert(part).unwrap();
        assert_eq!(ids, first..first + sent.len() as u64);
        self.naive.insert(sent);
    }

    fn trim(&mut self) {
        let oldest = self.naive.oldest.max(self.naive.all.len().saturating_sub(CAPACITY));
        assert_eq!(self.replay.trim(), (oldest - self.naive.oldest) as u64);
        self.naive.oldest = oldest;
    }

    /// Updates live and stale transitions, with some TD errors of 0.
    fn update_priorities(&mut self) {
        let inserted = self.naive.all.len();
        let first = self.naive.oldest.saturating_sub(10);
        let count = if inserted == first { 0 } else { below(&mut self.rng, 12) };
        let mut draw_id = |_| first + below(&mut self.rng, inserted - first);
        let ids: Vec<usize> = (0..count).map(&mut draw_id).collect();
        let td_errors: Vec<f32> =
            ids.iter().map(|_| below(&mut self.rng, 7) as f32 - 3.0).collect();
        let sent: Vec<u64> = ids.iter().map(|&id| id as u64).collect();
        let stale = self.replay.update_priorities(&sent, &td_errors).unwrap();
        assert_eq!(stale as usize, ids.iter().filter(|id| **id < self.naive.oldest).count());
        for (&id, &td_error) in ids.iter().zip(&td_errors) {
            self.naive.all[id].1 = priority(td_error);
        }
    }

    fn draw(&mut self) {
        let inserted = self.naive.all.len();
        let total = self.naive.total();
        assert_eq!(self.replay.len(), inserted - self.naive.oldest);
        if total == 0.0 {
            assert!(self.replay.draw(1, &mut self.rng).is_err());
            return;
        }

        let batch = self.replay.draw(16, &mut self.rng).unwrap().assemble().unwrap();
        let obs_len = SHAPE.iter().product::<usize>();
        let obs = batch.obs.chunks(obs_len);
        let next_obs = batch.next_obs.chunks(obs_len);
        let rows = batch.rows;
        // w = (N · P)^−β over the largest of the batch: Schaul et al. 2016, section 3.4.
        let raw_weight =
            |p: f64| ((inserted - self.naive.oldest) as f64 * p).powf(-IMPORTANCE_EXPONENT);
        let largest = rows.probabilities.iter().copied().map(raw_weight).fold(0.0, f64::max);
        for (row, (obs, next_obs)) in obs.zip(next_obs).enumerate() {
            let id = rows.ids[row] as usize;
            let (expected, priority) = &self.naive.all[id];
            assert!(id >= self.naive.oldest && *priority > 0.0, "{id} is gone, or of priority 0");
            assert_eq!(
                (obs, next_obs),
                (&expected.obs[..], &expected.next_obs[..]),
                "transition {id}"
            );
            let numbers = (rows.actions[row], rows.rewards[row], rows.discounts[row]);
            let told = &expected.numbers;
            assert_eq!(numbers, (i64::from(told.action), told.reward, told.discount));
            assert_eq!(rows.ages[row], (inserted - id) as u64);
            assert!((rows.probabilities[row] - priority / total).abs() < 1e-12);
            let weight = raw_weight(rows.probabilities[row]) / largest;
            assert!((f64::from(rows.importance_weights[row]) - weight).abs() < 1e-6);
            self.rows_checked += 1;
        }
    }

    /// Continues with a restored copy, sometimes in the other plane form.
    fn snapshot(&mut self) {
        let mut bytes = Vec::new();
        self.replay.write_to(&mut bytes).unwrap();
        let form = [PlaneForm::Raw, PlaneForm::Lz4][below(&mut self.rng, 2)];
        let restored = Replay::read_from(config(form), &bytes[..]).unwrap();
        if self.naive.total() > 0.0 {
            let draw = |replay: &Replay| {
                let mut rng = self.rng.clone();
                let batch = replay.draw(32, &mut rng).unwrap().assemble().unwrap();
                (batch, rng)
            };
            assert_eq!(draw(&self.replay), draw(&restored));
        }

        self.replay = restored;
        for actor in &mut self.actors {
            let state = rmp_serde::to_vec(&actor.writer.save_state()).unwrap();
            let mut writer = PlaneWriter::try_new(SHAPE, form).unwrap();
            writer.load_state(rmp_serde::from_slice(&state).unwrap()).unwrap();
            actor.writer = writer;
        }
    }
}

#[test]
fn whatever_is_drawn_is_what_was_put_in() {
    for seed in 0..12 {
        let mut world = World::new(seed, [PlaneForm::Raw, PlaneForm::Lz4][seed as usize % 2]);
        (0..1500).for_each(|_| world.act());
        assert!(world.naive.oldest > 10 * MAX_LEN, "only {} went", world.naive.oldest);
        assert!(world.rows_checked > 3000, "only {} rows", world.rows_checked);
    }
}

/// Stored planes match stored transitions, however long the run.
#[test]
fn memory_stays_within_bounds() {
    let mut world = World::new(99, PlaneForm::Raw);
    let mut most = [0, 0];
    for most in &mut most {
        for _ in 0..3000 {
            world.insert();
            *most = world.replay.bytes_used().max(*most);
        }
    }
    assert!(most[1] <= most[0] + most[0] / 5, "{most:?} bytes at most in each half");
}

/// Data sent by actors to another machine arrives unchanged.
#[test]
fn parts_travel() {
    for form in [PlaneForm::Raw, PlaneForm::Lz4] {
        let mut actor = Actor::new(Look::ZeroPadded, 3, 1, form);
        (0..50).for_each(|_| actor.step());
        let (part, _) = actor.part();
        let sent = rmp_serde::to_vec(&part).unwrap();
        assert_eq!(rmp_serde::from_slice::<StreamPart>(&sent).unwrap(), part);
    }
}
