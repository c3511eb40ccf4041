//! Learning to paint scenes, and judging what the generator paints.

use coordrl_agents::nn::{Mode, uniform};
use coordrl_envs::Rng;
use tch::{Device, Kind, Reduction, Tensor};

use super::network::{Discriminator, Generator};
use crate::StudyError;
use crate::draws::{Purpose, stream};
use crate::objects::judged::Judged;
use crate::objects::pictures::{rgb, row_draws, scenes, sights};
use crate::objects::scene::{DATA_SEED, Scale};
use crate::objects::walk::{FRAMES, Walk, ends, starts};
use crate::task::{Draws, Exhibit, PaintedWalk, RowSplit, ScoreSums, Tally, TaskLearner};

/// Pictures per evaluation pass.
const ROWS: usize = 50;
/// Walks that are shown.
const SHOWN: usize = 4;
/// The generator's number among the task's objectives; the discriminator's is 0.
const GENERATOR: usize = 1;

/// One thread's networks. Rows are numbers of scenes.
pub(super) struct GanLearner {
    pub discriminator: Discriminator,
    pub generator: Generator,
    pub scale: Scale,
    pub latents: usize,
    /// Rows from here on are held out.
    pub held_out_from: usize,
    pub device: Device,
}

impl GanLearner {
    /// Draws scenes, `f32 [N, 3, H, H]` from −1 to 1.
    fn scenes(&self, rows: &[usize]) -> Result<Tensor, StudyError> {
        Ok(scenes(rows, self.scale, self.device)? * 2.0 - 1.0)
    }

    /// Draws latent variables for each row, uniformly from −1 to 1, `[N, Z]`.
    fn latents(&self, rows: &[usize], draws: impl Fn(usize) -> Rng) -> Result<Tensor, StudyError> {
        row_draws(rows, self.latents, self.device, |row| {
            let mut rng = draws(row);
            (0..self.latents).map(|_| (2.0 * uniform(&mut rng) - 1.0) as f32).collect()
        })
    }

    /// Draws the latent variables of an evaluation: the same for all runs.
    fn fixed_latents(&self, rows: &[usize]) -> Result<Tensor, StudyError> {
        self.latents(rows, |row| stream(DATA_SEED, Purpose::Prior, row as u64))
    }

    /// Sums the discriminator's loss over scenes and the generator's pictures.
    fn discriminator_loss(&self, scenes: &Tensor, latents: &Tensor) -> Result<Tensor, StudyError> {
        let made = tch::no_grad(|| self.generator.forward(latents, Mode::Train));
        // Apart, so that each is normalised by its own statistics, as in the authors' code.
        let of_scenes = cross_entropy(&self.discriminator.forward(scenes, Mode::Train), 1.0)?;
        let of_made = cross_entropy(&self.discriminator.forward(&made, Mode::Train), 0.0)?;
        Ok(of_scenes + of_made)
    }

    /// Sums the generator's loss over the pictures that it makes.
    fn generator_loss(&self, latents: &Tensor) -> Result<Tensor, StudyError> {
        let made = self.generator.forward(latents, Mode::Train);
        cross_entropy(&self.discriminator.forward(&made, Mode::Train), 1.0)
    }

    /// Paints latent variables, `[N, 3, H, H]` from 0 to 1, with the running statistics.
    fn paint(&self, latents: &Tensor) -> Tensor {
        self.generator.pictures(&self.generator.forward(latents, Mode::Evaluate))
    }

    /// Judges the walks that begin at these rows: at every second one of all.
    fn walk(&self, rows: &[usize]) -> Result<Vec<Walk>, StudyError> {
        let starts = starts(rows);
        if starts.is_empty() {
            return Ok(Vec::new());
        }
        let frames = sights(&self.paint(&self.steps(&starts)?), self.scale)?;
        Ok(frames.chunks_exact(FRAMES).map(Walk::of).collect())
    }

    /// Returns the latent variables along walks from those of each of these W rows to those of the
    /// next one, `[W · 9, Z]`. Their length goes from one end's to the other's, as in the authors'
    /// code: latent variables of many dimensions lie in a shell, which a straight line leaves.
    fn steps(&self, starts: &[usize]) -> Result<Tensor, StudyError> {
        let walks = starts.len() as i64;
        let ends = self.fixed_latents(&ends(starts))?.f_view([walks, 2, -1])?;
        let from = ends.f_narrow(1, 0, 1)?; // [W, 1, Z]
        let to = ends.f_narrow(1, 1, 1)?;
        let shares = Tensor::f_linspace(0.0, 1.0, FRAMES as i64, (Kind::Float, self.device))?;
        let shares = shares.f_view([1, -1, 1])?;
        let between = |from: &Tensor, to: &Tensor| from + &shares * (to - from);
        let steps = between(&from, &to); // [W, 9, Z]
        let lengths = between(&length(&from)?, &length(&to)?); // [W, 9, 1]
        let steps = &steps * (lengths / length(&steps)?);
        Ok(steps.f_reshape([walks * FRAMES as i64, -1])?)
    }

    /// Judges what the generator makes of the latent variables of held-out rows.
    fn judge(&self, rows: &[usize]) -> Result<Judged, StudyError> {
        let held_out: Vec<usize> =
            rows.iter().copied().filter(|&row| row >= self.held_out_from).collect();
        if held_out.is_empty() {
            return Ok(Judged::default());
        }
        let samples = sights(&self.paint(&self.fixed_latents(&held_out)?), self.scale)?;
        Ok(Judged { walks: self.walk(&held_out)?, samples })
    }
}

fn length(vectors: &Tensor) -> Result<Tensor, StudyError> {
    Ok(vectors.f_norm_scalaropt_dim(2.0, -1, true)?)
}

/// Cross-entropy of logits with one answer, summed.
fn cross_entropy(logits: &Tensor, answer: f64) -> Result<Tensor, StudyError> {
    let answers = logits.f_full_like(answer)?;
    let none = None::<Tensor>;
    Ok(logits.f_binary_cross_entropy_with_logits(&answers, none, None::<Tensor>, Reduction::Sum)?)
}

impl TaskLearner for GanLearner {
    fn loss(&self, objective: usize, rows: &[usize], draws: Draws) -> Result<Tensor, StudyError> {
        let Draws { seed, epoch } = draws;
        // One stream for each row of each epoch, so that all steps of an update share their draws.
        let latents = self.latents(rows, |row| {
            stream(seed, Purpose::Latents, (u64::from(epoch) << 32) + row as u64)
        })?;
        match objective {
            GENERATOR => self.generator_loss(&latents),
            _ => self.discriminator_loss(&self.scenes(rows)?, &latents),
        }
    }

    fn score(&self, rows: &[usize]) -> Result<ScoreSums, StudyError> {
        let made = self.generator.forward(&self.fixed_latents(rows)?, Mode::Evaluate);
        let of_scenes = self.discriminator.forward(&self.scenes(rows)?, Mode::Evaluate);
        let of_made = self.discriminator.forward(&made, Mode::Evaluate);
        let right = of_scenes.gt(0.0).f_sum(Kind::Float)? + of_made.le(0.0).f_sum(Kind::Float)?;
        let loss = cross_entropy(&of_scenes, 1.0)?
            + cross_entropy(&of_made, 0.0)?
            + cross_entropy(&of_made, 1.0)?;
        let judged = self.judge(rows)?;
        let mut measures = judged.of_samples(self.scale);
        measures.extend(judged.of_walks());
        measures.push(Tally::over_rows(right.f_double_value(&[])?, 2 * rows.len()));
        Ok(ScoreSums { loss: loss.f_double_value(&[])?, measures })
    }

    /// Batch normalisation lets rows depend on each other.
    fn row_split(&self) -> RowSplit {
        RowSplit::Whole(ROWS)
    }

    fn exhibit(&self) -> Result<Option<Exhibit>, StudyError> {
        let starts: Vec<usize> = (0..SHOWN).map(|index| self.held_out_from + 2 * index).collect();
        let frames = rgb(&self.paint(&self.steps(&starts)?), self.scale)?;
        let walks = frames.chunks_exact(FRAMES);
        let walks = walks.map(|frames| PaintedWalk { ends: None, frames: frames.to_vec() });
        Ok(Some(Exhibit::Walks { side: self.scale.side, walks: walks.collect() }))
    }
}

#[cfg(test)]
mod tests {
    use coordrl_agents::nn::{ParamScope, ParamStore};
    use serde_json::Value;

    use super::super::GanConfig;
    use super::*;
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
            scale,
            latents: config.latents as usize,
            held_out_from: 100,
            device: Device::Cpu,
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

    #[test]
    fn all_steps_of_an_update_see_the_same_latents_and_each_epoch_others() {
        let learner = small("coordconv"); // without normalisation in the generator
        let loss = |rows: &[usize], epoch| {
            let draws = Draws { seed: 3, epoch };
            learner.loss(GENERATOR, rows, draws).unwrap().double_value(&[])
        };
        let first = loss(&[5, 7], 1);
        assert_eq!(loss(&[5, 7], 1), first);
        assert_ne!(loss(&[5, 7], 2), first);
        let scenes = learner.loss(0, &[5, 7], Draws { seed: 3, epoch: 1 }).unwrap();
        assert_ne!(scenes.double_value(&[]), first);
    }

    /// Its length changes evenly between those of the ends.
    #[test]
    fn a_walk_stays_in_the_shell_of_the_latents() {
        let learner = small("conv");
        let ends = learner.fixed_latents(&[100, 101]).unwrap();
        let steps = learner.steps(&[100]).unwrap();
        assert_eq!(steps.size(), [9, 3]);
        assert!(steps.get(0).allclose(&ends.get(0), 1e-5, 1e-6, false));
        assert!(steps.get(8).allclose(&ends.get(1), 1e-5, 1e-6, false));
        let lengths = |vectors: &Tensor| Vec::<f32>::try_from(length(vectors).unwrap().view(-1));
        let lengths = [lengths(&ends).unwrap(), lengths(&steps).unwrap()];
        let middle = (lengths[0][0] + lengths[0][1]) / 2.0;
        assert!((lengths[1][4] - middle).abs() < 1e-5, "{lengths:?}");
    }

    /// Only held-out rows have samples and walks.
    #[test]
    fn scores_of_rows_add_up_however_they_are_parted() {
        let learner = small("conv");
        let score = |rows: &[usize]| tch::no_grad(|| learner.score(rows)).unwrap();
        let whole = score(&[1, 2, 100, 101]);
        let mut sums = score(&[1, 2]);
        assert!(sums.measures[0].value().is_nan() && sums.measures[11].value().is_nan());
        sums.add(&score(&[100, 101]));
        assert!((whole.loss - sums.loss).abs() < 1e-4 * whole.loss);
        for (whole, sum) in whole.measures.iter().zip(&sums.measures) {
            let (whole, sum) = (whole.value(), sum.value());
            let both_none = whole.is_nan() && sum.is_nan();
            assert!(both_none || (whole - sum).abs() <= 1e-4 * whole.abs(), "{whole} {sum}");
        }
    }
}
