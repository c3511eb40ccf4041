//! A thread that panics during a run loses nothing that was saved.
#![allow(clippy::unwrap_used, reason = "a test ends where something fails")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use coordrl::config::{Algo, Period, RunConfig};
use coordrl::game::progress::Progress;
use coordrl::game::training::{GameTraining, identity};
use coordrl::run::checkpoint;
use coordrl::run::run_dir::RunDir;
use coordrl::run::threads::build_pool;
use coordrl::run::train_loop::TrainLoop;
use coordrl::stop_flag::StopFlag;
use coordrl_agents::nn::{Init, Linear, NetworkError, ParamScope, scale_pixels};
use coordrl_agents::{AgentSetup, Apex, Torso, TorsoEntry};
use coordrl_envs::{Assets, EnvConfig, EnvSeed, Role, VecEnv, make_env};
use tch::{Device, Tensor};

const ENVS: u32 = 3;
const BATCH: u32 = 4;

/// A dense layer that panics at the 500th batch of [`BREAKS_AT_ROWS`] rows: actors have one row per
/// environment, the learner one per transition.
struct Fragile(Linear);

static BREAKS_AT_ROWS: AtomicI64 = AtomicI64::new(0);
static BATCHES_LEFT: AtomicI64 = AtomicI64::new(0);

impl Torso for Fragile {
    fn forward(&self, obs: &Tensor) -> Tensor {
        let counts = obs.size()[0] == BREAKS_AT_ROWS.load(Ordering::SeqCst);
        // It panics once: below 0, threads still at work pass and cannot be blamed instead.
        if counts && BATCHES_LEFT.fetch_sub(1, Ordering::SeqCst) == 0 {
            panic!("the torso says so");
        }
        self.0.forward(&scale_pixels(obs).flatten(1, -1)).relu()
    }

    fn features(&self) -> i64 {
        16
    }
}

fn fragile(
    scope: &mut ParamScope<'_>,
    obs_shape: [usize; 3],
) -> Result<Box<dyn Torso>, NetworkError> {
    let pixels = obs_shape.iter().product::<usize>() as i64;
    Ok(Box::new(Fragile(Linear::build(scope, "torso.fc", pixels, 16, Init::BEFORE_RELU)?)))
}

fn config() -> RunConfig {
    let env = EnvConfig { screen_size: Some(36), frame_stack: Some(2), ..Default::default() };
    let mut config =
        RunConfig { game: "catch".into(), algo: Algo::Apex, env, ..Default::default() };
    config.frames = 1_000_000;
    config.checkpoint_every_frames = Period::EveryFrames(30);
    // An evaluation would look up the torso in the registry.
    config.evaluation.every_frames = Period::Off;
    let apex = &mut config.apex;
    (apex.envs, apex.actors, apex.samples_per_insert) = (ENVS, Some(1), Some(4.0));
    (apex.replay.capacity, apex.replay.warmup_transitions) = (300, 60);
    apex.learner.batch_size = BATCH;
    config
}

fn agent(config: &RunConfig) -> Apex {
    let env = |index| {
        let seed = EnvSeed { seed: config.seed, role: Role::TrainEnv, index };
        make_env(&config.game, &config.env, &Assets { rom_dir: "none".into() }, seed).unwrap()
    };

    Apex::build(
        &config.apex,
        AgentSetup {
            torso: &TorsoEntry { name: "fragile", summary: "panics", build: fragile },
            device: Device::Cpu,
            seed: config.seed,
            total_frames: config.frames,
            actors: vec![VecEnv::try_new((0..ENVS.into()).map(env).collect()).unwrap()],
            pool: Arc::new(build_pool(Some(1), 1).unwrap()),
        },
    )
    .unwrap()
}

/// Trains until the run fails and returns its error message.
fn train_until_it_breaks(folder: &Path, serial: bool) -> String {
    let mut config = config();
    config.apex.serial = serial;
    let run = RunDir::create(folder, true).unwrap();
    let agent = Box::new(agent(&config));
    let subject = GameTraining::new(config, agent, 0);
    let mut run = TrainLoop::open(run, subject, Progress::default(), StopFlag::default()).unwrap();
    format!("{:#}", run.train().unwrap_err())
}

#[test]
fn a_panic_ends_the_run_with_its_cause_and_the_checkpoint_that_is_kept() {
    for (rows, worker) in [(ENVS, "actor 0"), (BATCH, "the learner")] {
        for serial in [false, true] {
            BREAKS_AT_ROWS.store(rows.into(), Ordering::SeqCst);
            BATCHES_LEFT.store(500, Ordering::SeqCst);
            let start = Instant::now();
            let sandbox = tempfile::tempdir().unwrap();
            let folder = sandbox.path().join("run");
            let said = train_until_it_breaks(&folder, serial);
            assert!(start.elapsed() < Duration::from_secs(10), "it took {:?}", start.elapsed());
            assert!(said.contains(&format!("{worker} panicked: the torso says so")), "{said}");
            let checkpoints = folder.join("checkpoints");
            let kept =
                checkpoint::read_newest::<Progress>(&checkpoints, &identity(&config())).unwrap();
            let frames = kept.progress.frames;
            assert!(frames > 0 && kept.replay.is_some(), "{frames}, {:?}, {said}", kept.replay);
            let path = checkpoint::folder_of(&checkpoints, frames);
            assert!(said.contains(&format!("last checkpoint: {}", path.display())), "{said}");
        }
    }
}
