//! Learning to encode scenes, and judging what the decoder makes of walks and of the prior.

use coordrl_agents::nn::normal_draws;
use tch::{Kind, Reduction, Tensor};

use super::network::{Encoding, Vae};
use crate::StudyError;
use crate::draws::{Purpose, stream};
use crate::objects::painter::{Canvases, Painter, between};
use crate::objects::pictures::{rgb, row_draws, scenes};
use crate::objects::scene::DATA_SEED;
use crate::objects::walk::ends;
use crate::task::{Draws, Exhibit, RowSplit, ScoreSums, Tally, TaskLearner};

/// Pictures per pass.
const ROWS: usize = 16;
/// One thread's network. Rows are numbers of scenes.
pub(super) struct VaeLearner {
    pub network: Vae,
    pub canvases: Canvases,
    pub latents: usize,
    /// Weight of the divergence from the prior.
    pub beta: f64,
}

/// Losses summed over pictures, as scalars.
struct Losses {
    /// Cross-entropy of pixels, in nats.
    pixels: Tensor,
    /// Divergence from the prior, in nats.
    divergence: Tensor,
}

impl VaeLearner {
    fn pictures(&self, rows: &[usize]) -> Result<Tensor, StudyError> {
        scenes(rows, self.canvases.scale, self.canvases.device)
    }

    /// Draws standard normal numbers for each row, `[N, Z]`.
    fn noise(
        &self,
        rows: &[usize],
        draws: impl Fn(usize) -> coordrl_envs::Rng,
    ) -> Result<Tensor, StudyError> {
        let normal = |row| normal_draws(&mut draws(row), self.latents);
        row_draws(rows, self.latents, self.canvases.device, normal)
    }

    /// Sums the losses, with encodings drawn by `noise`, `[N, Z]`. Source: Kingma and Welling 2013
    /// (arXiv:1312.6114), appendices B and C.
    fn losses(&self, pictures: &Tensor, noise: &Tensor) -> Result<Losses, StudyError> {
        let encoding = self.network.encode(pictures);
        let deviation = (&encoding.log_variance * 0.5).f_exp()?;
        let logits = self.network.decode(&(&encoding.mean + deviation * noise));
        let pixels = pixel_loss(&logits, pictures)?;
        Ok(Losses { pixels, divergence: divergence(&encoding)? })
    }
}

impl Painter for VaeLearner {
    fn canvases(&self) -> &Canvases {
        &self.canvases
    }

    fn prior(&self, rows: &[usize]) -> Result<Tensor, StudyError> {
        self.noise(rows, |row| stream(DATA_SEED, Purpose::Prior, row as u64))
    }

    /// Walks lead from the mean encoding of one picture to that of the next.
    fn steps(&self, starts: &[usize]) -> Result<Tensor, StudyError> {
        let means = self.network.encode(&self.pictures(&ends(starts))?).mean;
        let ends = means.f_reshape([starts.len() as i64, 2, -1])?;
        between(&ends.f_narrow(1, 0, 1)?, &ends.f_narrow(1, 1, 1)?)
    }

    fn paint(&self, latents: &Tensor) -> Result<Tensor, StudyError> {
        Ok(self.network.decode(latents).f_sigmoid()?)
    }

    fn ends(&self, start: usize) -> Result<Option<[Vec<u8>; 2]>, StudyError> {
        let shown = rgb(&self.pictures(&[start, start + 1])?, self.canvases.scale)?;
        Ok(<[Vec<u8>; 2]>::try_from(shown).ok())
    }
}

/// Cross-entropy of pixels whose values are probabilities, summed over pictures.
fn pixel_loss(logits: &Tensor, pictures: &Tensor) -> Result<Tensor, StudyError> {
    let no_weights = None::<Tensor>;
    let no_factor = None::<Tensor>;
    Ok(logits.f_binary_cross_entropy_with_logits(
        pictures,
        no_weights,
        no_factor,
        Reduction::Sum,
    )?)
}

/// Kullback–Leibler divergence from the standard normal prior, summed over pictures.
fn divergence(Encoding { mean, log_variance }: &Encoding) -> Result<Tensor, StudyError> {
    let each = mean.f_square()? + log_variance.f_exp()? - 1.0 - log_variance;
    Ok(each.f_sum(Kind::Float)? * 0.5)
}

impl TaskLearner for VaeLearner {
    fn loss(&self, _: usize, rows: &[usize], draws: Draws) -> Result<Tensor, StudyError> {
        let Draws { seed, epoch } = draws;
        let noise = self.noise(rows, |row| {
            // One stream for each row of each epoch: 2³² rows, which no data set has.
            stream(seed, Purpose::Encodings, (u64::from(epoch) << 32) + row as u64)
        })?;
        let Losses { pixels, divergence } = self.losses(&self.pictures(rows)?, &noise)?;
        Ok(pixels + divergence * self.beta)
    }

    /// Scores the mean encodings: nothing is drawn for them.
    fn score(&self, rows: &[usize]) -> Result<ScoreSums, StudyError> {
        let pictures = self.pictures(rows)?;
        let encoding = self.network.encode(&pictures);
        let logits = self.network.decode(&encoding.mean);
        let pixels = pixel_loss(&logits, &pictures)?;
        let errors = (logits.f_sigmoid()? - pictures).f_square()?;
        let squared_error = errors.f_sum(Kind::Float)?.f_double_value(&[])?;
        let divergence = divergence(&encoding)?.f_double_value(&[])?;
        let judged = self.judge(rows)?;
        let mut measures = vec![
            Tally::over_rows(squared_error, rows.len()),
            Tally::over_rows(divergence, rows.len()),
        ];
        measures.extend(judged.of_walks());
        measures.extend(judged.of_samples(self.canvases.scale));
        let loss = pixels.f_double_value(&[])? + self.beta * divergence;
        Ok(ScoreSums { loss, measures })
    }

    fn row_split(&self) -> RowSplit {
        RowSplit::Rows(ROWS)
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

    use super::*;
    use crate::objects::scene::{Scale, Scene};
    use crate::objects::walk::FRAMES;
    use crate::test_support::{
        assert_close, assert_gradient_within, fill_with_waves, under_study, wave,
    };

    fn learner(layer: &str, scale: Scale) -> (VaeLearner, Vec<Tensor>, Vec<String>) {
        let mut store = ParamStore::new(1, Device::Cpu);
        let mut scope = ParamScope::new(&mut store);
        let network = Vae::build(&mut scope, under_study(layer), scale, 8).unwrap();
        let leaves = scope.into_leaves().unwrap();
        let names = store.to_named().into_iter().map(|(name, _)| name).collect();
        let canvases = Canvases { scale, held_out: 100..200, device: Device::Cpu };
        (VaeLearner { network, canvases, latents: 8, beta: 1.0 }, leaves, names)
    }

    #[test]
    fn losses_and_gradients_equal_pytorch() {
        let golden: Value = serde_json::from_str(include_str!("../../golden/vae.json")).unwrap();
        // Among half a million activations at full size some lie so near to 0 that f32 puts them on
        // the other side of a ReLU, and each is a ten thousandth of a gradient.
        for (scale, share) in [(Scale::HALF, 1e-4), (Scale::FULL, 1e-3)] {
            for layer in ["conv", "coordconv"] {
                let (learner, leaves, names) = learner(layer, scale);
                fill_with_waves(&leaves);
                let side = scale.side as i64;
                let pictures = wave(&[2, 3, side, side], 0.0, 1.0).ge(0.0).to_kind(Kind::Float);
                let noise = wave(&[2, 8], 0.25, 1.0);
                let Losses { pixels, divergence } = learner.losses(&pictures, &noise).unwrap();
                let golden = &golden[format!("{layer} {side}")];
                for (loss, key) in [(&pixels, "pixels"), (&divergence, "divergence")] {
                    let scale = golden[key].as_f64().unwrap();
                    assert_close(loss.double_value(&[]), &golden[key], scale, key);
                }
                let gradients = Tensor::run_backward(&[pixels + divergence], &leaves, false, false);
                for (name, gradient) in names.iter().zip(&gradients) {
                    let expected = &golden["gradients"][name];
                    assert_gradient_within(share, gradient, expected, name);
                }
            }
        }
    }

    #[test]
    fn losses_of_pictures_add_up_and_are_drawn_anew_in_every_epoch() {
        let (learner, ..) = learner("coordconv", Scale::HALF);
        let draws = Draws { seed: 3, epoch: 1 };
        let loss = |rows: &[usize]| learner.loss(0, rows, draws).unwrap().double_value(&[]);
        let rows = [5, 0, 7];
        let apart: f64 = rows.iter().map(|&row| loss(&[row])).sum();
        assert!((loss(&rows) - apart).abs() < 1e-4 * apart);
        let other = learner.loss(0, &rows, Draws { seed: 3, epoch: 2 }).unwrap();
        assert_ne!(other.double_value(&[]), loss(&rows));
    }

    #[test]
    fn walks_are_shown_with_the_pictures_that_they_lead_between() {
        let (learner, ..) = learner("conv", Scale::HALF);
        let shown = tch::no_grad(|| learner.exhibits()).unwrap();
        let [Exhibit::Walks { side, walks }, Exhibit::Spread { panels }] = &shown[..] else {
            panic!()
        };
        assert_eq!((*side, walks.len()), (32, 4));
        assert_eq!(panels[0].of_data.len(), 100, "every held-out scene has a blue object");
        assert_eq!((panels[0].range, panels[2].range), ([0.0, 32.0], [-32.0, 32.0]));
        let mut rng = stream(DATA_SEED, Purpose::Scenes, 101);
        let scene = Scene::draw(&mut rng, Scale::HALF);
        let at = scene.red.centre[1] * 32 + scene.red.centre[0];
        let [_, to] = walks[0].ends.as_ref().unwrap();
        assert_eq!(to[3 * at..][..3], [255, 0, 0]);
        assert!(walks.iter().all(|walk| walk.frames.len() == FRAMES));
        assert!(walks[0].frames.iter().all(|frame| frame.len() == 3 * 32 * 32));
    }

    /// Walks begin at every second picture, and only held-out rows have samples.
    #[test]
    fn scores_of_rows_add_up_however_they_are_parted() {
        let (learner, ..) = learner("conv", Scale::HALF);
        let score = |rows: &[usize]| tch::no_grad(|| learner.score(rows)).unwrap();
        let whole = score(&[1, 2, 100, 101]);
        let mut sums = score(&[1]);
        assert!(sums.measures[2].value().is_nan(), "no walk begins at it");
        sums.add(&score(&[2]));
        assert!(sums.measures[2].value() >= 0.0);
        assert!(sums.measures[7].value().is_nan(), "no samples");
        sums.add(&score(&[100, 101]));
        assert!((whole.loss - sums.loss).abs() < 1e-4 * whole.loss);
        for (whole, sum) in whole.measures.iter().zip(&sums.measures) {
            let (whole, sum) = (whole.value(), sum.value());
            let both_none = whole.is_nan() && sum.is_nan();
            assert!(both_none || (whole - sum).abs() <= 1e-4 * whole.abs(), "{whole} {sum}");
        }
    }
}
