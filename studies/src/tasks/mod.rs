//! The paper's three coordinate tasks, one file each, on Not-so-Clevr.
//!
//! Networks, losses and settings follow the authors' released code (uber-research/CoordConv).

mod centres;
pub(crate) mod classify;
mod networks;
pub(crate) mod regress;
pub(crate) mod render;
mod rows;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use coordrl_agents::nn::{ParamScope, ParamStore};
    use tch::Device;

    use super::{classify, regress, render};
    use crate::task::{TaskLearner, TaskSetup};
    use crate::{Split, StudyConfig, Task, find_layer, layers};

    const CLASSIFY: &Task = &classify::TASK;
    const RENDER: &Task = &render::TASK;
    const REGRESS: &Task = &regress::TASK;

    fn build(
        task: &Task,
        split: Split,
        layer: &str,
        change: impl Fn(StudyConfig) -> StudyConfig,
    ) -> (Box<dyn TaskLearner>, ParamStore) {
        let layer = find_layer(layer).unwrap();
        let config = change(task.recipe(layer));
        let data_dir = Path::new("none");
        let device = Device::Cpu;
        let config = &config;
        let setup =
            TaskSetup { split, layer, config, data_dir, notes_dir: None, device, threads: 1 };
        let mut store = ParamStore::new(1, Device::Cpu);
        let prepared = (task.prepare)(setup).unwrap();
        let learner = (prepared.build)(&mut ParamScope::new(&mut store)).unwrap();
        (learner, store)
    }

    fn count(task: &Task, split: Split, layer: &str, channel_mul: u32, filter_size: u32) -> u64 {
        let change = |config| StudyConfig { channel_mul, filter_size, ..config };
        build(task, split, layer, change).1.parameter_count()
    }

    #[test]
    fn networks_have_as_many_parameters_as_the_published_ones() {
        let uniform = Split::Uniform;
        assert_eq!(count(CLASSIFY, uniform, "coordconv", 1, 3), 7_553);
        assert_eq!(count(CLASSIFY, uniform, "coordconv", 2, 3), 29_441);
        assert_eq!(count(RENDER, uniform, "coordconv", 1, 1), 8_074);
        assert_eq!(count(RENDER, uniform, "coordconv", 1, 3), 11_850);
        assert_eq!(count(RENDER, uniform, "coordconv", 2, 1), 9_490);
        assert_eq!(count(RENDER, uniform, "coordconv", 2, 3), 24_210);
        assert_eq!(count(REGRESS, uniform, "coordconv", 1, 3), 906);
        assert_eq!(count(REGRESS, Split::Quadrant, "coordconv", 1, 3), 906);
        for (mul, uniform, quadrant) in [(1, 72_850, 12_914), (2, 159_330, 49_890)] {
            assert_eq!(count(REGRESS, Split::Uniform, "conv", mul, 3), uniform);
            assert_eq!(count(REGRESS, Split::Quadrant, "conv", mul, 3), quadrant);
        }

        let deconv = [
            (1, [46_465, 103_585, 183_553]),
            (2, [183_041, 409_921, 727_553]),
            (3, [409_729, 919_009, 1_632_001]),
        ];
        for (mul, by_filter) in deconv {
            for (filter, expected) in (2..).zip(by_filter) {
                assert_eq!(count(CLASSIFY, uniform, "conv", mul, filter), expected);
                assert_eq!(count(RENDER, uniform, "conv", mul, filter), expected);
            }
        }
    }

    #[test]
    fn every_network_fits_its_task_and_scores_of_parts_add_up() {
        tch::set_num_threads(1); // the pictures are small, and other tests run beside this one
        for task in [CLASSIFY, RENDER, REGRESS] {
            for (split, layer, filter_size) in variants(task) {
                let change = |config| StudyConfig { filter_size, ..config };
                let (learner, _store) = build(task, split, layer, change);
                let rows = [0, 1000, 3000];
                let whole = learner.score(&rows).unwrap();
                assert_eq!(whole.measures.len(), task.measures.len(), "{task}");

                let mut sums = crate::ScoreSums::default();
                rows.iter().for_each(|row| sums.add(&learner.score(&[*row]).unwrap()));
                let case = format!("{task} {layer} {filter_size}: {whole:?} and {sums:?}");
                assert!((whole.loss - sums.loss).abs() < 1e-4 * sums.loss.abs(), "{case}");
                for (whole, sum) in whole.measures.iter().zip(&sums.measures) {
                    let whole = whole.value();
                    let sum = sum.value();
                    assert!((whole - sum).abs() <= 1e-3 * sum.abs(), "{case}");
                }
                if (layer, filter_size) == ("coordconv", 1) {
                    learner.exhibits().unwrap();
                }
            }
        }
    }

    fn variants(task: &Task) -> impl Iterator<Item = (Split, &'static str, u32)> {
        let layers = layers().iter().filter(|layer| task.takes(layer));
        layers.flat_map(|layer| {
            let splits = task.splits.iter();
            splits.flat_map(|&split| [1, 2, 3].map(|filter| (split, layer.name, filter)))
        })
    }
}
