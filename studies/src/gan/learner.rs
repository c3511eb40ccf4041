//! Learning to paint scenes, and judging what the generator paints.

use coordrl_agents::nn::Mode;
use tch::Tensor;

use super::network::Generator;
use crate::StudyError;
use crate::adversary::{
    self, Discriminator, GENERATOR, Latents, Paints, discriminator_loss, generator_loss,
};
use crate::objects::painter::{Canvases, Painter};
use crate::objects::pictures::scenes;
use crate::task::{Draws, Exhibit, RowSplit, ScoreSums, TaskLearner};

/// Pictures per evaluation pass.
const ROWS: usize = 50;

/// One thread's networks. Rows are numbers of scenes.
pub(super) struct GanLearner {
    pub discriminator: Discriminator,
    pub generator: Generator,
    pub canvases: Canvases,
    pub latents: Latents,
}

impl GanLearner {
    /// Draws scenes, `f32 [N, 3, H, H]` from −1 to 1.
    fn scenes(&self, rows: &[usize]) -> Result<Tensor, StudyError> {
        Ok(scenes(rows, self.canvases.scale, self.canvases.device)? * 2.0 - 1.0)
    }
}

impl Painter for GanLearner {
    fn canvases(&self) -> &Canvases {
        &self.canvases
    }

    fn prior(&self, rows: &[usize]) -> Result<Tensor, StudyError> {
        self.latents.of_evaluation(rows)
    }

    fn steps(&self, starts: &[usize]) -> Result<Tensor, StudyError> {
        self.latents.of_walks(starts)
    }

    /// Paints with the running statistics.
    fn paint(&self, latents: &Tensor) -> Result<Tensor, StudyError> {
        Ok(self.generator.pictures(&self.generator.forward(latents, Mode::Evaluate)))
    }

    fn ends(&self, _: usize) -> Result<Option<[Vec<u8>; 2]>, StudyError> {
        Ok(None)
    }
}

impl TaskLearner for GanLearner {
    fn loss(&self, objective: usize, rows: &[usize], draws: Draws) -> Result<Tensor, StudyError> {
        let Self { discriminator, generator, .. } = self;
        let latents = self.latents.of_training(rows, draws)?;
        match objective {
            GENERATOR => generator_loss(discriminator, generator, &latents),
            _ => discriminator_loss(discriminator, generator, &self.scenes(rows)?, &latents),
        }
    }

    fn score(&self, rows: &[usize]) -> Result<ScoreSums, StudyError> {
        let Self { discriminator, generator, .. } = self;
        let scenes = self.scenes(rows)?;
        let (loss, correct) =
            adversary::score(discriminator, generator, &scenes, &self.prior(rows)?)?;
        let judged = self.judge(rows)?;
        let mut measures = judged.of_samples(self.canvases.scale);
        measures.extend(judged.of_walks());
        measures.push(correct);
        Ok(ScoreSums { loss, measures })
    }

    /// Batch normalisation lets rows depend on each other.
    fn row_split(&self) -> RowSplit {
        RowSplit::Whole(ROWS)
    }

    fn exhibits(&self) -> Result<Vec<Exhibit>, StudyError> {
        self.shown()
    }
}

#[cfg(test)]
mod tests {
    use coordrl_agents::nn::{ParamScope, ParamStore};
    use serde_json::Value;
    use tch::Device;

    use super::super::GanConfig;
    use super::super::network::discriminator;
    use super::*;
    use crate::adversary::tests::assert_steps;
    use crate::objects::scene::Scale;
    use crate::test_support::{fill_with_noise, store_of_doubles, under_study};

    struct Built {
        learner: GanLearner,
        store: ParamStore,
        leaves: Vec<Tensor>,
    }

    fn build(mut store: ParamStore, layer: &str, config: &GanConfig) -> Built {
        let mut scope = ParamScope::new(&mut store);
        let layer = under_study(layer);
        let scale = Scale::of_side(config.canvas).unwrap();
        let learner = GanLearner {
            discriminator: discriminator(&mut scope, layer, scale, config).unwrap(),
            generator: Generator::build(&mut scope, layer, scale, config).unwrap(),
            canvases: Canvases { scale, held_out: 100..200, device: Device::Cpu },
            latents: Latents { count: config.latents as usize, device: Device::Cpu },
        };
        let leaves = scope.into_leaves().unwrap();
        Built { learner, store, leaves }
    }

    fn small(layer: &str) -> GanLearner {
        let config = GanConfig { width: 2, latents: 3, ..Default::default() };
        build(ParamStore::new(1, Device::Cpu), layer, &config).learner
    }

    /// Losses, gradients and running statistics of a step of each network.
    #[test]
    fn steps_equal_pytorch() {
        let golden: Value = serde_json::from_str(include_str!("../../golden/gan.json")).unwrap();
        for (canvas, latents, width) in [(32, 3, 2), (32, 64, 16), (64, 256, 64)] {
            for layer in ["conv", "coordconv"] {
                let config = GanConfig { canvas, latents, width, ..Default::default() };
                let Built { learner, store, leaves } = build(store_of_doubles(), layer, &config);
                fill_with_noise(&leaves);
                let GanLearner { discriminator, generator, .. } = &learner;
                let golden = &golden[format!("{layer} {canvas} {width}")];
                let size = [canvas, latents].map(i64::from);
                assert_steps(discriminator, generator, size, &store, &leaves, golden);
            }
        }
    }

    /// Every step of an update draws the same latent variables, and every epoch others.
    #[test]
    fn losses_depend_on_row_and_epoch_and_not_on_the_objective() {
        let learner = small("coordconv"); // its generator has no normalisation
        let GanLearner { discriminator, generator, .. } = &learner;
        let draws = Draws { seed: 3, epoch: 1 };
        let number = |loss: Result<Tensor, StudyError>| loss.unwrap().double_value(&[]);
        let rows = [5, 7];
        let latents = learner.latents.of_training(&rows, draws).unwrap();
        let of_generator = number(learner.loss(GENERATOR, &rows, draws));
        assert_eq!(of_generator, number(generator_loss(discriminator, generator, &latents)));
        let scenes = learner.scenes(&rows).unwrap();
        let expected = number(discriminator_loss(discriminator, generator, &scenes, &latents));
        assert_eq!(number(learner.loss(0, &rows, draws)), expected);
        let next = Draws { epoch: 2, ..draws };
        assert_ne!(number(learner.loss(GENERATOR, &rows, next)), of_generator);
    }

    /// Walks begin at every second row, and only held-out rows have samples.
    #[test]
    fn scores_of_rows_add_up_however_they_are_parted() {
        let learner = small("conv");
        let score = |rows: &[usize]| tch::no_grad(|| learner.score(rows)).unwrap();
        let whole = score(&[1, 2, 100, 101]);
        let mut sums = score(&[1]);
        assert!(sums.measures[0].value().is_nan(), "no sample");
        assert!(sums.measures[11].value().is_nan(), "no walk begins at it");
        sums.add(&score(&[2]));
        sums.add(&score(&[100, 101]));
        assert!((whole.loss - sums.loss).abs() < 1e-4 * whole.loss);
        for index in [0, 1, 2, 11, 12, 13, 16] {
            let [whole, sum] = [&whole, &sums].map(|scores| scores.measures[index].value());
            assert!((whole - sum).abs() <= 1e-4 * whole.abs(), "{index}: {whole} {sum}");
        }
        assert!(whole.measures[16].value() > 0.0, "an untrained network names one side");
    }

    #[test]
    fn walks_are_shown_without_pictures_that_they_lead_between() {
        let learner = small("conv");
        let shown = tch::no_grad(|| learner.exhibits()).unwrap();
        let [Exhibit::Walks { side: 32, walks }, Exhibit::Spread { panels }] = &shown[..] else {
            panic!("{shown:?}")
        };
        assert!(walks.iter().all(|walk| walk.ends.is_none() && walk.frames.len() == 9));
        assert_eq!((walks.len(), panels.len()), (4, 3));
    }
}
