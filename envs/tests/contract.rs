//! The checker detects every kind of contract violation and no fault in our own environments;
//! adapters to and from gymnasium-rs; vectors of faulty environments.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests may panic")]

use coordrl_envs::check::Rule;
use coordrl_envs::gym::{FromGym, ToGym};
use coordrl_envs::toy::catch::Catch;
use coordrl_envs::{
    Env, EnvConfig, EnvError, EnvSpec, EpisodeStats, Role, Step, VecEnv, VecStep, check_env,
    derive_rng,
};
use gymnasium_rs::core::{Env as GymEnv, Info, Options, Reward, Space};
use ndarray::{Array1, Array3};

fn catch(index: u64) -> Catch {
    let config = EnvConfig { screen_size: Some(20), frame_stack: Some(2), ..EnvConfig::default() };
    Catch::try_new(&config.resolve(), derive_rng(1, Role::TrainEnv, index)).unwrap()
}

/// `catch` with one thing wrong.
struct Faulty {
    env: Catch,
    fault: Fault,
    spec: EnvSpec,
    steps: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    NoActions,
    SpecChanges,
    Fails,
    LeavesAByte,
    NanReward,
    EndsTwice,
    EndsSilently,
    TakesAnyAction,
    TakesAnyBuffer,
    NeedsNoReset,
    ForgetsAState,
    TakesAnyState,
}

fn faulty(fault: Fault) -> Faulty {
    let env = catch(0);
    let mut spec = env.spec().clone();
    if fault == Fault::NoActions {
        spec.actions.clear();
    }
    Faulty { env, fault, spec, steps: 0 }
}

impl Faulty {
    fn is(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn spoil(&self, step: &mut Step) {
        match self.fault {
            Fault::NanReward => step.reward = f32::NAN,
            Fault::EndsTwice => step.truncated = step.terminated,
            Fault::EndsSilently if step.episode.is_none() => {
                step.episode = Some(EpisodeStats::default())
            }
            Fault::ForgetsAState => step.raw_reward = self.steps as f32,
            _ => {}
        }
    }
}

impl Env for Faulty {
    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn reset(&mut self, obs: &mut [u8]) -> Result<Option<EpisodeStats>, EnvError> {
        if self.is(Fault::TakesAnyBuffer) {
            let mut whole = vec![0; self.spec.obs_len()];
            self.env.reset(&mut whole)?;
            obs.copy_from_slice(&whole[whole.len() - obs.len()..]);
            return Ok(None);
        }
        self.env.reset(obs)
    }

    fn step(&mut self, action: usize, obs: &mut [u8]) -> Result<Step, EnvError> {
        self.steps += 1;
        if self.is(Fault::Fails) && self.steps > 20 {
            return Err(EnvError::StateNotSupported { game: "faulty".to_owned() });
        }

        if self.is(Fault::SpecChanges) && self.steps > 20 {
            self.spec.frame_skip = 2;
        }

        let action = if self.is(Fault::TakesAnyAction) { action.min(2) } else { action };
        let before = obs.get(7).copied();
        let mut step = match self.env.step(action, obs) {
            Err(EnvError::NeedsReset { .. }) if self.is(Fault::NeedsNoReset) => Step::default(),
            taken => taken?,
        };

        self.spoil(&mut step);
        if self.is(Fault::LeavesAByte)
            && let Some(before) = before
        {
            obs[7] = before;
        }

        Ok(step)
    }

    fn save_state(&self) -> Result<Vec<u8>, EnvError> {
        self.env.save_state()
    }

    fn load_state(&mut self, state: &[u8], obs: &mut [u8]) -> Result<(), EnvError> {
        match self.env.load_state(state, obs) {
            Err(_) if self.is(Fault::TakesAnyState) => Ok(()),
            loaded => loaded,
        }
    }
}

#[test]
fn the_checker_names_each_broken_promise() {
    for (fault, rule) in [
        (Fault::NoActions, Rule::SpecUsable),
        (Fault::SpecChanges, Rule::SpecConstant),
        (Fault::Fails, Rule::NoFailure),
        (Fault::LeavesAByte, Rule::ObsWritten),
        (Fault::NanReward, Rule::RewardFinite),
        (Fault::EndsTwice, Rule::EndConsistent),
        (Fault::EndsSilently, Rule::EndConsistent),
        (Fault::TakesAnyAction, Rule::IllegalActionRefused),
        (Fault::TakesAnyBuffer, Rule::WrongBufferRefused),
        (Fault::NeedsNoReset, Rule::ResetRequired),
        (Fault::ForgetsAState, Rule::RestoreExact),
        (Fault::TakesAnyState, Rule::DamagedStateRefused),
    ] {
        let found = check_env(&mut faulty(fault));
        assert!(found.iter().any(|violation| violation.rule == rule), "{rule:?} not in {found:?}");
    }
}

#[test]
fn catch_keeps_every_promise() {
    assert_eq!(check_env(&mut catch(0)), []);
}

#[cfg(feature = "ale")]
mod atari {
    use super::*;
    use coordrl_envs::{Assets, AtariEnv, EnvSeed, Protocol, make_env};

    fn assets() -> Assets {
        let beside = || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../.deps");
        Assets::in_deps(&std::env::var_os("COORDRL_DEPS_DIR").map_or_else(beside, Into::into))
    }

    fn seed() -> EnvSeed {
        EnvSeed { seed: 2, role: Role::TrainEnv, index: 0 }
    }

    #[test]
    fn atari_keeps_every_promise_under_every_protocol() {
        for protocol in [Protocol::Classic, Protocol::Machado, Protocol::Raw] {
            let mut env =
                make_env("breakout", &EnvConfig::of(protocol), &assets(), seed()).unwrap();
            assert_eq!(check_env(&mut *env), [], "{protocol:?}");
        }
    }

    /// Plays through the trait alone.
    fn play_generic(env: &mut dyn GymEnv<Array3<u8>, usize>) -> (Array3<u8>, f32, Info) {
        let (mut obs, mut info) = env.reset(Some(3), Options::new());
        let mut sum = 0.0;
        for step in 0..80 {
            let (next, reward, terminated, truncated, more) = env.step(step % 4);
            (obs, info, sum) = (next, more, sum + reward);
            if terminated || truncated {
                (obs, info) = env.reset(None, Options::new());
            }
        }
        (obs, sum, info)
    }

    #[test]
    fn an_atari_env_runs_under_code_written_for_gymnasium() {
        let make =
            || AtariEnv::try_new("breakout", &EnvConfig::default(), &assets(), seed()).unwrap();
        let mut env = make();
        let (obs, _, info) = play_generic(&mut env);
        assert_eq!(obs.shape(), [4, 84, 84]);
        assert!(info.contains_key("lives"));
        assert_eq!(play_generic(&mut make()).0, obs, "a seed repeats the game");
        let screen = GymEnv::render(&env).unwrap();
        assert_eq!(screen.shape(), [210, 160, 3]);
        assert!(screen.iter().any(|byte| *byte != 0));
        assert!(matches!(GymEnv::action_space(&env), Space::Discrete(4)));
        let Space::Box { low, high } = GymEnv::observation_space(&env) else { panic!("not a box") };
        assert_eq!((low.len(), high[0]), (4 * 84 * 84, 255.0));
    }

    #[test]
    #[should_panic(expected = "step failed: action 4 is out of range")]
    fn through_the_trait_an_illegal_action_panics_as_documented() {
        let mut env =
            AtariEnv::try_new("breakout", &EnvConfig::default(), &assets(), seed()).unwrap();
        GymEnv::reset(&mut env, None, Options::new());
        GymEnv::step(&mut env, 4);
    }

    #[test]
    fn try_methods_return_what_the_trait_panics_on() {
        let mut env =
            AtariEnv::try_new("breakout", &EnvConfig::default(), &assets(), seed()).unwrap();
        assert!(matches!(env.try_step(0), Err(EnvError::NeedsReset { .. })));
        env.try_reset().unwrap();
        assert!(matches!(env.try_step(4), Err(EnvError::IllegalAction { .. })));
    }
}

#[test]
fn there_and_back_through_gymnasium_is_the_same_game() {
    let mut wrapped = FromGym::try_new("catch", ToGym::new(catch(0)), [2, 20, 20], None).unwrap();
    let mut plain = catch(0);
    // Filled differently, so that a byte that neither writes shows.
    let mut a = vec![0xAB; 800];
    let mut b = vec![0x54; 800];
    wrapped.reset(&mut a).unwrap();
    plain.reset(&mut b).unwrap();
    for step in 0..40 {
        let x = wrapped.step(step % 3, &mut a).unwrap();
        let y = plain.step(step % 3, &mut b).unwrap();
        assert_eq!((&x, &a), (&y, &b));
        if x.is_last() {
            wrapped.reset(&mut a).unwrap();
            plain.reset(&mut b).unwrap();
        }
    }

    let text = wrapped.save_state().unwrap_err().to_string();
    assert_eq!(text, "environment `catch` cannot save or restore its state");
    assert_eq!(check_env(&mut wrapped), [], "having no state is no fault");
}

/// A gymnasium-rs environment with odd spaces.
struct Odd {
    actions: Space,
    observations: Space,
    image: [usize; 3],
}

impl GymEnv<Array3<u8>, usize> for Odd {
    fn observation_space(&self) -> Space {
        self.observations.clone()
    }

    fn action_space(&self) -> Space {
        self.actions.clone()
    }

    fn reset(&mut self, _: Option<i32>, _: Options) -> (Array3<u8>, Info) {
        (Array3::zeros(self.image), Info::new())
    }

    fn step(&mut self, _: usize) -> (Array3<u8>, Reward, bool, bool, Info) {
        // Column-major in memory: the bytes must still come out row by row.
        let [c, h, w] = self.image;
        let image = Array3::from_shape_fn((w, h, c), |(x, y, _)| (10 * y + x) as u8);
        (image.reversed_axes(), 1.5, false, true, Info::new())
    }

    fn render(&self) -> Option<Array3<u8>> {
        None
    }

    fn close(&mut self) {}
}

fn image_box(len: usize) -> Space {
    Space::Box { low: Array1::zeros(len), high: Array1::zeros(len) }
}

#[test]
fn spaces_that_do_not_fit_are_refused_and_images_are_written_row_by_row() {
    let wrap = |actions, observations, image| {
        FromGym::try_new("odd", Odd { actions, observations, image }, [1, 2, 3], None)
    };

    let refused =
        |actions, observations| wrap(actions, observations, [1, 2, 3]).err().unwrap().to_string();
    assert!(refused(image_box(1), image_box(6)).contains("its actions are Box"));
    assert!(refused(Space::Discrete(0), image_box(6)).contains("its actions are Discrete(0)"));
    assert!(refused(Space::Discrete(2), image_box(5)).contains("hold 5 values, not 6"));
    assert!(refused(Space::Discrete(2), Space::Discrete(6)).contains("are not images"));

    let mut env = wrap(Space::Discrete(2), image_box(6), [1, 2, 3]).unwrap();
    let mut obs = [0; 6];
    env.reset(&mut obs).unwrap();
    let step = env.step(0, &mut obs).unwrap();
    assert_eq!(obs, [0, 1, 2, 10, 11, 12]);
    assert_eq!(
        step.episode.unwrap(),
        EpisodeStats { episode_return: 1.5, episode_length_frames: 1 }
    );

    let mut env = wrap(Space::Discrete(2), image_box(6), [1, 2, 2]).unwrap();
    let text = env.reset(&mut obs).unwrap_err().to_string();
    assert_eq!(text, "the buffer of the wrapped environment's image holds 4 elements, not 6");
}

#[test]
fn a_vector_needs_environments_and_all_of_one_kind() {
    let text = VecEnv::try_new(Vec::new()).err().unwrap().to_string();
    assert_eq!(text, "a vector of environments needs at least one");
    let config = EnvConfig::default().resolve();
    let other = Catch::try_new(&config, derive_rng(1, Role::TrainEnv, 0)).unwrap();
    let text =
        VecEnv::try_new(vec![Box::new(catch(0)), Box::new(other)]).err().unwrap().to_string();
    assert!(
        text.starts_with("environment 1 is a `catch` that differs from environment 0"),
        "{text}"
    );
}

#[test]
fn wrong_buffers_are_named_before_anything_moves() {
    let mut envs = VecEnv::try_new(vec![Box::new(catch(0)), Box::new(catch(1))]).unwrap();
    let mut obs = vec![0; 1600];
    let mut steps = [VecStep::default(); 2];
    envs.reset(&mut obs).unwrap();
    let before = envs.save_state().unwrap();
    let mut text = |actions: &[usize], obs: &mut [u8], steps: &mut [VecStep]| {
        envs.step(actions, obs, steps).unwrap_err().to_string()
    };

    assert_eq!(text(&[0], &mut obs, &mut steps), "the buffer of actions holds 1 elements, not 2");
    assert_eq!(
        text(&[0, 0], &mut obs[1..], &mut steps),
        "the buffer of observations holds 1599 elements, not 1600"
    );
    assert_eq!(
        text(&[0, 0], &mut obs, &mut steps[1..]),
        "the buffer of steps holds 1 elements, not 2"
    );
    assert!(
        text(&[0, 3], &mut obs, &mut steps)
            .starts_with("environment 1 failed: action 3 is out of range")
    );
    assert_eq!(envs.save_state().unwrap(), before);
    let text = envs.load_state(&before[1..], &mut obs).unwrap_err().to_string();
    assert_eq!(text, "the buffer of states holds 1 elements, not 2");
}

#[test]
fn a_failing_environment_is_named_by_its_index() {
    let mut faulty_one = faulty(Fault::Fails);
    // The next step is the first to fail.
    faulty_one.steps = 20;
    let mut envs = VecEnv::try_new(vec![Box::new(catch(0)), Box::new(faulty_one)]).unwrap();
    let mut obs = vec![0; 1600];
    envs.reset(&mut obs).unwrap();
    let error = envs.step(&[0, 0], &mut obs, &mut [VecStep::default(); 2]).unwrap_err();
    assert!(matches!(error, EnvError::InEnv { index: 1, .. }), "{error}");
}

#[cfg(not(feature = "ale"))]
#[test]
fn without_the_emulator_atari_games_say_so() {
    use coordrl_envs::{
        Assets, EnvSeed, make_env,
        trace::{Begin, Tracer},
    };

    let assets = Assets { rom_dir: "roms".into() };
    let seed = EnvSeed { seed: 0, role: Role::TrainEnv, index: 0 };
    let text = make_env("pong", &EnvConfig::default(), &assets, seed).err().unwrap().to_string();
    assert_eq!(
        text,
        "game `pong` needs the Arcade Learning Environment; build with the feature `ale`"
    );
    assert!(Tracer::try_new("pong", &EnvConfig::default(), &assets, 0, Begin::Loaded).is_err());
}
