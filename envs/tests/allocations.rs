//! A vector step allocates nothing outside the emulator, even with resets.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

use coordrl_envs::{Assets, EnvConfig, EnvSeed, FrameLimit, Role, VecEnv, VecStep, make_env};

/// The system allocator, counting allocations.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is forwarded unchanged to the system allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller guarantees what `System` requires.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `alloc` above, hence from the system allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn vector(game: &str) -> VecEnv {
    let beside = || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../.deps");
    let assets =
        Assets::in_deps(&std::env::var_os("COORDRL_DEPS_DIR").map_or_else(beside, Into::into));
    let config =
        EnvConfig { max_episode_frames: Some(FrameLimit::frames(120)), ..EnvConfig::default() };
    let seed = |index| EnvSeed { seed: 1, role: Role::TrainEnv, index };
    let make = |index| make_env(game, &config, &assets, seed(index)).unwrap();
    VecEnv::try_new((0..4).map(make).collect()).unwrap()
}

/// Counts the allocations in 40 steps, after a warm-up that lets rayon's queues grow.
fn allocations(game: &str) -> (u64, usize) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    pool.install(|| {
        let mut envs = vector(game);
        let mut obs = vec![0; envs.obs_len()];
        let mut steps = [VecStep::default(); 4];
        envs.reset(&mut obs).unwrap();
        let mut ends = 0;
        let mut play = |count| {
            for step in 0..count {
                envs.step(&[step % 3; 4], &mut obs, &mut steps).unwrap();
                ends += steps.iter().filter(|step| step.is_last()).count();
            }
        };
        play(20);
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        play(40);
        (ALLOCATIONS.load(Ordering::Relaxed) - before, ends)
    })
}

// A single test: one running in parallel would be counted too.
#[test]
fn a_step_allocates_nothing() {
    let games: &[&str] = if cfg!(feature = "ale") { &["catch", "breakout"] } else { &["catch"] };
    for game in games {
        let (count, ends) = allocations(game);
        assert!(ends > 0, "{game}: no episode ended");
        assert_eq!(count, 0, "{game}");
    }
}
