//! Two networks against each other: a generator of pictures, and a discriminator that learns to tell
//! them from the data. Source: Goodfellow et al. 2014 (arXiv:1406.2661).

mod discriminator;
mod generator;

use coordrl_agents::nn::{Mode, uniform};
use coordrl_agents::tags;
use coordrl_envs::Rng;
use tch::{Device, Kind, Reduction, Tensor};

pub(crate) use self::discriminator::Discriminator;
pub(crate) use self::generator::DoublingGenerator;
use crate::StudyError;
use crate::draws::{Purpose, stream};
use crate::objects::painter::between;
use crate::objects::pictures::row_draws;
use crate::objects::scene::DATA_SEED;
use crate::objects::walk::ends;
use crate::task::{Draws, Measure, Tally};

tags! {
    TRAIN_ACCURACY: "study/train_discriminator_accuracy", "share of pictures",
        "Training pictures and samples that the discriminator labels correctly, with its running statistics: gan, lsun.";
    TEST_ACCURACY: "study/test_discriminator_accuracy", "share of pictures",
        "Test pictures and samples that the discriminator labels correctly, with its running statistics: gan, lsun.";
}

/// The measure of [`score`].
pub(crate) const DISCRIMINATOR: [Measure; 1] =
    [Measure::share("discriminator_accuracy", "discriminator", &TRAIN_ACCURACY, &TEST_ACCURACY)];

/// Height and width of the map between a dense layer and convolutions.
pub(crate) const MAP_SIDE: i64 = 4;
/// The generator's number among a task's objectives; the discriminator's is 0.
pub(crate) const GENERATOR: usize = 1;
/// Labels of pictures.
const REAL: f64 = 1.0;
const FAKE: f64 = 0.0;

/// Channels of a discriminator's maps for pictures of 32 or 64 pixels, down to 4 × 4; a plain
/// generator has them backwards.
pub(crate) fn channels(side: i64, width: i64) -> Vec<i64> {
    let factors: &[i64] = if side == 64 { &[1, 2, 4, 8] } else { &[2, 4, 8] };
    factors.iter().map(|factor| factor * width).collect()
}

/// Paints what a discriminator sees of latent variables, `[N, Z]` → `[N, 3, H, H]`.
pub(crate) trait Paints {
    fn forward(&self, latents: &Tensor, mode: Mode) -> Tensor;
}

impl Paints for DoublingGenerator {
    fn forward(&self, latents: &Tensor, mode: Mode) -> Tensor {
        self.forward(latents, mode)
    }
}

/// Sums the discriminator's loss over pictures of the data and over the generator's.
pub(crate) fn discriminator_loss(
    discriminator: &Discriminator,
    generator: &impl Paints,
    pictures: &Tensor,
    latents: &Tensor,
) -> Result<Tensor, StudyError> {
    let fakes = tch::no_grad(|| generator.forward(latents, Mode::Train));
    // Apart, so that each is normalised by its own statistics, as in the authors' code.
    let real = cross_entropy(&discriminator.forward(pictures, Mode::Train), REAL)?;
    let fake = cross_entropy(&discriminator.forward(&fakes, Mode::Train), FAKE)?;
    Ok(real + fake)
}

/// Sums the generator's loss over the pictures that it makes.
pub(crate) fn generator_loss(
    discriminator: &Discriminator,
    generator: &impl Paints,
    latents: &Tensor,
) -> Result<Tensor, StudyError> {
    let fakes = generator.forward(latents, Mode::Train);
    cross_entropy(&discriminator.forward(&fakes, Mode::Train), REAL)
}

/// Scores both networks with their running statistics: the sum of their losses, and the share of
/// pictures that the discriminator labels correctly.
pub(crate) fn score(
    discriminator: &Discriminator,
    generator: &impl Paints,
    pictures: &Tensor,
    latents: &Tensor,
) -> Result<(f64, Tally), StudyError> {
    let fakes = generator.forward(latents, Mode::Evaluate);
    // The running statistics are of all fakes and pictures that it was shown, where training has
    // those of either alone: this discriminator is not quite the one of training.
    let real = discriminator.forward(pictures, Mode::Evaluate);
    let fake = discriminator.forward(&fakes, Mode::Evaluate);
    let correct = real.gt(0.0).f_sum(Kind::Float)? + fake.le(0.0).f_sum(Kind::Float)?;
    let loss =
        cross_entropy(&real, REAL)? + cross_entropy(&fake, FAKE)? + cross_entropy(&fake, REAL)?;
    let rows = latents.size()[0] as usize;
    Ok((loss.f_double_value(&[])?, Tally::over_rows(correct.f_double_value(&[])?, 2 * rows)))
}

/// Cross-entropy of logits with one label, summed.
fn cross_entropy(logits: &Tensor, label: f64) -> Result<Tensor, StudyError> {
    let labels = logits.f_full_like(label)?;
    let no_weights = None::<Tensor>;
    let no_factor = None::<Tensor>;
    Ok(logits.f_binary_cross_entropy_with_logits(&labels, no_weights, no_factor, Reduction::Sum)?)
}

/// Latent variables: uniform from −1 to 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Latents {
    /// Number of variables, Z.
    pub count: usize,
    pub device: Device,
}

impl Latents {
    /// Draws those of training for each row, `[N, Z]`; all steps of an update share them.
    pub fn of_training(self, rows: &[usize], draws: Draws) -> Result<Tensor, StudyError> {
        let Draws { seed, epoch } = draws;
        // One stream for each row of each epoch.
        let index = |row| (u64::from(epoch) << 32) + row as u64;
        self.draw(rows, |row| stream(seed, Purpose::Latents, index(row)))
    }

    /// Draws those of evaluations for each row, the same for all runs, `[N, Z]`.
    pub fn of_evaluation(self, rows: &[usize]) -> Result<Tensor, StudyError> {
        self.draw(rows, |row| stream(DATA_SEED, Purpose::Prior, row as u64))
    }

    /// Returns those along walks from each of these W rows to the next one, `[W · 9, Z]`: from one
    /// row's to the next row's, and their length from the one's to the other's, as in the authors'
    /// code. Vectors of many dimensions drawn from the prior are about equally long, and those on a
    /// straight line between two of them are shorter.
    pub fn of_walks(self, starts: &[usize]) -> Result<Tensor, StudyError> {
        let ends = self.of_evaluation(&ends(starts))?.f_view([starts.len() as i64, 2, -1])?;
        let from = ends.f_narrow(1, 0, 1)?; // [W, 1, Z]
        let to = ends.f_narrow(1, 1, 1)?;
        let steps = between(&from, &to)?; // [W · 9, Z]
        let lengths = between(&length(&from)?, &length(&to)?)?; // [W · 9, 1]
        Ok(&steps * (lengths / length(&steps)?))
    }

    fn draw(self, rows: &[usize], draws: impl Fn(usize) -> Rng) -> Result<Tensor, StudyError> {
        row_draws(rows, self.count, self.device, |row| {
            let mut rng = draws(row);
            (0..self.count).map(|_| (2.0 * uniform(&mut rng) - 1.0) as f32).collect()
        })
    }
}

fn length(vectors: &Tensor) -> Result<Tensor, StudyError> {
    Ok(vectors.f_norm_scalaropt_dim(2.0, -1, true)?)
}

#[cfg(test)]
pub(crate) mod tests {
    use coordrl_agents::nn::ParamStore;
    use serde_json::Value;

    use super::*;
    use crate::test_support::{assert_near, noise};

    /// Compares a step of each network with one that `golden/gan.py` made; `size` is the side of the
    /// pictures and the number of latent variables.
    pub(crate) fn assert_steps(
        discriminator: &Discriminator,
        generator: &impl Paints,
        [side, latents]: [i64; 2],
        store: &ParamStore,
        leaves: &[Tensor],
        golden: &Value,
    ) {
        const SHARE: f64 = 1e-5;
        let named: Vec<String> = store.to_named().into_iter().map(|(name, _)| name).collect();
        let scenes = noise(&[3, 3, side, side], 0.0, 1.0).ge(0.0).to_kind(Kind::Double);
        let pictures = scenes * 2.0 - 1.0;
        let latents = noise(&[3, latents], 0.25, 1.0).to_kind(Kind::Double);
        for (number, part) in ["discriminator", "generator"].into_iter().enumerate() {
            let loss = match number {
                0 => discriminator_loss(discriminator, generator, &pictures, &latents),
                _ => generator_loss(discriminator, generator, &latents),
            };
            let loss = loss.unwrap();
            let expected = golden["losses"][number].as_f64().unwrap();
            let found = loss.double_value(&[]);
            assert!((found - expected).abs() < SHARE * expected, "{part}: {found}");
            let its = named.iter().zip(leaves).filter(|(name, _)| name.starts_with(part));
            let (names, leaves): (Vec<&String>, Vec<&Tensor>) = its.unzip();
            let gradients = Tensor::run_backward(&[loss], &leaves, false, false);
            // A bias before a normalisation has the gradient 0, but for rounding.
            let norms = gradients.iter().map(|gradient| gradient.norm().double_value(&[]));
            let least = 0.01 * norms.fold(0.0, f64::max);
            for (name, gradient) in names.into_iter().zip(&gradients) {
                assert_near([SHARE, least], gradient, &golden["gradients"][name], name);
            }
        }
        for (name, value) in &store.to_named()[leaves.len()..] {
            assert_near([SHARE, 0.0], value, &golden["statistics"][name], name);
        }
    }

    /// Its length changes evenly between those of the ends.
    #[test]
    fn a_walk_stays_in_the_shell_of_the_latents() {
        let latents = Latents { count: 3, device: Device::Cpu };
        let ends = latents.of_evaluation(&[100, 101]).unwrap();
        let steps = latents.of_walks(&[100]).unwrap();
        assert_eq!(steps.size(), [9, 3]);
        assert!(steps.get(0).allclose(&ends.get(0), 1e-5, 1e-6, false));
        assert!(steps.get(8).allclose(&ends.get(1), 1e-5, 1e-6, false));
        let lengths = |vectors: &Tensor| Vec::<f32>::try_from(length(vectors).unwrap().view(-1));
        let lengths = [lengths(&ends).unwrap(), lengths(&steps).unwrap()];
        let middle = (lengths[0][0] + lengths[0][1]) / 2.0;
        assert!((lengths[1][4] - middle).abs() < 1e-5, "{lengths:?}");
    }

    #[test]
    fn latents_of_training_differ_by_seed_epoch_and_row() {
        let latents = Latents { count: 3, device: Device::Cpu };
        let draws = Draws { seed: 3, epoch: 1 };
        let drawn = latents.of_training(&[5, 7], draws).unwrap();
        assert_eq!(drawn, latents.of_training(&[5, 7], draws).unwrap());
        assert_ne!(drawn.get(0), drawn.get(1));
        for other in [Draws { epoch: 2, ..draws }, Draws { seed: 4, ..draws }] {
            assert_ne!(drawn, latents.of_training(&[5, 7], other).unwrap());
        }
    }
}
