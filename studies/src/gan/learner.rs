//! Learning to paint scenes, and judging what the generator paints.

use coordrl_agents::nn::{Mode, uniform};
use coordrl_envs::Rng;
use tch::{Kind, Reduction, Tensor};

use super::network::{Discriminator, Generator};
use crate::StudyError;
use crate::draws::{Purpose, stream};
use crate::objects::painter::{Canvases, Painter, between};
use crate::objects::pictures::{row_draws, scenes};
use crate::objects::scene::DATA_SEED;
use crate::objects::walk::ends;
use crate::task::{Draws, Exhibit, RowSplit, ScoreSums, Tally, TaskLearner};

/// Pictures per evaluation pass.
const ROWS: usize = 50;
/// The generator's number among the task's objectives; the discriminator's is 0.
const GENERATOR: usize = 1;
/// Labels of pictures.
const REAL: f64 = 1.0;
const FAKE: f64 = 0.0;

/// One thread's networks. Rows are numbers of scenes.
pub(super) struct GanLearner {
    pub discriminator: Discriminator,
    pub generator: Generator,
    pub canvases: Canvases,
    pub latents: usize,
}

impl GanLearner {
    /// Draws scenes, `f32 [N, 3, H, H]` from −1 to 1.
    fn scenes(&self, rows: &[usize]) -> Result<Tensor, StudyError> {
        Ok(scenes(rows, self.canvases.scale, self.canvases.device)? * 2.0 - 1.0)
    }

    /// Draws latent variables for each row, uniformly from −1 to 1, `[N, Z]`.
    fn latents(&self, rows: &[usize], draws: impl Fn(usize) -> Rng) -> Result<Tensor, StudyError> {
        row_draws(rows, self.latents, self.canvases.device, |row| {
            let mut rng = draws(row);
            (0..self.latents).map(|_| (2.0 * uniform(&mut rng) - 1.0) as f32).collect()
        })
    }

    /// Draws the latent variables of training: all steps of an update share them.
    fn training_latents(&self, rows: &[usize], draws: Draws) -> Result<Tensor, StudyError> {
        let Draws { seed, epoch } = draws;
        // One stream for each row of each epoch.
        let index = |row| (u64::from(epoch) << 32) + row as u64;
        self.latents(rows, |row| stream(seed, Purpose::Latents, index(row)))
    }

    /// Sums the discriminator's loss over scenes and the generator's pictures.
    fn discriminator_loss(&self, scenes: &Tensor, latents: &Tensor) -> Result<Tensor, StudyError> {
        let fakes = tch::no_grad(|| self.generator.forward(latents, Mode::Train));
        // Apart, so that each is normalised by its own statistics, as in the authors' code.
        let real = cross_entropy(&self.discriminator.forward(scenes, Mode::Train), REAL)?;
        let fake = cross_entropy(&self.discriminator.forward(&fakes, Mode::Train), FAKE)?;
        Ok(real + fake)
    }

    /// Sums the generator's loss over the pictures that it makes.
    fn generator_loss(&self, latents: &Tensor) -> Result<Tensor, StudyError> {
        let fakes = self.generator.forward(latents, Mode::Train);
        cross_entropy(&self.discriminator.forward(&fakes, Mode::Train), REAL)
    }
}

impl Painter for GanLearner {
    fn canvases(&self) -> &Canvases {
        &self.canvases
    }

    fn prior(&self, rows: &[usize]) -> Result<Tensor, StudyError> {
        self.latents(rows, |row| stream(DATA_SEED, Purpose::Prior, row as u64))
    }

    /// Walks lead from one row's latent variables to the next row's, and their length from the one's
    /// to the other's, as in the authors' code: vectors of many dimensions drawn from the prior are
    /// about equally long, and those on a straight line between two of them are shorter.
    fn steps(&self, starts: &[usize]) -> Result<Tensor, StudyError> {
        let ends = self.prior(&ends(starts))?.f_view([starts.len() as i64, 2, -1])?;
        let from = ends.f_narrow(1, 0, 1)?; // [W, 1, Z]
        let to = ends.f_narrow(1, 1, 1)?;
        let steps = between(&from, &to)?; // [W · 9, Z]
        let lengths = between(&length(&from)?, &length(&to)?)?; // [W · 9, 1]
        Ok(&steps * (lengths / length(&steps)?))
    }

    /// Paints with the running statistics.
    fn paint(&self, latents: &Tensor) -> Result<Tensor, StudyError> {
        Ok(self.generator.pictures(&self.generator.forward(latents, Mode::Evaluate)))
    }

    fn ends(&self, _: usize) -> Result<Option<[Vec<u8>; 2]>, StudyError> {
        Ok(None)
    }
}

fn length(vectors: &Tensor) -> Result<Tensor, StudyError> {
    Ok(vectors.f_norm_scalaropt_dim(2.0, -1, true)?)
}

/// Cross-entropy of logits with one label, summed.
fn cross_entropy(logits: &Tensor, label: f64) -> Result<Tensor, StudyError> {
    let labels = logits.f_full_like(label)?;
    let no_weights = None::<Tensor>;
    let no_factor = None::<Tensor>;
    Ok(logits.f_binary_cross_entropy_with_logits(&labels, no_weights, no_factor, Reduction::Sum)?)
}

impl TaskLearner for GanLearner {
    fn loss(&self, objective: usize, rows: &[usize], draws: Draws) -> Result<Tensor, StudyError> {
        let latents = self.training_latents(rows, draws)?;
        match objective {
            GENERATOR => self.generator_loss(&latents),
            _ => self.discriminator_loss(&self.scenes(rows)?, &latents),
        }
    }

    fn score(&self, rows: &[usize]) -> Result<ScoreSums, StudyError> {
        let fakes = self.generator.forward(&self.prior(rows)?, Mode::Evaluate);
        // The running statistics are of three fakes to one picture of the data, where training has
        // those of either alone: this discriminator is not quite the one of training.
        let real = self.discriminator.forward(&self.scenes(rows)?, Mode::Evaluate);
        let fake = self.discriminator.forward(&fakes, Mode::Evaluate);
        let correct = real.gt(0.0).f_sum(Kind::Float)? + fake.le(0.0).f_sum(Kind::Float)?;
        let loss =
            cross_entropy(&real, REAL)? + cross_entropy(&fake, FAKE)? + cross_entropy(&fake, REAL)?;
        let judged = self.judge(rows)?;
        let mut measures = judged.of_samples(self.canvases.scale);
        measures.extend(judged.of_walks());
        measures.push(Tally::over_rows(correct.f_double_value(&[])?, 2 * rows.len()));
        Ok(ScoreSums { loss: loss.f_double_value(&[])?, measures })
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
    use super::*;
    use crate::objects::scene::Scale;
    use crate::test_support::{assert_near, fill_with_noise, noise, under_study};

    struct Built {
        learner: GanLearner,
        store: ParamStore,
        leaves: Vec<Tensor>,
    }

    fn build(layer: &str, config: &GanConfig) -> Built {
        let mut store = ParamStore::new(1, Device::Cpu);
        let mut scope = ParamScope::new(&mut store);
        let layer = under_study(layer);
        let scale = Scale::of_side(config.canvas).unwrap();
        let learner = GanLearner {
            discriminator: Discriminator::build(&mut scope, layer, scale, config).unwrap(),
            generator: Generator::build(&mut scope, layer, scale, config).unwrap(),
            canvases: Canvases { scale, held_out: 100..200, device: Device::Cpu },
            latents: config.latents as usize,
        };
        let leaves = scope.into_leaves().unwrap();
        Built { learner, store, leaves }
    }

    fn small(layer: &str) -> GanLearner {
        build(layer, &GanConfig { width: 2, latents: 3, ..Default::default() }).learner
    }

    /// Losses, gradients and running statistics of a step of each network.
    #[test]
    fn steps_equal_pytorch() {
        let golden: Value = serde_json::from_str(include_str!("../../golden/gan.json")).unwrap();
        // The golden numbers are of f64. Among the published networks' activations some lie so near
        // to 0 that f32 puts them on the other side of the kink.
        for (canvas, latents, width, share) in
            [(32, 3, 2, 1e-4), (32, 64, 16, 1e-4), (64, 256, 64, 1e-3)]
        {
            for layer in ["conv", "coordconv"] {
                let config = GanConfig { canvas, latents, width, ..Default::default() };
                let Built { learner, store, leaves } = build(layer, &config);
                fill_with_noise(&leaves);
                let side = i64::from(canvas);
                let scenes = noise(&[3, 3, side, side], 0.0, 1.0).ge(0.0).to_kind(Kind::Float);
                let latents = noise(&[3, latents.into()], 0.25, 1.0);
                let golden = &golden[format!("{layer} {canvas} {width}")];
                let named: Vec<String> =
                    store.to_named().into_iter().map(|(name, _)| name).collect();
                for (number, part) in ["discriminator", "generator"].into_iter().enumerate() {
                    let loss = match number {
                        0 => learner.discriminator_loss(&(&scenes * 2.0 - 1.0), &latents),
                        _ => learner.generator_loss(&latents),
                    };
                    let loss = loss.unwrap();
                    let expected = golden["losses"][number].as_f64().unwrap();
                    let found = loss.double_value(&[]);
                    assert!((found - expected).abs() < 1e-4 * expected, "{part}: {found}");
                    let its = named.iter().zip(&leaves).filter(|(name, _)| name.starts_with(part));
                    let (names, leaves): (Vec<&String>, Vec<&Tensor>) = its.unzip();
                    let gradients = Tensor::run_backward(&[loss], &leaves, false, false);
                    // A bias before a normalisation has the gradient 0, but for rounding.
                    let norms = gradients.iter().map(|gradient| gradient.norm().double_value(&[]));
                    let least = 0.01 * norms.fold(0.0, f64::max);
                    for (name, gradient) in names.into_iter().zip(&gradients) {
                        assert_near([share, least], gradient, &golden["gradients"][name], name);
                    }
                }
                for (name, value) in &store.to_named()[leaves.len()..] {
                    assert_near([share, 0.0], value, &golden["statistics"][name], name);
                }
            }
        }
    }

    /// Every step of an update draws the same latent variables, and every epoch others.
    #[test]
    fn latents_depend_on_row_and_epoch_and_not_on_the_objective() {
        let learner = small("coordconv"); // its generator has no normalisation
        let draws = Draws { seed: 3, epoch: 1 };
        let number = |loss: Result<Tensor, StudyError>| loss.unwrap().double_value(&[]);
        let rows = [5, 7];
        let latents = learner.training_latents(&rows, draws).unwrap();
        let generator = number(learner.loss(GENERATOR, &rows, draws));
        assert_eq!(generator, number(learner.generator_loss(&latents)));
        let scenes = learner.scenes(&rows).unwrap();
        let expected = number(learner.discriminator_loss(&scenes, &latents));
        assert_eq!(number(learner.loss(0, &rows, draws)), expected);
        assert_ne!(number(learner.loss(GENERATOR, &rows, Draws { epoch: 2, ..draws })), generator);
    }

    /// Its length changes evenly between those of the ends.
    #[test]
    fn a_walk_stays_in_the_shell_of_the_latents() {
        let learner = small("conv");
        let ends = learner.prior(&[100, 101]).unwrap();
        let steps = learner.steps(&[100]).unwrap();
        assert_eq!(steps.size(), [9, 3]);
        assert!(steps.get(0).allclose(&ends.get(0), 1e-5, 1e-6, false));
        assert!(steps.get(8).allclose(&ends.get(1), 1e-5, 1e-6, false));
        let lengths = |vectors: &Tensor| Vec::<f32>::try_from(length(vectors).unwrap().view(-1));
        let lengths = [lengths(&ends).unwrap(), lengths(&steps).unwrap()];
        let middle = (lengths[0][0] + lengths[0][1]) / 2.0;
        assert!((lengths[1][4] - middle).abs() < 1e-5, "{lengths:?}");
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
