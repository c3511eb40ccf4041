//! A checker for the contract of [`Env`].

use rand::RngExt as _;

use crate::env::{Env, EnvSpec, Step};
use crate::error::EnvError;
use crate::rng::{Rng, Role, derive_rng};

/// A broken rule of the contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The broken rule.
    pub rule: Rule,
    /// Observed behaviour.
    pub detail: String,
}

/// The rules checked by [`check_env`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// There is at least one action, and an observation has at least one byte.
    SpecUsable,
    /// The spec is the same after any number of steps.
    SpecConstant,
    /// Legal calls never fail.
    NoFailure,
    /// Every byte of an observation is written at reset and at every step.
    ObsWritten,
    /// Rewards are finite numbers.
    RewardFinite,
    /// `terminated` and `truncated` are never both set, and an ended game ends the episode.
    EndConsistent,
    /// An action out of range is an error and changes nothing.
    IllegalActionRefused,
    /// A buffer of the wrong length is an error.
    WrongBufferRefused,
    /// A step past the end of an episode is an error.
    ResetRequired,
    /// A restored state continues exactly as the original and writes its observation.
    RestoreExact,
    /// A damaged state is an error.
    DamagedStateRefused,
}

/// Agent steps with random actions per check.
const STEPS: usize = 400;
/// Steps replayed twice from one saved state.
const REPLAYED: usize = 60;

/// Plays `env` with random actions and lists every rule of [`Env`] it breaks; empty if none.
///
/// An environment that cannot save its state ([`EnvError::StateNotSupported`]) is not in violation:
/// it can train, but its runs cannot be resumed.
pub fn check_env(env: &mut dyn Env) -> Vec<Violation> {
    let spec = env.spec().clone();
    let mut check =
        Check { env, spec, rng: derive_rng(0, Role::TraceActions, 0), found: Vec::new() };
    if check.spec_usable() {
        check.run();
    }
    check.found
}

struct Check<'a> {
    env: &'a mut dyn Env,
    spec: EnvSpec,
    rng: Rng,
    found: Vec<Violation>,
}

impl Check<'_> {
    fn run(&mut self) {
        let played = self.wrong_calls().and_then(|()| self.play()).and_then(|()| self.restore());
        if let Err(error) = played {
            self.blame(Rule::NoFailure, error.to_string());
        }
        if *self.env.spec() != self.spec {
            self.blame(Rule::SpecConstant, format!("{:?} became {:?}", self.spec, self.env.spec()));
        }
    }

    /// Records a violation, at most one per rule.
    fn blame(&mut self, rule: Rule, detail: impl Into<String>) {
        if self.found.iter().all(|violation| violation.rule != rule) {
            self.found.push(Violation { rule, detail: detail.into() });
        }
    }

    fn spec_usable(&mut self) -> bool {
        let usable = self.spec.num_actions() > 0 && self.spec.obs_len() > 0;
        if !usable {
            self.blame(Rule::SpecUsable, format!("{:?}", self.spec));
        }
        usable
    }

    fn obs(&self, fill: u8) -> Vec<u8> {
        vec![fill; self.spec.obs_len()]
    }

    fn wrong_calls(&mut self) -> Result<(), EnvError> {
        let mut obs = self.obs(0);
        if self.env.reset(&mut obs[1..]).is_ok() {
            self.blame(Rule::WrongBufferRefused, "reset took a buffer one byte too short");
        }

        self.env.reset(&mut obs)?;
        if self.env.step(self.spec.num_actions(), &mut obs).is_ok() {
            self.blame(
                Rule::IllegalActionRefused,
                format!("action {} was taken", self.spec.num_actions()),
            );
        }

        if self.env.step(0, &mut obs[1..]).is_ok() {
            self.blame(Rule::WrongBufferRefused, "step took a buffer one byte too short");
        }

        Ok(())
    }

    fn play(&mut self) -> Result<(), EnvError> {
        let mut obs = self.obs(0);
        self.env.reset(&mut obs)?;
        for _ in 0..STEPS {
            let action = self.rng.random_range(0..self.spec.num_actions());
            let step = self.env.step(action, &mut obs)?;
            self.judge(&step);
            if step.is_last() {
                if self.env.step(0, &mut obs).is_ok() {
                    self.blame(Rule::ResetRequired, "a step past the end of an episode was taken");
                }
                self.env.reset(&mut obs)?;
            }
        }

        Ok(())
    }

    fn judge(&mut self, step: &Step) {
        if !step.reward.is_finite() || !step.raw_reward.is_finite() {
            self.blame(
                Rule::RewardFinite,
                format!("rewards {} and {}", step.reward, step.raw_reward),
            );
        }

        if step.terminated && step.truncated {
            self.blame(Rule::EndConsistent, "one step was terminated and truncated");
        }

        if step.episode.is_some() && !step.is_last() {
            self.blame(Rule::EndConsistent, "a game ended without ending the agent's episode");
        }
    }

    /// Replays from a saved state twice, each time into buffers filled differently: an unwritten
    /// byte shows up as a difference.
    fn restore(&mut self) -> Result<(), EnvError> {
        let mut current = self.obs(0);
        self.env.reset(&mut current)?;
        let state = match self.env.save_state() {
            Err(EnvError::StateNotSupported { .. }) => return Ok(()),
            saved => saved?,
        };

        let mut restored = self.obs(0xAB);
        self.env.load_state(&state, &mut restored)?;
        if restored != current {
            self.blame(Rule::RestoreExact, "restoring wrote another observation than was current");
        }

        let first = self.replay(&state, 0xAB)?;
        let second = self.replay(&state, 0x54)?;
        self.compare(&first, &second);
        self.damage(state)
    }

    fn replay(&mut self, state: &[u8], fill: u8) -> Result<Vec<Seen>, EnvError> {
        // A fresh generator: both replays must take the same actions.
        let mut rng = derive_rng(1, Role::TraceActions, 0);
        let mut obs = self.obs(fill);
        self.env.load_state(state, &mut obs)?;
        let mut seen = Vec::new();
        for _ in 0..REPLAYED {
            // Without refilling, an unwritten byte would show the previous observation, which is
            // the same in both replays.
            obs.fill(fill);
            let step = self.env.step(rng.random_range(0..self.spec.num_actions()), &mut obs)?;
            let is_last = step.is_last();
            seen.push(Seen { step, obs: obs.clone() });
            if is_last {
                obs.fill(fill);
                self.env.reset(&mut obs)?;
                seen.push(Seen { step: Step::default(), obs: obs.clone() });
            }
        }

        Ok(seen)
    }

    fn compare(&mut self, first: &[Seen], second: &[Seen]) {
        if first.iter().zip(second).any(|(a, b)| a.unwritten_in(b)) {
            self.blame(
                Rule::ObsWritten,
                "some bytes of an observation kept what the buffer held before",
            );
        }

        if first.len() != second.len() {
            self.blame(Rule::RestoreExact, "episodes ended at other steps after restoring");
        }

        if let Some(index) = first.iter().zip(second).position(|(a, b)| a.differs_from(b)) {
            self.blame(Rule::RestoreExact, format!("step {index} after restoring differs"));
        }
    }

    fn damage(&mut self, mut state: Vec<u8>) -> Result<(), EnvError> {
        let mut obs = self.obs(0);
        let middle = state.len() / 2;
        if let Some(byte) = state.get_mut(middle) {
            *byte ^= 0x10;
            if self.env.load_state(&state, &mut obs).is_ok() {
                self.blame(Rule::DamagedStateRefused, "a state with one bit flipped was restored");
            }
        }

        if self.env.load_state(&[], &mut obs).is_ok() {
            self.blame(Rule::DamagedStateRefused, "an empty state was restored");
        }

        Ok(())
    }
}

/// One step of a replay; the first replay's buffers held 0xAB, the second's 0x54.
struct Seen {
    step: Step,
    obs: Vec<u8>,
}

impl Seen {
    fn pixels<'a>(&'a self, second: &'a Self) -> impl Iterator<Item = (u8, u8)> + 'a {
        self.obs.iter().copied().zip(second.obs.iter().copied())
    }

    fn unwritten_in(&self, second: &Self) -> bool {
        // A byte that was written has the same value in both replays, so only a byte that was not
        // can show both fillings.
        self.pixels(second).any(|pair| pair == (0xAB, 0x54))
    }

    /// Returns `true` if the two differ in more than unwritten bytes.
    fn differs_from(&self, second: &Self) -> bool {
        self.step != second.step
            || self.pixels(second).any(|(a, b)| a != b && (a, b) != (0xAB, 0x54))
    }
}
