//! Scripted environments and actors that store every observation in full.

use coordrl_agents::replay::{ObsRef, PlaneForm, PlaneWriter, StreamPart, Transition};
use coordrl_envs::{Rng, Role, derive_rng};
use rand::Rng as _;

pub const SHAPE: [usize; 3] = [4, 5, 6];
const FRAME: usize = 30;
const N_STEP: usize = 3;
const GAMMA: f32 = 0.9;

/// Draws (nearly) uniformly from 0, …, n − 1.
pub fn below(rng: &mut Rng, n: usize) -> usize {
    (rng.next_u64() % n as u64) as usize
}

/// Kind of observations.
#[derive(Clone, Copy, Debug)]
pub enum Look {
    /// Frame stack padded with zeros at the start.
    ZeroPadded,
    /// Frame stack padded with its first frame at the start.
    RepeatPadded,
    /// Largely unrelated channels.
    Colours,
}

/// Expected content of a transition in the replay.
#[derive(Clone, Debug)]
pub struct Expected {
    pub obs: Vec<u8>,
    pub next_obs: Vec<u8>,
    pub numbers: Transition,
}

/// One environment with its actor.
pub struct Actor {
    look: Look,
    stream: u32,
    rng: Rng,
    screen: Vec<u8>,
    pub writer: PlaneWriter,
    /// Episode so far; the last observation has not been acted on.
    episode: Vec<(Vec<u8>, ObsRef)>,
    /// First of its observations without a transition.
    waiting: usize,
    outbox: Vec<Expected>,
}

impl Actor {
    pub fn new(look: Look, stream: u32, seed: u64, form: PlaneForm) -> Self {
        let mut actor = Self {
            look,
            stream,
            rng: derive_rng(seed, Role::TrainEnv, u64::from(stream)),
            screen: vec![0; FRAME],
            writer: PlaneWriter::try_new(SHAPE, form).unwrap(),
            episode: Vec::new(),
            waiting: 0,
            outbox: Vec::new(),
        };

        actor.begin();
        actor
    }

    /// Makes one agent step; sometimes the episode terminates (a life or a game lost) or is
    /// truncated.
    pub fn step(&mut self) {
        match below(&mut self.rng, 12) {
            0 => {
                // A discount of 0 makes the next observation irrelevant; actors name the same one
                // again.
                (self.waiting..self.episode.len()).for_each(|t| self.emit(t, t, 0.0));
                self.begin();
            }
            1 => {
                self.follow();
                let last = self.episode.len() - 1;
                (self.waiting..last).for_each(|t| self.emit_towards(t, last));
                self.begin();
            }
            _ => {
                self.follow();
                if let Some(t) = (self.episode.len() - 1).checked_sub(N_STEP) {
                    self.emit_towards(t, t + N_STEP);
                    self.waiting = t + 1;
                }
            }
        }
    }

    /// Returns all planes so far and some of the pending transitions.
    pub fn part(&mut self) -> (StreamPart, Vec<Expected>) {
        let count = below(&mut self.rng, self.outbox.len() + 1);
        let sent: Vec<Expected> = self.outbox.drain(..count).collect();
        let part = StreamPart {
            stream: self.stream,
            first_plane: self.writer.first_pending(),
            planes: self.writer.take_planes(),
            transitions: sent.iter().map(|expected| expected.numbers.clone()).collect(),
        };
        (part, sent)
    }

    /// Begins an episode, on a new screen or where the last one stopped.
    fn begin(&mut self) {
        self.draw_screen();
        let obs = match self.look {
            Look::ZeroPadded => [vec![0; 3 * FRAME], self.screen.clone()].concat(),
            Look::RepeatPadded => self.screen.repeat(4),
            Look::Colours => self.colours(),
        };
        let written = self.writer.begin_episode(&obs).unwrap();
        self.episode = vec![(obs, written)];
        self.waiting = 0;
    }

    fn follow(&mut self) {
        self.draw_screen();
        let obs = match self.look {
            Look::Colours => self.colours(),
            _ => [&self.episode.last().unwrap().0[FRAME..], &self.screen].concat(),
        };
        let written = self.writer.follow(&obs).unwrap();
        self.episode.push((obs, written));
    }

    /// Draws a static, black, uniform or new screen.
    fn draw_screen(&mut self) {
        match below(&mut self.rng, 10) {
            0..3 => (),
            3 => self.screen.fill(0),
            4..7 => self.screen.fill(self.rng.next_u64() as u8),
            _ => self.screen.fill_with(|| below(&mut self.rng, 3) as u8),
        }
    }

    /// Draws grey or independent channels, sometimes with one black or equal to another.
    fn colours(&mut self) -> Vec<u8> {
        let mut obs = self.screen.repeat(4);
        for channel in obs.chunks_mut(FRAME) {
            match below(&mut self.rng, 4) {
                0 => (),
                1 => channel.fill(0),
                _ => channel.fill_with(|| below(&mut self.rng, 4) as u8),
            }
        }
        obs
    }

    fn emit_towards(&mut self, t: usize, next: usize) {
        self.emit(t, next, GAMMA.powi((next - t) as i32));
    }

    fn emit(&mut self, t: usize, next: usize, discount: f32) {
        let ((obs, obs_ref), (next_obs, next_ref)) = (&self.episode[t], &self.episode[next]);
        let numbers = Transition {
            obs: *obs_ref,
            next_obs: *next_ref,
            action: below(&mut self.rng, 18) as u16,
            reward: below(&mut self.rng, 100) as f32,
            discount,
            td_error_abs: below(&mut self.rng, 5) as f32 / 2.0, // sometimes 0
        };
        self.outbox.push(Expected { obs: obs.clone(), next_obs: next_obs.clone(), numbers });
    }
}
